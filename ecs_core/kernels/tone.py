"""Accumulated light into the planes of a picture: background, filmic curve, BT.709 matrix, dither.

The curve is the rational one of Jim Hejl and Richard Burgess-Dawson ("Filmic Tonemapping Operators", GDC 2010)
without its toe: it maps linear light in [0, inf) to display-encoded values in [0, 1) with one division, so that eight
pixels cost little more than one. It is applied to red, green and blue; the light was mixed between channels when the
sprites were coloured (see ``raster.colour``), which is what lets a bright core go white without clipping its hue.

Colour is known for every 2 × 2 pixels, luminance L for every pixel. The luma of a pixel is curve(L) × k, where k is the
luma of the developed colour divided by curve(its luminance). k depends on hue: 1 for greys, 0.2 for pure blue. It never
exceeds 1, because the curve is concave, so luma stays in its range.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, U8
from ecs_core.kernels import curve
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import BLOCK_SHIFT, PAD, STRIP_SHIFT

f32 = np.float32

_A, _B, _C, _D = curve.A, curve.B, curve.C, curve.D
_Y0, _YS, _C0 = f32(16.0), f32(219.0), f32(128.0)
# Scale of the colour differences of ITU-R BT.709, limited range.
_CB, _CR = f32(224.0 / 1.8556), f32(224.0 / 1.5748)
_LEAST = f32(1e-7)  # prevents 0 / 0 where there is no light


@inline_kernel
def filmic(x: f32) -> f32:
    """Linear light to a display-encoded value (formula and source in the module's docstring)."""
    return (x * (_A * x + _B)) / (x * (_A * x + _C) + _D)


@inner_kernel
def _develop(
    luminance: F32,
    colour: F32,
    rows: int,
    first: int,
    top: int,
    left: int,
    right: int,
    width: int,
    base: F32,
    glow: F32,
    gx: F32,
    gy: F32,
    luma_dither: F32,
    chroma_dither: F32,
    tint: F32,
    luma: U8,
    cb: U8,
    cr: U8,
) -> None:
    """Turn ``rows`` rows from the band's row ``first`` into Y, Cb and Cr, and clear their light for the next frame.

    ``gx`` is (2, width): the curve at each pixel, and at each pair; ``tint`` is scratch of the same shape for k.
    """
    stride, half_stride = width + PAD, (width >> 1) + PAD
    plane = colour.size // 3
    n, half = right - left, (right - left) >> 1
    column = gx[0, left:right]
    base_r, base_g, base_b = base[0], base[1], base[2]
    base_l = KR * base_r + KG * base_g + KB * base_b
    glow_l = KR * glow[0] + KG * glow[1] + KB * glow[2]
    k, narrow = tint[0, :n], tint[1, :half]
    half_column = gx[1, left >> 1 : right >> 1]
    for row in range(first, first + rows, 2):
        at = (row >> 1) * half_stride + (left >> 1)
        red, green = colour[at : at + half], colour[at + plane : at + plane + half]
        blue = colour[at + 2 * plane : at + 2 * plane + half]
        out_cb = cb[(top + row) >> 1, left >> 1 : right >> 1]
        out_cr = cr[(top + row) >> 1, left >> 1 : right >> 1]
        dither_c = chroma_dither[row >> 1, left >> 1 : right >> 1]
        level = gy[top + row]
        glow_r, glow_g, glow_b = level * glow[0], level * glow[1], level * glow[2]
        for i in range(half):
            shade = half_column[i]
            linear_r = red[i] + (base_r + glow_r * shade)
            linear_g = green[i] + (base_g + glow_g * shade)
            linear_b = blue[i] + (base_b + glow_b * shade)
            red[i] = f32(0.0)
            green[i] = f32(0.0)
            blue[i] = f32(0.0)
            r, g, b = filmic(linear_r), filmic(linear_g), filmic(linear_b)
            y = KR * r + KG * g + KB * b
            x = KR * linear_r + KG * linear_g + KB * linear_b + _LEAST
            narrow[i] = (y * (x * (_A * x + _C) + _D)) / (x * (_A * x + _B))
            out_cb[i] = np.uint8(np.int32(_C0 + (b - y) * _CB + dither_c[i]))
            out_cr[i] = np.uint8(np.int32(_C0 + (r - y) * _CR + dither_c[i]))
        for i in range(half):  # a separate loop: within the one above, it would keep LLVM from vectorising
            k[2 * i] = narrow[i]
            k[2 * i + 1] = narrow[i]
        for upper in range(2):
            here = row + upper
            at = here * stride + left
            light = luminance[at : at + n]
            out = luma[top + here, left:right]
            dither = luma_dither[here, left:right]
            glow_here = gy[top + here] * glow_l
            for i in range(n):
                x = light[i] + (base_l + glow_here * column[i])
                light[i] = f32(0.0)
                out[i] = np.uint8(np.int32(_Y0 + _YS * (filmic(x) * k[i]) + dither[i]))


@kernel(
    "f4[::1], f4[::1], i8, i8, i8, u1[:, ::1], u1[:, ::1], f4[::1], f4[::1], f4[:, ::1], f4[::1], f4[:, ::1], "
    "f4[:, ::1], f4[:, ::1], u1[:, ::1], u1[:, ::1], u1[:, ::1]"
)
def develop_band(
    luminance: F32,
    colour: F32,
    top: int,
    bottom: int,
    width: int,
    touched: U8,
    before: U8,
    base: F32,
    glow: F32,
    gx: F32,
    gy: F32,
    luma_dither: F32,
    chroma_dither: F32,
    tint: F32,
    luma: U8,
    cb: U8,
    cr: U8,
) -> None:
    """Develop a band where a sprite touches it now or touched it before, and leave the rest alone.

    ``touched`` and ``before`` are (strips, blocks); ``before`` holds the blocks where the planes differ from the bare
    background, and is updated. ``luma`` is (height, >= width) uint8, ``cb`` and ``cr`` half.
    """
    strips, blocks = touched.shape
    strip_rows = 1 << STRIP_SHIFT
    for strip in range(strips):
        first = strip * strip_rows
        rows = min(strip_rows, bottom - top - first)
        if rows <= 0:
            break
        block = 0
        while block < blocks:
            if not (touched[strip, block] | before[strip, block]):
                block += 1
                continue
            left = block << BLOCK_SHIFT
            while block < blocks and (touched[strip, block] | before[strip, block]):
                block += 1
            right = min(width, block << BLOCK_SHIFT)
            _develop(
                luminance, colour, rows, first, top, left, right, width, base, glow, gx, gy,
                luma_dither, chroma_dither, tint, luma, cb, cr,
            )  # fmt: skip
        for block in range(blocks):
            before[strip, block] = touched[strip, block]
            touched[strip, block] = 0
