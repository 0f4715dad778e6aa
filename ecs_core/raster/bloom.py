"""Bloom: the light that sprites spread around themselves, from a coarse picture of them.

The coarse picture has the same number of pixels for any size of the fine one, and bloom is as wide in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32, I64
from ecs_core.raster.colour import leak
from ecs_core.raster.draw_order import in_turn
from ecs_core.raster.gaussian import gaussian
from ecs_core.raster.groups import Group
from ecs_core.raster.marks import Painting, PlacedMark, draw_in
from ecs_core.raster.soft_light import Band, SoftLight
from ecs_core.raster.turning import as_bright_discs
from ecs_core.units import UNITS

COARSE = 270  # pixels of the shorter side of the coarse picture; its colour, which alone is used, has half as many


class Bloom:
    """Draws the bloom of a picture of ``width × height`` pixels (both even).

    ``rows`` and ``shares`` say where rows of its colour lie between those that :meth:`light` returns.
    """

    def __init__(self, width: int, height: int) -> None:
        self._fine = width, height
        scale = min(1.0, COARSE / min(width, height))
        self._size = columns, rows = 2 * max(1, round(width * scale / 2)), 2 * max(1, round(height * scale / 2))
        pad = kernels.raster.PAD
        self._luminance = np.zeros(rows * (columns + pad), np.float32)
        self._colour = np.zeros(3 * (rows // 2) * (columns // 2 + pad), np.float32)
        self._windows = np.zeros((2, max(columns, rows) + 2 * pad), np.float32)
        blocks = -(-columns >> kernels.raster.BLOCK_SHIFT), -(-rows >> kernels.raster.STRIP_SHIFT)
        self._touched = np.zeros(blocks[::-1], np.uint8)
        self._soft: SoftLight | None = None
        self._mark_work, self._places = np.zeros((15, 0), np.float32), np.zeros((2, 0), np.int32)
        self.rows, self.shares = _between(height // 2, rows // 2, centre=0.5)
        self._columns, self._column_shares = _between(width // 2, columns // 2, centre=0.25)
        self._light = np.zeros((3, rows // 2, width // 2), np.float32)
        half = -(-rows // 4), -(-columns // 4)
        shapes = half, (-(-half[0] // 2), -(-half[1] // 2)), (rows // 2 + 1, columns // 2)
        self._work = [np.zeros(shape, np.float32) for shape in shapes]

    def light(self, things: Sequence[Group | PlacedMark], *, amount: float, radius: float) -> F32:
        """The light of all that is drawn, in order, times ``amount``, spread over about ``radius`` units.

        Returns (3, rows, width / 2) float32, which holds until the next call.
        """
        if not amount:
            self._light.fill(0)
            return self._light
        self._draw(things)
        columns, rows = self._size
        halves = self._colour.reshape(3, rows // 2, columns // 2 + kernels.raster.PAD)
        coarse = np.ascontiguousarray(halves[:, :, : columns // 2])
        np.nan_to_num(coarse, copy=False, posinf=0.0, neginf=0.0)  # one broken sprite would blur over all of it
        taps = gaussian(radius / 4 * min(rows, columns) / 2 / UNITS)
        kernels.finish.spread(
            coarse, taps, np.float32(amount), self._columns, self._column_shares, self._light, *self._work
        )
        self._luminance.fill(0)
        self._colour.fill(0)
        return self._light

    def _draw(self, things: Sequence[Group | PlacedMark]) -> None:
        columns, rows = self._size
        across, down = columns / self._fine[0], rows / self._fine[1]
        band = self._luminance, self._colour, 0, rows, columns
        for thing in things:
            if isinstance(thing, Group):
                self._draw_group(thing, band, np.float32(across), np.float32(down))
                continue
            mark = thing.mark.black() if thing.dark else thing.mark
            if mark is None:
                continue
            widest = max(columns, mark.texels) + 8
            if self._mark_work.shape[1] < widest:
                self._mark_work, self._places = np.zeros((15, widest), np.float32), np.zeros((2, widest), np.int32)
            draw_in(
                mark.scaled(across, down),
                Painting(*band, 1.0, self._mark_work, self._places, self._touched, spread=True),
            )

    def _draw_group(self, group: Group, band: Band, across: np.float32, down: np.float32) -> None:
        """Draw sprites as round ones."""
        sprites = group.sprites if group.textured is None else as_bright_discs(group.sprites)
        columns, rows = self._size
        x, y, radius = sprites.x * across, sprites.y * down, sprites.radius * down
        drawn = np.empty((8, 2 * len(sprites)), np.float32)
        cover = np.zeros(len(sprites), np.float32) if sprites.cover is None else sprites.cover
        n, _ = kernels.raster.cut_windows(
            x, y, radius, np.float32(group.radii), *leak(sprites.red, sprites.green, sprites.blue), sprites.skirt,
            sprites.disc, cover, columns, rows, drawn,
        )  # fmt: skip
        coarse = group.lines.copy()
        coarse[[0, 2]] *= across
        coarse[[1, 3, 4, 5]] *= down
        if coarse.shape[1] and self._soft is None:
            self._soft = SoftLight(columns, rows)
        all_windows, all_lines = np.arange(n), np.arange(coarse.shape[1])
        in_turns = in_turn(all_windows, all_lines, group.ahead) if group.covers else [(all_windows, all_lines)]
        for windows, lines_after in in_turns:
            what = windows, drawn, self._windows, self._touched
            if group.covers:
                kernels.cover.cover_band(*band, *what, float(kernels.cover.TOE))
            else:
                kernels.raster.draw_band(*band, *what)
            if lines_after.size and self._soft is not None:
                self._soft.draw_lines(band, lines_after, coarse, self._touched)
                self._soft.add(band)


def _between(fine: int, coarse: int, *, centre: float) -> tuple[I64, F32]:
    """Where samples of a fine picture lie between those of a coarse one; ``centre`` is their place in their pixels.

    Returns the coarse ones before, (fine,) int64, and the shares of the way to the next, (fine,) float32.
    """
    at = np.clip((np.arange(fine) + centre) * (coarse / fine) - centre, 0, coarse - 1)
    before = np.floor(at)
    return before.astype(np.int64), (at - before).astype(np.float32)
