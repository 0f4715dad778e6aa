"""What lies under everything: gradients, frames of videos as light, and blur.

Shares of white are as in ``kernels.shares``.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, U8, Scalar
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.pictures import FRAME
from ecs_core.kernels.raster import PAD, touch
from ecs_core.kernels.shares import put

f32 = np.float32
u64 = np.uint64

_ZERO, _QUARTER, _HALF, _ONE, _TWO = f32(0.0), f32(0.25), f32(0.5), f32(1.0), f32(2.0)
_WHITEST = f32(0.9996)  # shown: white itself would be infinite light
_P1, _P2, _P3, _P4 = f32(0.63259512), f32(0.77624381), f32(0.56171685), f32(-3.3523040)
_P5, _P6, _P7 = f32(4.3955321), f32(-2.6412222), f32(0.62747091)
_BLACK, _GREY, _RANGE = f32(16.0), f32(128.0), f32(1.0 / 219.0)


@inner_kernel
def _far(out: F32, n: int, u: f32, v: f32, step_u: f32, step_v: f32, radial: int, last: f32) -> None:
    """How far along a gradient pixels are, in steps of its table, from u and v on."""
    for j in range(n):
        x, y = u + f32(j) * step_u, v + f32(j) * step_v
        far = np.sqrt(x * x + y * y) if radial else x
        out[j] = min(max(far, _ZERO), _ONE) * last


@inner_kernel
def _colours(out: F32, n: int, far: F32, table: F32) -> None:
    """The colours of a table so far along."""
    for j in range(n):
        before = u64(min(np.int32(far[u64(j)]), np.int32(table.size - 2)))
        share = far[u64(j)] - f32(before)
        out[u64(j)] = table[before] + share * (table[before + u64(1)] - table[before])


@kernel("f4[::1], f4[::1], i8, i8, i8, f4[:, ::1], f4[::1], i8, f4, f4, f8, f4[:, ::1], u1[:, ::1]")
def draw_gradient(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, table: F32, place: F32, radial: int, opacity: f32,
    most: f32, toe: Scalar, work: F32, touched: U8,
) -> None:  # fmt: skip
    """Draw a gradient over all of one band's accumulators, which hold the background.

    ``table`` is (4, n): luma, red, green and blue as shares of white, in equal steps. ``place`` is (6,): u of a place
    (x, y) is place[0] x + place[1] y + place[2], v the rest. A pixel's colour is at u, or, where it is ``radial``, at
    its distance from u = v = 0; 0 is the first colour, 1 the last one. ``most``, ``toe`` and ``work`` are as in
    ``pictures.draw_picture``.
    """
    toe = max(f32(toe), f32(1e-6))
    far, alpha, shown, cells, scratch = work[0], work[2:4], work[4:6], work[6:10], work[10:14]
    half, last = width >> 1, f32(table.shape[1] - 1)
    for j in range(width):
        alpha[0, j], alpha[1, j], cells[0, j] = _ONE, _ONE, _ONE
    for row in range(top, bottom, 2):
        for lower in range(2):
            y = f32(row + lower) + _HALF
            u, v = place[0] * _HALF + place[1] * y + place[2], place[3] * _HALF + place[4] * y + place[5]
            _far(far, width, u, v, place[0], place[3], radial, last)
            _colours(shown[lower], width, far, table[0])
        y = f32(row + 1)  # of the cells, which lie between two rows and in even columns
        u, v = place[0] * _HALF + place[1] * y + place[2], place[3] * _HALF + place[4] * y + place[5]
        _far(far, half, u, v, _TWO * place[0], _TWO * place[3], radial, last)
        for channel in range(1, 4):
            _colours(cells[channel], half, far, table[channel])
        start, cell = (row - top) * (width + PAD), ((row - top) >> 1) * (half + PAD)
        put(
            luminance, start, start + width + PAD, colour, cell, width, alpha, shown, cells, scratch, opacity, _ONE, 0,
            most, toe,
        )  # fmt: skip
    touch(touched, 0, bottom - top, 0, width)


@inline_kernel
def _share(shown: f32) -> f32:
    """The share of white of what is shown as a value: x / (x + TOE), where x is ``curve.linear_shown_as`` of it.

    It is a polynomial, fitted by Chebyshev's; off by 3e-5 at most.
    """
    value = min(max(shown, _ZERO), _WHITEST)
    high = ((_P7 * value + _P6) * value + _P5) * value + _P4
    return (((high * value + _P3) * value + _P2) * value + _P1) * value


@inner_kernel
def _shares(out: F32, luma: F32, more: F32, n: int) -> None:
    """Shares of white of one colour, which has so much more than grey of this luma, 16–235."""
    for j in range(n):
        out[j] = _share((luma[j] - _BLACK) * _RANGE + more[j])


@kernel("f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[:, :, ::1], f4[:, :, ::1], f4[:, ::1]")
def light_of_frame(luma: F32, cb: F32, cr: F32, matrix: F32, fine: F32, half: F32, work: F32) -> None:
    """Write a frame of a video into the planes of a picture.

    ``luma`` is (rows, columns), both even, 16–235; ``cb`` and ``cr`` have half of both, 16–240. ``matrix`` (4,) has
    what red has of Cr, green of Cb and of Cr, and blue of Cb, per step of theirs, as shares of white. ``fine``
    (2, rows + 2, columns + 2) and ``half`` are as in ``pictures.draw_picture``; alpha is left alone. ``work`` is
    scratch, (9, columns).
    """
    rows, columns = luma.shape
    middle = columns >> 1
    red, green, blue = work[0], work[1], work[2]
    for pair in range(rows >> 1):
        for i in range(middle):
            b, r = cb[pair, i] - _GREY, cr[pair, i] - _GREY
            more_r, more_g, more_b = matrix[0] * r, matrix[1] * b + matrix[2] * r, matrix[3] * b
            red[2 * i], red[2 * i + 1] = more_r, more_r
            green[2 * i], green[2 * i + 1] = more_g, more_g
            blue[2 * i], blue[2 * i + 1] = more_b, more_b
        for lower in range(2):
            y = luma[2 * pair + lower]
            out = fine[1, 2 * pair + lower + FRAME, FRAME : FRAME + columns]
            reds, greens, blues = work[3 + lower], work[5 + lower], work[7 + lower]
            _shares(reds, y, red, columns)
            _shares(greens, y, green, columns)
            _shares(blues, y, blue, columns)
            for j in range(columns):
                out[j] = KR * reds[j] + KG * greens[j] + KB * blues[j]
        for channel in range(3):
            upper, under = work[3 + 2 * channel], work[4 + 2 * channel]
            out = half[1 + channel, pair + FRAME, FRAME : FRAME + middle]
            for i in range(middle):
                out[i] = _QUARTER * (upper[2 * i] + upper[2 * i + 1] + under[2 * i] + under[2 * i + 1])


@kernel("f4[:, ::1], f4[:, ::1], f4[::1]")
def soften(plane: F32, work: F32, taps: F32) -> None:
    """Blur a plane in place by weights in both directions; beyond its edges it is as there.

    ``taps`` is (2 reach + 1,), whose sum is 1; ``work`` is scratch, at least (rows, columns + 2 reach).
    """
    rows, columns = plane.shape
    reach = taps.size >> 1
    for row in range(rows):
        out = work[row]
        for j in range(columns):
            out[reach + j] = _ZERO
        for k in range(taps.size):
            line, weight = plane[min(max(row + k - reach, 0), rows - 1)], taps[k]
            for j in range(columns):
                out[reach + j] += weight * line[j]
        for j in range(reach):
            out[j], out[reach + columns + j] = out[reach], out[reach + columns - 1]
    for row in range(rows):
        out = plane[row]
        for j in range(columns):
            out[j] = _ZERO
        for k in range(taps.size):
            line, weight = work[row, k : k + columns], taps[k]
            for j in range(columns):
                out[j] += weight * line[j]
