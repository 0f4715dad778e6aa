"""Before the first render on a machine: compile the kernels that it needs, on all cores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from ecs_core.ecs.components import (
    Attraction,
    Collide,
    ColorBy,
    FadeWithDistance,
    Growth,
    Jitter,
    ScaleWithDistance,
    Sprite,
    Trail,
    Turbulence,
    Twinkle,
)
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth, Links
from ecs_core.ecs.table import Table
from ecs_core.kernels.compilation import KERNELS, Compiling, compile_missing, missing
from ecs_core.layers.lettering import Lettered
from ecs_core.plugin_api import ParticleType, layers_of
from ecs_core.plugin_api.layers import drawn_layers_of
from ecs_core.rendering.plan import video_format
from ecs_core.rendering.progress import Progress
from ecs_core.scene.bindings import silent_world
from ecs_core.scene.settings import Settings
from ecs_core.video.format import Pixels, Quality

SONG_KERNELS = ("beats.extend_chains", "medians.running_medians", "sums.weighted_sums")
# Kernels that only populations with these components need.
_COMPONENT_KERNELS = {
    Attraction: ("motion.attract",),
    Collide: ("collision.collide", "collision.sort_into_cells"),
    ColorBy: ("shade.paint", "shade.paint_in_turn"),
    FadeWithDistance: ("shade.fade_with_distance",),
    Growth: ("motion.grow",),
    Jitter: ("motion.jitter",),
    Links: ("collision.sort_into_cells", "links.link"),
    ScaleWithDistance: ("shade.scale_with_distance",),
    Turbulence: ("motion.swirl",),
    Twinkle: ("shade.twinkle",),
}
_BALL_KERNELS = ("collision.collide_in_space",)
_COVERING_KERNELS = ("cover.cover_band", "cover.fill_band")
_TEXTURE_KERNELS = ("textures.draw_textures",)
# Glows that are drawn softly are rare without lines; where there are, each process compiles what they need.
_LINE_KERNELS = ("lines.draw_lines", "trails.trace", "soft.add_soft", "soft.draw_soft_glows")
_FINISH_KERNELS = ("finish.finish_band", "finish.spread")
_STRAIGHT_KERNELS: Mapping[Pixels, str] = {
    "yuva444p10le": "straight.develop_yuva444",
    "yuva420p": "straight.develop_yuva420",
    "rgba": "straight.develop_rgba",
}
_DRAFT_KERNELS = ("doubling.double",)
TEXT_KERNELS = tuple(f"coverage.{name}" for name in ("add_outline", "approach", "blur", "cover", "widen"))
_BACKDROP_KERNELS = {
    "color": ("grounds.draw_gradient",),
    "gradient": ("grounds.draw_gradient",),
    "image": ("pictures.draw_picture", "grounds.soften"),
    "video": ("pictures.draw_picture", "grounds.soften", "grounds.light_of_frame"),
}
MARK_KERNELS = ("boxes.draw_boxes", "pictures.draw_mask", "pictures.draw_picture")
_FLASH_KERNELS = ("flashes.measure",)
_log = logging.getLogger("motes.kernels")


def needed_kernels(kind: ParticleType, settings: Settings, *, song: bool, quality: Quality = "standard") -> list[str]:
    """The kernels that a render of a particle type needs, with a song or without."""
    spared = set() if song else set(SONG_KERNELS)
    not_needed, covers, has_lines, has_pictures = set(_COMPONENT_KERNELS), False, False, False
    has_balls = False
    for layer in layers_of(kind, settings):
        with silent_world(layer.type, layer.settings) as world:
            not_needed -= {component for component in not_needed if world.query(Table, component)}
            has_balls |= bool(world.query(Collide, Depth))
            sprites = [sprite for _, (sprite,) in world.query(Sprite)]
            draws_itself = any(system.phase == Phase.EXTRACT for system in layer.type.systems)  # maybe anything
            covers |= draws_itself or any(sprite.blend == "over" for sprite in sprites)
            has_pictures |= draws_itself or any(sprite.texture is not None for sprite in sprites)
            has_lines |= (
                draws_itself
                or bool(world.query(Trail) or world.query(Links))
                or any(sprite.shutter for sprite in sprites)
            )
            has_lines |= any(binding.target == "sprite.shutter" for binding in layer.settings.bindings)
    needed = {
        kernel for component in _COMPONENT_KERNELS.keys() - not_needed for kernel in _COMPONENT_KERNELS[component]
    }
    spared |= {kernel for component in not_needed for kernel in _COMPONENT_KERNELS[component]} - needed
    spared |= set() if has_balls else set(_BALL_KERNELS)
    spared |= set() if covers else set(_COVERING_KERNELS)
    drawn = drawn_layers_of(settings)
    has_lines |= any(layer.kind.lines for layer in drawn)
    spared |= set() if has_lines else set(_LINE_KERNELS)
    spared |= set(_FINISH_KERNELS) if settings.finish is None else set()
    spared |= set() if has_pictures else set(_TEXTURE_KERNELS)
    spared |= set() if quality == "draft" else set(_DRAFT_KERNELS)
    spared |= set() if any(isinstance(layer.settings, Lettered) for layer in drawn) else set(TEXT_KERNELS)
    of_marks = set(MARK_KERNELS) if drawn else set()
    of_marks |= set() if settings.backdrop is None else set(_BACKDROP_KERNELS[settings.backdrop.kind])
    spared |= {kernel for each in (MARK_KERNELS, *_BACKDROP_KERNELS.values()) for kernel in each} - of_marks
    has_marks = bool(of_marks)
    if has_marks:
        spared -= {"cover.fill_band"}
    video = video_format(kind, settings, quality, frames=1, gop=1, has_song=False)
    spared |= {kernel for pixels, kernel in _STRAIGHT_KERNELS.items() if pixels != video.pixels}
    spared |= set() if settings.looks_for_flashes else set(_FLASH_KERNELS)
    spared |= set() if video.alpha and (covers or has_marks) else {"straight.see_behind"}
    return [kernel for kernel in KERNELS if kernel not in spared]


def prepare_kernels(
    kind: ParticleType,
    settings: Settings,
    *,
    song: bool,
    quality: Quality = "standard",
    progress: Callable[[Progress], None] | None = None,
) -> float:
    """Compile the kernels that a render needs and that are missing; returns the seconds that it took, usually 0.

    ``progress`` receives the stage "compiling".
    """
    if not missing():  # quick; the rest sets up a world
        return 0.0
    return compile_kernels(needed_kernels(kind, settings, song=song, quality=quality), progress)


def compile_kernels(names: Iterable[str], progress: Callable[[Progress], None] | None = None) -> float:
    """Compile the kernels ``names`` as far as they are missing; returns the seconds that it took.

    If the compiler fails, that is logged as a warning; each process then compiles what it needs by itself.
    """

    def report(state: Compiling) -> None:
        if progress is not None:
            left = state.seconds * (1 - state.done / state.total)
            progress(Progress("compiling", state.done / state.total, seconds_left=left))

    try:
        return compile_missing(names, report=report)
    except RuntimeError as error:
        _log.warning("%s", error)
        return 0.0
