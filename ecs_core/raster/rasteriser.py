"""Rasteriser: draws sprites into the planes of a picture, incrementally from frame to frame.

Light is linear and full-range; the picture is limited-range BT.709 YUV 4:2:0. Only blocks that a sprite touches, or
touched in the frame before, are redrawn; the result is the same as redrawing everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from typing import Protocol

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32, I32, I64, U8
from ecs_core.heartbeat import beat
from ecs_core.raster.background import Background
from ecs_core.raster.bloom import Bloom
from ecs_core.raster.colour import leak
from ecs_core.raster.draw_order import apart, in_order, in_turn, windows_ahead
from ecs_core.raster.finish import Finish, apart_in_colour, corners, grain_noise
from ecs_core.raster.groups import Group
from ecs_core.raster.marks import Bounds, Mark, Marks, Painting, PlacedMark, draw_in, same
from ecs_core.raster.soft_light import SPREAD, Band, SoftLight, soft_glows
from ecs_core.raster.sprites import Sprites
from ecs_core.raster.textures import SIDE
from ecs_core.raster.turning import Textured, without_shape

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
        self._untouched = np.zeros_like(self._touched)
        self._work, self._places = np.zeros((15, 0), np.float32), np.zeros((2, 0), np.int32)
        self._marks: Marks = ()  # of the last picture
        self._first_marks: list[Mark] = []  # of these, those before all sprites
        self._ground: dict[int, tuple[F32, F32]] = {}  # light of bands, with the background and the first marks
        self._ground_marks: list[Mark] = []

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
        self,
        sprites: Sprites,
        planes: Planes | OtherPlanes,
        *,
        light: float = 1.0,
        finish: Finish | None = None,
        marks: Marks = (),
    ) -> float:
        """Update ``planes``, as the last call left them, to show ``sprites`` over the background, with a ``finish``.

        ``marks`` are drawn among the sprites. All linear light is multiplied by ``light``: 0 is black. Returns the
        factor on radii: 1 unless the sprites would cover the picture more than ``MOST_OVERDRAW`` times, or lines more
        than ``MOST_LINES`` times.
        """
        fade = light
        if finish is not None:
            light = 1.0  # the finish is of the whole light, and fades last
        base, glow = self._base, self._glow
        if light != self._light:
            self._light = light
            self._ground.clear()
            self.reset()
        if light != 1:
            base, glow = (values * np.float32(light) for values in (base, glow))
        covers = bool(marks) or (sprites.cover is not None and bool(sprites.cover.any()))
        things = self.cut(sprites, marks, light=light, aberration=0.0 if finish is None else finish.aberration)
        finishing = None if finish is None else self._finishing(finish, fade, things)
        changed = self._changed(marks)
        still = self._still(things)
        if marks:
            self._make_room(marks)
        # Two kernels instead of one around both, in which LLVM would not vectorise the drawing.
        for band, before in enumerate(self._before):
            beat()
            top = band * BAND_ROWS
            bottom = min(self.height, top + BAND_ROWS)
            if changed is not None:
                self._touched[:] = changed[band]
            drawn = any(isinstance(thing, Group) and thing.is_in(band) for thing in things)
            if not (drawn or self._touched.any() or before.any() or finishing is not None):
                continue
            light_of_band = self._luminance, self._colour, top, bottom, self.width
            painting = None
            if marks:  # those that did not change are drawn only where others are
                painting = Painting(*light_of_band, light, self._work, self._places, self._untouched)
            if covers:  # sprites hide the background, too, so it is there before them
                self._lay_ground(band, light_of_band, base, glow, things[:still], painting)
            for thing in things[still:]:
                if isinstance(thing, Group):
                    self._draw(thing, band, light_of_band, toe=float(kernels.cover.TOE) * light)
                elif painting is not None:
                    draw_in(thing.mark, painting)
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
        return min((thing.scale for thing in things if isinstance(thing, Group)), default=1.0)

    def cut(
        self, sprites: Sprites, marks: Marks = (), *, light: float = 1.0, aberration: float = 0.0
    ) -> list[Group | PlacedMark]:
        """The marks of a picture and the groups of sprites between them, in draw order; ``light`` dims the sprites."""
        return [
            self._group(part, light=light, aberration=aberration) if isinstance(part, Sprites) else part
            for part in in_order(sprites, marks)
        ]

    def _group(self, sprites: Sprites, *, light: float, aberration: float) -> Group:
        """Sprites between two marks, cut into windows and lines, and which of them each band shows."""
        if aberration:
            sprites = apart_in_colour(sprites, self.width, self.height, units=aberration)
        sprites, lines, ahead = apart(sprites)
        textured = None
        if sprites.texture is not None and sprites.texture.any():
            sprites = without_shape(sprites)
            textured = Textured.of(sprites)
        red, green, blue = leak(sprites.red, sprites.green, sprites.blue)
        if light != 1:
            red, green, blue = (values * np.float32(light) for values in (red, green, blue))
        drawn = np.empty((8, 2 * len(sprites)), np.float32)
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
        if self._soft is None and (softly is not None or lines is not None):
            self._soft = SoftLight(self.width, BAND_ROWS)
        return Group(
            sprites, textured, drawn, covers, softly, starts, listed, segments, line_starts, listed_lines, ahead,
            scale, min(scale, thinner),
        )  # fmt: skip

    def _draw(self, group: Group, band: int, light_of_band: Band, *, toe: float) -> None:
        """Draw what one band shows of a group."""
        here, which = group.in_band(band)
        if not (here.size or which.size):
            return
        scratch, textured = (self._windows, self._touched), group.textured
        if group.softly is not None and self._soft is not None:
            soft = group.softly[here]
            self._soft.draw_glows(light_of_band, here[soft], group.windows, *scratch)
            here = here[~soft]
        for windows, lines_after in in_turn(here, which, group.ahead) if group.covers else [(here, which)]:
            runs = [(windows, False)] if textured is None else textured.runs(windows, in_order=group.covers)
            for run, with_pictures in runs:
                if with_pictures and textured is not None:
                    if self._for_textures is None:
                        self._for_textures = kernels.textures.scratch(self.width, BAND_ROWS)
                    kernels.textures.draw_textures(
                        *light_of_band, run, group.windows, textured.turns, textured.atlas, SIDE, *scratch, toe,
                        *self._for_textures,
                    )  # fmt: skip
                elif group.covers:
                    kernels.cover.cover_band(*light_of_band, run, group.windows, *scratch, toe)
                else:
                    kernels.raster.draw_band(*light_of_band, run, group.windows, *scratch)
            if lines_after.size and self._soft is not None:
                self._soft.draw_lines(light_of_band, lines_after, group.lines, self._touched)
            if self._soft is not None:
                self._soft.add(light_of_band)

    def _changed(self, marks: Marks) -> U8 | None:
        """The blocks, (bands, strips, blocks), where marks are others than in the last picture; None for none."""
        before, self._marks = self._marks, marks
        parts: list[Bounds] = []
        for one, other in zip_longest(before, marks):
            old, new = (None if each is None else each.mark for each in (one, other))
            if not same(old, new):
                parts += [each.bounds for each in (old, new) if each is not None]
        if not parts:
            return None
        changed = np.zeros(self._before.shape, np.uint8)
        rows, columns = 1 << kernels.raster.STRIP_SHIFT, 1 << kernels.raster.BLOCK_SHIFT
        strips = changed.reshape(-1, self._touched.shape[1])
        for left, top, right, bottom in parts:
            if left < self.width and right > 0 and top < self.height and bottom > 0:
                first, start = int(max(top, 0) // rows), int(max(left, 0) // columns)
                last, stop = int(min(bottom, self.height) // rows) + 1, int(min(right, self.width) // columns) + 1
                strips[first:last, start:stop] = 1
        return changed

    def _still(self, things: Sequence[Group | PlacedMark]) -> int:
        """How many things come first that are as they were in the last picture: marks, which need not be drawn anew."""
        first: list[Mark] = []
        for thing in things:
            if isinstance(thing, Group):
                break
            first.append(thing.mark)
        count = sum(1 for _ in takewhile(lambda pair: same(*pair), zip(first, self._first_marks, strict=False)))
        self._first_marks = first
        if len(self._ground_marks) != count or not all(map(same, self._ground_marks, first)):
            self._ground.clear()
            self._ground_marks = first[:count]
        return count

    def _lay_ground(
        self,
        band: int,
        light_of_band: Band,
        base: F32,
        glow: F32,
        still: Sequence[Group | PlacedMark],
        painting: Painting | None,
    ) -> None:
        """Put the background, and the marks that come first and do not change, into a band."""
        luminance, colour, *_ = light_of_band
        if still and band in self._ground:
            luminance[:], colour[:] = self._ground[band]
            return
        kernels.cover.fill_band(*light_of_band, base, glow, self._gx, self._gy)
        if not still or painting is None:
            return
        for thing in still:
            if isinstance(thing, PlacedMark):
                draw_in(thing.mark, painting)
        self._ground[band] = luminance.copy(), colour.copy()

    def _make_room(self, marks: Marks) -> None:
        """Make scratch that is large enough for these marks."""
        widest = max(self.width, *(each.mark.texels for each in marks)) + 8
        if self._work.shape[1] < widest:
            self._work, self._places = np.zeros((15, widest), np.float32), np.zeros((2, widest), np.int32)

    def _finishing(
        self, finish: Finish, fade: float, things: Sequence[Group | PlacedMark]
    ) -> tuple[F32, I64, F32, F32, F32, F32, F32]:
        """What ``kernels.finish.finish_band`` takes for the whole picture, from the bloom on."""
        if self._bloom is None:
            self._bloom = Bloom(self.width, self.height)
        if self._noise is None:
            self._noise = grain_noise(self.width, self.height, band_rows=BAND_ROWS)
        if self._grain is None or self._grain[0] != finish.grain:
            self._grain = finish.grain, np.maximum(1 + np.float32(finish.grain) * self._noise, np.float32(0))
        bloom = self._bloom.light(things, amount=finish.bloom, radius=finish.bloom_radius)
        return bloom, self._bloom.rows, self._bloom.shares, finish.gains(fade), *self._corners, self._grain[1]


def _largest(fits: Callable[[float], bool]) -> float:
    """The largest number in [0, 1) that fits, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
