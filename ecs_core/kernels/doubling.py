"""Twice as many rows and columns, interpolated: drafts are painted at half size."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, U8
from ecs_core.kernels.jit import kernel

f32 = np.float32
_HALF, _PER = f32(16.0), f32(1 / 32)


@kernel("u1[:, ::1], u1[:, ::1], i8, i8, i8, f4[::1]")
def double(small: U8, out: U8, rows: int, columns: int, near: int, line: F32) -> None:
    """Write a plane of ``rows × columns`` values twice as large into ``out``, interpolated linearly.

    Of two columns the left one has ``near`` eighths of the value and the rest of that to its left, the right one
    12 - ``near`` eighths and the rest of that to its right: 6 for luma, sampled in the middle of pixels, and 7 for
    chroma, which is sampled where the left pixel of two is. Outside is what the edge has. ``line`` is scratch for
    ``columns`` + 2 numbers; all are whole.
    """
    even, odd = f32(near), f32(12 - near)
    for row in range(rows):
        for lower in range(2):
            this, far = small[row], small[min(max(row - 1 + 2 * lower, 0), rows - 1)]
            to = out[2 * row + lower]
            for i in range(columns):
                line[i + 1] = f32(3.0) * f32(this[i]) + f32(far[i])
            line[0], line[columns + 1] = line[1], line[columns]
            for i in range(columns):
                here = line[i + 1]
                left, right = even * here + (f32(8.0) - even) * line[i], odd * here + (f32(8.0) - odd) * line[i + 2]
                to[2 * i] = np.uint8((left + _HALF) * _PER)
                to[2 * i + 1] = np.uint8((right + _HALF) * _PER)
