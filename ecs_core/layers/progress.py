"""Progress: how much of the song has been played, as bars of how loud it is, or as a line with a knob."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecs_core.layers.colours import Colours, gradient
from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import RGB, Share, option

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose


class ProgressSettings(PlacedLayer):
    """How much has been played; ``size`` is its width."""

    bindable = ("height", "thickness", "knob", "rest_opacity")

    size: float = option(0.8, "its width, as a share of the shorter side", group="place", gt=0, le=10)
    style: Literal["bars", "line"] = option(
        "bars", "bars as high as the song is loud, or a line with a knob", group="look"
    )
    of: Literal["video", "song"] = option(
        "video", "what is played: the part of the song that the video shows, or all of it", group="music"
    )
    bars: int = option(90, "how many", group="look", ge=2, le=1000)
    height: float = option(0.08, "of the highest bar, as a share of the shorter side", group="look", ge=0, le=5)
    least: float = option(0.006, "of the lowest bar, as a share of the shorter side", group="look", ge=0, le=1)
    gap: float = option(0.4, "between bars, as a share of their place", group="look", ge=0, le=0.95)
    corner: float = option(
        0.5, "radius of the corners of bars, as a share of their width; 0.5: round", group="look", ge=0, le=0.5
    )
    thickness: float = option(0.008, "of the line, as a share of the shorter side", group="look", ge=0.0005, le=0.5)
    knob: float = option(
        0.028, "diameter of the line's knob, as a share of the shorter side; 0: none", group="look", ge=0, le=1
    )
    colors: Colours = option(
        ((255, 255, 255),), "of what was played, from one end to the other; or the name of a palette", group="look"
    )
    rest: RGB = option((255, 255, 255), "colour of what is still to come", group="look")
    rest_opacity: Share = option(0.3, "how much that covers", group="look")


def _prepare(settings: ProgressSettings, stage: Stage) -> Drawer:
    # Slow, and many scenes show no progress.
    from ecs_core.audio.momentary_wave import outline_of  # noqa: PLC0415
    from ecs_core.raster.light_pictures import light_of  # noqa: PLC0415
    from ecs_core.raster.marks import BoxesMark  # noqa: PLC0415

    timeline, short = stage.timeline, stage.short
    start, end = float(timeline.start), float(timeline.start + timeline.frames / stage.fps)
    if settings.of == "song":
        start, end = 0.0, max(timeline.duration, end)
    rest = np.array(light_of(settings.rest), np.float32)
    n = settings.bars
    outline = outline_of(timeline.sonogram, start, end, count=n).astype(np.float64)
    colours, _ = gradient(settings.colors, (np.arange(n) + 0.5) / n)

    def draw(now: ProgressSettings, moment: Moment, pose: Pose) -> Sequence[Mark]:
        played = (moment.song - start) / (end - start)
        return bars(now, pose, played) if settings.style == "bars" else line(now, pose, played)

    def bars(now: ProgressSettings, pose: Pose, played: float) -> Sequence[Mark]:
        pitch = now.size * short / n
        x = (np.arange(n) + 0.5 - n / 2) * pitch
        wide = np.full(n, pitch * (1 - now.gap) / 2)
        tall = np.maximum(outline * now.height, now.least) * short / 2
        done = np.clip(played * n - np.arange(n), 0, 1)  # the bar that is being played changes while it is
        light = rest + (colours - rest) * done[:, None].astype(np.float32)
        alpha = now.rest_opacity + (1 - now.rest_opacity) * done
        corner = now.corner * 2 * wide
        return [
            BoxesMark.at(
                pose, x, np.zeros(n), wide, tall, light.astype(np.float32), corner=corner, alpha=alpha, blend=now.blend
            )
        ]

    def line(now: ProgressSettings, pose: Pose, played: float) -> Sequence[Mark]:
        long, tall = now.size * short, now.thickness * short / 2
        at = (min(max(played, 0.0), 1.0) - 0.5) * long
        # What is played: pieces in their colours, of which the first and the last are as round as the line.
        edges = np.linspace(-long / 2, at, n + 1 if len(settings.colors) > 1 else 2)
        middles, wide = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2 + tall
        lit, _ = gradient(settings.colors, middles / long + 0.5)
        remaining = np.array([(at + long / 2) / 2]), np.zeros(1), np.array([(long / 2 - at) / 2 + tall])
        marks: list[Mark] = [
            BoxesMark.at(
                pose, *remaining, np.full(1, tall), rest, corner=tall, alpha=now.rest_opacity, blend=now.blend
            ),
            BoxesMark.at(
                pose, middles, np.zeros(len(wide)), wide, np.full(len(wide), tall), lit, corner=tall, blend=now.blend
            ),
        ]
        if now.knob:
            radius = np.full(1, now.knob * short / 2)
            marks.append(
                BoxesMark.at(pose, np.array([at]), np.zeros(1), radius, radius, lit[-1], corner=radius, blend=now.blend)
            )
        return marks

    return draw


PROGRESS = LayerKind(
    "progress",
    "how much of the song has been played: bars, a line",
    ProgressSettings,
    _prepare,
    loops=False,
    sonogram=True,
)
