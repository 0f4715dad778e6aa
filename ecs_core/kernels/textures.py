"""Sprites drawn with a picture: turned, squeezed and sampled between its pixels, as light or covering.

A picture is a plane of alpha and one of shade × alpha, in levels of half the size each. Of these, the one is sampled
whose pixels are as large as those on the screen, or between two sizes a mix of two. Across a squeezed picture several
samples are taken for each pixel, so a sprite that turns over gets thinner and loses no more light than that.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I32, I64, U8, Scalar
from ecs_core.kernels.cover import over
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import FARTHEST, FINEST, PAD, touch

f32 = np.float32
u64 = np.uint64

_ZERO, _QUARTER, _HALF, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(1.0)
_FINER, _COARSER = f32(1.2), f32(1.45)  # pixels of a level per pixel on the screen between which two levels are mixed
_SMALL, _BLUR = f32(4.0), f32(0.45)  # half a side in pixels, and how much coarser its level is
_MOST_APART = f32(1.8)  # texels between samples across a squeezed picture
_MOST_SAMPLES = 8  # across a squeezed picture, for each pixel
FRAME = 5  # texels round each level: samples beyond the picture need no check
_CORNER = f32(FRAME - 0.5)  # where the picture begins, from the middle of the frame's first texel
_THIN = f32(1e-6)
_SOFT = f32(2.0)  # pixels that the smallest detail of a soft picture is wide, which is drawn at half size
_THREE_QUARTERS, _EIGHTH = f32(0.75), f32(0.125)


@inline_kernel
def _level(per_pixel: f32, side: int) -> tuple[int, int, f32, f32]:
    """Where the level begins whose texels are as large as pixels, its side, texels per pixel, and how much of the next
    level there is in the mix.
    """
    first = 0
    while per_pixel >= _COARSER and side > 2:
        first += (side + 2 * FRAME) * (side + 2 * FRAME)
        side >>= 1
        per_pixel *= _HALF
    mix = max((per_pixel - _FINER) / (_COARSER - _FINER), _ZERO)
    return first, side, per_pixel, mix if mix < _ONE and side > 1 else _ZERO


@inline_kernel
def _texel(texels: F32, first: int, side: int, x: f32, y: f32) -> tuple[f32, f32]:
    """Alpha and shade × alpha at a place of a level, in texels from the frame's corner, inside of the frame."""
    i, k = np.int32(x), np.int32(y)
    a, b = x - f32(i), y - f32(k)
    upper = u64(2) * (u64(first) + u64(k) * u64(side + 2 * FRAME) + u64(i))
    lower = upper + u64(2) * u64(side + 2 * FRAME)
    p, q = texels[upper], texels[upper + u64(1)]
    r, s = texels[lower], texels[lower + u64(1)]
    p, q = p + a * (texels[upper + u64(2)] - p), q + a * (texels[upper + u64(3)] - q)
    r, s = r + a * (texels[lower + u64(2)] - r), s + a * (texels[lower + u64(3)] - s)
    return p + b * (r - p), q + b * (s - q)


