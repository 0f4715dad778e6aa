"""Backdrops: a colour, a gradient, a picture or a video under everything else.

Each is prepared once in each process and then drawn as the first mark of a frame, so what does not change is not drawn
anew (see ``raster.rasteriser``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ecs_core.arrays import F32, U8
from ecs_core.errors import RenderError
from ecs_core.layers.kind import Moment, Stage
from ecs_core.scene.backdrop_settings import (
    AnyBackdrop,
    ColorBackdrop,
    GradientBackdrop,
    ImageBackdrop,
    PictureBackdrop,
    VideoBackdrop,
)

if TYPE_CHECKING:
    from ecs_core.raster.light_pictures import Picture
    from ecs_core.raster.marks import GradientMark, Mark
    from ecs_core.raster.video_file import Cut, VideoIndex

BackdropDrawer: TypeAlias = "Callable[[Any, Moment, float], Sequence[Mark]]"
_LONGEST = 4096  # texels of a side: more than any picture shows
_FINEST = (
    1.5  # texels of a pixel before it is larger: more would take memory, and be seen only at the end of a long zoom
)
_SOFTNESS = 5.0  # texels: the blur of a blurred picture, which needs no more of them
_STEPS = 1024  # of a gradient
# Linear sRGB to the responses of cones, and their cube roots to OKLab (Björn Ottosson, "A perceptual color space for
# image processing", 2020).
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def prepare_backdrop(settings: AnyBackdrop, stage: Stage) -> BackdropDrawer:
    """What draws a backdrop: ``draw(settings of the frame, moment, opacity)``; see ``layers.kind``."""
    match settings:
        case ColorBackdrop():
            return _prepare_color(settings, stage)
        case GradientBackdrop():
            return _prepare_gradient(settings, stage)
        case ImageBackdrop():
            return _prepare_image(settings, stage)
        case VideoBackdrop():
            return _prepare_video(settings, stage)


def _prepare_color(settings: ColorBackdrop, stage: Stage) -> BackdropDrawer:
    from ecs_core.raster.light_pictures import light_of  # noqa: PLC0415 - slow, and many scenes have no marks

    table = _table_of(np.array([light_of(settings.color)] * 2))

    def draw(now: ColorBackdrop, moment: Moment, opacity: float) -> Sequence[Mark]:
        return [_gradient(table, (0.0,) * 6, stage, opacity)]

    return draw


def _prepare_gradient(settings: GradientBackdrop, stage: Stage) -> BackdropDrawer:
    table = gradient_table(settings)

    def draw(now: GradientBackdrop, moment: Moment, opacity: float) -> Sequence[Mark]:
        return [_gradient(table, _place(now, stage), stage, opacity, radial=now.shape == "radial")]

    return draw


def _gradient(
    table: F32, place: Sequence[float], stage: Stage, opacity: float, *, radial: bool = False
) -> GradientMark:
    from ecs_core.raster.marks import GradientMark  # noqa: PLC0415 - slow, and many scenes have no marks

    a, b, c, d, e, f = place
    bounds = 0.0, 0.0, float(stage.width), float(stage.height)
    return GradientMark(table, (a, b, c, d, e, f), radial, opacity, bounds)


def _place(now: GradientBackdrop, stage: Stage) -> tuple[float, ...]:
    """Where pixels lie in a gradient (see ``kernels.grounds.draw_gradient``)."""
    width, height = stage.width, stage.height
    if now.shape == "radial":
        x, y = now.x * width, now.y * height
        far = now.size * math.hypot(max(x, width - x), max(y, height - y))
        return 1 / far, 0.0, -x / far, 0.0, 1 / far, -y / far
    turn = math.radians(now.angle)
    c, s = math.cos(turn), math.sin(turn)
    long = now.size * (abs(c) * width + abs(s) * height)  # so that the corners have the colours of the ends
    return c / long, s / long, 0.5 - (c * width + s * height) / (2 * long), 0.0, 0.0, 0.0


def gradient_table(settings: GradientBackdrop) -> F32:
    """The colours of a gradient as ``raster.marks.GradientMark`` has them, (4, n)."""
    from ecs_core.raster.colour import linear_from_srgb  # noqa: PLC0415 - slow, and many scenes have no marks
    from ecs_core.raster.light_pictures import light_to_show  # noqa: PLC0415 - likewise

    count = len(settings.colors)
    places = np.array(settings.positions or np.linspace(0, 1, count))
    at = np.linspace(0, 1, _STEPS)
    after = np.clip(np.searchsorted(places, at, side="right"), 1, count - 1)
    gap = places[after] - places[after - 1]
    share = np.clip((at - places[after - 1]) / np.where(gap > 0, gap, 1), 0, 1)
    share = np.where(gap > 0, share, at >= places[after])[:, None]
    colours = linear_from_srgb(np.divide(settings.colors, 255))
    known = np.cbrt(colours @ _CONES.T) @ _LAB.T if settings.mixing == "oklab" else colours
    mixed = known[after - 1] + share * (known[after] - known[after - 1])
    if settings.mixing == "oklab":
        mixed = (mixed @ np.linalg.inv(_LAB).T) ** 3 @ np.linalg.inv(_CONES).T
    mixed = np.clip(mixed, 0, 1)
    shown = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return _table_of(light_to_show(shown))


def _table_of(light: F32) -> F32:
    """Light, (n, 3), as shares of white, with their luma: (4, n)."""
    from ecs_core.kernels.curve import KB, KG, KR  # noqa: PLC0415 - slow, and many scenes have no marks
    from ecs_core.raster.light_pictures import shown_share  # noqa: PLC0415 - likewise

    shown = shown_share(light)
    luma = shown @ np.array([KR, KG, KB], np.float32)
    return np.ascontiguousarray(np.column_stack([luma, shown]).T, np.float32)


@dataclass(frozen=True, slots=True)
class _Fit:
    """How a picture fills the frame before it moves.

    ``width`` and ``height`` are pixels of the frame that it takes; of the picture, a part is kept: ``left``, ``top``,
    ``right`` and ``bottom`` as shares of it. ``finest`` is how much larger it is seen at most.
    """

    width: float
    height: float
    part: tuple[float, float, float, float]
    finest: float
    is_cut: bool


def _fitted(settings: PictureBackdrop, stage: Stage, width: int, height: int) -> _Fit:
    across, down = stage.width / width, stage.height / height
    finest = max(1.0, settings.scale * max(settings.zoom, 1 / settings.zoom) * (1 + 2 * settings.drift))
    whole = (0.0, 0.0, 1.0, 1.0)
    if settings.fit == "fill":
        return _Fit(stage.width, stage.height, whole, finest, False)
    if settings.fit == "contain":
        by = min(across, down)
        return _Fit(width * by, height * by, whole, finest, False)
    by = max(across, down)
    if {"x", "y"} & {each.target for each in settings.bindings}:
        return _Fit(width * by, height * by, whole, finest, False)
    wide, high = across / by, down / by  # the shares of it that are seen
    left, top = (1 - wide) * settings.x, (1 - high) * settings.y
    return _Fit(stage.width, stage.height, (left, top, left + wide, top + high), finest, True)


def _texels(fit: _Fit, settings: PictureBackdrop, stage: Stage, native: float) -> float:
    """How many texels a picture has per pixel before it is larger; ``native`` are those of its file."""
    wanted = fit.finest if native >= fit.finest else max(1.0, native)
    wanted = min(wanted, _FINEST, _LONGEST / max(fit.width, fit.height))
    softness = settings.blur * stage.unit
    return min(wanted, _SOFTNESS / softness) if softness else wanted


Placed: TypeAlias = "Callable[[PictureBackdrop, Moment, float, Picture], Sequence[Mark]]"


def _placed(settings: PictureBackdrop, stage: Stage, fit: _Fit, density: float) -> Placed:
    """Where the picture is in a frame: ``draw(now, moment, opacity, picture)``."""
    from ecs_core.raster.marks import PictureMark, Pose  # noqa: PLC0415 - slow, and many scenes have no marks

    end = float(stage.timeline.frames / stage.fps) if settings.end is None else settings.end
    whole = settings.zoom_seconds or max(end - settings.begin, 1e-3)
    moves = (
        settings.drift > 0 or settings.zoom != 1 or {"x", "y", "scale"} & {each.target for each in settings.bindings}
    )

    def draw(now: PictureBackdrop, moment: Moment, opacity: float, picture: Picture) -> Sequence[Mark]:
        t = moment.t - now.begin
        share = t / whole if now.zoom_seconds is None else (1 - math.cos(math.pi * t / whole)) / 2
        larger = now.scale * (1 + 2 * now.drift) * now.zoom ** (share if now.zoom >= 1 else share - 1)
        turn, far = 2 * math.pi * t / now.drift_seconds, now.drift * stage.short
        lefts = []
        for whole_side, side, at, away in (
            (stage.width, fit.width, now.x, math.sin(turn)),
            (stage.height, fit.height, now.y, math.sin(2 * turn) / 2),
        ):
            spare = whole_side - side * larger
            left = spare * (0.5 if fit.is_cut else at) + far * away
            if now.fit != "contain":
                left = min(max(left, spare), 0.0) if spare <= 0 else spare / 2
            lefts.append(left if moves else float(round(left)))
        seen = Pose(lefts[0], lefts[1], larger, 0.0, opacity)
        return [PictureMark(picture, seen, 0.0, 0.0, density, brightness=1 - now.dim, wide=now.fit != "contain")]

    return draw


def _prepare_image(settings: ImageBackdrop, stage: Stage) -> BackdropDrawer:
    from ecs_core.raster.light_pictures import LightPicture  # noqa: PLC0415 - slow, and many scenes have no marks
    from ecs_core.raster.picture_file import take_picture  # noqa: PLC0415 - likewise

    try:
        pixels = take_picture(settings.file)
    except ValueError as error:  # it was another file when it was checked
        raise RenderError(f"{settings.file}: {error}") from None
    high, wide = pixels.shape[:2]
    fit = _fitted(settings, stage, wide, high)
    left, top, right, bottom = fit.part
    native = min((right - left) * wide / fit.width, (bottom - top) * high / fit.height)
    density = _texels(fit, settings, stage, native)
    box = left * wide, top * high, right * wide, bottom * high
    size = max(1, round(fit.width * density)), max(1, round(fit.height * density))
    picture = LightPicture.showing(_shares(pixels, box, size, settings, settings.blur * stage.unit * density))
    del pixels
    place = _placed(settings, stage, fit, size[0] / fit.width)

    def draw(now: ImageBackdrop, moment: Moment, opacity: float) -> Sequence[Mark]:
        return place(now, moment, opacity, picture)

    return draw


def _shares(
    pixels: U8, box: tuple[float, float, float, float], size: tuple[int, int], settings: ImageBackdrop, softness: float
) -> F32:
    """A part of a picture, scaled, blurred by so many texels, and with its saturation, as shares of white."""
    from PIL import Image  # noqa: PLC0415 - slow, and many scenes have no image

    from ecs_core.kernels import grounds  # noqa: PLC0415 - likewise
    from ecs_core.kernels.curve import KB, KG, KR  # noqa: PLC0415 - likewise
    from ecs_core.raster.gaussian import gaussian  # noqa: PLC0415 - likewise
    from ecs_core.raster.light_pictures import shares_of, shown_shares  # noqa: PLC0415 - likewise

    scaled = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=4.0)
    if settings.saturation == 1 and not softness:
        return shown_shares(np.asarray(scaled))
    values = np.asarray(scaled).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    values[:3] *= values[3]
    if softness:
        taps = gaussian(softness)
        work = np.empty((size[1], size[0] + len(taps)), np.float32)
        for plane in values:
            grounds.soften(plane, work, taps)
    alpha = np.clip(values[3], 0, 1)
    colours = values[:3] / np.maximum(alpha, np.float32(1e-4))
    if settings.saturation != 1:
        grey = np.tensordot(np.array([KR, KG, KB], np.float32), colours, 1)
        colours = grey + np.float32(settings.saturation) * (colours - grey)
    return shares_of(colours, alpha)


def _prepare_video(settings: VideoBackdrop, stage: Stage) -> BackdropDrawer:
    from ecs_core.raster.video_file import MovingPicture, frame_of, video_index  # noqa: PLC0415 - slow

    try:
        index = video_index(settings.file)
    except ValueError as error:  # it was another file when it was checked
        raise RenderError(f"{settings.file}: {error}") from None
    fit, cut, density = _cut(settings, stage, index)
    moving = MovingPicture(index, cut)
    place = _placed(settings, stage, fit, density)
    start, speed, begin = (Fraction(str(each)) for each in (settings.start, settings.speed, settings.begin))

    def draw(now: VideoBackdrop, moment: Moment, opacity: float) -> Sequence[Mark]:
        number = index.frame_at(start + speed * (moment.frame / stage.fps - begin))
        return place(now, moment, opacity, frame_of(moving, number))

    return draw


def _cut(settings: VideoBackdrop, stage: Stage, index: VideoIndex) -> tuple[_Fit, Cut, float]:
    """How a video fits, what is kept of its frames, and the texels per pixel."""
    from ecs_core.raster.video_file import Cut  # noqa: PLC0415 - slow

    fit = _fitted(settings, stage, index.width, index.height)
    left, top, right, bottom = fit.part
    native = min((right - left) * index.width / fit.width, (bottom - top) * index.height / fit.height)
    density = min(_texels(fit, settings, stage, native), native)  # it is not made larger before it is drawn
    whole = fit.width * density / (right - left), fit.height * density / (bottom - top)
    scaled = max(2, 2 * round(whole[0] / 2)), max(2, 2 * round(whole[1] / 2))
    wide = min(scaled[0], max(2, 2 * round(scaled[0] * (right - left) / 2)))
    high = min(scaled[1], max(2, 2 * round(scaled[1] * (bottom - top) / 2)))
    x = min(scaled[0] - wide, 2 * round(scaled[0] * left / 2))
    y = min(scaled[1] - high, 2 * round(scaled[1] * top / 2))
    softness = settings.blur * stage.unit * density
    return fit, Cut(scaled, x, y, wide, high, softness, settings.saturation), wide / fit.width
