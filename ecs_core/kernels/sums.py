"""Weighted sums in a fixed order: a matrix product sums in another order on other processors, as BLAS chooses."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64
from ecs_core.kernels.jit import kernel


@kernel("f4[:, ::1], i8[::1], i8[::1], f4[::1], f4[:, ::1]")
def weighted_sums(rows: F32, starts: I64, columns: I64, weights: F32, out: F32) -> None:
    """Write, for each row and each j, the sum of row[columns[k]] × weights[k] for k from starts[j] to starts[j + 1].

    ``rows`` is (n, any), ``starts`` (m + 1,), ``columns`` and ``weights`` (k,), ``out`` (n, m).
    """
    for i in range(rows.shape[0]):
        for j in range(starts.size - 1):
            total = np.float32(0.0)
            for k in range(starts[j], starts[j + 1]):
                total += rows[i, columns[k]] * weights[k]
            out[i, j] = total
