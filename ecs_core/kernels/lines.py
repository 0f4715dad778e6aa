"""Light along straight segments: a Gaussian across, and its integral along.

The light of a segment is that of a sprite which moves along it: ``window(d / reach) × (C(t / reach) - C((t - length) /
reach))`` at the distance d from the line and t along it, where C is the integral of the window, from 0 to 1. Segments
that continue each other add up to one line: C of the one's end cancels C of the other's beginning.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64, U8
from ecs_core.kernels.jit import inline_kernel, kernel
from ecs_core.kernels.raster import FINEST, KB, KG, KR, PAD, add8, touch, window

f32 = np.float32
u64 = np.uint64

_ZERO, _QUARTER, _HALF, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(1.0)
INTEGRAL = f32(0.8107327)  # of the window, from -1 to 1


# The integral of the window from its middle, of the whole: odd, 1/2 at 1 and level there; wrong by 0.003 at most.
_I1, _I3, _I5, _I7 = f32(1.19576425), f32(-1.52435377), f32(1.21141479), f32(-0.38282521)


@inline_kernel
def _along(u: f32) -> f32:
    v = min(max(u, -_ONE), _ONE)
    s = v * v
    return v * (_I1 + s * (_I3 + s * (_I5 + s * _I7)))


@inline_kernel
def _profile(
    weight: F32, groups: int, t0: f32, d0: f32, ux: f32, uy: f32, length: f32, i0: f32, i1: f32, q: f32
) -> None:
    """The weights of ``8 * groups`` pixels of a row.

    From pixel to pixel, t and d change by ``ux`` and -``uy``; inverse reaches are ``i0`` and ``i1`` at the ends, and
    ``q`` is the square root of the light at the far end, of which there is 1 at the near one.
    """
    per_length = _ONE / max(length, f32(1e-6))
    inverse = _HALF * (i0 + i1)
    di, dq = i1 - i0, q - _ONE
    ends = length * inverse
    step_t, step_d = f32(8.0) * ux, f32(8.0) * uy
    for group in range(groups):
        start = u64(group) * u64(8)
        for k in range(8):
            t, d = t0 + f32(k) * ux, d0 - f32(k) * uy
            s = min(max(t * per_length, _ZERO), _ONE)
            light = _ONE + dq * s
            along = t * inverse
            weight[start + u64(k)] = window(d * (i0 + di * s)) * (_along(along) - _along(along - ends)) * light * light
        t0, d0 = t0 + step_t, d0 - step_d


@inline_kernel
def _add(light: F32, at: int, groups: int, weight: F32, amount: f32) -> None:
    for group in range(groups):
        j = u64(group) * u64(8)
        add8(light, u64(at) + j, weight, j, amount)


@kernel("f4[::1], f4[::1], i8, i8, i8, i8[::1], f4[:, ::1], f4[:, ::1], u1[:, ::1]")
def draw_lines(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, listed: I64, lines: F32, scratch: F32, touched: U8
) -> None:
    """Add the listed lines to one band's accumulators and mark the blocks that they touch.

    As ``raster.draw_band``; ``lines`` is (10, n): x and y of both ends, reach at both (pixels), red, green and blue at
    the first, and the square root of the share of it that there is at the second. Its root changes evenly between them.
    """
    plane = colour.size // 3
    weight = scratch[0]
    for k in range(listed.size):
        i = listed[k]
        for half in range(2):
            scale = _HALF if half else _ONE
            x0, y0, x1, y1 = lines[0, i] * scale, lines[1, i] * scale, lines[2, i] * scale, lines[3, i] * scale
            if half:
                x0, x1 = x0 + _QUARTER, x1 + _QUARTER
            r0, r1 = lines[4, i] * scale, lines[5, i] * scale
            # Too fine for the grid: as wide as it may be, with the same light.
            dim, q = min(r0 / FINEST, _ONE), lines[9, i]
            if r1 < FINEST:
                q *= np.sqrt(r1 / (FINEST * dim))
            r0, r1 = max(r0, FINEST), max(r1, FINEST)
            reach = max(r0, r1)
            dx, dy = x1 - x0, y1 - y0
            length = np.sqrt(dx * dx + dy * dy)
            ux, uy = dx / max(length, f32(1e-6)), dy / max(length, f32(1e-6))
            low, high, columns = top >> half, bottom >> half, width >> half
            stride = columns + PAD
            first = max(low, int(np.floor(min(y0, y1) - reach)))
            last = min(high, int(np.ceil(max(y0, y1) + reach)))
            edge0, edge1 = max(-x0, min(dx, _ZERO) - reach), min(f32(columns) - x0, max(dx, _ZERO) + reach)
            # Where a row crosses the line's two long sides, and its two ends.
            steep, flat = abs(uy) > f32(1e-4), abs(ux) > f32(1e-4)
            per_uy = _ONE / uy if steep else _ZERO
            per_ux = _ONE / ux if flat else _ZERO
            across, after = abs(reach * per_uy), length + reach
            left, right = columns, 0
            for row in range(first, last):
                py = f32(row) + _HALF - y0
                a, b = edge0, edge1
                if steep:
                    middle = py * ux * per_uy
                    a, b = max(a, middle - across), min(b, middle + across)
                if flat:
                    one, other = (-reach - py * uy) * per_ux, (after - py * uy) * per_ux
                    a, b = max(a, min(one, other)), min(b, max(one, other))
                begin, end = max(0, int(np.floor(a + x0))), min(columns, int(np.ceil(b + x0)))
                groups = (end - begin + 7) >> 3
                if groups <= 0:
                    continue
                left, right = min(left, begin), max(right, end)
                px = f32(begin) + _HALF - x0
                _profile(weight, groups, px * ux + py * uy, py * ux - px * uy, ux, uy, length, _ONE / r0, _ONE / r1, q)
                at = (row - low) * stride + begin
                if half:
                    for channel in range(3):
                        _add(colour, at + channel * plane, groups, weight, dim * lines[6 + channel, i])
                else:
                    amount = dim * (KR * lines[6, i] + KG * lines[7, i] + KB * lines[8, i])
                    _add(luminance, at, groups, weight, amount)
            if right > left:
                touch(touched, (first - low) << half, (last - low) << half, left << half, right << half)
