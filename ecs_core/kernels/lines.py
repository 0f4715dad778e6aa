"""Light along straight segments: a Gaussian across, and its integral along.

The light of a segment is that of a sprite which moves along it: ``window(d / reach) × (C(t / reach) - C((t - length) /
reach))`` at the distance d from the line and t along it, where C is the integral of the window, from 0 to 1. Segments
that continue each other add up to one line: C of the one's end cancels C of the other's beginning.

Every pixel of a line is worked out by itself, so fewer are better: wide ones are *soft*, see :mod:`soft`.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64, U8
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import FARTHEST, FINEST, PAD, add8, touch
from ecs_core.kernels.soft import SOFT, WIDENED

f32 = np.float32
u64 = np.uint64

_ZERO, _QUARTER, _HALF, _THREE_QUARTERS, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(0.75), f32(1.0)
INTEGRAL = f32(0.8107327)  # of the window, from -1 to 1
_EIGHTS = 512  # groups of eight pixels that are worked on together


# The integral of the window from its middle, of the whole: odd, 1/2 at 1 and level there; wrong by 0.003 at most.
_I1, _I3, _I5, _I7 = f32(1.19576425), f32(-1.52435377), f32(1.21141479), f32(-0.38282521)


@inline_kernel
def _along(u: f32) -> f32:
    v = min(max(u, -_ONE), _ONE)
    s = v * v
    return v * (_I1 + s * (_I3 + s * (_I5 + s * _I7)))


@inline_kernel
def _across(u: f32) -> f32:
    """About ``window``, wherever it is seen: a bell with the same integral to 0.3 %, in a third of its operations."""
    x = max(_ONE - u * u, _ZERO)
    x *= x
    return x * x


@inline_kernel
def _weight(across: f32, share: f32, s: f32, i0: f32, di: f32, dq: f32) -> f32:
    """The light of a pixel at ``s`` of a line's length, 0–1; the rest is as in ``_add_eights``."""
    root = _ONE + dq * s
    return _across(across * (i0 + di * s)) * share * root * root


@inline_kernel
def _drawn(s: f32, thicker: f32, dq: f32) -> f32:
    """Light times width of a line as it is drawn, at ``s`` of its length; 1 at its near end."""
    root = _ONE + dq * s
    return root * root / (_ONE + thicker * s)


@inline_kernel
def _correction(fade: f32, taper: f32, q: f32, r0: f32, r1: f32) -> f32:
    """The factor on a line's light with which it has as much in all as if its reach changed evenly.

    It is drawn with an inverse reach that changes evenly, or with the same one everywhere if it is too fine. The reach
    should end at ``taper`` times what it was, and is drawn from ``r0`` to ``r1``; the square root of the light should
    end at ``fade``, and is drawn to ``q``. Means along the line are by Simpson's rule, exact for the cubic that it
    should be, and Boole's.
    """
    middle, thicker, dq = _HALF * (_ONE + fade), r0 / r1 - _ONE, q - _ONE
    even = (_ONE + f32(2.0) * middle * middle * (_ONE + taper) + fade * fade * taper) / f32(6.0)
    quarters = _drawn(_QUARTER, thicker, dq) + _drawn(_THREE_QUARTERS, thicker, dq)
    ends = _ONE + _drawn(_ONE, thicker, dq)
    return even * f32(90.0) / (f32(7.0) * ends + f32(32.0) * quarters + f32(12.0) * _drawn(_HALF, thicker, dq))


