"""Medians and maxima of what surrounds each value. scipy has both; importing it takes a quarter of a second."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32

Outside = Literal["constant", "edge", "reflect"]  # what numpy.pad puts around; "constant" is 0


def medians(rows: F32, width: int, *, outside: Outside) -> F32:
    """The median of the ``width`` values around each one, (n, m) float32 of ``rows`` (n, m); ``width`` is odd."""
    half = width // 2
    padded = np.ascontiguousarray(np.pad(rows, ((0, 0), (half, half)), outside), np.float32)
    found = np.empty(rows.shape, np.float32)
    kernels.medians.running_medians(padded, np.empty(width, np.float32), found)
    return found


def around(values: NDArray[Any], width: int, *, outside: Outside) -> NDArray[Any]:
    """The ``width`` values around each one, (n, width) of ``values`` (n,); ``width`` is odd."""
    return sliding_window_view(np.pad(values, width // 2, outside), width)
