"""Waveforms: the wave of the moment, held still where the song has a tone, as a line or round a circle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecs_core.layers.colours import Colours, gradient
from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import Share, option

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose
    from ecs_core.raster.sprites import Sprites

_GLOW, _LIT = 0.014, 0.45  # radius of the glow, as a share of the shorter side; its light, of the colour's
_PIECE = 0.004  # length of a piece of the line, as a share of the shorter side


class WaveformSettings(PlacedLayer):
    """The wave of the moment; ``size`` is the length of a line, or the diameter of a ring."""

    bindable = ("height", "glow", "thickness")

    size: float = option(
        0.9, "length of the line, or diameter of the ring, as a share of the shorter side", group="place", gt=0, le=10
    )
    style: Literal["line", "ring"] = option("line", "straight, or round a circle", group="look")
    window: float = option(0.05, "how much of the song is seen at once", group="music", unit="s", ge=0.002, le=1.0)
    height: float = option(
        0.15, "of the song's highest sample above the middle, as a share of the shorter side", group="look", ge=0, le=5
    )
    taper: Share = option(0.4, "how much of a line is calmer towards its ends", group="look")
    thickness: float = option(0.006, "of the line, as a share of the shorter side", group="look", ge=0.0005, le=0.2)
    colors: Colours = option(((255, 255, 255),), "from one end to the other; or the name of a palette", group="look")
    glow: float = option(0.5, "light round it", group="look", ge=0, le=10)


def _prepare(settings: WaveformSettings, stage: Stage) -> Drawer:
    # Slow, and many scenes have no waveform.
    from ecs_core.audio.momentary_wave import momentary_wave  # noqa: PLC0415
    from ecs_core.layers.strokes import line_mark, soft_line  # noqa: PLC0415

    short, is_round = stage.short, settings.style == "ring"
    around = settings.size * (math.pi if is_round else 1)
    count = min(2000, max(32, math.ceil(around / _PIECE)))
    shares = np.arange(count + 1) / count
    middles = (shares[1:] + shares[:-1]) / 2
    if is_round:  # from the bottom to the top and back
        middles = np.abs(2 * middles - 1)
    colours, light = gradient(settings.colors, middles)
    calm = np.ones(count + 1)
    if settings.taper and not is_round:
        near = np.clip(np.minimum(shares, 1 - shares) / (settings.taper / 2), 0, 1)
        calm = near * near * (3 - 2 * near)

    def draw(now: WaveformSettings, moment: Moment, pose: Pose) -> Sequence[Mark | Sprites]:
        points = count if is_round else count + 1
        wave = momentary_wave(
            stage.timeline.sonogram, moment.song, window=now.window, points=points, closed=is_round
        ).astype(np.float64)
        high = wave * now.height * short
        if is_round:
            high = np.append(high, high[0])
            away, angle = now.size * short / 2 + high, 2 * math.pi * shares
            x, y = away * np.sin(angle), -away * np.cos(angle)
        else:
            x, y = (shares - 0.5) * now.size * short, -high * calm
        marks: list[Mark | Sprites] = []
        if now.glow:
            lit = light * np.float32(now.glow * _LIT)
            marks.append(soft_line(pose, x, y, radius=_GLOW * short, colours=lit))
        marks.append(line_mark(pose, x, y, thickness=now.thickness * short, colours=colours, blend=now.blend))
        return marks

    return draw


WAVEFORM = LayerKind(
    "waveform", "the wave of the moment: a line, a ring", WaveformSettings, _prepare, sonogram=True, lines=True
)
