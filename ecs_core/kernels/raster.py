"""Light into accumulators: binning sprites into bands and adding them, sub-pixel exact, in linear light.

A *band* is a strip of whole rows whose float32 accumulators stay in the second-level cache from the first sprite drawn
to the last pixel developed: one plane of luminance as fine as the picture, and three of red, green and blue at half
its size in both directions, as 4:2:0 video keeps colour. Sprites are drawn in order within each band, so every pixel
sums its contributions in draw order, whatever the band height or the number of workers.

Inner loops handle eight pixels at a time, loads before stores: that is what LLVM turns into one vector operation each.
The accumulators carry ``PAD`` spare columns so that the last group of eight may run over the right edge.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I32, I64, U8
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel

PAD = 8  # spare columns right of the picture
BLOCK_SHIFT, STRIP_SHIFT = 5, 3  # touched pixels are tracked in blocks of 32 columns by 8 rows

f32 = np.float32
u64 = np.uint64

_1, _2, _3, _4, _5, _6, _7, _8 = (u64(i) for i in range(1, 9))
_ZERO, _QUARTER, _HALF, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(1.0)
# exp(-4.5 t) as the eighth power of a cubic: the window is a Gaussian cut at three sigma, lowered to end at zero.
_C1, _C3, _CUT = f32(4.5 / 8), f32(1 / 6), f32(0.011108997)
CORE_REACH, SKIRT_REACH = f32(2.1), f32(6.5)  # of a glow's core and skirt, in radii
FARTHEST = f32(1e9)  # pixels: whatever is farther from a picture, or larger, would be too much for whole numbers
FINEST = f32(1.5)  # smallest reach of a window, pixels: a smaller one would flicker as it moves between pixels
RIM = f32(0.12)  # a disc fades out over this share of its radius, but over at least FINEST pixels of luminance


@inline_kernel
def _seen_area(x: f32, y: f32, reach: f32, width: int, height: int) -> float:
    """The pixels of the picture that a window covers; 0 for one that is not a number."""
    wide = min(x + reach, f32(width)) - max(x - reach, _ZERO)
    high = min(y + reach, f32(height)) - max(y - reach, _ZERO)
    return float(wide) * float(high) if wide > _ZERO and high > _ZERO else 0.0


@kernel("f4[::1], f4[::1], f4[::1], f4, f4[::1], f4[::1], f4[::1], f4[::1], u1[::1], f4[::1], i8, i8, f4[:, ::1]")
def cut_windows(
    x: F32, y: F32, radius: F32, scale: f32, red: F32, green: F32, blue: F32, skirt: F32, disc: U8,
    cover: F32, width: int, height: int, out: F32,
) -> tuple[int, float]:  # fmt: skip
    """Write each sprite's core, and its skirt if it has one, as windows into ``out``.

    Returns their number, and the pixels of a ``width × height`` picture that those of large sprites cover, one over
    another. Large ones have more than the smallest reach; ``scale`` is a factor on their radii. The arrays before
    ``out`` are those of Sprites, (n,); ``out`` is (8, 2 n): centre x and y, reach (pixels), red, green, blue, whether
    it is a disc, and how much it covers. Skirts cover nothing.
    """
    n, covered = 0, 0.0
    for i in range(x.size):
        r, dim = radius[i], _ONE
        reach = r if disc[i] else CORE_REACH * r
        large = reach > FINEST
        if large:
            r, reach = scale * r, scale * reach
            covered += _seen_area(x[i], y[i], reach, width, height)
        if reach < FINEST:  # too small: the smallest reach, with the same total light
            dim = reach * reach * (_ONE / (FINEST * FINEST))
            reach = FINEST
        out[0, n], out[1, n], out[2, n] = x[i], y[i], reach
        out[6, n], out[7, n] = f32(disc[i]), dim * cover[i]
        if cover[i] > _ZERO:  # what covers less has the same colour
            dim = _ONE
        out[3, n], out[4, n], out[5, n] = dim * red[i], dim * green[i], dim * blue[i]
        n += 1
        if not disc[i] and skirt[i] > _ZERO:
            reach = max(SKIRT_REACH * r, FINEST)
            if large:
                covered += _seen_area(x[i], y[i], reach, width, height)
            out[0, n], out[1, n], out[2, n] = x[i], y[i], reach
            out[3, n], out[4, n], out[5, n] = skirt[i] * red[i], skirt[i] * green[i], skirt[i] * blue[i]
            out[6, n], out[7, n] = _ZERO, _ZERO
            n += 1
    return n, covered


@kernel("f4[::1], f4[::1], i8, i8, i8[::1], i8[::1], i4[:, ::1]")
def list_bands(low: F32, high: F32, height: int, band_rows: int, starts: I64, listed: I64, spans: I32) -> int:
    """List, for each band and in order, what reaches into it, by the first and last place of each in y.

    ``low`` and ``high`` are (n,); ``starts`` is (bands + 1,), ``listed`` holds the lists end to end; ``spans`` is
    scratch of (2, n). Returns the number of entries; when that exceeds ``listed.size`` nothing was listed: enlarge it
    and call again.
    """
    n, bands, bottom, inverse = low.size, starts.size - 1, f32(height), _ONE / f32(band_rows)
    firsts, lasts = spans[0], spans[1]
    for band in range(bands + 1):
        starts[band] = 0
    for i in range(n):
        if not (high[i] > _ZERO and low[i] < bottom):  # what is not a number reaches into none
            firsts[i], lasts[i] = 0, -1
            continue
        first = int(max(low[i], _ZERO) * inverse)
        last = min(bands - 1, int((min(high[i], bottom) + _ONE) * inverse))
        firsts[i], lasts[i] = first, last
        for band in range(first, last + 1):
            starts[band + 1] += 1
    for band in range(bands):
        starts[band + 1] += starts[band]
    total = starts[bands]
    if total <= listed.size:
        for i in range(n):
            for band in range(firsts[i], lasts[i] + 1):
                at = starts[band]
                starts[band] = at + 1
                listed[at] = i
        for band in range(bands, 0, -1):  # each list now ends where it began
            starts[band] = starts[band - 1]
        starts[0] = 0
    return int(total)


@inline_kernel
def window(u: f32) -> f32:
    """A Gaussian of sigma 1/3, lowered so that it ends at exactly zero, at ``u`` from its middle; 0 beyond 1."""
    x = min(u * u, _ONE) * _C1
    p = _ONE - x * (_ONE - x * (_HALF - x * _C3))
    p = p * p
    p = p * p
    p = p * p
    return max(p - _CUT, _ZERO)


@inline_kernel
def gauss_window(out: F32, groups: int, first: int, centre: f32, inverse_reach: f32) -> None:
    """Sample the window around ``centre`` at the pixel centres ``first + 0.5 + j`` for ``8 * groups`` pixels.

    The product of two such windows is a round sprite, because Gaussians are separable.
    """
    # The sum is carried from group to group. LLVM may not reorder it, so it vectorises the eight within a group.
    left = (f32(first) + _HALF - centre) * inverse_reach
    step = inverse_reach * f32(8.0)
    for group in range(groups):
        start = u64(group) * u64(8)
        for k in range(8):
            out[start + u64(k)] = window(left + f32(k) * inverse_reach)
        left = left + step


@inline_kernel
def add8(light: F32, at: u64, window: F32, j: u64, amount: f32) -> None:
    """Add ``amount`` times eight values from ``window[j]`` on to the light from ``at`` on."""
    v0 = light[at] + amount * window[j]
    v1 = light[at + _1] + amount * window[j + _1]
    v2 = light[at + _2] + amount * window[j + _2]
    v3 = light[at + _3] + amount * window[j + _3]
    v4 = light[at + _4] + amount * window[j + _4]
    v5 = light[at + _5] + amount * window[j + _5]
    v6 = light[at + _6] + amount * window[j + _6]
    v7 = light[at + _7] + amount * window[j + _7]
    light[at] = v0
    light[at + _1] = v1
    light[at + _2] = v2
    light[at + _3] = v3
    light[at + _4] = v4
    light[at + _5] = v5
    light[at + _6] = v6
    light[at + _7] = v7


@inner_kernel
def add_luminance(light: F32, start: int, stride: int, groups: int, rows: int, amount: f32, wx: F32, wy: F32) -> None:
    """Add the outer product of two windows to the one plane."""
    for row in range(rows):
        at = u64(start + row * stride)
        level = amount * wy[u64(row)]
        for group in range(groups):
            j = u64(group) * _8
            add8(light, at + j, wx, j, level)


@inner_kernel
def add_colour(
    light: F32, plane: int, start: int, stride: int, groups: int, rows: int, r: f32, g: f32, b: f32, wx: F32, wy: F32
) -> None:
    """Add the outer product of two windows, coloured, to the three planes."""
    green, blue = u64(plane), u64(2 * plane)
    for row in range(rows):
        at = u64(start + row * stride)
        level = wy[u64(row)]
        for group in range(groups):
            j = u64(group) * _8
            add8(light, at + j, wx, j, level * r)
            add8(light, at + green + j, wx, j, level * g)
            add8(light, at + blue + j, wx, j, level * b)


@inline_kernel
def disc_light(edge: f32) -> f32:
    """The light of a disc that fades out over ``edge`` (0–1) of its radius, as a multiple of π reach² amount / 2.

    It is the integral of ``add_disc``'s smoothstep × (0.7 + 0.3 ρ²) × 4 ρ over ρ from 0 to 1, by parts.
    """
    return f32(1.7) - edge * (f32(2.0) - edge * (f32(0.96) - edge * (f32(0.24) - edge * f32(0.3 / 7))))


@inline_kernel
def disc_at(dx: f32, dy: f32, reach: f32, inverse_reach: f32, inverse_edge: f32) -> tuple[f32, f32]:
    """How much of a pixel a disc covers, and how bright it is there: 0.7 in its middle and 1 at its rim."""
    distance = np.sqrt(dx * dx + dy * dy)
    inside = min(max((reach - distance) * inverse_edge, _ZERO), _ONE)
    u = distance * inverse_reach
    return inside * inside * (f32(3.0) - inside - inside), f32(0.7) + f32(0.3) * u * u


@inline_kernel
def add_disc(
    light: F32, start: int, stride: int, x0: int, y0: int, columns: int, rows: int, cx: f32, cy: f32, reach: f32,
    finest: f32, amount: f32,
) -> None:  # fmt: skip
    """Add a disc that is evenly lit, a little brighter towards its rim, and fades out over ``finest`` pixels or more.

    Where that is more than the usual share of the radius, the disc is brighter, so that its light per area stays.
    """
    edge = max(finest, RIM * reach)
    amount *= disc_light(RIM) / disc_light(edge / reach)
    inverse_edge = _ONE / edge
    inverse_reach = _ONE / reach
    dx0 = f32(x0) + _HALF - cx
    for row in range(rows):
        dy = f32(y0 + row) + _HALF - cy
        at = start + row * stride
        out = light[at : at + columns]
        for j in range(columns):
            dx = dx0 + f32(j)
            share, level = disc_at(dx, dy, reach, inverse_reach, inverse_edge)
            out[j] += amount * (share * level)


@inline_kernel
def extent(centre: f32, reach: f32, low: int, high: int) -> tuple[int, int]:
    """The pixels from ``low`` up to but not including ``high`` that a window reaches: first, and one past the last."""
    if not (abs(centre) + reach < FARTHEST):  # neither is what is not a number
        return low, low
    return max(low, int(np.floor(centre - reach))), min(high, int(np.ceil(centre + reach)))


@inline_kernel
def touch(touched: U8, y0: int, y1: int, x0: int, x1: int) -> None:
    """Mark the blocks of the pixels in rows ``y0 … y1 - 1`` of the band and columns ``x0 … x1 - 1``."""
    for block in range(x0 >> BLOCK_SHIFT, ((x1 - 1) >> BLOCK_SHIFT) + 1):
        for strip in range(y0 >> STRIP_SHIFT, ((y1 - 1) >> STRIP_SHIFT) + 1):
            touched[u64(strip), u64(block)] = 1


@kernel("f4[::1], f4[::1], i8, i8, i8, i8[::1], f4[:, ::1], f4[:, ::1], u1[:, ::1]")
def draw_band(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, listed: I64, sprites: F32, windows: F32, touched: U8
) -> None:
    """Add the listed sprites to one band's accumulators and mark the blocks that they touch.

    ``luminance`` is one plane of rows of ``width + PAD``, ``colour`` three planes, end to end, of half as many rows of
    ``width / 2 + PAD``; ``top`` and ``bottom`` are picture rows; ``sprites`` is (8, n): centre x and y, reach (pixels),
    red, green, blue (linear light), whether it is a disc, and cover, which is for ``cover.cover_band``; ``windows`` is
    scratch of (2, widest sprite plus eight); ``touched`` is (strips, blocks) of ``1 << STRIP_SHIFT`` rows by
    ``1 << BLOCK_SHIFT`` columns, set to 1.
    """
    wx, wy, plane = windows[0], windows[1], colour.size // 3
    for k in range(listed.size):
        i = listed[k]
        cx, cy, reach, is_disc = sprites[0, i], sprites[1, i], sprites[2, i], sprites[6, i] != _ZERO
        red, green, blue = sprites[3, i], sprites[4, i], sprites[5, i]
        grey, dim, finest = KR * red + KG * green + KB * blue, _ONE, FINEST
        light, planes = luminance, 1
        for half in range(2):
            if half:  # colour
                light, planes, finest = colour, 3, FINEST * _HALF
                # A sample lies on the left pixel of its two, and between its two rows, as players expect.
                cx, cy, reach = cx * _HALF + _QUARTER, cy * _HALF, reach * _HALF
                if reach < FINEST:  # too small at half size: the smallest reach, with the same total light
                    dim = reach * reach * (_ONE / (FINEST * FINEST))
                    reach = FINEST
            low, columns = top >> half, width >> half
            x0, x1 = extent(cx, reach, 0, columns)
            y0, y1 = extent(cy, reach, low, bottom >> half)
            wide, rows, groups = x1 - x0, y1 - y0, (x1 - x0 + 7) >> 3
            if wide <= 0 or rows <= 0:
                continue
            stride = columns + PAD
            start = (y0 - low) * stride + x0
            if is_disc:
                amount = dim * red if half else grey
                for channel in range(planes):
                    add_disc(light, start + channel * plane, stride, x0, y0, wide, rows, cx, cy, reach, finest, amount)
                    amount = dim * (blue if channel else green)
            else:
                gauss_window(wx, groups, x0, cx, _ONE / reach)
                gauss_window(wy, (rows + 7) >> 3, y0, cy, _ONE / reach)
                if half:
                    add_colour(light, plane, start, stride, groups, rows, dim * red, dim * green, dim * blue, wx, wy)
                else:
                    add_luminance(light, start, stride, groups, rows, grey, wx, wy)
            touch(touched, (y0 - low) << half, (y1 - low) << half, x0 << half, x1 << half)
