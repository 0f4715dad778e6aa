"""Collision of discs on a uniform grid: sort them into cells by counting, then test neighbouring cells only."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I32
from ecs_core.kernels.jit import inline_kernel, kernel

f32 = np.float32

DISC = 8  # columns of ``discs``: 5 are used, or 7 in space; with 8, few rows straddle two cache lines


@inline_kernel
def _cell_along(position: float, cells: int) -> int:
    """The cell, 0 to ``cells`` - 1, of a position in cells: the grid repeats outside the canvas."""
    cell = int(position)
    if position < f32(0.0) or cell >= cells:
        cell = int(np.floor(position)) % cells
    return cell


@kernel("f4[::1], f4[::1], f4, i8, i8, i4[::1], i4[::1], i4[::1]")
def sort_into_cells(x: F32, y: F32, cell: float, columns: int, rows: int, starts: I32, order: I32, cells: I32) -> None:
    """List the particles of each cell, in row order: ``order[starts[c]:starts[c + 1]]``; ``cells`` is scratch of (n,).

    There are at least three ``columns`` and ``rows``. Outside the canvas the grid repeats: outsiders share cells with
    those whom they cannot touch, instead of all being in one cell at the edge.
    """
    inverse, last = f32(1.0) / cell, columns * rows
    for c in range(last + 1):
        starts[c] = 0
    for i in range(x.size):
        c = _cell_along(y[i] * inverse, rows) * columns + _cell_along(x[i] * inverse, columns)
        cells[i] = c
        starts[c + 1] += 1
    for c in range(last):
        starts[c + 1] += starts[c]
    for i in range(x.size):
        c = cells[i]
        at = starts[c]
        starts[c] = at + 1
        order[at] = i
    for c in range(last, 0, -1):  # each cell now ends where it began
        starts[c] = starts[c - 1]
    starts[0] = 0


@inline_kernel
def _later_neighbours(
    row: int, column: int, columns: int, rows: int, starts: I32
) -> tuple[int, int, int, int, int, int, int]:
    """Half of a cell's eight neighbours, the right one and the three below, as ranges in ``order``.

    The others see the cell from their side. Returns the end of the right neighbour, which follows the cell itself, and
    the first and the end of: the right neighbour, if it is at the other end of the row; those below; and the one below
    that is at the other end of its row.
    """
    here, under = row * columns, (row + 1) % rows * columns
    right_end = int(starts[here + min(column + 2, columns)])
    right, below, corner = here, under + max(column - 1, 0), under
    wrapped = column + 1 == columns
    right_size = int(starts[right + 1]) - int(starts[right]) if wrapped else 0
    below_end = int(starts[under + min(column + 2, columns)])
    if column == 0:
        corner = under + columns - 1
    corner_size = int(starts[corner + 1]) - int(starts[corner]) if wrapped or column == 0 else 0
    right_start, below_start, corner_start = int(starts[right]), int(starts[below]), int(starts[corner])
    return (
        right_end, right_start, right_start + right_size, below_start, below_end, corner_start,
        corner_start + corner_size,
    )  # fmt: skip


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


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], i8, i8, i4[::1], i4[::1], f4, f4[:, ::1]")
def collide(
    x: F32, y: F32, vx: F32, vy: F32, radius: F32, columns: int, rows: int, starts: I32, order: I32, restitution: float,
    discs: F32,
) -> int:  # fmt: skip
    """Push overlapping discs apart and let them exchange momentum; each pair once, in a fixed order. Returns the pairs.

    ``starts`` and ``order`` are from :func:`sort_into_cells` with cells at least as wide as the widest pair; ``discs``
    is scratch of (n, DISC).
    """
    # Cell by cell, so that neighbours on the canvas are neighbours in memory.
    for k in range(order.size):
        i = order[k]
        discs[k, 0], discs[k, 1], discs[k, 2], discs[k, 3], discs[k, 4] = x[i], y[i], vx[i], vy[i], radius[i]
    touching = 0
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            if starts[here] == starts[here + 1]:
                continue
            right_end, more_start, more_end, below_start, below_end, corner_start, corner_end = _later_neighbours(
                row, column, columns, rows, starts
            )
            for i in range(starts[here], starts[here + 1]):
                touching += _bounce(i, i + 1, right_end, discs, restitution)
                touching += _bounce(i, below_start, below_end, discs, restitution)
                touching += _bounce(i, more_start, more_end, discs, restitution)
                touching += _bounce(i, corner_start, corner_end, discs, restitution)
    for k in range(order.size):
        i = order[k]
        x[i], y[i], vx[i], vy[i] = discs[k, 0], discs[k, 1], discs[k, 2], discs[k, 3]
    return touching


@inline_kernel
def _bounce_in_space(i: int, first: int, last: int, balls: F32, restitution: float) -> int:
    """As :func:`_bounce`, for balls."""
    touching = 0
    exchange = (f32(1.0) + restitution) * f32(0.5)
    x, y, z, radius = balls[i, 0], balls[i, 1], balls[i, 5], balls[i, 4]
    vx, vy, vz = balls[i, 2], balls[i, 3], balls[i, 6]
    for j in range(first, last):
        dx, dy, dz = balls[j, 0] - x, balls[j, 1] - y, balls[j, 5] - z
        reach = radius + balls[j, 4]
        square = dx * dx + dy * dy + dz * dz
        if square >= reach * reach:
            continue
        touching += 1
        if square > f32(0.0):
            distance = np.sqrt(square)
            nx, ny, nz = dx / distance, dy / distance, dz / distance
        else:
            distance, nx, ny, nz = f32(0.0), f32(1.0), f32(0.0), f32(0.0)
        half = (reach - distance) * f32(0.5)
        x -= nx * half
        y -= ny * half
        z -= nz * half
        balls[j, 0] += nx * half
        balls[j, 1] += ny * half
        balls[j, 5] += nz * half
        closing = (vx - balls[j, 2]) * nx + (vy - balls[j, 3]) * ny + (vz - balls[j, 6]) * nz
        impulse = max(closing, f32(0.0)) * exchange
        vx -= impulse * nx
        vy -= impulse * ny
        vz -= impulse * nz
        balls[j, 2] += impulse * nx
        balls[j, 3] += impulse * ny
        balls[j, 6] += impulse * nz
    balls[i, 0], balls[i, 1], balls[i, 5] = x, y, z
    balls[i, 2], balls[i, 3], balls[i, 6] = vx, vy, vz
    return touching


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], i8, i8, i4[::1], i4[::1], f4, f4[:, ::1]")
def collide_in_space(
    x: F32, y: F32, z: F32, vx: F32, vy: F32, vz: F32, radius: F32, columns: int, rows: int, starts: I32, order: I32,
    restitution: float, balls: F32,
) -> int:  # fmt: skip
    """As :func:`collide`, for balls in space, which are sorted by x and y; ``balls`` is scratch of (n, DISC)."""
    for k in range(order.size):
        i = order[k]
        balls[k, 0], balls[k, 1], balls[k, 2], balls[k, 3], balls[k, 4] = x[i], y[i], vx[i], vy[i], radius[i]
        balls[k, 5], balls[k, 6] = z[i], vz[i]
    touching = 0
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            if starts[here] == starts[here + 1]:
                continue
            right_end, more_start, more_end, below_start, below_end, corner_start, corner_end = _later_neighbours(
                row, column, columns, rows, starts
            )
            for i in range(starts[here], starts[here + 1]):
                touching += _bounce_in_space(i, i + 1, right_end, balls, restitution)
                touching += _bounce_in_space(i, below_start, below_end, balls, restitution)
                touching += _bounce_in_space(i, more_start, more_end, balls, restitution)
                touching += _bounce_in_space(i, corner_start, corner_end, balls, restitution)
    for k in range(order.size):
        i = order[k]
        x[i], y[i], vx[i], vy[i] = balls[k, 0], balls[k, 1], balls[k, 2], balls[k, 3]
        z[i], vz[i] = balls[k, 5], balls[k, 6]
    return touching


@inline_kernel
def _close(a: int, first: int, last: int, x: F32, y: F32, order: I32, square: float) -> int:
    """How many of ``order[first:last]`` lie closer to ``order[a]`` than the root of ``square``."""
    close = 0
    for b in range(first, last):
        dx, dy = x[order[b]] - x[order[a]], y[order[b]] - y[order[a]]
        close += dx * dx + dy * dy < square
    return close


def count_pairs(x: F32, y: F32, reach: float, columns: int, rows: int, starts: I32, order: I32) -> int:
    """How many pairs lie closer than ``reach``, without moving any; as :func:`collide` looks for them.

    Not compiled, as only tests and a bench call it, which compile it.
    """
    pairs = 0
    square = reach * reach
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            right_end, more_start, more_end, below_start, below_end, corner_start, corner_end = _later_neighbours(
                row, column, columns, rows, starts
            )
            for a in range(starts[here], starts[here + 1]):
                pairs += _close(a, a + 1, right_end, x, y, order, square)
                pairs += _close(a, below_start, below_end, x, y, order, square)
                pairs += _close(a, more_start, more_end, x, y, order, square)
                pairs += _close(a, corner_start, corner_end, x, y, order, square)
    return pairs
