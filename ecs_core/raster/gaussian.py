"""The weights of a Gaussian blur."""

from __future__ import annotations

import math

import numpy as np

from ecs_core.arrays import F32


def gaussian(sigma: float) -> F32:
    """The weights of a Gaussian out to three sigma, pixels; (n,) float32, n odd."""
    reach = max(1, math.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    taps: F32 = (weights / weights.sum()).astype(np.float32)
    return taps
