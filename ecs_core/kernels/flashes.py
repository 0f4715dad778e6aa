"""A picture's light as cells, in which flashes are looked for: the mean red, green and blue of each, linear.

Colour is known for every 2 × 2 pixels; with it goes the luma of the upper left one, which stands for its four. In large
cells every other row of colour is looked at: the mean hardly changes, and it takes half the time.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, U8, U16
from ecs_core.kernels.jit import inline_kernel, kernel

f32 = np.float32

# BT.709, limited range: Y' = (luma - 16) / 219, R' = Y' + 1.5748 (cr - 128) / 224, and so on.
_Y0, _Y, _C0 = f32(16.0), f32(1 / 219), f32(128.0)
_R_CR, _B_CB = f32(1.5748 / 224), f32(1.8556 / 224)
_G_CB, _G_CR = f32(-0.1873242729306488 / 224), f32(-0.46812427293064884 / 224)
_FINE = 8  # rows of colour in a cell, from which on every other one is looked at
_ZERO, _ONE, _HALF, _FULL = f32(0.0), f32(1.0), f32(0.5), f32(65535.0)
# Within 0.0006 of the curve of sRGB, which WCAG's relative luminance is defined by: fitted, exact at 0 and 1.
_C1, _C2, _C3, _C4 = (f32(weight) for weight in (0.0448744, 0.5016666, 0.5990247, -0.1455657))


@inline_kernel
def _linear(shown: f32) -> f32:
    x = min(max(shown, _ZERO), _ONE)
    return x * (_C1 + x * (_C2 + x * (_C3 + x * _C4)))


@kernel("u1[:, ::1], u1[:, ::1], u1[:, ::1], i8, i8, f4[:, ::1], u2[:, :, ::1]")
def measure(luma: U8, cb: U8, cr: U8, width: int, height: int, work: F32, out: U16) -> None:
    """Write the mean light of each cell into ``out`` (3, rows, columns) uint16: red, green and blue, 65535 for 1.

    ``luma`` is (height, >= width) uint8, ``cb`` and ``cr`` half that; both sides are even. ``work`` is scratch of
    (3, width / 2). There are at most as many rows and columns of cells as of colours.
    """
    columns, rows = width >> 1, height >> 1
    down, across = out.shape[1], out.shape[2]
    red, green, blue = work[0], work[1], work[2]
    step = 2 if rows >= _FINE * down else 1
    for cell_row in range(down):
        top, bottom = cell_row * rows // down, (cell_row + 1) * rows // down
        for i in range(columns):
            red[i] = _ZERO
            green[i] = _ZERO
            blue[i] = _ZERO
        for row in range(top, bottom, step):
            light, u, v = luma[2 * row], cb[row], cr[row]
            for i in range(columns):
                y = (f32(light[2 * i]) - _Y0) * _Y
                b, r = f32(u[i]) - _C0, f32(v[i]) - _C0
                red[i] += _linear(y + _R_CR * r)
                green[i] += _linear(y + _G_CB * b + _G_CR * r)
                blue[i] += _linear(y + _B_CB * b)
        for cell in range(across):
            left, right = cell * columns // across, (cell + 1) * columns // across
            r, g, b = _ZERO, _ZERO, _ZERO
            for i in range(left, right):
                r += red[i]
                g += green[i]
                b += blue[i]
            scale = _FULL / f32(((bottom - top + step - 1) // step) * (right - left))
            out[0, cell_row, cell] = np.uint16(np.int32(r * scale + _HALF))
            out[1, cell_row, cell] = np.uint16(np.int32(g * scale + _HALF))
            out[2, cell_row, cell] = np.uint16(np.int32(b * scale + _HALF))
