"""Layers: the particles of a flat config, and what its ``layers`` add: more particles, pictures, texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from ecs_core.ecs.rng import stream_of
from ecs_core.errors import SceneError
from ecs_core.layers.kind import LayerKind, is_of_particles
from ecs_core.plugin_api.particle_type import ParticleType
from ecs_core.plugin_api.registry import layer_kind, particle_type
from ecs_core.scene.layer_settings import LayerSettings, ParticleLayer, PlacedLayer
from ecs_core.scene.model import Model
from ecs_core.scene.settings import OF_THE_VIDEO, Settings, validate
from ecs_core.validation_messages import error_message

MAIN = ""  # the name of the layer that the flat config describes
_SEEDS = (1 << 63) - 1
M = TypeVar("M", bound=Model)


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


@dataclass(frozen=True, slots=True)
class DrawnLayer:
    """A layer of another kind than particles."""

    name: str
    kind: LayerKind
    settings: PlacedLayer


def all_layers(kind: ParticleType, settings: Settings) -> tuple[Layer | DrawnLayer, ...]:
    """All layers of a scene, in draw order.

    Raises:
        SceneError: a layer has an unknown type or kind, an invalid setting, or the name of another one.
    """
    layers: dict[str, Layer | DrawnLayer] = {MAIN: Layer(MAIN, kind, settings, 1.0)}
    behind: list[str] = []
    for number, wanted in enumerate(settings.layers):
        try:
            made = _made(wanted, number, settings)
        except SceneError as error:
            raise SceneError(f"layers.{number}: {error}") from None
        if made.name in layers:
            raise SceneError(
                f"layers.{number}.name = {made.name!r}: another layer has this name; give it one of its own"
            )
        layers[made.name] = made
        if wanted.behind:
            behind.append(made.name)
    order = [*behind, MAIN, *(name for name in layers if name != MAIN and name not in behind)]
    return tuple(layers[name] for name in order)


def layers_of(kind: ParticleType, settings: Settings) -> tuple[Layer, ...]:
    """All layers of particles of a scene, in draw order; raises as :func:`all_layers`."""
    return tuple(layer for layer in all_layers(kind, settings) if isinstance(layer, Layer))


def drawn_layers_of(settings: Settings) -> tuple[DrawnLayer, ...]:
    """All other layers of a scene, in the order of its config; raises as :func:`all_layers`."""
    made = [_made(wanted, number, settings) for number, wanted in enumerate(settings.layers)]
    return tuple(layer for layer in made if isinstance(layer, DrawnLayer))


def pictures_sound(settings: Settings) -> bool:
    """Whether a layer of a scene needs the song's sonogram."""
    return any(not is_of_particles(each) and layer_kind(each.kind).sonogram for each in settings.layers)


def settings_in_vain(kind: ParticleType, settings: Settings) -> list[str]:
    """What was set that the layers' types ignore, a line each."""
    return [
        f"layer {layer.name!r}: {line}" if layer.name else line
        for layer in layers_of(kind, settings)
        for line in layer.settings.warnings
    ]


def written_out(layer: LayerSettings, number: int, of: Settings) -> dict[str, object]:
    """A layer of a config with all its defaults, as plain data.

    Raises:
        SceneError: it is invalid.
    """
    made = _made(layer, number, of)
    if isinstance(made, DrawnLayer):
        return made.settings.model_dump(mode="json")
    config = made.settings.model_dump(mode="json", exclude=set(OF_THE_VIDEO))
    return _valid(ParticleLayer, layer).model_dump(mode="json") | {"name": made.name, "config": config}


def _made(wanted: LayerSettings, number: int, of: Settings) -> Layer | DrawnLayer:
    if not is_of_particles(wanted):
        kind = layer_kind(wanted.kind)
        return DrawnLayer(wanted.name or f"{wanted.kind} {number}", kind, _valid(kind.settings, wanted))
    particles = _valid(ParticleLayer, wanted)
    return _layer(particles.type if particles.name is None else particles.name, particles, of)


def _valid(model: type[M], wanted: LayerSettings) -> M:
    try:
        return model.model_validate(wanted.model_dump(exclude_unset=True))
    except ValidationError as error:
        raise SceneError(error_message(error, model, f"layers of the kind {wanted.kind!r}")) from None


def _layer(name: str, wanted: ParticleLayer, of: Settings) -> Layer:
    kind = particle_type(wanted.type)
    for each, value in wanted.config.items():
        if each in OF_THE_VIDEO:
            raise SceneError(f"config: {each} = {value!r}: belongs to the whole video, beside the layers")
    own = validate(kind.settings, wanted.config, owner=f"particle type {kind.name!r}")
    seed = stream_of(of.seed, "layer", name) & _SEEDS
    return Layer(name, kind, own.model_copy(update={**of.of_the_video(), "seed": seed}), wanted.opacity)
