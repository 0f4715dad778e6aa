"""Accumulated light into the planes of a picture: background, filmic curve, BT.709 matrix, dither, 4:2:0.

The curve is the rational one of Jim Hejl and Richard Burgess-Dawson ("Filmic Tonemapping Operators", GDC 2010)
without its toe: it maps linear light in [0, inf) to display-encoded values in [0, 1) with one division, so that eight
pixels cost little more than one. It is applied to each channel: the light was mixed between channels when the sprites
were coloured (see ``raster.colour``), which is what lets a bright core go white without clipping its hue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.kernels.jit import inline_kernel, kernel
from ecs_core.kernels.raster import BLOCK_SHIFT, draw_band

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

f32 = np.float32

_A, _B, _C, _D = f32(6.2), f32(0.5), f32(1.7), f32(0.06)
# ITU-R BT.709: luma weights, and the scale of the colour differences, limited range, averaged over 2 × 2 pixels.
_KR, _KG, _KB = f32(0.2126), f32(0.7152), f32(0.0722)
_Y0, _YS, _C0 = f32(16.0), f32(219.0), f32(128.0)
_CB, _CR = f32(224.0 / 1.8556 / 4.0), f32(224.0 / 1.5748 / 4.0)


@inline_kernel
def filmic(x: float) -> float:
    """Linear light to a display-encoded value (formula and source in the module's docstring)."""
    return (x * (_A * x + _B)) / (x * (_A * x + _C) + _D)


@kernel
def _develop(
    light: F32, stride: int, rows: int, top: int, left: int, right: int, base: F32, glow: F32, gx: F32, gy: F32,
    luma_dither: F32, chroma_dither: F32, differences: F32, luma: U8, cb: U8, cr: U8,
) -> None:
    """Turn columns ``left:right`` of a band into Y, Cb and Cr, and clear their accumulators for the next frame."""
    plane = light.size // 3
    n = right - left
    column = gx[left:right]
    base_r, base_g, base_b = base[0], base[1], base[2]
    for pair in range(0, rows, 2):
        for half in range(2):
            row = pair + half
            start = row * stride + left
            red = light[start : start + n]
            green = light[start + plane : start + plane + n]
            blue = light[start + 2 * plane : start + 2 * plane + n]
            out = luma[top + row, left:right]
            dither = luma_dither[row, left:right]
            blue_difference = differences[2 * half, :n]
            red_difference = differences[2 * half + 1, :n]
            level = gy[top + row]
            glow_r, glow_g, glow_b = level * glow[0], level * glow[1], level * glow[2]
            for i in range(n):
                r = filmic(red[i] + (base_r + glow_r * column[i]))
                g = filmic(green[i] + (base_g + glow_g * column[i]))
                b = filmic(blue[i] + (base_b + glow_b * column[i]))
                red[i] = f32(0.0)
                green[i] = f32(0.0)
                blue[i] = f32(0.0)
                y = _KR * r + _KG * g + _KB * b
                blue_difference[i] = b - y
                red_difference[i] = r - y
                out[i] = np.uint8(np.int32(_Y0 + _YS * y + dither[i]))
        out_cb = cb[(top + pair) >> 1, left >> 1 : right >> 1]
        out_cr = cr[(top + pair) >> 1, left >> 1 : right >> 1]
        dither_c = chroma_dither[pair >> 1, left >> 1 : right >> 1]
        upper_b, upper_r, lower_b, lower_r = differences[0], differences[1], differences[2], differences[3]
        for i in range(n >> 1):
            sum_b = (upper_b[2 * i] + upper_b[2 * i + 1]) + (lower_b[2 * i] + lower_b[2 * i + 1])
            sum_r = (upper_r[2 * i] + upper_r[2 * i + 1]) + (lower_r[2 * i] + lower_r[2 * i + 1])
            out_cb[i] = np.uint8(np.int32(_C0 + sum_b * _CB + dither_c[i]))
            out_cr[i] = np.uint8(np.int32(_C0 + sum_r * _CR + dither_c[i]))


@kernel
def paint(
    light: F32, stride: int, band_rows: int, width: int, height: int, starts: I64, sprites: I64,
    cx: F32, cy: F32, reach: F32, disc: U8, r: F32, g: F32, b: F32, wx: F32, wy: F32, touched: U8, before: U8,
    base: F32, glow: F32, gx: F32, gy: F32, luma_dither: F32, chroma_dither: F32, differences: F32,
    luma: U8, cb: U8, cr: U8,
) -> None:
    """Draw and develop a whole frame, band by band, leaving alone what no sprite touches now or touched before.

    ``before`` is (bands, blocks): the blocks that differ from the bare background in the planes as they stand; it is
    updated. ``touched`` is scratch of the same shape. ``luma`` is (height, >= width) uint8, ``cb`` and ``cr`` half that.
    """
    blocks = touched.shape[1]
    for band in range(starts.size - 1):
        top = band * band_rows
        bottom = min(height, top + band_rows)
        now = touched[band]
        now[:] = 0
        listed = sprites[starts[band] : starts[band + 1]]
        draw_band(light, stride, top, bottom, width, listed, cx, cy, reach, disc, r, g, b, wx, wy, now)
        block = 0
        while block < blocks:
            if not (now[block] | before[band, block]):
                block += 1
                continue
            first = block
            while block < blocks and (now[block] | before[band, block]):
                block += 1
            left, right = first << BLOCK_SHIFT, min(width, block << BLOCK_SHIFT)
            _develop(
                light, stride, bottom - top, top, left, right, base, glow, gx, gy,
                luma_dither, chroma_dither, differences, luma, cb, cr,
            )
        before[band, :] = now
