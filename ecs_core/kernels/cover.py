"""Sprites that cover what is behind them, beside sprites whose light adds up, in draw order.

Where a sprite covers a share a of a pixel, what is *shown* there is (1 - a) × what was shown + a × what the sprite
shows (Porter and Duff's "over", "Compositing Digital Images", SIGGRAPH 1984), as in every drawing program. Blending
light itself would be wrong: white is many times as bright as any colour, and half of it is still white. Light x counts
as shown as x / (x + TOE), which is close to the curve of ``kernels.tone`` and needs one division to blend by.

The background has to be in the accumulators before anything is drawn.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64, U8, Scalar
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel
from ecs_core.kernels.raster import FINEST, PAD, RIM, add_disc, add_luminance, disc_at, extent, gauss_window, touch

f32 = np.float32

_ZERO, _QUARTER, _HALF, _ONE = f32(0.0), f32(0.25), f32(0.5), f32(1.0)
TOE = f32(0.19)  # light that is shown as half of white; of kernels.tone it is 0.17


@kernel("f4[::1], f4[::1], i8, i8, i8, f4[::1], f4[::1], f4[:, ::1], f4[::1]")
def fill_band(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, base: F32, glow: F32, gx: F32, gy: F32
) -> None:
    """Put the background into one band's accumulators: ``base + glow · gx · gy``, as ``tone.develop_band`` has it."""
    stride, half_stride, half_width = width + PAD, (width >> 1) + PAD, width >> 1
    plane = colour.size // 3
    base_l = KR * base[0] + KG * base[1] + KB * base[2]
    glow_l = KR * glow[0] + KG * glow[1] + KB * glow[2]
    for row in range(bottom - top):
        level = gy[top + row] * glow_l
        light = luminance[row * stride : row * stride + width]
        for i in range(width):
            light[i] = base_l + level * gx[0, i]
        if row & 1:
            continue
        at = (row >> 1) * half_stride
        for channel in range(3):
            level = gy[top + row] * glow[channel]
            light = colour[at + channel * plane : at + channel * plane + half_width]
            for i in range(half_width):
                light[i] = base[channel] + level * gx[1, i]


@inline_kernel
def over(under: f32, cover: f32, above: f32, toe: f32) -> f32:
    """The light that is seen where a share of ``under`` is covered; ``above`` is the cover's light + ``toe``."""
    light = under + toe
    return max(light * above / ((_ONE - cover) * above + cover * light) - toe, _ZERO)


@inner_kernel
def _cover_window(
    light: F32, start: int, stride: int, columns: int, rows: int, amount: f32, cover: f32, toe: f32, wx: F32, wy: F32
) -> None:
    """Cover by the outer product of two windows in one plane."""
    above = amount + toe
    for row in range(rows):
        out = light[start + row * stride : start + row * stride + columns]
        level = cover * wy[row]
        for j in range(columns):
            out[j] = over(out[j], level * wx[j], above, toe)


@inline_kernel
def _as_wide(reach: f32, edge: f32) -> f32:
    """The reach with which a disc that fades out over ``edge`` pixels hides as much as with its usual edge.

    A share e of the radius leaves 1 - e + 0.3 e² of the area: the integral of the smoothstep × 2 ρ over ρ from 0 to 1.
    """
    if RIM * reach >= edge:
        return reach
    hides = reach * reach * (_ONE - RIM + f32(0.3) * RIM * RIM)
    wide: f32 = edge + np.sqrt(max(f32(4.0) * hides - f32(0.2) * edge * edge, _ZERO))
    return _HALF * wide


@inner_kernel
def _cover_disc(
    light: F32, start: int, stride: int, x0: int, y0: int, columns: int, rows: int, cx: f32, cy: f32, reach: f32,
    finest: f32, amount: f32, cover: f32, toe: f32,
) -> None:  # fmt: skip
    """Cover by a disc in one plane; like a disc of light it fades out at its edge and is brighter towards it."""
    inverse_edge, inverse_reach = _ONE / max(finest, RIM * reach), _ONE / reach
    dx0 = f32(x0) + _HALF - cx
    for row in range(rows):
        dy = f32(y0 + row) + _HALF - cy
        at = start + row * stride
        out = light[at : at + columns]
        for j in range(columns):
            dx = dx0 + f32(j)
            share, level = disc_at(dx, dy, reach, inverse_reach, inverse_edge)
            out[j] = over(out[j], cover * share, amount * level + toe, toe)


@kernel("f4[::1], f4[::1], i8, i8, i8, i8[::1], f4[:, ::1], f4[:, ::1], u1[:, ::1], f8")
def cover_band(
    luminance: F32, colour: F32, top: int, bottom: int, width: int, listed: I64, sprites: F32, windows: F32,
    touched: U8, toe: Scalar,
) -> None:  # fmt: skip
    """As ``raster.draw_band``, on accumulators that hold the background, and with sprites that cover.

    ``toe`` is TOE times the light of the whole picture, so that fades dim what is seen and do not change it.
    """
    toe = max(f32(toe), f32(1e-6))
    wx, wy, plane = windows[0], windows[1], colour.size // 3
    for k in range(listed.size):
        i = listed[k]
        cx, cy, reach = sprites[0, i], sprites[1, i], sprites[2, i]
        red, green, blue = sprites[3, i], sprites[4, i], sprites[5, i]
        is_disc, cover, finest = sprites[6, i] != _ZERO, sprites[7, i], FINEST
        amount, dim = KR * red + KG * green + KB * blue, _ONE
        light, planes = luminance, 1
        for half in range(2):
            if half:  # colour: as in raster.draw_band
                light, planes, finest = colour, 3, FINEST * _HALF
                cx, cy, reach = cx * _HALF + _QUARTER, cy * _HALF, reach * _HALF
                if reach < FINEST:
                    dim = reach * reach * (_ONE / (FINEST * FINEST))
                    reach = FINEST
                amount = red
            low, columns = top >> half, width >> half
            seen = _as_wide(reach, finest) if is_disc and cover > _ZERO else reach
            x0, x1 = extent(cx, seen, 0, columns)
            y0, y1 = extent(cy, seen, low, bottom >> half)
            wide, rows, groups = x1 - x0, y1 - y0, (x1 - x0 + 7) >> 3
            if wide <= 0 or rows <= 0:
                continue
            stride = columns + PAD
            start = (y0 - low) * stride + x0
            if not is_disc:
                gauss_window(wx, groups, x0, cx, _ONE / reach)
                gauss_window(wy, (rows + 7) >> 3, y0, cy, _ONE / reach)
            for channel in range(planes):
                if is_disc and cover > _ZERO:
                    _cover_disc(
                        light, start, stride, x0, y0, wide, rows, cx, cy, seen, finest, amount, dim * cover, toe
                    )
                elif is_disc:
                    add_disc(light, start, stride, x0, y0, wide, rows, cx, cy, seen, finest, dim * amount)
                elif cover > _ZERO:
                    _cover_window(light, start, stride, wide, rows, amount, dim * cover, toe, wx, wy)
                else:
                    add_luminance(light, start, stride, groups, rows, dim * amount, wx, wy)
                start += plane
                amount = blue if channel else green
            touch(touched, (y0 - low) << half, (y1 - low) << half, x0 << half, x1 << half)
