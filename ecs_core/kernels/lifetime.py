"""Which particles are dead, and the rows of a table without them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, I64, Scalar
from ecs_core.kernels.jit import kernel

f32 = np.float32


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f8, f8, b1[::1]")
def mark_dead(
    age: F32, span: F32, x: F32, y: F32, margin: F32, width: Scalar, height: Scalar, dead: NDArray[np.bool_]
) -> int:
    """Mark particles that are as old as their ``span`` or outside of the bounds; returns their number.

    ``dead`` is (n,). ``age`` and ``span`` are (n,) seconds, or empty if nothing ages; ``x`` and ``y`` are (n,) units,
    or empty without bounds, which are ``margin``, (n,), outside of the canvas of ``width × height``.
    """
    width, height = f32(width), f32(height)
    count = 0
    ages, is_bounded = age.size > 0, x.size > 0
    for i in range(dead.size):
        gone = False
        if ages:
            gone = age[i] >= span[i]
        if is_bounded:
            right, bottom = width + margin[i], height + margin[i]
            gone = gone or x[i] < -margin[i] or x[i] > right or y[i] < -margin[i] or y[i] > bottom
        dead[i] = gone
        count += gone
    return count


@kernel("f4[:, ::1], i8[::1], b1[::1]")
def compact(values: F32, birth: I64, dead: NDArray[np.bool_]) -> int:
    """Move the rows that are not ``dead``, (n,), to the front in their order; returns their number.

    ``values`` is (fields, at least n) and ``birth`` (at least n,), both changed in place.
    """
    first = 0
    while first < dead.size and not dead[first]:
        first += 1
    left = first
    for i in range(first, dead.size):
        if not dead[i]:
            birth[left] = birth[i]
            left += 1
    for field in range(values.shape[0]):
        row, to = values[field], first
        for i in range(first, dead.size):
            if not dead[i]:
                row[to] = row[i]
                to += 1
    return left
