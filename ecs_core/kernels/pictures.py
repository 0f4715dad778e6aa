"""Pictures and masks among sprites: what layers are drawn with, covering what is behind them or adding light.

They are kept as shares of white, times alpha; see ``kernels.shares``.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I32, U8, Scalar
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import PAD, touch
from ecs_core.kernels.shares import even_span, put, put_solid

f32 = np.float32
u64 = np.uint64

_ZERO, _HALF, _ONE, _TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
FRAME = 1  # transparent texels round each plane


@inline_kernel
def _find_places(n: int, at: f32, step: f32, edge: int, columns: int, places: I32, shares: F32) -> int:
    """Where ``n`` pixels lie in a row of texels: the texel before each, and the share of the way to the next.

    Returns 1 if they lie in a row, each as far from its texel as the others.
    """
    low, high = f32(edge), f32(columns - 1 - edge)
    for j in range(n):
        x = min(max(at + f32(j) * step, low), high)
        place = min(np.int32(x), np.int32(columns - 2))
        places[j], shares[j] = place, x - f32(place)
    return 1 if step == _ONE and at >= low and at + f32(n - 1) <= high and places[n - 1] - places[0] == n - 1 else 0


@inner_kernel
def _sample_row(texels: F32, out: F32, n: int, y: f32, in_a_row: int, line: F32, places: I32, shares: F32) -> None:
    """Write ``n`` values at row ``y`` of a plane and at places that :func:`_find_places` found."""
    left, right = int(places[0]), int(places[n - 1]) + 2
    upper = min(int(y), texels.shape[0] - 2)
    share = y - f32(upper)
    above, below, mixed = texels[upper, left:right], texels[upper + 1, left:right], line[left:right]
    for i in range(right - left):
        mixed[i] = above[i] + share * (below[i] - above[i])
    if in_a_row:
        across, here, after = shares[0], line[left : left + n], line[left + 1 : left + 1 + n]
        for j in range(n):
            out[j] = here[j] + across * (after[j] - here[j])
        return
    for j in range(n):
        at = u64(places[u64(j)])
        out[u64(j)] = line[at] + shares[u64(j)] * (line[at + u64(1)] - line[at])


@inner_kernel
def _sample(
    texels: F32, out: F32, n: int, u: f32, v: f32, step_u: f32, step_v: f32, line: F32, places: I32, shares: F32
) -> None:
    """Write ``n`` values between the texels of a plane (rows, columns), at u, v and so on in steps, in texels.

    What is beyond the plane's frame is as the frame. ``line`` is scratch for a row of the plane, ``places`` and
    ``shares`` for ``n`` pixels.
    """
    rows, columns = texels.shape
    if step_v == _ZERO and step_u > _ZERO:  # not turned
        in_a_row = _find_places(n, u - _HALF, step_u, 0, columns, places, shares)
        _sample_row(texels, out, n, min(max(v - _HALF, _ZERO), f32(rows - 1)), in_a_row, line, places, shares)
        return
    flat = texels.reshape(rows * columns)
    for j in range(n):
        x = min(max(u - _HALF + f32(j) * step_u, _ZERO), f32(columns - 1))
        y = min(max(v - _HALF + f32(j) * step_v, _ZERO), f32(rows - 1))
        place, row = min(np.int32(x), np.int32(columns - 2)), min(np.int32(y), np.int32(rows - 2))
        places[j] = row * np.int32(columns) + place
        shares[j], out[j] = x - f32(place), y - f32(row)
    for j in range(n):
        at, a, b = u64(places[u64(j)]), shares[u64(j)], out[u64(j)]
        below = at + u64(columns)
        p, q = flat[at] + a * (flat[at + u64(1)] - flat[at]), flat[below] + a * (flat[below + u64(1)] - flat[below])
        out[u64(j)] = p + b * (q - p)


@inline_kernel
def _pair_span(place: F32, y: int, wide: f32, tall: f32, x0: int, x1: int) -> tuple[int, int]:
    """The columns, both even, of the rows ``y`` and ``y + 1`` in which a picture may be seen, within x0 and x1."""
    low, high = f32(x1), f32(x0)
    for row in range(2):
        u = place[1] * (f32(y + row) + _HALF) + place[2]
        v = place[4] * (f32(y + row) + _HALF) + place[5]
        first, last = f32(x0), f32(x1)
        if place[0] != _ZERO:
            a, b = (-_TWO - u) / place[0], (wide + _TWO - u) / place[0]
            first, last = max(first, min(a, b)), min(last, max(a, b))
        elif u < -_TWO or u > wide + _TWO:
            continue
        if place[3] != _ZERO:
            a, b = (-_TWO - v) / place[3], (tall + _TWO - v) / place[3]
            first, last = max(first, min(a, b)), min(last, max(a, b))
        elif v < -_TWO or v > tall + _TWO:
            continue
        low, high = min(low, first), max(high, last)
    if not low < high:
        return 0, 0
    left = (int(np.floor(low)) - 2) & ~1
    right = (int(np.ceil(high)) + 3) & ~1
    return max(left, x0), min(right, x1)


@inner_kernel
def _draw_straight(
    luminance: F32, colour: F32, top: int, width: int, x0: int, x1: int, y0: int, y1: int, fine: F32, half: F32,
    place: F32, opacity: f32, level: f32, adds: int, most: f32, toe: f32, solid: int, is_wide: int, work: F32,
    places: I32,
) -> None:  # fmt: skip
    """Draw a picture that is not turned: where pixels lie between texels is the same in all rows.

    Where alpha and opacity are 1, what is behind it need not be looked at.
    """
    line, shares, alpha, shown, cells, scratch = work[0], work[1], work[2:4], work[4:6], work[6:10], work[10:14]
    rows, columns, half_rows, half_columns = fine.shape[1], fine.shape[2], half.shape[1], half.shape[2]
    wide, tall, frame, edge = f32(columns - 2 * FRAME), f32(rows - 2 * FRAME), f32(FRAME), FRAME if is_wide else 0
    u = place[0] * (f32(x0) + _HALF) + place[2]
    first, last = x0, x1
    if not is_wide:
        a, b = (-_TWO - place[2]) / place[0], (wide + _TWO - place[2]) / place[0]
        first = max(x0, (int(np.floor(max(a, f32(x0)))) - 2) & ~1)
        last = min(x1, (int(np.ceil(min(b, f32(x1)))) + 3) & ~1)
    n = last - first
    if n <= 0:
        return
    u = place[0] * (f32(first) + _HALF) + place[2]
    at, at_cell = u + frame - _HALF, _HALF * u + frame - _HALF
    straight = _find_places(n, at, place[0], edge, columns, places[0], shares)
    cells_straight = _find_places(n >> 1, at_cell, place[0], edge, half_columns, places[1], work[14])
    hides_here = solid != 0 and opacity == _ONE and adds == 0
    in_columns = is_wide != 0 or (
        at >= frame and at + place[0] * f32(n - 1) <= f32(columns - 1 - FRAME)
        and at_cell >= frame and at_cell + place[0] * f32((n >> 1) - 1) <= f32(half_columns - 1 - FRAME)
    )  # fmt: skip
    for row in range(y0, y1, 2):
        v = place[4] * (f32(row) + _HALF) + place[5]
        if not is_wide and (v + place[4] < -_TWO or v > tall + _TWO):
            continue
        y = v + frame - _HALF
        y_cell = _HALF * (v + _HALF * place[4]) + frame - _HALF
        in_rows = is_wide != 0 or (
            y >= frame and y + place[4] <= f32(rows - 1 - FRAME)
            and y_cell >= frame and y_cell <= f32(half_rows - 1 - FRAME)
        )  # fmt: skip
        hides = hides_here and in_columns and in_rows
        for lower in range(2):
            here = min(max(y + f32(lower) * place[4], f32(edge)), f32(rows - 1 - edge))
            if not hides:
                _sample_row(fine[0], alpha[lower], n, here, straight, line, places[0], shares)
            _sample_row(fine[1], shown[lower], n, here, straight, line, places[0], shares)
        here = min(max(y_cell, f32(edge)), f32(half_rows - 1 - edge))
        for plane in range(1 if hides else 0, 4):
            _sample_row(half[plane], cells[plane], n >> 1, here, cells_straight, line, places[1], work[14])
        start = (row - top) * (width + PAD) + first
        cell = ((row - top) >> 1) * ((width >> 1) + PAD) + (first >> 1)
        under = start + width + PAD
        if hides:
            put_solid(luminance, start, under, colour, cell, n, shown, cells, scratch, level, most, toe)
        else:
            put(
                luminance, start, under, colour, cell, n, alpha, shown, cells, scratch, opacity, level, adds, most, toe
            )  # fmt: skip


@kernel(
    "f4[::1], f4[::1], i8, i8, i8, f4[:, :, ::1], f4[:, :, ::1], f4[::1], f4[::1], f4, f4, i8, f4, f8, i8, i8, "
    "f4[:, ::1], i4[:, ::1], u1[:, ::1]"
)
def draw_picture(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, fine: F32, half: F32, place: F32, bounds: F32,
    opacity: f32, level: f32, adds: int, most: f32, toe: Scalar, solid: int, is_wide: int, work: F32, places: I32,
    touched: U8,
) -> None:  # fmt: skip
    """Draw a picture into one band's accumulators, which hold the background where it covers.

    ``fine`` is (2, rows, columns): alpha, and luma as a share of white times alpha; ``half`` (4, rows, columns) of half
    the size: alpha, red, green, blue; each with FRAME transparent texels around. ``place`` is (6,): texel u of a place
    (x, y) is place[0] x + place[1] y + place[2], v the rest, without the frame. ``bounds`` (4,): left, top, right and
    bottom, in pixels. ``level`` (0–1) is a factor on what is shown. ``most`` is the largest share of white, under 1,
    which would be infinite light. ``toe`` is as in ``cover.cover_band``. ``solid`` says that alpha is 1 everywhere,
    ``is_wide`` that the edges of a picture, which must not be turned, are as its outermost texels. ``work`` is scratch,
    (15, as wide as the band and the picture), ``places`` (2, the same).
    """
    toe = max(f32(toe), f32(1e-6))
    x0, x1 = even_span(bounds[0], bounds[2], 0, width)
    y0, y1 = even_span(bounds[1], bounds[3], top, bottom)
    if x0 >= x1 or y0 >= y1:
        return
    if place[1] == _ZERO and place[3] == _ZERO and place[0] > _ZERO:
        _draw_straight(
            luminance, colour, top, width, x0, x1, y0, y1, fine, half, place, opacity, level, adds, most, toe, solid,
            is_wide, work, places,
        )  # fmt: skip
        touch(touched, y0 - top, y1 - top, x0, x1)
        return
    line, shares, alpha, shown, cells, scratch = work[0], work[1], work[2:4], work[4:6], work[6:10], work[10:14]
    wide, tall = f32(fine.shape[2] - 2 * FRAME), f32(fine.shape[1] - 2 * FRAME)
    step_u, step_v, frame = place[0], place[3], f32(FRAME)
    for row in range(y0, y1, 2):
        first, last = _pair_span(place, row, wide, tall, x0, x1)
        n = last - first
        if n <= 0:
            continue
        x = f32(first) + _HALF
        for lower in range(2):
            y = f32(row + lower) + _HALF
            u, v = place[0] * x + place[1] * y + place[2], place[3] * x + place[4] * y + place[5]
            for plane in range(2):
                out = alpha[lower] if plane == 0 else shown[lower]
                _sample(fine[plane], out, n, u + frame, v + frame, step_u, step_v, line, places[0], shares)
        y = f32(row + 1)  # of the cells, which lie between two rows and in even columns
        u, v = place[0] * x + place[1] * y + place[2], place[3] * x + place[4] * y + place[5]
        for plane in range(4):
            _sample(
                half[plane], cells[plane], n >> 1, _HALF * u + frame, _HALF * v + frame, step_u, step_v, line,
                places[0], shares,
            )  # fmt: skip
        at = (row - top) * (width + PAD) + first
        cell = ((row - top) >> 1) * ((width >> 1) + PAD) + (first >> 1)
        put(
            luminance, at, at + width + PAD, colour, cell, n, alpha, shown, cells, scratch, opacity, level, adds, most,
            toe,
        )  # fmt: skip
    touch(touched, y0 - top, y1 - top, x0, x1)


@kernel(
    "f4[::1], f4[::1], i8, i8, i8, f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4[:, ::1], f4, f4, i8, f4, f8, "
    "f4[:, ::1], i4[:, ::1], u1[:, ::1]"
)
def draw_mask(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, fine: F32, half: F32, place: F32, bounds: F32,
    colours: F32, split: f32, opacity: f32, adds: int, most: f32, toe: Scalar, work: F32, places: I32, touched: U8,
) -> None:  # fmt: skip
    """Draw a mask in one colour, or two: as :func:`draw_picture`, with planes (rows, columns) of alpha alone.

    ``colours`` is (2, 4): luma, red, green and blue as shares of white, left of texel ``split`` and right of it.
    """
    toe = max(f32(toe), f32(1e-6))
    x0, x1 = even_span(bounds[0], bounds[2], 0, width)
    y0, y1 = even_span(bounds[1], bounds[3], top, bottom)
    if x0 >= x1 or y0 >= y1:
        return
    line, shares, alpha, shown, cells, scratch = work[0], work[1], work[2:4], work[4:6], work[6:10], work[10:14]
    wide, tall = f32(fine.shape[1] - 2 * FRAME), f32(fine.shape[0] - 2 * FRAME)
    step_u, step_v, frame = place[0], place[3], f32(FRAME)
    for row in range(y0, y1, 2):
        first, last = _pair_span(place, row, wide, tall, x0, x1)
        n = last - first
        if n <= 0:
            continue
        x = f32(first) + _HALF
        for lower in range(2):
            y = f32(row + lower) + _HALF
            u, v = place[0] * x + place[1] * y + place[2], place[3] * x + place[4] * y + place[5]
            there, luma = alpha[lower], shown[lower]
            _sample(fine, there, n, u + frame, v + frame, step_u, step_v, line, places[0], shares)
            right, more = colours[1, 0], colours[0, 0] - colours[1, 0]
            for j in range(n):
                lit = min(max(split - (u + f32(j) * step_u) + _HALF, _ZERO), _ONE)
                luma[j] = there[j] * (right + lit * more)
        y = f32(row + 1)
        u, v = place[0] * x + place[1] * y + place[2], place[3] * x + place[4] * y + place[5]
        u, v = _HALF * u, _HALF * v
        there = cells[0]
        _sample(half, there, n >> 1, u + frame, v + frame, step_u, step_v, line, places[0], shares)
        for channel in range(1, 4):
            right, more, out = colours[1, channel], colours[0, channel] - colours[1, channel], cells[channel]
            for j in range(n >> 1):
                lit = min(max(_HALF * split - (u + f32(j) * step_u) + _HALF, _ZERO), _ONE)
                out[j] = there[j] * (right + lit * more)
        at = (row - top) * (width + PAD) + first
        cell = ((row - top) >> 1) * ((width >> 1) + PAD) + (first >> 1)
        put(
            luminance, at, at + width + PAD, colour, cell, n, alpha, shown, cells, scratch, opacity, _ONE, adds, most,
            toe,
        )  # fmt: skip
    touch(touched, y0 - top, y1 - top, x0, x1)
