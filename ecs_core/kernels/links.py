"""Links between near particles: the nearest neighbours of each, found on a grid, and the pairs that are joined."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I32, Scalar
from ecs_core.kernels.jit import inline_kernel, kernel

f32 = np.float32

MOST = 16  # neighbours of a particle
_MARGIN = f32(0.12)  # of the distance of the first that is left out: within it, links fade
_ZERO, _ONE = f32(0.0), f32(1.0)


@inline_kernel
def _insert(near: I32, squares: F32, i: int, j: int, square: f32, most: int) -> None:
    """Put ``j`` among the ``most`` nearest of ``i``: nearer ones first, and of equally near ones the elder."""
    at = most
    while at > 0 and (squares[i, at - 1] > square or (squares[i, at - 1] == square and near[i, at - 1] > j)):
        at -= 1
    if at == most:
        return
    for k in range(most - 1, at, -1):
        near[i, k], squares[i, k] = near[i, k - 1], squares[i, k - 1]
    near[i, at], squares[i, at] = j, square


@inline_kernel
def _share(near: I32, squares: F32, i: int, j: int, most: int) -> Scalar:
    """How strongly ``i`` holds ``j``, 0–1: 0 if it is not among its ``most`` nearest."""
    for k in range(most):
        if near[i, k] == j:
            distance, left_out = np.sqrt(squares[i, k]), np.sqrt(squares[i, most])
            s = min((left_out - distance) / (_MARGIN * left_out), _ONE)
            return f32(s * s * (f32(3.0) - s - s))
    return _ZERO


@kernel("f4[::1], f4[::1], f4[::1], f4, i8, i8, i8, i4[::1], i4[::1], i4[:, ::1], f4[::1], i4[:, ::1], f4[:, ::1]")
def link(
    x: F32, y: F32, z: F32, reach: Scalar, most: int, columns: int, rows: int, starts: I32, order: I32, pairs: I32,
    light: F32, near: I32, squares: F32,
) -> int:  # fmt: skip
    """Write the pairs of particles that are joined, by rows, and the share of its light that each link has.

    ``starts`` and ``order`` are from ``collision.sort_into_cells`` with cells at least ``reach`` (units) wide. Returns
    the number of pairs; ``pairs`` is (2, n × most) and ``light`` (n × most,). ``near`` and ``squares`` are scratch of
    (n, most + 1).
    """
    n = x.size
    for i in range(n):
        for k in range(most + 1):  # one more than are joined: the first that is left out, or what is too far
            near[i, k], squares[i, k] = -1, reach * reach
    for row in range(rows):
        for column in range(columns):
            here = row * columns + column
            for a in range(starts[here], starts[here + 1]):
                i = int(order[a])
                for down in range(-1, 2):
                    for across in range(-1, 2):
                        there = (row + down) % rows * columns + (column + across) % columns
                        for b in range(starts[there], starts[there + 1]):
                            j = int(order[b])
                            dx, dy, dz = x[j] - x[i], y[j] - y[i], z[j] - z[i]
                            square = dx * dx + dy * dy + dz * dz
                            if j != i and square < squares[i, most]:
                                _insert(near, squares, i, j, square, most + 1)
    count = 0
    for i in range(n):
        for k in range(most):
            j = int(near[i, k])
            if j <= i:  # none, or a pair that the other has written
                continue
            held = min(_share(near, squares, i, j, most), _share(near, squares, j, i, most))
            s = _ONE - squares[i, k] / (reach * reach)
            if held > _ZERO and s > _ZERO:
                pairs[0, count], pairs[1, count], light[count] = i, j, held * s * s
                count += 1
    return count
