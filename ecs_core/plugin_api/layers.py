"""Layers: the particles of a flat config, and those that its ``layers`` add."""

from __future__ import annotations

from dataclasses import dataclass

from ecs_core.ecs.rng import stream_of
from ecs_core.errors import SceneError
from ecs_core.plugin_api.particle_type import ParticleType
from ecs_core.plugin_api.registry import particle_type
from ecs_core.scene.nested_settings import LayerSettings
from ecs_core.scene.settings import OF_THE_VIDEO, Settings, validate

MAIN = ""  # the name of the layer that the flat config describes
_SEEDS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Layer:
    """Particles of one type.

    ``settings`` are its own and the whole video's, with a seed of its own; ``opacity`` (0–1) is the share of its light
    that is seen.
    """

    name: str
    type: ParticleType
    settings: Settings
    opacity: float


def layers_of(kind: ParticleType, settings: Settings) -> tuple[Layer, ...]:
    """All layers of a scene, in draw order.

    Raises:
        SceneError: a layer has an unknown type, an invalid setting, or the name of another one.
    """
    layers = {MAIN: Layer(MAIN, kind, settings, 1.0)}
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
    kind = particle_type(wanted.type)
    for each, value in wanted.config.items():
        if each in OF_THE_VIDEO:
            raise SceneError(f"config: {each} = {value!r}: belongs to the whole video, beside the layers")
    own = validate(kind.settings, wanted.config, owner=f"particle type {kind.name!r}")
    seed = stream_of(of.seed, "layer", name) & _SEEDS
    return Layer(name, kind, own.model_copy(update={**of.of_the_video(), "seed": seed}), wanted.opacity)
