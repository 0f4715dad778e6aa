"""Light into accumulators: binning sprites into bands and adding them, sub-pixel exact, in linear light.

A *band* is a strip of whole rows whose three float32 accumulator planes (red, green, blue) stay in the second-level
cache from the first sprite drawn to the last pixel tone-mapped. Sprites are drawn in order within each band, so every
pixel sums its contributions in draw order, whatever the band height or the number of workers.

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
BLOCK_SHIFT = 5  # touched pixels are tracked in blocks of 32 columns

f32 = np.float32
u64 = np.uint64

_1, _2, _3, _4, _5, _6, _7 = (u64(i) for i in range(1, 8))
_ZERO, _HALF, _ONE = f32(0.0), f32(0.5), f32(1.0)
# exp(-4.5 t) as the eighth power of a cubic: the window is a Gaussian cut at three sigma, lowered to end at zero.
_C1, _C3, _CUT = f32(4.5 / 8), f32(1 / 6), f32(0.011108997)


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


@kernel
def gauss_window(out: F32, groups: int, first: int, centre: float, inverse_reach: float) -> None:
    """Sample the window around ``centre`` at the pixel centres ``first + 0.5 + j`` for ``8 * groups`` pixels.

    The window is a Gaussian of sigma = reach / 3, lowered so that it ends at exactly zero. The product of two such
    windows is a round sprite, because Gaussians are separable.
    """
    for group in range(groups):
        start = u64(group) * u64(8)
        for k in range(8):
            u = (f32(first) + f32(group * 8 + k) + _HALF - centre) * inverse_reach
            x = min(u * u, _ONE) * _C1
            p = _ONE - x * (_ONE - x * (_HALF - x * _C3))
            p = p * p
            p = p * p
            p = p * p
            out[start + u64(k)] = max(p - _CUT, _ZERO)


@inline_kernel
def _add8(light: F32, at: int, window: F32, j: int, amount: float) -> None:
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


@kernel
def _add_rows(
    light: F32, plane: int, start: int, stride: int, wx: F32, wy: F32, groups: int, rows: int, r: float, g: float, b: float
) -> None:
    """Add the outer product of two windows, coloured, to the accumulators."""
    for row in range(rows):
        weight = wy[u64(row)]
        wr, wg, wb = weight * r, weight * g, weight * b
        red = u64(start + row * stride)
        green = red + u64(plane)
        blue = green + u64(plane)
        for group in range(groups):
            j = u64(group) * u64(8)
            _add8(light, red + j, wx, j, wr)
            _add8(light, green + j, wx, j, wg)
            _add8(light, blue + j, wx, j, wb)


@kernel
def _add_disc(
    light: F32, plane: int, start: int, stride: int, dx0: float, dy0: float, n: int, rows: int, radius: float, edge: float,
    r: float, g: float, b: float,
) -> None:
    """Add a disc that is evenly lit, a little brighter towards its rim, and fades out over ``edge`` pixels."""
    inverse_edge = _ONE / edge
    inverse_radius = _ONE / radius
    for row in range(rows):
        dy = dy0 + f32(row)
        red = light[start + row * stride : start + row * stride + n]
        green = light[start + plane + row * stride : start + plane + row * stride + n]
        blue = light[start + 2 * plane + row * stride : start + 2 * plane + row * stride + n]
        for j in range(n):
            dx = dx0 + f32(j)
            distance = np.sqrt(dx * dx + dy * dy)
            cover = min(max((radius - distance) * inverse_edge, _ZERO), _ONE)
            u = distance * inverse_radius
            cover = cover * cover * (f32(3.0) - cover - cover) * (f32(0.7) + f32(0.3) * u * u)
            red[j] += cover * r
            green[j] += cover * g
            blue[j] += cover * b


@kernel
def draw_band(
    light: F32, stride: int, top: int, bottom: int, width: int, sprites: I64,
    cx: F32, cy: F32, reach: F32, disc: U8, r: F32, g: F32, b: F32, wx: F32, wy: F32, touched: U8,
) -> None:
    """Add the listed sprites to one band's accumulators and mark the blocks of columns they touch.

    ``light`` holds three planes of ``rows × stride`` end to end; ``top`` and ``bottom`` are picture rows; ``cx``, ``cy``
    and ``reach`` are (n,) in pixels; ``r``, ``g``, ``b`` (n,) in linear light; ``wx`` and ``wy`` are scratch of at
    least the widest sprite plus eight; ``touched`` is (blocks,), set to 1 where light was added.
    """
    plane = light.size // 3
    for k in range(sprites.size):
        i = sprites[k]
        size = reach[i]
        x0 = max(0, int(np.floor(cx[i] - size)))
        x1 = min(width, int(np.ceil(cx[i] + size)))
        y0 = max(top, int(np.floor(cy[i] - size)))
        y1 = min(bottom, int(np.ceil(cy[i] + size)))
        if x1 <= x0 or y1 <= y0:
            continue
        start = (y0 - top) * stride + x0
        if disc[i]:
            edge = max(f32(1.5), f32(0.12) * size)
            dx0 = f32(x0) + _HALF - cx[i]
            dy0 = f32(y0) + _HALF - cy[i]
            _add_disc(light, plane, start, stride, dx0, dy0, x1 - x0, y1 - y0, size, edge, r[i], g[i], b[i])
        else:
            groups = (x1 - x0 + 7) >> 3
            inverse = _ONE / size
            gauss_window(wx, groups, x0, cx[i], inverse)
            gauss_window(wy, (y1 - y0 + 7) >> 3, y0, cy[i], inverse)
            _add_rows(light, plane, start, stride, wx, wy, groups, y1 - y0, r[i], g[i], b[i])
        for block in range(x0 >> BLOCK_SHIFT, ((x1 - 1) >> BLOCK_SHIFT) + 1):
            touched[block] = 1
