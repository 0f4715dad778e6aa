"""Running medians. scipy has them, but importing it takes a quarter of a second."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32
from ecs_core.kernels.jit import kernel


@kernel("f4[:, ::1], f4[::1], f4[:, ::1]")
def running_medians(rows: F32, window: F32, out: F32) -> None:
    """Write the median of every so many values in a row, an odd number.

    ``rows`` is (n, m + width - 1), ``out`` (n, m), ``window`` scratch (width,): values in ascending order.
    """
    width = len(window)
    for i in range(rows.shape[0]):
        window[:] = np.inf
        for j in range(rows.shape[1]):
            leaving = np.float32(np.inf) if j < width else rows[i, j - width]
            coming = rows[i, j]
            at = 0
            while window[at] < leaving:
                at += 1
            while at + 1 < width and window[at + 1] < coming:
                window[at] = window[at + 1]
                at += 1
            while at > 0 and window[at - 1] > coming:
                window[at] = window[at - 1]
                at -= 1
            window[at] = coming
            if j >= width - 1:
                out[i, j - width + 1] = window[width // 2]
