"""Discs against discs on a uniform grid: count into cells, sort, look at neighbouring cells only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.kernels.jit import inline_kernel, kernel

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]

f32 = np.float32


@kernel
def sort_into_cells(x: F32, y: F32, cell: float, columns: int, rows: int, starts: I32, order: I32) -> None:
    """List the particles of each cell, in row order: ``order[starts[c]:starts[c + 1]]``; outsiders go to the edge."""
    n = x.size
    inverse = f32(1.0) / cell
    starts[:] = 0
    cells = np.empty(n, np.int32)
    for i in range(n):
        column = min(max(int(x[i] * inverse), 0), columns - 1)
        row = min(max(int(y[i] * inverse), 0), rows - 1)
        cells[i] = row * columns + column
        starts[cells[i] + 1] += 1
    for c in range(columns * rows):
        starts[c + 1] += starts[c]
    ends = starts[:-1].copy()
    for i in range(n):
        order[ends[cells[i]]] = i
        ends[cells[i]] += 1


@inline_kernel
def _bounce(i: int, j: int, x: F32, y: F32, vx: F32, vy: F32, radius: F32, restitution: float) -> int:
    dx, dy = x[j] - x[i], y[j] - y[i]
    reach = radius[i] + radius[j]
    square = dx * dx + dy * dy
    if square >= reach * reach:
        return 0
    if square > f32(0.0):
        distance = np.sqrt(square)
        nx, ny = dx / distance, dy / distance
    else:
        distance, nx, ny = f32(0.0), f32(1.0), f32(0.0)
    half = (reach - distance) * f32(0.5)
    x[i] -= nx * half
    y[i] -= ny * half
    x[j] += nx * half
    y[j] += ny * half
    closing = (vx[i] - vx[j]) * nx + (vy[i] - vy[j]) * ny
    if closing > f32(0.0):
        impulse = closing * (f32(1.0) + restitution) * f32(0.5)
        vx[i] -= impulse * nx
        vy[i] -= impulse * ny
        vx[j] += impulse * nx
        vy[j] += impulse * ny
    return 1


@kernel
def collide(
    x: F32, y: F32, vx: F32, vy: F32, radius: F32, columns: int, rows: int, starts: I32, order: I32, restitution: float
) -> int:
    """Push overlapping discs apart and let them exchange momentum; each pair once, in a fixed order. Returns the pairs.

    ``starts`` and ``order`` are from :func:`sort_into_cells` with cells at least as wide as the widest pair.
    """
    touching = 0
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            for a in range(starts[here], starts[here + 1]):
                i = order[a]
                for b in range(a + 1, starts[here + 1]):
                    touching += _bounce(i, order[b], x, y, vx, vy, radius, restitution)
                # Half of the eight neighbours; the other half sees this cell from its side.
                if column + 1 < columns:
                    for b in range(starts[here + 1], starts[here + 2]):
                        touching += _bounce(i, order[b], x, y, vx, vy, radius, restitution)
                if row + 1 < rows:
                    below = here + columns
                    first = below - 1 if column > 0 else below
                    last = below + 1 if column + 1 < columns else below
                    for b in range(starts[first], starts[last + 1]):
                        touching += _bounce(i, order[b], x, y, vx, vy, radius, restitution)
    return touching


@kernel
def count_pairs(x: F32, y: F32, reach: float, columns: int, rows: int, starts: I32, order: I32) -> int:
    """How many pairs lie closer than ``reach``, without moving any; as :func:`collide` looks for them."""
    pairs = 0
    square = reach * reach
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            for a in range(starts[here], starts[here + 1]):
                i = order[a]
                for b in range(a + 1, starts[here + 1]):
                    dx, dy = x[order[b]] - x[i], y[order[b]] - y[i]
                    pairs += dx * dx + dy * dy < square
                if column + 1 < columns:
                    for b in range(starts[here + 1], starts[here + 2]):
                        dx, dy = x[order[b]] - x[i], y[order[b]] - y[i]
                        pairs += dx * dx + dy * dy < square
                if row + 1 < rows:
                    below = here + columns
                    first = below - 1 if column > 0 else below
                    last = below + 1 if column + 1 < columns else below
                    for b in range(starts[first], starts[last + 1]):
                        dx, dy = x[order[b]] - x[i], y[order[b]] - y[i]
                        pairs += dx * dx + dy * dy < square
    return pairs
