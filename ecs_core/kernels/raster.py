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
from numpy.typing import NDArray

from ecs_core.kernels.jit import inline_kernel, kernel

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

PAD = 8  # spare columns right of the picture
BLOCK_SHIFT, STRIP_SHIFT = 5, 3  # touched pixels are tracked in blocks of 32 columns by 8 rows

f32 = np.float32
u64 = np.uint64

_1, _2, _3, _4, _5, _6, _7 = (u64(i) for i in range(1, 8))
_ZERO, _HALF, _ONE = f32(0.0), f32(0.5), f32(1.0)
# exp(-4.5 t) as the eighth power of a cubic: the window is a Gaussian cut at three sigma, lowered to end at zero.
_C1, _C3, _CUT = f32(4.5 / 8), f32(1 / 6), f32(0.011108997)
_FINEST = f32(1.5)  # no window reaches less far than this, in pixels, or it would flicker between pixels
# Luma weights of ITU-R BT.709.
KR, KG, KB = f32(0.2126), f32(0.7152), f32(0.0722)


@kernel
def bin_sprites(cy: F32, reach: F32, height: int, band_rows: int, starts: I64, sprites: I64) -> int:
    """List for each band, in draw order, the sprites that reach into it.

    ``cy`` and ``reach`` are (n,) in pixels; ``starts`` is (bands + 1,), ``sprites`` holds the lists end to end.
    Returns the number of entries; when that exceeds ``len(sprites)`` nothing was listed: enlarge it and call again.
    """
    bands = starts.size - 1
    starts[:] = 0
    for i in range(cy.size):
        if cy[i] + reach[i] <= _ZERO or cy[i] - reach[i] >= height:
            continue
        first = max(0, int(np.floor(cy[i] - reach[i])) // band_rows)
        last = min(bands - 1, int(np.ceil(cy[i] + reach[i])) // band_rows)
        for band in range(first, last + 1):
            starts[band + 1] += 1
    for band in range(bands):
        starts[band + 1] += starts[band]
    total = starts[bands]
    if total > sprites.size:
        return int(total)
    ends = starts[:bands].copy()
    for i in range(cy.size):
        if cy[i] + reach[i] <= _ZERO or cy[i] - reach[i] >= height:
            continue
        first = max(0, int(np.floor(cy[i] - reach[i])) // band_rows)
        last = min(bands - 1, int(np.ceil(cy[i] + reach[i])) // band_rows)
        for band in range(first, last + 1):
            sprites[ends[band]] = i
            ends[band] += 1
    return int(total)


@inline_kernel
def gauss_window(out: F32, groups: int, first: int, centre: f32, inverse_reach: f32) -> None:
    """Sample the window around ``centre`` at the pixel centres ``first + 0.5 + j`` for ``8 * groups`` pixels.

    The window is a Gaussian of sigma = reach / 3, lowered so that it ends at exactly zero. The product of two such
    windows is a round sprite, because Gaussians are separable.
    """
    # A sum carried from group to group: LLVM may not reorder it, so it vectorises the eight within a group instead.
    left = (f32(first) + _HALF - centre) * inverse_reach
    step = inverse_reach * f32(8.0)
    for group in range(groups):
        start = u64(group) * u64(8)
        for k in range(8):
            u = left + f32(k) * inverse_reach
            x = min(u * u, _ONE) * _C1
            p = _ONE - x * (_ONE - x * (_HALF - x * _C3))
            p = p * p
            p = p * p
            p = p * p
            out[start + u64(k)] = max(p - _CUT, _ZERO)
        left = left + step


@inline_kernel
def _add8(light: F32, at: u64, window: F32, j: u64, amount: f32) -> None:
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


@inline_kernel
def _add_glow(
    light: F32,
    start: int,
    stride: int,
    x0: int,
    y0: int,
    columns: int,
    rows: int,
    cx: f32,
    cy: f32,
    reach: f32,
    amounts: F32,
    wx: F32,
    wy: F32,
) -> None:
    """Add a round window, times ``amounts[c]`` to the c-th of the planes that make up ``light``."""
    groups = (columns + 7) >> 3
    inverse = _ONE / reach
    gauss_window(wx, groups, x0, cx, inverse)
    gauss_window(wy, (rows + 7) >> 3, y0, cy, inverse)
    plane = light.size // amounts.size
    for channel in range(amounts.size):
        amount = amounts[channel]
        for row in range(rows):
            at = u64(start + channel * plane + row * stride)
            level = amount * wy[u64(row)]
            for group in range(groups):
                j = u64(group) * u64(8)
                _add8(light, at + j, wx, j, level)


@kernel
def _add_disc(
    light: F32,
    start: int,
    stride: int,
    x0: int,
    y0: int,
    columns: int,
    rows: int,
    cx: f32,
    cy: f32,
    reach: f32,
    edge: f32,
    amounts: F32,
) -> None:
    """Add a disc that is evenly lit, a little brighter towards its rim, and fades out over ``edge`` pixels."""
    inverse_edge = _ONE / edge
    inverse_reach = _ONE / reach
    plane = light.size // amounts.size
    dx0 = f32(x0) + _HALF - cx
    for row in range(rows):
        dy = f32(y0 + row) + _HALF - cy
        for channel in range(amounts.size):
            amount = amounts[channel]
            at = start + channel * plane + row * stride
            out = light[at : at + columns]
            for j in range(columns):
                dx = dx0 + f32(j)
                distance = np.sqrt(dx * dx + dy * dy)
                cover = min(max((reach - distance) * inverse_edge, _ZERO), _ONE)
                u = distance * inverse_reach
                out[j] += amount * (cover * cover * (f32(3.0) - cover - cover) * (f32(0.7) + f32(0.3) * u * u))


@inline_kernel
def _add_sprite(
    light: F32,
    stride: int,
    top: int,
    bottom: int,
    width: int,
    cx: f32,
    cy: f32,
    reach: f32,
    disc: bool,
    scale: f32,
    amounts: F32,
    wx: F32,
    wy: F32,
) -> None:
    """Add one sprite to the rows ``top:bottom`` of one set of accumulators; ``scale`` is pixels per picture pixel."""
    x0 = max(0, int(np.floor(cx - reach)))
    x1 = min(width, int(np.ceil(cx + reach)))
    y0 = max(top, int(np.floor(cy - reach)))
    y1 = min(bottom, int(np.ceil(cy + reach)))
    if x1 <= x0 or y1 <= y0:
        return
    start = (y0 - top) * stride + x0
    if disc:
        edge = max(f32(1.5) * scale, f32(0.12) * reach)
        _add_disc(light, start, stride, x0, y0, x1 - x0, y1 - y0, cx, cy, reach, edge, amounts)
    else:
        _add_glow(light, start, stride, x0, y0, x1 - x0, y1 - y0, cx, cy, reach, amounts, wx, wy)


@kernel
def draw_band(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, listed: I64, sprites: F32, windows: F32, touched: U8
) -> None:
    """Add the listed sprites to one band's accumulators and mark the blocks that they touch.

    ``luminance`` is one plane of rows of ``width + PAD``, ``colour`` three planes, end to end, of half as many rows of
    ``width / 2 + PAD``; ``top`` and ``bottom`` are picture rows; ``sprites`` is (7, n): centre x and y, reach (pixels),
    red, green, blue (linear light), and whether it is a disc; ``windows`` is scratch of (2, widest sprite plus eight);
    ``touched`` is (strips, blocks) of ``1 << STRIP_SHIFT`` rows by ``1 << BLOCK_SHIFT`` columns, set to 1.
    """
    half_width = width >> 1
    white = np.empty(1, np.float32)
    rgb = np.empty(3, np.float32)
    wx, wy = windows[0], windows[1]
    for k in range(listed.size):
        i = listed[k]
        cx, cy, reach = sprites[0, i], sprites[1, i], sprites[2, i]
        r, g, b = sprites[3, i], sprites[4, i], sprites[5, i]
        disc = sprites[6, i] != _ZERO
        half_reach = reach * _HALF
        dim = _ONE
        if half_reach < _FINEST:  # too fine for half the pixels: as wide as they can show, with the same light
            dim = half_reach * half_reach * (_ONE / (_FINEST * _FINEST))
            half_reach = _FINEST
        # What the half-size window covers, in picture pixels, is what the sprite touches.
        x0 = max(0, int(np.floor(cx * _HALF - half_reach)) * 2)
        x1 = min(width, int(np.ceil(cx * _HALF + half_reach)) * 2)
        y0 = max(top, int(np.floor(cy * _HALF - half_reach)) * 2)
        y1 = min(bottom, int(np.ceil(cy * _HALF + half_reach)) * 2)
        if x1 <= x0 or y1 <= y0:
            continue
        white[0] = KR * r + KG * g + KB * b
        rgb[0], rgb[1], rgb[2] = dim * r, dim * g, dim * b
        _add_sprite(luminance, width + PAD, top, bottom, width, cx, cy, reach, disc, _ONE, white, wx, wy)
        _add_sprite(
            colour, half_width + PAD, top >> 1, bottom >> 1, half_width, cx * _HALF, cy * _HALF, half_reach, disc,
            _HALF, rgb, wx, wy,
        )  # fmt: skip
        for strip in range((y0 - top) >> STRIP_SHIFT, ((y1 - 1 - top) >> STRIP_SHIFT) + 1):
            for block in range(x0 >> BLOCK_SHIFT, ((x1 - 1) >> BLOCK_SHIFT) + 1):
                touched[strip, block] = 1