@inner_kernel
def _row(
    there: F32, shade: F32, places: I32, n: int, texels: F32, first: int, side: int, mix: f32, samples: int,
    spread: f32, u: f32, v: f32, step_u: f32, step_v: f32,
) -> None:  # fmt: skip
    """Alpha and shade × alpha of ``n`` pixels of a row: ``u`` and ``v`` are -1–1 across the picture and down, and
    ``spread`` is a pixel's width in ``u``. ``places`` is scratch.
    """
    half = _HALF * f32(side)
    x0, y0, step_x, step_y = (u * half + half) + _CORNER, (v * half + half) + _CORNER, step_u * half, step_v * half
    if samples == 1 and mix <= _ZERO:
        # As _texel, in two steps: LLVM vectorises the first one.
        stride = side + 2 * FRAME
        for j in range(n):
            x, y = x0 + f32(j) * step_x, y0 + f32(j) * step_y
            column, line = np.int32(x), np.int32(y)
            there[j], shade[j] = x - f32(column), y - f32(line)
            places[j] = np.int32(first) + line * np.int32(stride) + column
        for j in range(n):
            a, b = there[u64(j)], shade[u64(j)]
            upper = u64(2) * u64(places[u64(j)])
            lower = upper + u64(2) * u64(stride)
            p, q = texels[upper], texels[upper + u64(1)]
            r, s = texels[upper + u64(2)], texels[upper + u64(3)]
            p, q = p + b * (texels[lower] - p), q + b * (texels[lower + u64(1)] - q)
            r, s = r + b * (texels[lower + u64(2)] - r), s + b * (texels[lower + u64(3)] - s)
            there[u64(j)], shade[u64(j)] = p + a * (r - p), q + a * (s - q)
        return
    step = spread * half / f32(samples)
    begin = -_HALF * f32(samples - 1) * step
    coarse, coarse_first = side >> 1, first + (side + 2 * FRAME) * (side + 2 * FRAME)
    last = f32(side + 2 * FRAME - 2)
    share, rest = mix / f32(samples), (_ONE - mix) / f32(samples)
    for j in range(n):
        x, y = x0 + f32(j) * step_x + begin, y0 + f32(j) * step_y
        alpha, shaded = _ZERO, _ZERO
        for k in range(samples):
            at = min(max(x + f32(k) * step, _ONE), last)  # the outermost samples may be beyond the frame
            p, q = _texel(texels, first, side, at, y)
            alpha, shaded = alpha + rest * p, shaded + rest * q
            if mix > _ZERO:
                p, q = _texel(texels, coarse_first, coarse, (at + _CORNER) * _HALF, (y + _CORNER) * _HALF)
                alpha, shaded = alpha + share * p, shaded + share * q
        there[j], shade[j] = alpha, shaded


