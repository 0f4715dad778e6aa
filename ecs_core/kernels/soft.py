"""Soft light: what is wide enough to lose nothing by it is drawn at half size, where colour is kept anyway.

Its luminance is interpolated from there, a quarter of the pixels. A band's soft light lies in ``soft``: planes of red,
green and blue like the band's own, end to end, with a row more at either end, zero until something is drawn. Row by
row, ``spans`` (2, rows / 2 + 2) has the first column at half size that has light, and one more than the last one;
width / 2 and 0 where there is none.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64, U8
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import kernel
from ecs_core.kernels.raster import PAD, add_colour, extent, gauss_window, touch

f32 = np.float32

SOFT = f32(5.0)  # smallest reach of soft light, pixels
# Interpolation widens light as a Gaussian of this squared reach does, pixels of half size; 9 times its variance.
WIDENED = f32(2.0)
_ZERO, _QUARTER, _HALF, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(1.0)
_THREE_QUARTERS, _EIGHTH = f32(0.75), f32(0.125)


@kernel("f4[::1], i8[:, ::1], i8, i8, i8, i8[::1], f4[:, ::1], f4[:, ::1], u1[:, ::1]")
def draw_soft_glows(
    soft: F32, spans: I64, top: int, bottom: int, width: int, listed: I64, sprites: F32, windows: F32, touched: U8
) -> None:
    """Draw the listed glows, which are no discs and reach farther than SOFT, and mark the blocks that they touch.

    ``sprites`` and the rest are as in ``raster.draw_band``.
    """
    wx, wy, plane = windows[0], windows[1], soft.size // 3
    low, high, columns = (top >> 1) - 1, (bottom >> 1) + 1, (width >> 1) + 1
    stride = columns + PAD - 1
    for k in range(listed.size):
        i = listed[k]
        cx, cy, reach = sprites[0, i] * _HALF + _QUARTER, sprites[1, i] * _HALF, sprites[2, i] * _HALF
        narrow = np.sqrt(reach * reach - WIDENED)
        dim = reach * reach / (narrow * narrow)
        x0, x1 = extent(cx, narrow, 0, columns)
        y0, y1 = extent(cy, narrow, low, high)
        rows, groups = y1 - y0, (x1 - x0 + 7) >> 3
        if x1 <= x0 or rows <= 0:
            continue
        gauss_window(wx, groups, x0, cx, _ONE / narrow)
        gauss_window(wy, (rows + 7) >> 3, y0, cy, _ONE / narrow)
        add_colour(
            soft, plane, (y0 - low) * stride + x0, stride, groups, rows,
            dim * sprites[3, i], dim * sprites[4, i], dim * sprites[5, i], wx, wy,
        )  # fmt: skip
        x1 = min(columns, x0 + 8 * groups)  # of what is written
        for row in range(y0 - low, y1 - low):
            spans[0, row], spans[1, row] = min(spans[0, row], x0), max(spans[1, row], x1)
        first, left = max(2 * y0 - 1, top), max(2 * x0 - 2, 0)
        last, right = min(2 * y1 + 1, bottom), min(2 * x1 + 1, width)
        if right > left and last > first:
            touch(touched, first - top, last - top, left, right)


@kernel("f4[::1], f4[::1], i8, i8, i8, f4[::1], i8[:, ::1], f4[:, ::1], f4[:, ::1]")
def add_soft(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, soft: F32, spans: I64, level: F32, line: F32
) -> None:
    """Add what was drawn softly to one band's accumulators, and clear it.

    A sample at half size lies on the left pixel of its two, and between its two rows. ``level`` (rows / 2 + 2,
    width / 2 + 2) is scratch that is zero before and after; ``line`` is scratch of (2, width + 4). The rest is as in
    ``raster.draw_band``.
    """
    rows, half_width = (bottom - top) >> 1, width >> 1
    stride, half_stride = 2 * half_width + PAD, half_width + PAD
    plane, soft_plane = colour.size // 3, soft.size // 3
    for row in range(rows + 2):
        begin, end = spans[0, row], min(spans[1, row], half_width + 1)
        n = end - begin
        if n <= 0:
            continue
        at = row * half_stride + begin
        red, green = soft[at : at + n], soft[at + soft_plane : at + soft_plane + n]
        blue = soft[at + 2 * soft_plane : at + 2 * soft_plane + n]
        grey = level[row, begin + 1 : end + 1]
        for i in range(n):
            grey[i] = KR * red[i] + KG * green[i] + KB * blue[i]
        if begin == 0:
            level[row, 0] = level[row, 1]
        if 1 <= row <= rows:
            for channel in range(3):
                here = (row - 1) * half_stride + begin + channel * plane
                to, of = colour[here : here + n], soft[at + channel * soft_plane : at + channel * soft_plane + n]
                for i in range(n):
                    to[i] += of[i]
    far, wide = line[0], line[1]
    for row in range(rows):
        begin = max(min(spans[0, row], spans[0, row + 1], spans[0, row + 2]) - 1, 0)
        end = min(max(spans[1, row], spans[1, row + 1], spans[1, row + 2]) + 1, half_width)
        n = end - begin
        if n <= 0:
            continue
        for lower in range(2):
            near, other = level[row + 1, begin : end + 2], level[row + 2 * lower, begin : end + 2]
            for i in range(n + 2):
                far[i] = _THREE_QUARTERS * near[i] + _QUARTER * other[i]
            for i in range(n):  # apart from the sum, so that LLVM interleaves whole vectors
                # The left pixel as if interpolated, too: otherwise light would be sharper there.
                left = _THREE_QUARTERS * far[i + 1] + _EIGHTH * (far[i] + far[i + 2])
                right = _HALF * (far[i + 1] + far[i + 2])
                wide[2 * i] = left
                wide[2 * i + 1] = right
            at = (2 * row + lower) * stride + 2 * begin
            out = luminance[at : at + 2 * n]
            for i in range(2 * n):
                out[i] += wide[i]
    for row in range(rows + 2):
        begin, end = spans[0, row], min(spans[1, row] + PAD - 1, half_stride)
        for channel in range(3):
            at = row * half_stride + channel * soft_plane
            drawn = soft[at + begin : at + end]
            for i in range(drawn.size):
                drawn[i] = _ZERO
        grey = level[row, begin : min(end + 1, half_width + 2)]
        for i in range(grey.size):
            grey[i] = _ZERO
        spans[0, row], spans[1, row] = half_width, 0
