"""From a scene to what renders it: the particle type of its name, its settings, checked, and its outputs."""

from __future__ import annotations

from typing import Any

from ecs_core.errors import SceneError
from ecs_core.output_names import MAIN
from ecs_core.plugin_api.layers import drawn_layers_of, layers_of
from ecs_core.plugin_api.particle_type import ParticleType
from ecs_core.plugin_api.registry import particle_type, particle_types
from ecs_core.scene.safe_area import safe_box
from ecs_core.scene.scene import Scene
from ecs_core.scene.settings import Settings, validate


def resolve(scene: Scene) -> tuple[ParticleType, Settings]:
    """The particle type of a scene, and its settings as the type's model checked them. Its variants are checked, too.

    Raises:
        SceneError: no such type, or a setting that is unknown or out of range, in the scene or with a variant.
    """
    kind = particle_type(scene.type)
    settings = validate(kind.settings, scene.config, owner=f"particle type {scene.type!r}")
    if scene.audio is None and settings.takes_length_of_song:
        raise SceneError('duration "audio" needs a song; give one, or a duration in seconds')
    if scene.audio is None and settings.start != 0:
        shown = settings.start if isinstance(settings.start, str) else f"{settings.start:g}"
        raise SceneError(f"start = {shown}: is a moment of a song, and there is none; give one, or leave start out")
    for layer in layers_of(kind, settings):
        if layer.settings.bindings:
            from ecs_core.scene.bindings import check_bindings  # noqa: PLC0415 - slow, and needed only with bindings

            try:
                check_bindings(layer.type, layer.settings, particle_types().features)
            except SceneError as error:
                raise SceneError(f"layer {layer.name!r}: {error}" if layer.name else str(error)) from None
    if settings.backdrop is not None and settings.backdrop.bindings:
        from ecs_core.layers.checks import check_moved  # noqa: PLC0415 - slow, and many scenes have none

        try:
            check_moved(settings.backdrop, settings.backdrop.bindable, particle_types().features)
        except SceneError as error:
            raise SceneError(f"backdrop: {error}") from None
    for drawn in drawn_layers_of(settings):
        from ecs_core.layers.checks import check_layer  # noqa: PLC0415 - slow, and many scenes have none

        if settings.loop and not drawn.kind.loops:
            raise SceneError(f"loop = true with layer {drawn.name!r}: what {drawn.kind.name} shows cannot loop")
        try:
            features = particle_types().features
            _, _, width, height = safe_box(settings)
            if not drawn.settings.safe:
                width, height = settings.width, settings.height
            check_layer(drawn.kind, drawn.settings, features, width=width, height=height)
        except SceneError as error:
            raise SceneError(f"layer {drawn.name!r}: {error}") from None
    for number, variant in enumerate(_variants(scene, settings)):
        try:
            resolve(variant)
        except SceneError as error:
            raise SceneError(f"variants.{number}: {error}") from None
    return kind, settings


def outputs_of(scene: Scene) -> dict[str, Scene]:
    """The scenes of all outputs of a scene by their names: first the scene's own, ``"main"``, then its ``variants``.

    Each is a whole scene without variants.

    Raises:
        SceneError: as :func:`resolve`.
    """
    _, settings = resolve(scene)
    return {MAIN: _with(scene, {}), **dict(zip(settings.variant_names(), _variants(scene, settings), strict=True))}


def _variants(scene: Scene, settings: Settings) -> list[Scene]:
    return [_with(scene, variant.config(), but=variant.left_out()) for variant in settings.variants]


def _with(scene: Scene, changes: dict[str, Any], *, but: frozenset[str] = frozenset()) -> Scene:
    """The scene with these settings, without variants and ``but`` some others."""
    config = {name: value for name, value in scene.config.items() if name != "variants" and name not in but}
    return Scene(scene.type, scene.audio, config | changes, scene.analysis)
