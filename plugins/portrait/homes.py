"""Homes: points spread over a shape, many where it is light, none where it is black, and never in clumps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core import F32

Points = NDArray[np.float64]
PER_POINT = 12  # pixels that there should be for each point
ROUNDS = 3  # of relaxation: enough that no clumps are left, and too few for a lattice


def spread(weights: F32, n: int, rng: np.random.Generator) -> Points:
    """``n`` points, (n, 2) as x and y in pixels, as densely as the ``weights`` (height, width) >= 0 say.

    A stratified draw along a curve that fills the plane, then a few rounds of Lloyd's relaxation: each point moves to
    the middle of what is nearest to it.
    """
    from scipy.spatial import cKDTree

    rows, columns = np.nonzero(weights > 0)
    order = np.argsort(_morton(columns, rows), kind="stable")
    rows, columns = rows[order], columns[order]
    weight = weights[rows, columns].astype(np.float64)
    pixels = np.stack([columns + 0.5, rows + 0.5], axis=1)
    total = np.cumsum(weight)
    at = (np.arange(n) + rng.uniform(0.0, 1.0, n)) / max(1, n) * total[-1]
    points: Points = pixels[np.minimum(np.searchsorted(total, at), len(total) - 1)]
    points = points + rng.uniform(-0.5, 0.5, (n, 2))
    for _ in range(ROUNDS if n > 1 else 0):
        _, nearest = cKDTree(points).query(pixels)
        mass = np.bincount(nearest, weight, n)
        for axis in range(2):
            middle = np.bincount(nearest, weight * pixels[:, axis], n) / np.maximum(mass, 1e-12)
            points[:, axis] = np.where(mass > 0, middle, points[:, axis])
    return points


def shrinking(weights: F32, pixels: float) -> int:
    """By how much a picture may shrink, in pixels to one, so that about so many are left that count."""
    return max(1, int((float(weights.sum(dtype=np.float64)) / max(1.0, pixels)) ** 0.5))


def means(values: F32, n: int) -> F32:
    """Means over squares of ``n`` pixels; what is missing at the edges counts as 0."""
    high, wide = (-(-side // n) * n for side in values.shape[:2])
    more = ((0, high - values.shape[0]), (0, wide - values.shape[1]), *((0, 0),) * (values.ndim - 2))
    padded = np.pad(values, more)
    cells = padded.reshape(high // n, n, wide // n, n, *values.shape[2:])
    found: F32 = cells.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    return found


def _morton(x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each pixel along a Z-order curve."""
    found = np.zeros(len(x), np.int64)
    for bit in range(16):
        found |= ((x >> bit) & 1) << (2 * bit) | ((y >> bit) & 1) << (2 * bit + 1)
    return found
