"""Pictures and boxes among sprites: what layers are drawn with, covering what is behind them or adding light.

A picture is kept as shares of what is shown (see ``kernels.cover``), times its alpha: then what lies between two texels
is their mean, as in every drawing program. Its luminance is as fine as the picture, its colours have half the size.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I32, U8, Scalar
from ecs_core.kernels.cover import TOE, over
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import PAD, touch

f32 = np.float32
u64 = np.uint64

_ZERO, _QUARTER, _HALF, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(1.0)
_FARTHEST = f32(1e6)  # pixels: larger numbers would be too much for whole ones
FRAME = 1  # transparent texels round each plane


@inner_kernel
def _sample(
    texels: F32, out: F32, n: int, u: f32, v: f32, step_u: f32, step_v: f32, line: F32, places: I32, shares: F32
) -> None:
    """Write ``n`` values between the texels of a plane (rows, columns), at u, v and so on in steps, in texels.

    What is beyond the plane's frame is as the frame. ``line`` is scratch for a row of the plane, ``places`` and
    ``shares`` for ``n`` pixels.
    """
    rows, columns = texels.shape
    if step_v == _ZERO and step_u > _ZERO:  # not turned: first between two rows, then along one
        y = min(max(v - _HALF, _ZERO), f32(rows - 1))
        row = min(np.int32(y), np.int32(rows - 2))
        share = y - f32(row)
        low = max(0, min(columns - 1, int(min(max(u - _HALF, _ZERO), f32(columns)))))
        high = max(low, min(columns - 1, int(min(max(u - _HALF + f32(n - 1) * step_u, _ZERO), f32(columns))) + 2))
        upper, lower = texels[row, low : high + 1], texels[row + 1, low : high + 1]
        mixed = line[low : high + 1]
        for i in range(high + 1 - low):
            mixed[i] = upper[i] + share * (lower[i] - upper[i])
        if step_u == _ONE:
            first = int(np.floor(u - _HALF))
            if first >= 0 and first + n + 1 <= columns:
                across = (u - _HALF) - f32(first)
                left, right = line[first : first + n], line[first + 1 : first + 1 + n]
                for j in range(n):
                    out[j] = left[j] + across * (right[j] - left[j])
                return
        for j in range(n):
            x = min(max(u - _HALF + f32(j) * step_u, _ZERO), f32(columns - 1))
            place = min(np.int32(x), np.int32(columns - 2))
            places[j], shares[j] = place, x - f32(place)
        for j in range(n):
            at = u64(places[u64(j)])
            out[u64(j)] = line[at] + shares[u64(j)] * (line[at + u64(1)] - line[at])
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


@inner_kernel
def _blend(
    light: F32, n: int, alpha: F32, shown: F32, opacity: f32, level: f32, adds: int, most: f32, toe: f32
) -> None:
    """Put a row of a picture over light, or add it; ``shown`` is its share of white, at most ``most``, times alpha."""
    if adds:
        for j in range(n):
            share = level * min(shown[j], most)
            light[j] += opacity * (toe * share / (_ONE - share))
        return
    seen = opacity * level
    for j in range(n):
        under = light[j] + toe
        kept = (_ONE - opacity * alpha[j]) * light[j] + seen * min(shown[j], most) * under
        light[j] = max(toe * kept / (under - kept), _ZERO)


@inline_kernel
def _span(low: f32, high: f32, first: int, last: int) -> tuple[int, int]:
    """The whole pixels between two places, within first and last."""
    a = int(np.floor(min(max(low, f32(first)), f32(last))))
    b = int(np.ceil(min(max(high, f32(first)), f32(last))))
    return a, b


@inline_kernel
def _row_span(u: f32, v: f32, step_u: f32, step_v: f32, wide: f32, tall: f32, first: int, last: int) -> tuple[int, int]:
    """The pixels of a row from ``first`` to ``last`` in which a picture is seen; u and v are those of pixel 0."""
    low, high = f32(first), f32(last)
    if step_u != _ZERO:
        a, b = (-_ONE - u) / step_u, (wide + _ONE - u) / step_u
        low, high = max(low, min(a, b)), min(high, max(a, b))
    elif u < -_ONE or u > wide + _ONE:
        return 0, 0
    if step_v != _ZERO:
        a, b = (-_ONE - v) / step_v, (tall + _ONE - v) / step_v
        low, high = max(low, min(a, b)), min(high, max(a, b))
    elif v < -_ONE or v > tall + _ONE:
        return 0, 0
    if not low < high:
        return 0, 0
    return int(np.floor(low)), min(last, int(np.ceil(high)) + 1)


@inner_kernel
def _draw_straight(
    light: F32, stride: int, plane: int, low: int, r0: int, r1: int, x0: int, x1: int, texels: F32, u: f32, v: f32,
    step_u: f32, step_v: f32, opacity: f32, level: f32, adds: int, most: f32, toe: f32, solid: int, is_wide: int,
    work: F32, places: I32,
) -> None:  # fmt: skip
    """Draw a picture that is not turned into the rows ``r0`` to ``r1`` of one plane of light, or of several.

    ``low`` is the plane's first row; u and v are the place among the texels of pixel 0 in row 0. Where each pixel of a
    row lies between texels is the same in all rows. Where the picture is ``solid`` nothing is seen of what is behind.
    """
    rows, columns = texels.shape[1], texels.shape[2]
    first, last = x0, x1
    if not is_wide:
        first, last = _row_span(u, _ZERO, step_u, _ZERO, f32(columns - 2 * FRAME), f32(rows - 2 * FRAME), x0, x1)
    n = last - first
    if n <= 0:
        return
    edge = FRAME if is_wide else 0  # texels that are not seen
    low_x, high_x, low_y, high_y = f32(edge), f32(columns - 1 - edge), f32(edge), f32(rows - 1 - edge)
    line, shares, alpha, shown = work[0], work[1], work[2], work[3]
    at_first = u + step_u * f32(first) + f32(FRAME) - _HALF
    at_last = at_first + f32(n - 1) * step_u
    for j in range(n):
        x = min(max(at_first + f32(j) * step_u, low_x), high_x)
        place = min(np.int32(x), np.int32(columns - 2))
        places[j], shares[j] = place, x - f32(place)
    left, right = int(places[0]), int(places[n - 1]) + 2
    in_a_row = step_u == _ONE and at_first >= low_x and at_last <= high_x and right - left > n
    inside = solid != 0 and opacity == _ONE
    inside &= is_wide != 0 or (at_first >= f32(FRAME) and at_last <= f32(columns - 1 - FRAME))
    for row in range(r0, r1):
        y = v + step_v * f32(row) + f32(FRAME) - _HALF
        if not is_wide and (y < _ZERO or y > f32(rows - 1)):
            continue
        hides = inside and (is_wide != 0 or (y >= f32(FRAME) and y <= f32(rows - 1 - FRAME)))
        y = min(max(y, low_y), high_y)
        upper = min(int(y), rows - 2)
        share = y - f32(upper)
        for channel in range(1 if hides else 0, texels.shape[0]):
            above, below = texels[channel, upper, left:right], texels[channel, upper + 1, left:right]
            mixed = line[left:right]
            if share == _ZERO:
                for i in range(right - left):
                    mixed[i] = above[i]
            else:
                for i in range(right - left):
                    mixed[i] = above[i] + share * (below[i] - above[i])
            out = shown if channel else alpha
            if in_a_row:
                across, here, after = shares[0], line[left : left + n], line[left + 1 : left + 1 + n]
                for j in range(n):
                    out[j] = here[j] + across * (after[j] - here[j])
            else:
                for j in range(n):
                    at = u64(places[u64(j)])
                    out[u64(j)] = line[at] + shares[u64(j)] * (line[at + u64(1)] - line[at])
            if channel == 0:
                continue
            start = (channel - 1) * plane + (row - low) * stride + first
            under = light[start : start + n]
            if hides:
                for j in range(n):
                    part = level * min(shown[j], most)
                    under[j] = toe * part / (_ONE - part)
            else:
                _blend(under, n, alpha, shown, opacity, level, adds, most, toe)


@kernel(
    "f4[::1], f4[::1], i8, i8, i8, f4[:, :, ::1], f4[:, :, ::1], f4[::1], f4[::1], f4, f4, i8, f4, f8, i8, i8, "
    "f4[:, ::1], i4[::1], u1[:, ::1]"
)
def draw_picture(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, fine: F32, half: F32, place: F32, bounds: F32,
    opacity: f32, level: f32, adds: int, most: f32, toe: Scalar, solid: int, is_wide: int, work: F32, places: I32,
    touched: U8,
) -> None:  # fmt: skip
    """Draw a picture into one band's accumulators, which hold the background where it covers.

    ``fine`` is (2, rows, columns): alpha, and luminance as a share of white times alpha; ``half`` (4, rows, columns) of
    half the size: alpha, red, green, blue; each with FRAME transparent texels around. ``place`` is (6,): texel u of
    pixel (x, y) is place[0] x + place[1] y + place[2], v the rest, without the frame. ``bounds`` (4,): left, top, right
    and bottom, in pixels. ``level`` (0–1) is a factor on what it shows. ``most`` is the largest share of white, under 1,
    which would be infinite light. ``toe`` is as in ``cover.cover_band``. ``solid`` says that alpha is 1 everywhere,
    ``is_wide`` that a picture's edges, which is not turned, are as its outermost texels, without the frame. ``work`` is scratch, (6, as wide as the band and the picture), ``places`` (band,).
    """
    toe = max(f32(toe), f32(1e-6))
    x0, x1 = _span(bounds[0], bounds[2], 0, width)
    y0, y1 = _span(bounds[1], bounds[3], top, bottom)
    if x0 >= x1 or y0 >= y1:
        return
    line, shares, alpha, shown = work[0], work[1], work[2], work[3]
    plane, stride, half_stride = colour.size // 3, width + PAD, (width >> 1) + PAD
    covering = 0 if adds else solid
    # The rows of colours whose upper one of two rows of pixels is in the band.
    first_row, last_row = max(y0 >> 1, (top + 1) >> 1), min((y1 + 1) >> 1, (bottom + 1) >> 1)
    if place[1] == _ZERO and place[3] == _ZERO and place[0] > _ZERO:
        u, v = place[0] * _HALF + place[2], place[4] * _HALF + place[5]
        _draw_straight(
            luminance, stride, 0, top, y0, y1, x0, x1, fine, u, v, place[0], place[4], opacity, level, adds, most, toe,
            covering, is_wide, work, places,
        )  # fmt: skip
        v = _HALF * (place[4] + place[5])
        _draw_straight(
            colour, half_stride, plane, top >> 1, first_row, last_row, x0 >> 1, min((x1 + 1) >> 1, width >> 1), half,
            _HALF * u, v, place[0], place[4], opacity, level, adds, most, toe, covering, is_wide, work, places,
        )  # fmt: skip
        touch(touched, y0 - top, y1 - top, x0, x1)
        return
    wide, tall = f32(fine.shape[2] - 2 * FRAME), f32(fine.shape[1] - 2 * FRAME)
    for row in range(y0, y1):
        y = f32(row) + _HALF
        u, v = place[0] * _HALF + place[1] * y + place[2], place[3] * _HALF + place[4] * y + place[5]
        first, last = _row_span(u, v, place[0], place[3], wide, tall, x0, x1)
        n = last - first
        if n <= 0:
            continue
        u, v = u + place[0] * f32(first) + f32(FRAME), v + place[3] * f32(first) + f32(FRAME)
        _sample(fine[0], alpha, n, u, v, place[0], place[3], line, places, shares)
        _sample(fine[1], shown, n, u, v, place[0], place[3], line, places, shares)
        at = (row - top) * stride + first
        _blend(luminance[at : at + n], n, alpha, shown, opacity, level, adds, most, toe)
    step_u, step_v = place[0], place[3]  # of cells, whose texels are as much larger
    for row in range(first_row, last_row):
        y = f32(2 * row + 1)
        u, v = place[0] * _HALF + place[1] * y + place[2], place[3] * _HALF + place[4] * y + place[5]
        first, last = _row_span(
            _HALF * u, _HALF * v, step_u, step_v, _HALF * wide, _HALF * tall, x0 >> 1, (x1 + 1) >> 1
        )
        last = min(last, width >> 1)
        n = last - first
        if n <= 0:
            continue
        u, v = _HALF * u + step_u * f32(first) + f32(FRAME), _HALF * v + step_v * f32(first) + f32(FRAME)
        _sample(half[0], alpha, n, u, v, step_u, step_v, line, places, shares)
        for channel in range(3):
            _sample(half[channel + 1], shown, n, u, v, step_u, step_v, line, places, shares)
            at = channel * plane + (row - (top >> 1)) * half_stride + first
            _blend(colour[at : at + n], n, alpha, shown, opacity, level, adds, most, toe)
    touch(touched, y0 - top, y1 - top, x0, x1)


@kernel(
    "f4[::1], f4[::1], i8, i8, i8, f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], f4[:, ::1], f4, f4, i8, f4, f8, "
    "f4[:, ::1], i4[::1], u1[:, ::1]"
)
def draw_mask(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, fine: F32, half: F32, place: F32, bounds: F32,
    colours: F32, split: f32, opacity: f32, adds: int, most: f32, toe: Scalar, work: F32, places: I32, touched: U8,
) -> None:  # fmt: skip
    """Draw a mask in one colour, or two: as :func:`draw_picture`, with planes (rows, columns) of alpha alone.

    ``colours`` is (2, 4): luminance, red, green and blue as shares of white, left of texel ``split`` and right of it.
    """
    toe = max(f32(toe), f32(1e-6))
    x0, x1 = _span(bounds[0], bounds[2], 0, width)
    y0, y1 = _span(bounds[1], bounds[3], top, bottom)
    if x0 >= x1 or y0 >= y1:
        return
    line, shares, alpha, shown, lit = work[0], work[1], work[2], work[3], work[4]
    plane = colour.size // 3
    wide, tall = f32(fine.shape[1] - 2 * FRAME), f32(fine.shape[0] - 2 * FRAME)
    for row in range(y0, y1):
        y = f32(row) + _HALF
        u, v = place[0] * _HALF + place[1] * y + place[2], place[3] * _HALF + place[4] * y + place[5]
        first, last = _row_span(u, v, place[0], place[3], wide, tall, x0, x1)
        n = last - first
        if n <= 0:
            continue
        u, v = u + place[0] * f32(first), v + place[3] * f32(first)
        _sample(fine, alpha, n, u + f32(FRAME), v + f32(FRAME), place[0], place[3], line, places, shares)
        for j in range(n):
            lit[j] = min(max(split - (u + f32(j) * place[0]) + _HALF, _ZERO), _ONE)
        before, more = colours[1, 0], colours[0, 0] - colours[1, 0]
        for j in range(n):
            shown[j] = alpha[j] * (before + lit[j] * more)
        at = (row - top) * (width + PAD) + first
        _blend(luminance[at : at + n], n, alpha, shown, opacity, _ONE, adds, most, toe)
    step_u, step_v = place[0], place[3]
    for row in range(y0 >> 1, (y1 + 1) >> 1):
        if 2 * row < top or 2 * row >= bottom:
            continue
        y = f32(2 * row + 1)
        u, v = place[0] * _HALF + place[1] * y + place[2], place[3] * _HALF + place[4] * y + place[5]
        first, last = _row_span(
            _HALF * u, _HALF * v, step_u, step_v, _HALF * wide, _HALF * tall, x0 >> 1, (x1 + 1) >> 1
        )
        last = min(last, width >> 1)
        n = last - first
        if n <= 0:
            continue
        u, v = _HALF * u + step_u * f32(first), _HALF * v + step_v * f32(first)
        _sample(half, alpha, n, u + f32(FRAME), v + f32(FRAME), step_u, step_v, line, places, shares)
        for j in range(n):
            lit[j] = min(max(_HALF * split - (u + f32(j) * step_u) + _HALF, _ZERO), _ONE)
        for channel in range(3):
            before, more = colours[1, channel + 1], colours[0, channel + 1] - colours[1, channel + 1]
            for j in range(n):
                shown[j] = alpha[j] * (before + lit[j] * more)
            at = channel * plane + (row - (top >> 1)) * ((width >> 1) + PAD) + first
            _blend(colour[at : at + n], n, alpha, shown, opacity, _ONE, adds, most, toe)
    touch(touched, y0 - top, y1 - top, x0, x1)


@inner_kernel
def _box(
    light: F32, at: int, stride: int, x0: int, rows: int, n: int, y0: f32, cx: f32, cy: f32, wide: f32, tall: f32,
    c: f32, s: f32, corner: f32, stroke: f32, soft: f32, amount: f32, opacity: f32, adds: int, toe: f32,
) -> None:  # fmt: skip
    """Draw one box into one plane: the distance to a rounded box (Inigo Quilez, "2D distance functions") as alpha."""
    per, above = _ONE / soft, amount + toe
    dx0 = f32(x0) + _HALF - cx
    for row in range(rows):
        dy = y0 + f32(row) + _HALF - cy
        out = light[at + row * stride : at + row * stride + n]
        for j in range(n):
            dx = dx0 + f32(j)
            along, across = abs(c * dx + s * dy) - wide, abs(c * dy - s * dx) - tall
            outer_x, outer_y = max(along, _ZERO), max(across, _ZERO)
            distance = np.sqrt(outer_x * outer_x + outer_y * outer_y) + min(max(along, across), _ZERO) - corner
            inside = max(distance, -stroke - distance)
            share = opacity * min(max(_HALF - inside * per, _ZERO), _ONE)
            if adds:
                out[j] += share * amount
            else:
                out[j] = over(out[j], share, above, toe)


@kernel("f4[::1], f4[::1], i8, i8, i8, f4[:, ::1], f4, i8, f4, f8, f4, u1[:, ::1]")
def draw_boxes(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, boxes: F32, opacity: f32, adds: int, most: f32,
    toe: Scalar, light: f32, touched: U8,
) -> None:  # fmt: skip
    """Draw rounded boxes into one band's accumulators, in order, as :func:`draw_picture` does.

    ``boxes`` is (12, n): the middle, x and y; half its width and height; cosine and sine of its turn, clockwise; the
    radius of its corners; the width of its rim, 0 for one that is filled, all in pixels; its colour, linear light,
    which ``light`` dims; and its alpha.
    """
    toe = max(f32(toe), f32(1e-6))
    plane, brightest = colour.size // 3, TOE * most / (_ONE - most)
    for i in range(boxes.shape[1]):
        cx, cy, wide, tall, c, s = boxes[0, i], boxes[1, i], boxes[2, i], boxes[3, i], boxes[4, i], boxes[5, i]
        corner = min(boxes[6, i], wide, tall)
        red, green, blue = min(boxes[8, i], brightest), min(boxes[9, i], brightest), min(boxes[10, i], brightest)
        red, green, blue, alpha = light * red, light * green, light * blue, opacity * boxes[11, i]
        stroke = boxes[7, i] if boxes[7, i] > _ZERO else _FARTHEST
        reach_x, reach_y = abs(c) * wide + abs(s) * tall + _ONE, abs(s) * wide + abs(c) * tall + _ONE
        if not (abs(cx) < _FARTHEST and abs(cy) < _FARTHEST and alpha > _ZERO):
            continue
        x0, x1 = _span(cx - reach_x, cx + reach_x, 0, width)
        y0, y1 = _span(cy - reach_y, cy + reach_y, top, bottom)
        if x0 >= x1 or y0 >= y1:
            continue
        amount = KR * red + KG * green + KB * blue
        at = (y0 - top) * (width + PAD) + x0
        _box(
            luminance, at, width + PAD, x0, y1 - y0, x1 - x0, f32(y0), cx, cy, wide - corner, tall - corner, c, s,
            corner, stroke, _ONE, amount, alpha, adds, toe,
        )  # fmt: skip
        # Colour, at half the size: edges are as soft in its pixels as in the picture's.
        first, last = x0 >> 1, min((x1 + 1) >> 1, width >> 1)
        upper, lower = y0 >> 1, min((y1 + 1) >> 1, bottom >> 1)
        for channel in range(3):
            at = channel * plane + (upper - (top >> 1)) * ((width >> 1) + PAD) + first
            amount = red if channel == 0 else (green if channel == 1 else blue)
            _box(
                colour, at, (width >> 1) + PAD, first, lower - upper, last - first, f32(upper),
                cx * _HALF + _QUARTER, cy * _HALF, _HALF * (wide - corner), _HALF * (tall - corner), c, s,
                _HALF * corner, _HALF * stroke, _ONE, amount, alpha, adds, toe,
            )  # fmt: skip
        touch(touched, y0 - top, y1 - top, x0, x1)