@inner_kernel
def _add_eights(
    light: F32, planes: int, eights: int, at: I64, t: F32, d: F32, weight: F32, red: f32, green: f32, blue: f32,
    ux: f32, uy: f32, length: f32, i0: f32, i1: f32, q: f32,
) -> None:  # fmt: skip
    """Add so many groups of eight pixels of a line to its planes.

    ``at`` says where in the first plane each begins, ``t`` and ``d`` where it lies along the line and beside it. From
    pixel to pixel these change by ``ux`` and -``uy``. Inverse reaches are ``i0`` and ``i1`` at the ends, and ``q`` is
    the square root of the light at the far end, of which there is 1 at the near one. All weights come first: processors
    work on several groups at once where none waits for light to be added.
    """
    per_length = _ONE / max(length, f32(1e-6))
    inverse = _HALF * (i0 + i1)
    di, dq = i1 - i0, q - _ONE
    ends = length * inverse
    if ends >= f32(2.0):  # no pixel is near both ends
        for group in range(eights):
            start = u64(group) * u64(8)
            t0, d0 = t[group], d[group]
            for k in range(8):
                along, across = t0 + f32(k) * ux, d0 - f32(k) * uy
                s = min(max(along * per_length, _ZERO), _ONE)
                along *= inverse
                share = max(_HALF + _along(min(along, ends - along)), _ZERO)
                weight[start + u64(k)] = _weight(across, share, s, i0, di, dq)
    else:
        for group in range(eights):
            start = u64(group) * u64(8)
            t0, d0 = t[group], d[group]
            for k in range(8):
                along, across = t0 + f32(k) * ux, d0 - f32(k) * uy
                s = min(max(along * per_length, _ZERO), _ONE)
                along *= inverse
                share = _along(along) - _along(along - ends)
                weight[start + u64(k)] = _weight(across, share, s, i0, di, dq)
    if planes == 1:
        for group in range(eights):
            add8(light, u64(at[group]), weight, u64(group) * u64(8), red)
        return
    plane = u64(light.size // 3)
    for group in range(eights):
        j, here = u64(group) * u64(8), u64(at[group])
        add8(light, here, weight, j, red)
        add8(light, here + plane, weight, j, green)
        add8(light, here + plane + plane, weight, j, blue)


@inner_kernel
def _draw(
    light: F32, planes: int, stride: int, low: int, high: int, columns: int, x0: f32, y0: f32, x1: f32, y1: f32,
    r0: f32, r1: f32, q: f32, red: f32, green: f32, blue: f32, at: I64, t: F32, d: F32, weight: F32, begins: F32,
    ends: F32, spans: I64, is_soft: bool,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Add a line to planes of the rows ``low … high - 1``, end to end: ``red`` to the first of them, and so on.

    ``at``, ``t``, ``d`` and ``weight`` are scratch for at least a row of groups of eight. If it is soft, ``spans``
    (2, rows) is widened to the columns that each row lights. Returns the first row and column that are lit, and one
    more than the last ones. What is not a number, or far from any picture, lights nothing.
    """
    reach = max(r0, r1)
    dx, dy = x1 - x0, y1 - y0
    length = np.sqrt(dx * dx + dy * dy)
    if not (abs(x0) + abs(y0) + length + reach < FARTHEST):
        return high, columns, low, 0
    ux, uy = dx / max(length, f32(1e-6)), dy / max(length, f32(1e-6))
    first = max(low, int(np.floor(min(y0, y1) - reach)))
    last = min(high, int(np.ceil(max(y0, y1) + reach)))
    rows = last - first
    if rows <= 0:
        return high, columns, low, 0
    # Where each row crosses the line's two long sides, and its two ends; all rows at once, which is vectorised.
    edge0, edge1 = max(-x0, min(dx, _ZERO) - reach), min(f32(columns) - x0, max(dx, _ZERO) + reach)
    steep, flat = abs(uy) > f32(1e-4), abs(ux) > f32(1e-4)
    per_uy = _ONE / uy if steep else _ZERO
    per_ux = _ONE / ux if flat else _ZERO
    across, beyond = abs(reach * per_uy) if steep else FARTHEST, _ZERO if flat else FARTHEST
    slope, shift, near, far = ux * per_uy, uy * per_ux, -reach * per_ux, (length + reach) * per_ux
    near, far = min(near, far) - beyond, max(near, far) + beyond
    py0 = f32(first) + _HALF - y0
    for eight in range((rows + 7) >> 3):
        start = u64(eight) * u64(8)
        first_py = py0 + f32(8.0) * f32(eight)
        for k in range(8):
            py = first_py + f32(k)
            middle, aside = py * slope, py * shift
            begin = max(edge0, middle - across, near - aside)
            end = min(edge1, middle + across, far - aside)
            begins[start + u64(k)] = max(np.floor(begin + x0), _ZERO)
            ends[start + u64(k)] = min(np.ceil(end + x0), f32(columns))
    i0, i1 = _ONE / r0, _ONE / r1
    step_t, step_d = f32(8.0) * ux, f32(8.0) * uy
    left, right, eights = columns, 0, 0
    for i in range(rows):
        begin, end = int(begins[u64(i)]), int(ends[u64(i)])
        groups = (end - begin + 7) >> 3
        if groups <= 0:
            continue
        end = min(columns, begin + 8 * groups)  # of what is written
        left, right = min(left, begin), max(right, end)
        here = first - low + i
        if is_soft:
            spans[0, here], spans[1, here] = min(spans[0, here], begin), max(spans[1, here], end)
        if eights + groups > at.size:
            _add_eights(light, planes, eights, at, t, d, weight, red, green, blue, ux, uy, length, i0, i1, q)
            eights = 0
        px, py = f32(begin) + _HALF - x0, py0 + f32(i)
        along, beside, place = px * ux + py * uy, py * ux - px * uy, here * stride + begin
        for _ in range(groups):
            at[u64(eights)], t[u64(eights)], d[u64(eights)] = place, along, beside
            place, along, beside = place + 8, along + step_t, beside - step_d
            eights += 1
    _add_eights(light, planes, eights, at, t, d, weight, red, green, blue, ux, uy, length, i0, i1, q)
    return first, left, last, right


def scratch(width: int, rows: int) -> tuple[I64, F32]:
    """What :func:`draw_lines` works with, in bands of so many rows."""
    many = max(_EIGHTS, (width + PAD) >> 3)
    return np.zeros(many, np.int64), np.zeros(10 * many + 2 * (rows + 10), np.float32)


@kernel("f4[::1], f4[::1], i8, i8, i8, i8[::1], f4[:, ::1], f4[::1], i8[:, ::1], u1[:, ::1], i8[::1], f4[::1]")
def draw_lines(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, listed: I64, lines: F32, soft: F32, spans: I64,
    touched: U8, at: I64, work: F32,
) -> None:  # fmt: skip
    """Add the listed lines to one band's accumulators and mark the blocks that they touch.

    As ``raster.draw_band``; ``lines`` is (10, n): x and y of both ends, reach at both (pixels), red, green and blue at
    the first, and the square root of the share of it that there is at the second. Its root changes evenly between them.
    Soft ones go to ``soft`` and ``spans``, which are as in :mod:`soft`; ``at`` and ``work`` are :func:`scratch`.
    """
    rows, many = (bottom - top) >> 1, at.size
    t, d, weight = work[:many], work[many : 2 * many], work[2 * many : 10 * many]
    begins, ends = work[10 * many : 10 * many + 2 * rows + 10], work[10 * many + 2 * rows + 10 :]
    for k in range(listed.size):
        i = listed[k]
        is_soft = min(lines[4, i], lines[5, i]) >= SOFT
        for half in range(1 if is_soft else 0, 2):
            scale = _HALF if half else _ONE
            aside = _QUARTER if half else _ZERO
            x0, y0, x1, y1 = lines[0, i] * scale, lines[1, i] * scale, lines[2, i] * scale, lines[3, i] * scale
            x0, x1 = x0 + aside, x1 + aside
            r0, r1, q, dim = lines[4, i] * scale, lines[5, i] * scale, lines[9, i], _ONE
            if is_soft:
                narrow0, narrow1 = np.sqrt(r0 * r0 - WIDENED), np.sqrt(r1 * r1 - WIDENED)
                dim = r0 / narrow0
                q *= np.sqrt(r1 / (narrow1 * dim))
                r0, r1 = narrow0, narrow1
            else:  # what is too fine for the grid is as wide as it may be, with the same light
                dim = min(r0 / FINEST, _ONE)
                if r1 < FINEST:
                    q *= np.sqrt(r1 / (FINEST * dim))
                r0, r1 = max(r0, FINEST), max(r1, FINEST)
            dim *= _correction(lines[9, i], lines[5, i] / lines[4, i], q, r0, r1)
            red, green, blue = dim * lines[6, i], dim * lines[7, i], dim * lines[8, i]
            low, high, columns = top >> half, bottom >> half, width >> half
            light, planes, stride = colour, 3, columns + PAD
            if is_soft:  # with a row more at either end, and a column at the right one
                light, low, high, columns = soft, low - 1, high + 1, columns + 1
            elif half == 0:
                light, planes = luminance, 1
                red = KR * red + KG * green + KB * blue
            first, left, last, right = _draw(
                light, planes, stride, low, high, columns, x0, y0, x1, y1, r0, r1, q, red, green, blue,
                at, t, d, weight, begins, ends, spans, is_soft,
            )  # fmt: skip
            if is_soft:
                first, left = max(2 * first - 1, top), max(2 * left - 2, 0)
                last, right = min(2 * last + 1, bottom), min(2 * right + 1, width)
            elif half:
                first, left = 2 * first, 2 * left
                last, right = 2 * last, 2 * right
            if right > left and last > first:
                touch(touched, first - top, last - top, left, right)
