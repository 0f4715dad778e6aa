"""Spectrums: the bands of the song as bars, as a line, or as either round a circle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import model_validator

from ecs_core.arrays import F32, F64
from ecs_core.layers.colours import Colours, gradient
from ecs_core.layers.kind import Drawer, LayerKind, Moment, Stage
from ecs_core.scene.layer_settings import PlacedLayer
from ecs_core.scene.model import Share, option
from ecs_core.scene.palettes import PALETTES

if TYPE_CHECKING:
    from ecs_core.raster.marks import Mark, Pose
    from ecs_core.raster.sprites import Sprites

Style = Literal["bars", "mirrored", "ring", "line", "filled", "ring-line"]
_OF_BARS: tuple[Style, ...] = ("bars", "mirrored", "ring")
_ROUND: tuple[Style, ...] = ("ring", "ring-line")
_GLOW = 0.014  # radius of the glow, as a share of the shorter side
_PIECES = 4  # of a line, for each band, at most
_LIT = 0.45  # light of the glow, as a share of the colour's
_REST = 0.25  # of which so much is left in silence


class SpectrumSettings(PlacedLayer):
    """The song's spectrum; ``size`` is the diameter of a ring, or the width of all bars or of the line."""

    bindable = ("height", "glow", "gap", "thickness", "fill")

    size: float = option(
        0.6, "diameter of the ring, or width of it all, as a share of the shorter side", group="place", gt=0, le=10
    )
    style: Style = option(
        "ring",
        "bars stand on the layer's place, mirrored ones go up and down from it; a ring's go outwards, clockwise from "
        "its top; line, filled (with the area under it) and ring-line join the bands",
        group="look",
    )
    bands: int = option(64, "how many", group="music", ge=2, le=256)
    low: float = option(40.0, "where the first band begins", group="music", unit="Hz", ge=20, le=10_000)
    high: float = option(8_000.0, "where the last band ends", group="music", unit="Hz", ge=50, le=11_000)
    decibels: float = option(
        60.0, "how far below the song's loudest nothing is seen", group="music", unit="dB", ge=6, le=100
    )
    tilt: float = option(
        0.0, "raises what is above 1 kHz and lowers what is below", group="music", unit="dB/octave", ge=-12, le=12
    )
    attack: float = option(0.03, "how long a rise from nothing to full takes", group="music", unit="s", ge=0, le=5)
    release: float = option(0.5, "how long a fall from full to nothing takes", group="music", unit="s", ge=0, le=10)
    symmetric: bool | None = option(
        None,
        "the bands twice: up both sides of a ring from its bottom, or from the middle to the left and to the right; "
        "null: only rings are",
        group="look",
    )
    height: float = option(0.18, "of a band at its loudest, as a share of the shorter side", group="look", ge=0, le=5)
    least: float = option(0.008, "of a bar in silence, as a share of the shorter side", group="look", ge=0, le=1)
    gap: float = option(0.4, "between bars, as a share of their place", group="look", ge=0, le=0.95)
    corner: float = option(
        0.5, "radius of the corners of bars, as a share of their width; 0.5: round", group="look", ge=0, le=0.5
    )
    thickness: float = option(0.006, "of lines, as a share of the shorter side", group="look", ge=0.0005, le=0.2)
    fill: Share = option(0.35, "how much the area under the line covers (filled)", group="look")
    colors: Colours = option(
        PALETTES["sunset"], "from the lowest band to the highest; or the name of a palette", group="look"
    )
    glow: float = option(0.5, "light round it", group="look", ge=0, le=10)

    @model_validator(mode="after")
    def _from_low_to_high(self) -> Self:
        if self.high < 1.2 * self.low:
            raise ValueError(f"high = {self.high:g}: must be at least 1.2 times low = {self.low:g}")
        return self

    @property
    def is_round(self) -> bool:
        """Whether it goes round a circle."""
        return self.style in _ROUND

    @property
    def is_symmetric(self) -> bool:
        """Whether its bands are seen twice."""
        return self.is_round if self.symmetric is None else self.symmetric


def _prepare(settings: SpectrumSettings, stage: Stage) -> Drawer:
    # Slow, and many scenes have no spectrum.
    from ecs_core.audio.bands import Bands, BandsWanted  # noqa: PLC0415
    from ecs_core.layers.strokes import FINE, smooth_curve  # noqa: PLC0415

    wanted = BandsWanted(
        settings.bands,
        settings.low,
        settings.high,
        settings.decibels,
        settings.attack,
        settings.release,
        settings.tilt,
    )
    bands = Bands(stage.timeline.sonogram, wanted)
    numbers = np.arange(settings.bands)
    if settings.is_symmetric:  # the lowest in the middle; of a ring, at its bottom
        numbers = np.concatenate([numbers[::-1], numbers])
    shares = numbers / (settings.bands - 1)
    if settings.style not in _OF_BARS:  # of the pieces of the line
        long = settings.size * stage.short * (math.pi if settings.is_round else 1)
        count = max(len(numbers), min(_PIECES * len(numbers), math.ceil(long / FINE)))
        shares = smooth_curve(shares, count, closed=settings.is_round)
    colours, light = gradient(settings.colors, shares)
    draw = {"bars": _bars, "mirrored": _bars, "ring": _ring, "ring-line": _ring_line}.get(settings.style, _line)

    def drawn(now: SpectrumSettings, moment: Moment, pose: Pose) -> Sequence[Mark | Sprites]:
        values = bands.at(moment.song)[numbers].astype(np.float64)
        return draw(now, stage, pose, values, colours, light)

    return drawn


