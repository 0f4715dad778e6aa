"""Rounded boxes among sprites: bars, panels, rings, lines; see ``kernels.shares``."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, U8, Scalar
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import PAD, touch
from ecs_core.kernels.shares import even_span, put

f32 = np.float32

_ZERO, _QUARTER, _HALF, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(1.0)
_FARTHEST = f32(1e6)  # pixels: larger numbers would be too much for whole ones
_SLANT = f32(1e-3)  # sine and cosine of a box that is turned
_SOFT = f32(2.5)  # pixels beyond its edges where a box may be seen


@inner_kernel
def _box_row(
    out: F32, n: int, dx: f32, dy: f32, wide: f32, tall: f32, c: f32, s: f32, corner: f32, rim: f32, alpha: f32
) -> None:
    """The alpha of a row of a box: the distance to a rounded one (Inigo Quilez, "2D distance functions")."""
    for j in range(n):
        x = dx + f32(j)
        along, across = abs(c * x + s * dy) - wide, abs(c * dy - s * x) - tall
        outer_x, outer_y = max(along, _ZERO), max(across, _ZERO)
        distance = np.sqrt(outer_x * outer_x + outer_y * outer_y) + min(max(along, across), _ZERO) - corner
        inside = max(distance, -rim - distance)
        out[j] = alpha * min(max(_HALF - inside, _ZERO), _ONE)


@inline_kernel
def _slanted_span(dy: f32, wide: f32, tall: f32, c: f32, s: f32) -> tuple[f32, f32]:
    """From where to where a turned box lies in two rows, whose middle is ``dy`` below its own, from its middle."""
    # Edges are soft, cells are pixels wide, and both rows are half a pixel away.
    reach_x, reach_y = (wide + _SOFT + _HALF * abs(s)) / abs(c), (tall + _SOFT + _HALF * abs(c)) / abs(s)
    x, y = -dy * s / c, dy * c / s
    return max(x - reach_x, y - reach_y), min(x + reach_x, y + reach_y)


@kernel("f4[::1], f4[::1], i8, i8, i8, f4[:, ::1], f4, i8, f4, f8, f4[:, ::1], u1[:, ::1]")
def draw_boxes(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, boxes: F32, opacity: f32, adds: int, most: f32,
    toe: Scalar, work: F32, touched: U8,
) -> None:  # fmt: skip
    """Draw rounded boxes into one band's accumulators, in order, as ``pictures.draw_picture`` does.

    ``boxes`` is (12, n): the middle, x and y; half its width and height; cosine and sine of its turn, clockwise; the
    radius of its corners; the width of its rim, 0 for one that is filled, all in pixels; its colour as shares of white,
    red, green and blue; and its alpha.
    """
    toe = max(f32(toe), f32(1e-6))
    alpha, shown, cells, scratch = work[2:4], work[4:6], work[6:10], work[10:14]
    for i in range(boxes.shape[1]):
        cx, cy, wide, tall, c, s = boxes[0, i], boxes[1, i], boxes[2, i], boxes[3, i], boxes[4, i], boxes[5, i]
        corner = min(boxes[6, i], wide, tall)
        luma = KR * boxes[8, i] + KG * boxes[9, i] + KB * boxes[10, i]
        rim = boxes[7, i] if boxes[7, i] > _ZERO else _FARTHEST
        reach_x, reach_y = abs(c) * wide + abs(s) * tall + _ONE, abs(s) * wide + abs(c) * tall + _ONE
        if not (abs(cx) < _FARTHEST and abs(cy) < _FARTHEST and boxes[11, i] > _ZERO):
            continue
        x0, x1 = even_span(cx - reach_x, cx + reach_x, 0, width)
        y0, y1 = even_span(cy - reach_y, cy + reach_y, top, bottom)
        if x0 >= x1 or y0 >= y1:
            continue
        slanted = min(abs(c), abs(s)) > _SLANT
        for row in range(y0, y1, 2):
            first, last = x0, x1
            if slanted:
                low, high = _slanted_span(f32(row) + _ONE - cy, wide, tall, c, s)
                first, last = even_span(cx + low, cx + high, x0, x1)
            n = last - first
            if n <= 0:
                continue
            for lower in range(2):
                there, lumas = alpha[lower], shown[lower]
                dx, dy = f32(first) + _HALF - cx, f32(row + lower) + _HALF - cy
                _box_row(there, n, dx, dy, wide - corner, tall - corner, c, s, corner, rim, boxes[11, i])
                for j in range(n):
                    lumas[j] = there[j] * luma
            there = cells[0]
            dx, dy = f32(first >> 1) + _QUARTER - _HALF * cx, f32(row >> 1) + _HALF - _HALF * cy
            _box_row(
                there, n >> 1, dx, dy, _HALF * (wide - corner), _HALF * (tall - corner), c, s, _HALF * corner,
                _HALF * rim, boxes[11, i],
            )  # fmt: skip
            for channel in range(1, 4):
                out, level = cells[channel], boxes[7 + channel, i]
                for j in range(n >> 1):
                    out[j] = there[j] * level
            at = (row - top) * (width + PAD) + first
            cell = ((row - top) >> 1) * ((width >> 1) + PAD) + (first >> 1)
            put(
                luminance, at, at + width + PAD, colour, cell, n, alpha, shown, cells, scratch, opacity, _ONE, adds,
                most, toe,
            )  # fmt: skip
        touch(touched, y0 - top, y1 - top, x0, x1)