@inner_kernel
def _draw(
    light: F32, plane: int, channels: int, low: int, high: int, columns: int, cx: f32, cy: f32, wide: f32, tall: f32,
    c: f32, s: f32, wide_at: f32, tall_at: f32, texels: F32, side: int, red: f32, green: f32, blue: f32, cover: f32,
    toe: f32, shade: F32, there: F32, places: I32, soft: F32,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Draw one sprite into planes of which rows ``low … high - 1`` are here; returns rows and columns that it touches.

    ``wide`` is negative where the picture is mirrored; ``wide_at`` and ``tall_at`` are the shares of it within which
    there is anything. Without ``channels`` nothing is drawn: ``soft`` (2 × rows, columns) gets the alpha of each row
    that it touches, and then the shade × alpha, in the columns that it touches; one more than there are on either side.
    """
    stride, edge = columns + PAD, 0 if channels else 1
    width = abs(wide)
    # The smaller a sprite, the fewer samples even each other out: a small one is taken from a coarser level.
    small = min(_SMALL / tall, _ONE)
    per_pixel = f32(side) * _HALF / tall
    first, side, per_pixel, mix = _level(per_pixel + _BLUR * small * small * per_pixel, side)
    # Along the picture's width there are more texels to a pixel, the more it is squeezed.
    samples = max(1, min(_MOST_SAMPLES, int(np.ceil(per_pixel * tall / (width * _MOST_APART)))))
    spread = _ONE / wide if samples > 1 else _ZERO
    fringe = f32(2.0) / f32(side)
    along, down = width * (wide_at + fringe) + (_HALF if samples > 1 else _ZERO), tall * (tall_at + fringe)
    reach_x, reach_y = abs(c) * along + abs(s) * down, abs(s) * along + abs(c) * down
    if not (abs(cx) + abs(cy) + along + down < FARTHEST):
        return high, low, columns, 0
    top, bottom = max(low, int(np.floor(cy - reach_y))), min(high, int(np.ceil(cy + reach_y)))
    left, right = columns, 0
    widest0, widest1 = max(-edge, int(np.floor(cx - reach_x))), min(columns + edge, int(np.ceil(cx + reach_x)))
    for row in range(top, bottom):
        py = f32(row) + _HALF - cy
        a, b = -reach_x, reach_x
        # |c x + s py| <= along and |c py - s x| <= down
        if abs(c) > f32(1e-4):
            a, b = max(a, -along / abs(c) - s * py / c), min(b, along / abs(c) - s * py / c)
        if abs(s) > f32(1e-4):
            a, b = max(a, -down / abs(s) + c * py / s), min(b, down / abs(s) + c * py / s)
        begin, end = max(-edge, int(np.floor(cx + a))), min(columns + edge, int(np.ceil(cx + b)))
        n = end - begin
        if n > 0:
            left, right = min(left, begin), max(right, end)
            px = f32(begin) + _HALF - cx
            u, v = (c * px + s * py) / wide, (c * py - s * px) / tall
            _row(there, shade, places, n, texels, first, side, mix, samples, spread, u, v, c / wide, -s / tall)
        if not channels:
            for which in range(2):
                kept, sampled = soft[2 * (row - low) + which], shade if which else there
                kept[widest0 + 1 : widest1 + 1] = _ZERO
                here = kept[begin + 1 : begin + 1 + max(n, 0)]
                for j in range(n):
                    here[j] = sampled[j]
            continue
        if n <= 0:
            continue
        _paint(light, (row - low) * stride + begin, plane, channels, n, there, shade, red, green, blue, cover, toe)
    if not channels:
        return top, bottom, widest0, widest1
    return top, bottom, left, right


@inner_kernel
def _paint(
    light: F32, at: int, plane: int, channels: int, n: int, there: F32, shade: F32, red: f32, green: f32, blue: f32,
    cover: f32, toe: f32,
) -> None:  # fmt: skip
    """Add ``n`` pixels of a row, or cover by them; ``shade`` × alpha is changed."""
    if cover > _ZERO:
        for j in range(n):
            shade[j] = shade[j] / max(there[j], _THIN)
    for channel in range(channels):
        amount = red if channel == 0 else green if channel == 1 else blue
        out = light[at + channel * plane : at + channel * plane + n]
        if cover > _ZERO:
            for j in range(n):
                out[j] = over(out[j], cover * there[j], amount * shade[j] + toe, toe)
        else:
            for j in range(n):
                out[j] += amount * shade[j]


@inner_kernel
def _paint_soft(
    luminance: F32, colour: F32, low: int, high: int, columns: int, first: int, last: int, left: int, right: int,
    red: f32, green: f32, blue: f32, cover: f32, toe: f32, shade: F32, there: F32, soft: F32,
) -> None:  # fmt: skip
    """Draw what :func:`_draw` has put into ``soft``, of rows ``low … high - 1`` at half size and one more either side.

    As :mod:`soft`, it is interpolated: a sample lies on the left pixel of its two, and between its two rows.
    """
    stride, plane = columns + PAD, colour.size // 3
    begin, end = max(left, 0), min(right, columns)
    n = end - begin
    grey = KR * red + KG * green + KB * blue
    far, wide = soft[soft.shape[0] - 2], soft[soft.shape[0] - 1]
    for row in range(max(first - 1, low), min(last + 1, high)):
        at = row - low + 1
        for lower in range(2):
            other = row - 1 + 2 * lower
            for which in range(2):
                sampled = shade if which else there
                for j in range(n + 2):
                    far[j] = _ZERO
                # What is left and right of what is touched is nothing.
                count = right - left
                within = far[left - begin + 1 : right - begin + 1]
                if first <= row < last:
                    kept = soft[2 * at + which, left + 1 : right + 1]
                    for j in range(count):
                        within[j] = _THREE_QUARTERS * kept[j]
                if first <= other < last:
                    kept = soft[2 * (other - low + 1) + which, left + 1 : right + 1]
                    for j in range(count):
                        within[j] += _QUARTER * kept[j]
                for j in range(n):
                    a = _THREE_QUARTERS * far[j + 1] + _EIGHTH * (far[j] + far[j + 2])
                    b = _HALF * (far[j + 1] + far[j + 2])
                    wide[2 * j] = a
                    wide[2 * j + 1] = b
                for j in range(2 * n):
                    sampled[j] = wide[j]
            here = (2 * (row - low) + lower) * (2 * columns + PAD) + 2 * begin
            _paint(luminance, here, 0, 1, 2 * n, there, shade, grey, green, blue, cover, toe)
        if first <= row < last:
            for which in range(2):
                kept, sampled = soft[2 * at + which, begin + 1 : end + 1], shade if which else there
                for j in range(n):
                    sampled[j] = kept[j]
            _paint(colour, (row - low) * stride + begin, plane, 3, n, there, shade, red, green, blue, cover, toe)


@inline_kernel
def _dimmer(wide: f32, tall: f32) -> f32:
    """The share of its light that a sprite has at each pixel if it is drawn no finer than FINEST."""
    return min(abs(wide) / FINEST, _ONE) * min(tall / FINEST, _ONE)


@inline_kernel
def _no_finer(reach: f32) -> f32:
    return max(reach, FINEST) if reach >= _ZERO else min(reach, -FINEST)


def scratch(width: int, rows: int) -> tuple[I32, F32]:
    """What :func:`draw_textures` works with, in bands of so many rows."""
    return np.zeros(width + 2 * PAD, np.int32), np.zeros((2 * (rows // 2 + 2) + 2, width + 2 * PAD), np.float32)


@kernel(
    "f4[::1], f4[::1], i8, i8, i8, i8[::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], i8, f4[:, ::1], u1[:, ::1], f8, "
    "i4[::1], f4[:, ::1]"
)
def draw_textures(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, listed: I64, sprites: F32, turns: F32, atlas: F32,
    side: int, windows: F32, touched: U8, toe: Scalar, places: I32, soft: F32,
) -> None:  # fmt: skip
    """Draw the listed sprites into one band's accumulators and mark the blocks that they touch.

    As ``raster.draw_band`` and ``cover.cover_band``: those that cover need the background to be there, and ``toe``.
    ``sprites`` is (8, n); ``turns`` (7, n): the number of the picture, from 1, the cosine and sine of the angle,
    clockwise, the share that is left of the picture's width, negative where it is mirrored, the shares of its width
    and height within which there is anything, and the share of half a side that its smallest detail is wide.
    ``atlas`` is (pictures, 2 × texels): alpha and shade × alpha in turn, in levels of ``side`` pixels, half that, and
    so on to 1, end to end, each in a frame of FRAME zeros. ``places`` and ``soft`` are :func:`scratch`.
    """
    toe = max(f32(toe), _THIN)
    shade, there = windows[0], windows[1]
    for k in range(listed.size):
        i = listed[k]
        picture = int(turns[0, i]) - 1
        texels = atlas[picture]
        c, s, wide_at, tall_at = turns[1, i], turns[2, i], turns[4, i], turns[5, i]
        is_soft = turns[6, i] * sprites[2, i] * abs(turns[3, i]) >= _SOFT
        for half in range(1 if is_soft else 0, 2):
            scale = _HALF if half else _ONE
            cx, cy = sprites[0, i] * scale + (_QUARTER if half else _ZERO), sprites[1, i] * scale
            tall = sprites[2, i] * scale
            wide = tall * turns[3, i]
            dim = _dimmer(wide, tall)
            cover = dim * sprites[7, i]
            dim = _ONE if cover > _ZERO else dim  # what covers less has the same colour
            wide, tall = _no_finer(wide), max(tall, FINEST)
            red, green, blue = dim * sprites[3, i], dim * sprites[4, i], dim * sprites[5, i]
            low, high, columns = top >> half, bottom >> half, width >> half
            light, plane, channels = colour, colour.size // 3, 3
            if is_soft:
                low, high, channels = low - 1, high + 1, 0
            elif half == 0:
                light, channels = luminance, 1
                red = KR * red + KG * green + KB * blue
            first, last, left, right = _draw(
                light, plane, channels, low, high, columns, cx, cy, wide, tall, c, s, wide_at, tall_at, texels, side,
                red, green, blue, cover, toe, shade, there, places, soft,
            )  # fmt: skip
            if is_soft and right > left and last > first:
                low, high = low + 1, high - 1
                _paint_soft(
                    luminance, colour, low, high, columns, first, last, left, right, red, green, blue, cover, toe,
                    shade, there, soft,
                )  # fmt: skip
                first, last = max(first - 1, low), min(last + 1, high)
                left, right = max(left, 0), min(right, columns)
            if right > left and last > first:
                touch(touched, (first - low) << half, (last - low) << half, left << half, right << half)
