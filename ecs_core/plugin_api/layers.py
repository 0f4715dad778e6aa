"""Layers: the particles of a flat config, and those that its ``layers`` put under and over them."""

from __future__ import annotations

from dataclasses import dataclass

from ecs_core.ecs.rng import stream_of
from ecs_core.errors import SceneError
from ecs_core.plugin_api.particle_type import ParticleType
from ecs_core.plugin_api.registry import particle_types
from ecs_core.scene.settings import OF_THE_VIDEO, LayerSettings, Settings, validate

MAIN = ""  # the name of the layer that the flat config describes
_SEEDS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Layer:
    """Particles of one type. ``seed`` is that of its random draws, ``opacity`` (0–1) the share of its light."""

    name: str
    type: ParticleType
    settings: Settings
    seed: int
    opacity: float


def layers_of(kind: ParticleType, settings: Settings) -> tuple[Layer, ...]:
    """All layers of a scene, in draw order.

    Raises:
        SceneError: a layer has an unknown type, an invalid setting, or the name of another one.
    """
    layers = {MAIN: Layer(MAIN, kind, settings, settings.seed, 1.0)}
    behind: list[str] = []
    for number, wanted in enumerate(settings.layers):
        name = wanted.type if wanted.name is None else wanted.name
        if name in layers:
            raise SceneError(f"layers.{number}.name = {name!r}: another layer has this name; give it one of its own")
        try:
            layers[name] = _layer(name, wanted, settings)
        except SceneError as error:
            raise SceneError(f"layers.{number}: {error}") from None
        if wanted.behind:
            behind.append(name)
    order = [*behind, MAIN, *(name for name in layers if name != MAIN and name not in behind)]
    return tuple(layers[name] for name in order)


def settings_in_vain(kind: ParticleType, settings: Settings) -> list[str]:
    """What was set that the layers' types ignore, a line each."""
    return [
        f"layer {layer.name!r}: {line}" if layer.name else line
        for layer in layers_of(kind, settings)
        for line in layer.settings.warnings
    ]


def _layer(name: str, wanted: LayerSettings, of: Settings) -> Layer:
    types = particle_types().types
    if wanted.type not in types:
        raise SceneError(f"type = {wanted.type!r}: no such particle type; there are: {', '.join(sorted(types))}")
    kind = types[wanted.type]
    shared = [each for each in wanted.config if each in OF_THE_VIDEO]
    if shared:
        raise SceneError(f"config.{shared[0]}: is of the whole video; set it beside the layers")
    settings = validate(kind.settings, {**wanted.config, **of.of_the_video()}, owner=f"particle type {kind.name!r}")
    return Layer(name, kind, settings, stream_of(of.seed, "layer", name) & _SEEDS, wanted.opacity)
