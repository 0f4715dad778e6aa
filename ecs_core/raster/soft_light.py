"""Soft light of a picture: planes at half size for what is wide, and which glows are drawn there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32, I64, U8

Band = tuple[F32, F32, int, int, int]  # luminance, colour, first row, one more than the last row, width
SPREAD = 2  # pixels that soft light is interpolated over
SMALLEST = 8.0  # pixels that a soft glow reaches at least; twice as sharp as a line's, its middle would change
WORTHWHILE = (
    1.0  # times that soft glows cover a picture: adding what was drawn softly takes about as long as this saves
)


class SoftLight:
    """Draws lines and soft glows into bands of at most ``rows`` rows of a picture."""

    def __init__(self, width: int, rows: int) -> None:
        self._stride = width // 2 + kernels.raster.PAD
        self._planes = np.zeros(3 * (rows // 2 + 2) * self._stride, np.float32)
        self._level = np.zeros((rows // 2 + 2, width // 2 + 2), np.float32)
        self._line = np.zeros((2, width + 4), np.float32)
        self._spans = np.zeros((2, rows // 2 + 2), np.int64)
        self._spans[0] = width // 2
        self._scratch = kernels.lines.scratch(width, rows)

    def draw_lines(self, band: Band, listed: I64, lines: F32, touched: U8) -> None:
        """Draw the listed lines, as ``kernels.lines`` has them; soft ones are seen once :meth:`add` was called."""
        kernels.lines.draw_lines(*band, listed, lines, self._of(band), self._spans, touched, *self._scratch)

    def draw_glows(self, band: Band, listed: I64, windows: F32, scratch: F32, touched: U8) -> None:
        """Draw the listed glows, which are soft; they are seen once :meth:`add` was called."""
        _, _, *rows_and_width = band
        kernels.soft.draw_soft_glows(self._of(band), self._spans, *rows_and_width, listed, windows, scratch, touched)

    def add(self, band: Band) -> None:
        """Add what was drawn softly to the band's light."""
        kernels.soft.add_soft(*band, self._of(band), self._spans, self._level, self._line)

    def _of(self, band: Band) -> F32:
        _, _, top, bottom, _ = band
        return self._planes[: 3 * ((bottom - top) // 2 + 2) * self._stride]


def soft_glows(
    windows: F32, width: int, height: int, *, but: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Which windows, (8, n), ``but`` some, are drawn softly in a picture of ``width × height`` pixels; None for none.

    Those that lie over each other, so that drawing them is what takes the time.
    """
    x, y, reach, *_, disc, cover = windows
    chosen: NDArray[np.bool_] = (reach >= SMALLEST) & (disc == 0) & (cover == 0)
    if but is not None:
        chosen &= ~but
    if not chosen.any():
        return None
    x, y, reach = x[chosen], y[chosen], reach[chosen]
    wide = np.minimum(x + reach, np.float32(width)) - np.maximum(x - reach, np.float32(0))
    high = np.minimum(y + reach, np.float32(height)) - np.maximum(y - reach, np.float32(0))
    covered = np.nansum(np.maximum(wide, 0) * np.maximum(high, 0), dtype=np.float64)
    return chosen if covered > WORTHWHILE * width * height else None
