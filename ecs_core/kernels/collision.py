"""Collision of discs on a uniform grid: sort them into cells by counting, then test neighbouring cells only."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I32
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel

f32 = np.float32


@kernel("f4[::1], f4[::1], f4, i8, i8, i4[::1], i4[::1]")
def sort_into_cells(x: F32, y: F32, cell: float, columns: int, rows: int, starts: I32, order: I32) -> None:
    """List the particles of each cell, in row order: ``order[starts[c]:starts[c + 1]]``; outside ones at the edge."""
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
def _bounce(i: int, first: int, last: int, discs: F32, restitution: float) -> int:
    """Let disc ``i`` bounce off those of ``discs[first:last]`` that it overlaps; returns their number."""
    touching = 0
    exchange = (f32(1.0) + restitution) * f32(0.5)
    x, y, vx, vy, radius = discs[i, 0], discs[i, 1], discs[i, 2], discs[i, 3], discs[i, 4]
    for j in range(first, last):
        dx, dy = discs[j, 0] - x, discs[j, 1] - y
        reach = radius + discs[j, 4]
        square = dx * dx + dy * dy
        if square >= reach * reach:
            continue
        touching += 1
        if square > f32(0.0):
            distance = np.sqrt(square)
            nx, ny = dx / distance, dy / distance
        else:
            distance, nx, ny = f32(0.0), f32(1.0), f32(0.0)
        half = (reach - distance) * f32(0.5)
        x -= nx * half
        y -= ny * half
        discs[j, 0] += nx * half
        discs[j, 1] += ny * half
        # A select instead of an unpredictable branch: discs that move apart exchange nothing.
        impulse = max((vx - discs[j, 2]) * nx + (vy - discs[j, 3]) * ny, f32(0.0)) * exchange
        vx -= impulse * nx
        vy -= impulse * ny
        discs[j, 2] += impulse * nx
        discs[j, 3] += impulse * ny
    discs[i, 0], discs[i, 1], discs[i, 2], discs[i, 3] = x, y, vx, vy
    return touching


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], i8, i8, i4[::1], i4[::1], f4")
def collide(
    x: F32, y: F32, vx: F32, vy: F32, radius: F32, columns: int, rows: int, starts: I32, order: I32, restitution: float
) -> int:
    """Push overlapping discs apart and let them exchange momentum; each pair once, in a fixed order. Returns the pairs.

    ``starts`` and ``order`` are from :func:`sort_into_cells` with cells at least as wide as the widest pair.
    """
    # Cell by cell, so that neighbours on the canvas are neighbours in memory; 8 columns, so that few rows straddle two
    # cache lines.
    discs = np.empty((order.size, 8), np.float32)
    for k in range(order.size):
        i = order[k]
        discs[k, 0], discs[k, 1], discs[k, 2], discs[k, 3], discs[k, 4] = x[i], y[i], vx[i], vy[i], radius[i]
    touching = 0
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            if starts[here] == starts[here + 1]:
                continue
            # Half of the eight neighbours, the right one and the three below; the others see this cell from their side.
            right_end = starts[here + 2] if column + 1 < columns else starts[here + 1]
            below_start = below_end = 0
            if row + 1 < rows:
                below = here + columns
                below_start = starts[below - 1 if column > 0 else below]
                below_end = starts[below + 2 if column + 1 < columns else below + 1]
            for i in range(starts[here], starts[here + 1]):
                touching += _bounce(i, i + 1, right_end, discs, restitution)
                touching += _bounce(i, below_start, below_end, discs, restitution)
    for k in range(order.size):
        i = order[k]
        x[i], y[i], vx[i], vy[i] = discs[k, 0], discs[k, 1], discs[k, 2], discs[k, 3]
    return touching


@inner_kernel  # for tests and a bench only
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