def _bars(
    now: SpectrumSettings, stage: Stage, pose: Pose, values: F64, colours: F32, light: F32
) -> Sequence[Mark | Sprites]:
    from ecs_core.layers.strokes import glow_sprites  # noqa: PLC0415 - as in _prepare
    from ecs_core.raster.marks import BoxesMark  # noqa: PLC0415 - likewise

    n, short = len(values), stage.short
    pitch = now.size * short / n
    x = (np.arange(n) + 0.5 - n / 2) * pitch
    wide = np.full(n, pitch * (1 - now.gap) / 2)
    long = np.maximum(values * now.height, now.least) * short
    top, bottom = (-long, long) if now.style == "mirrored" else (-long, np.zeros(n))
    marks: list[Mark | Sprites] = []
    if now.glow:
        lit = light * (now.glow * _LIT * (_REST + (1 - _REST) * values))[:, None].astype(np.float32)
        marks.append(glow_sprites(pose, x, bottom, x, top, radius=_GLOW * short, apart=pitch, colours=lit))
    middle, tall, corner = (top + bottom) / 2, (bottom - top) / 2, now.corner * 2 * wide
    marks.append(BoxesMark.at(pose, x, middle, wide, tall, colours, corner=corner, blend=now.blend))
    return marks


def _ring(
    now: SpectrumSettings, stage: Stage, pose: Pose, values: F64, colours: F32, light: F32
) -> Sequence[Mark | Sprites]:
    from ecs_core.layers.strokes import glow_sprites  # noqa: PLC0415 - as in _prepare
    from ecs_core.raster.marks import BoxesMark  # noqa: PLC0415 - likewise

    n, short, radius = len(values), stage.short, now.size * stage.short / 2
    angle = _angles(n)
    out_x, out_y = np.sin(angle), -np.cos(angle)
    pitch = 2 * math.pi * radius / n
    wide = np.full(n, pitch * (1 - now.gap) / 2)
    long = np.maximum(values * now.height, now.least) * short
    marks: list[Mark | Sprites] = []
    if now.glow:
        lit = light * (now.glow * _LIT * (_REST + (1 - _REST) * values))[:, None].astype(np.float32)
        outer = radius + long
        ends = (out_x * radius, out_y * radius, out_x * outer, out_y * outer)
        marks.append(glow_sprites(pose, *ends, radius=_GLOW * short, apart=pitch, colours=lit))
    middle = radius + long / 2
    marks.append(
        BoxesMark.at(
            pose, out_x * middle, out_y * middle, wide, long / 2, colours,
            angle=angle, corner=now.corner * 2 * wide, blend=now.blend,
        )
    )  # fmt: skip
    return marks


def _ring_line(
    now: SpectrumSettings, stage: Stage, pose: Pose, values: F64, colours: F32, light: F32
) -> Sequence[Mark | Sprites]:
    from ecs_core.layers.strokes import smooth_curve  # noqa: PLC0415 - as in _prepare

    count, short = len(colours), stage.short
    radius = now.size * short / 2
    away = radius + smooth_curve(values, count, closed=True) * now.height * short
    angle = _angles(len(values))[0] + 2 * math.pi * np.arange(count) / count
    x, y = away * np.sin(angle), -away * np.cos(angle)
    return _stroke(now, short, pose, np.append(x, x[0]), np.append(y, y[0]), colours, light)


def _line(
    now: SpectrumSettings, stage: Stage, pose: Pose, values: F64, colours: F32, light: F32
) -> Sequence[Mark | Sprites]:
    from ecs_core.layers.strokes import area_mark, smooth_curve  # noqa: PLC0415 - as in _prepare

    count, short = len(colours), stage.short
    x = (np.linspace(0, 1, count) - 0.5) * now.size * short
    y = -smooth_curve(values, count, closed=False) * now.height * short
    marks = [*_stroke(now, short, pose, x, y, colours[:-1], light[:-1])]
    if now.style == "filled" and now.fill:
        marks.insert(len(marks) - 1, area_mark(pose, x, y, colours=colours, blend=now.blend).dimmed(now.fill))
    return marks


def _stroke(
    now: SpectrumSettings, short: int, pose: Pose, x: F64, y: F64, colours: F32, light: F32
) -> Sequence[Mark | Sprites]:
    from ecs_core.layers.strokes import line_mark, soft_line  # noqa: PLC0415 - as in _prepare

    marks: list[Mark | Sprites] = []
    if now.glow:
        lit = light * np.float32(now.glow * _LIT)
        marks.append(soft_line(pose, x, y, radius=_GLOW * short, colours=lit))
    marks.append(line_mark(pose, x, y, thickness=now.thickness * short, colours=colours, blend=now.blend))
    return marks


def _angles(n: int) -> F64:
    """Where the bars of a ring are, clockwise from its top: the middle ones are at its bottom."""
    return 2 * math.pi * (np.arange(n) + 0.5) / n


SPECTRUM = LayerKind(
    "spectrum", "the song's spectrum: bars, a ring, a line", SpectrumSettings, _prepare, sonogram=True, lines=True
)
