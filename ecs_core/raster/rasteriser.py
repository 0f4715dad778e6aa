"""Rasteriser: draws sprites into the planes of a picture, incrementally from frame to frame.

Light is linear and full-range; the picture is limited-range BT.709 YUV 4:2:0. Only blocks that a sprite touches, or
touched in the frame before, are redrawn; the result is the same as redrawing everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32, I32, I64, U8
from ecs_core.raster.background import Background
from ecs_core.raster.bloom import Bloom
from ecs_core.raster.colour import leak
from ecs_core.raster.draw_order import apart, in_turn, windows_ahead
from ecs_core.raster.finish import Finish, apart_in_colour, corners, grain_noise
from ecs_core.raster.soft_light import SPREAD, SoftLight, soft_glows
from ecs_core.raster.sprites import Sprites
from ecs_core.raster.textures import SIDE
from ecs_core.raster.turning import Textured, as_bright_discs, without_shape

BAND_ROWS = 32
# How often sprites may cover each pixel in the mean: beyond that they are drawn smaller. More is as white, and takes
# seconds a frame.
MOST_OVERDRAW = 1000
MOST_LINES = MOST_OVERDRAW // 10  # the same of lines, whose pixels take up to ten times as long
_PICTURE_COST = 10  # a picture's pixel takes this many times as long
_NOTHING = np.zeros(3, np.float32)
_NO_LINES, _NOBODY = np.zeros((10, 0), np.float32), np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class Planes:
    """A picture: ``luma`` (height, >= width) uint8, ``cb`` and ``cr`` half that in both directions.

    Rows may be longer than the picture is wide, as encoders align them.
    """

    luma: U8
    cb: U8
    cr: U8

    @staticmethod
    def empty(width: int, height: int) -> Planes:
        """Planes without padding, uninitialised."""
        half = (height // 2, width // 2)
        return Planes(np.empty((height, width), np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8))


class OtherPlanes(Protocol):
    """A picture of another make, which develops the light of its bands by itself."""

    def develop(
        self, luminance: F32, colour: F32, top: int, bottom: int, width: int, touched: U8, before: U8, base: F32,
        glow: F32, gx: F32, gy: F32, dither: F32,
    ) -> None:  # fmt: skip
        """Do what ``kernels.tone.develop_band`` does with the same arguments."""


def interleaved_gradient_noise(rows: int, columns: int, *, shift: float) -> F32:
    """Dither thresholds in [0, 1), (rows, columns) float32.

    Jorge Jimenez, "Next Generation Post Processing in Call of Duty: Advanced Warfare", SIGGRAPH 2014.
    """
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64) + shift
    noise: F32 = (np.mod(52.9829189 * np.mod(0.06711056 * x + 0.00583715 * y, 1.0), 1.0) * 0.999).astype(np.float32)
    return noise


class Rasteriser:
    """Paints frames of ``width × height`` pixels (both even) over a background."""

    def __init__(self, width: int, height: int, *, background: Background = Background()) -> None:  # noqa: B008 - frozen
        self.width, self.height = width, height
        bands, pad = -(-height // BAND_ROWS), kernels.raster.PAD
        blocks, strips = -(-width >> kernels.raster.BLOCK_SHIFT), BAND_ROWS >> kernels.raster.STRIP_SHIFT
        self._luminance = np.zeros(BAND_ROWS * (width + pad), np.float32)
        self._colour = np.zeros(3 * (BAND_ROWS // 2) * (width // 2 + pad), np.float32)
        self._soft: SoftLight | None = None
        self._for_textures: tuple[I32, F32] | None = None
        self._drawn = np.empty((8, 0), np.float32)
        self._touched = np.zeros((strips, blocks), np.uint8)
        self._before = np.ones((bands, strips, blocks), np.uint8)
        self._windows = np.zeros((2, max(width, BAND_ROWS) + 2 * pad), np.float32)
        self._base = np.asarray(background.base, np.float32)
        self._glow = np.asarray(background.glow, np.float32)
        self._light = 1.0  # of the background in the planes
        across, self._gy = background.curves(width, height)
        self._gx = np.stack([across, np.resize(across[::2], width)])
        self._luma_dither = interleaved_gradient_noise(BAND_ROWS, width, shift=0.0)
        self._chroma_dither = interleaved_gradient_noise(BAND_ROWS // 2, width // 2, shift=5.588238)
        self._tint = np.zeros((2, width), np.float32)
        self._gains = np.zeros((4, width), np.float32)
        self._bloom: Bloom | None = None
        self._noise: F32 | None = None
        self._grain: tuple[float, F32] | None = None
        self._corners = corners(width, height)

    def reset(self) -> None:
        """Redraw the next frame completely, as is necessary on planes that were not painted before."""
        self._before[:] = 1

    def _in_bands(self, y: F32, other_y: F32, reach: F32) -> tuple[list[int], I64]:
        """What each band shows: where its list begins in the second array, and one more number for the end."""
        # At half size nothing has a smaller reach than FINEST either, so in picture pixels it is twice as large.
        reach = np.maximum(reach, 2 * kernels.raster.FINEST)
        low, high = np.minimum(y, other_y) - reach, np.maximum(y, other_y) + reach
        starts, listed = np.zeros(len(self._before) + 1, np.int64), np.empty(2 * y.size + 64, np.int64)
        spans: I32 = np.empty((2, y.size), np.int32)
        needed = kernels.raster.list_bands(low, high, self.height, BAND_ROWS, starts, listed, spans)
        if needed > listed.size:
            listed = np.zeros(needed, np.int64)
            kernels.raster.list_bands(low, high, self.height, BAND_ROWS, starts, listed, spans)
        return starts.tolist(), listed

    def _cut_lines(self, lines: Sprites, light: float) -> tuple[F32, float]:
        """Lines as ``kernels.lines`` draws them, and the factor on their radii."""
        assert lines.dx is not None
        assert lines.dy is not None
        windows: F32 = np.empty((10, len(lines)), np.float32)
        windows[0], windows[1] = lines.x, lines.y
        windows[2], windows[3] = lines.x + lines.dx, lines.y + lines.dy
        scale = self._room_for(lines)
        windows[4] = kernels.raster.CORE_REACH * np.float32(scale) * lines.radius
        windows[5] = windows[4] if lines.taper is None else windows[4] * lines.taper
        windows[6:9] = leak(lines.red, lines.green, lines.blue)
        if light != 1:
            windows[6:9] *= np.float32(light)
        windows[9] = 1 if lines.fade is None else np.sqrt(lines.fade)
        return windows, scale

    def _room_for(self, lines: Sprites) -> float:
        """The factor on the radii of lines with which they cover the picture at most ``MOST_LINES`` times."""
        assert lines.dx is not None
        assert lines.dy is not None
        left, right = np.minimum(lines.x, lines.x + lines.dx), np.maximum(lines.x, lines.x + lines.dx)
        top, bottom = np.minimum(lines.y, lines.y + lines.dy), np.maximum(lines.y, lines.y + lines.dy)
        length = np.hypot(lines.dx.astype(np.float64), lines.dy)
        widest = lines.radius.astype(np.float64) * (1 if lines.taper is None else np.fmax(lines.taper, 1))

        def fits(scale: float) -> bool:
            reach = scale * kernels.raster.CORE_REACH * widest
            wide = np.minimum(right + reach, self.width) - np.maximum(left - reach, 0)
            high = np.minimum(bottom + reach, self.height) - np.maximum(top - reach, 0)
            seen = np.minimum(np.maximum(wide, 0) * np.maximum(high, 0), 2 * reach * (length + 2 * reach))
            return float(np.nansum(seen)) <= MOST_LINES * self.width * self.height

        return 1.0 if fits(1.0) else _largest(fits)

    def paint(
        self, sprites: Sprites, planes: Planes | OtherPlanes, *, light: float = 1.0, finish: Finish | None = None
    ) -> float:
        """Update ``planes``, as the last call left them, to show ``sprites`` over the background, with a ``finish``.

        All linear light is multiplied by ``light``: 0 is black. Returns the factor on radii: 1 unless the sprites would
        cover the picture more than ``MOST_OVERDRAW`` times, or lines more than ``MOST_LINES`` times.
        """
        fade = light
        if finish is not None:
            light = 1.0  # the finish is of the whole light, and fades last
            if finish.aberration:
                sprites = apart_in_colour(sprites, self.width, self.height, units=finish.aberration)
        sprites, lines, ahead = apart(sprites)
        textured = None
        if sprites.texture is not None and sprites.texture.any():
            sprites = without_shape(sprites)
            textured = Textured.of(sprites)
        red, green, blue = leak(sprites.red, sprites.green, sprites.blue)
        base, glow = self._base, self._glow
        if light != self._light:
            self._light = light
            self.reset()
        if light != 1:
            red, green, blue, base, glow = (values * np.float32(light) for values in (red, green, blue, base, glow))
        if self._drawn.shape[1] < 2 * len(sprites):
            self._drawn = np.empty((8, 3 * len(sprites)), np.float32)
        drawn = self._drawn
        covers = sprites.cover is not None and bool(sprites.cover.any())
        if covers:
            ahead = windows_ahead(sprites, ahead)
        cover = np.zeros(len(sprites), np.float32) if sprites.cover is None else sprites.cover

        def cut(scale: float) -> tuple[int, float]:
            """The number of windows, and how often they cover the picture."""
            n, covered = kernels.raster.cut_windows(
                sprites.x, sprites.y, sprites.radius, np.float32(scale), red, green, blue, sprites.skirt, sprites.disc,
                cover, self.width, self.height, drawn,
            )  # fmt: skip
            if textured is not None:
                covered += (_PICTURE_COST - 1) * textured.covered(drawn[:3, :n], self.width, self.height)
            return n, covered / (self.width * self.height)

        scale = 1.0
        n, overdraw = cut(scale)
        if overdraw > MOST_OVERDRAW:
            scale = _largest(lambda scale: cut(scale)[1] <= MOST_OVERDRAW)
            n, _ = cut(scale)
        reach = drawn[2, :n] if textured is None else textured.reach(drawn[2, :n])
        if covers:
            reach = np.maximum(reach, 2 * kernels.raster.FINEST) + 1  # pixel by which small discs that cover are wider
        softly = None
        if not covers:
            pictures = None if textured is None else textured.turns[0] > 0
            softly = soft_glows(drawn[:, :n], self.width, self.height, but=pictures)
        if softly is not None:
            reach = np.where(softly, reach + np.float32(SPREAD), reach)
        starts, listed = self._in_bands(drawn[1, :n], drawn[1, :n], reach)
        segments, line_starts, listed_lines, thinner = _NO_LINES, [0] * len(starts), _NOBODY, 1.0
        if lines is not None:
            segments, thinner = self._cut_lines(lines, light)
            reach = np.maximum(segments[4], segments[5]) + SPREAD
            line_starts, listed_lines = self._in_bands(segments[1], segments[3], reach)
        finishing = None if finish is None else self._finishing(finish, fade, sprites, segments, ahead, scale)
        if self._soft is None and (softly is not None or lines is not None):
            self._soft = SoftLight(self.width, BAND_ROWS)
        # Two kernels instead of one around both, in which LLVM would not vectorise the drawing.
        for band, ((first, last), (first_line, last_line)) in enumerate(
            zip(pairwise(starts), pairwise(line_starts), strict=True)
        ):
            top = band * BAND_ROWS
            bottom = min(self.height, top + BAND_ROWS)
            before = self._before[band]
            if first == last and first_line == last_line and not before.any() and finishing is None:
                continue
            light_of_band = self._luminance, self._colour, top, bottom, self.width
            if covers:  # sprites hide the background, too, so it is there before them
                kernels.cover.fill_band(*light_of_band, base, glow, self._gx, self._gy)
            toe, scratch = float(kernels.cover.TOE) * light, (self._windows, self._touched)
            here, which = listed[first:last], listed_lines[first_line:last_line]
            if softly is not None and self._soft is not None:
                soft = softly[here]
                self._soft.draw_glows(light_of_band, here[soft], drawn, self._windows, self._touched)
                here = here[~soft]
            for windows, lines_after in in_turn(here, which, ahead) if covers else [(here, which)]:
                runs = [(windows, False)] if textured is None else textured.runs(windows, in_order=covers)
                for run, with_pictures in runs:
                    if with_pictures and textured is not None:
                        if self._for_textures is None:
                            self._for_textures = kernels.textures.scratch(self.width, BAND_ROWS)
                        kernels.textures.draw_textures(
                            *light_of_band, run, drawn, textured.turns, textured.atlas, SIDE, *scratch, toe,
                            *self._for_textures,
                        )  # fmt: skip
                    elif covers:
                        kernels.cover.cover_band(*light_of_band, run, drawn, *scratch, toe)
                    else:
                        kernels.raster.draw_band(*light_of_band, run, drawn, *scratch)
                if lines_after.size and self._soft is not None:
                    self._soft.draw_lines(light_of_band, lines_after, segments, self._touched)
                if self._soft is not None:
                    self._soft.add(light_of_band)
            rest = (_NOTHING, _NOTHING) if covers else (base, glow)
            if finishing is not None:
                bloom, rows, shares, *others, grains = finishing
                halves, grainy = slice(top >> 1, bottom >> 1), top % len(grains)
                kernels.finish.finish_band(
                    *light_of_band, *rest, self._gx, self._gy, bloom, rows[halves], shares[halves], *others,
                    grains[grainy : grainy + BAND_ROWS], self._gains,
                )  # fmt: skip
                rest = _NOTHING, _NOTHING
                self._touched.fill(1)
            developed = (*light_of_band, self._touched, before, *rest, self._gx, self._gy, self._luma_dither)
            if isinstance(planes, Planes):
                kernels.tone.develop_band(
                    *developed, self._chroma_dither, self._tint, planes.luma, planes.cb, planes.cr
                )
            else:
                planes.develop(*developed)
        if covers:  # what was not developed still holds the background
            self._luminance.fill(0)
            self._colour.fill(0)
        return min(scale, thinner)

    def _finishing(
        self, finish: Finish, fade: float, sprites: Sprites, lines: F32, ahead: I64, scale: float
    ) -> tuple[F32, I64, F32, F32, F32, F32, F32]:
        """What ``kernels.finish.finish_band`` takes for the whole picture, from the bloom on."""
        if self._bloom is None:
            self._bloom = Bloom(self.width, self.height)
        if self._noise is None:
            self._noise = grain_noise(self.width, self.height, band_rows=BAND_ROWS)
        if self._grain is None or self._grain[0] != finish.grain:
            self._grain = finish.grain, np.maximum(1 + np.float32(finish.grain) * self._noise, np.float32(0))
        if sprites.texture is not None:
            sprites = as_bright_discs(sprites)
        bloom = self._bloom.light(sprites, lines, ahead, scale=scale, amount=finish.bloom, radius=finish.bloom_radius)
        return bloom, self._bloom.rows, self._bloom.shares, finish.gains(fade), *self._corners, self._grain[1]


def _largest(fits: Callable[[float], bool]) -> float:
    """The largest number in [0, 1) that fits, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
