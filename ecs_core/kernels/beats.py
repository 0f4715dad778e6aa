"""The dynamic programme of beat tracking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.kernels.jit import kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@kernel
def chain(strength: F64, period: float, tightness: float) -> tuple[F64, I64]:
    """Best score of a chain of beats that ends at each hop, and the beat before it (-1: none).

    ``strength`` (hops,) is the reward of a beat; a step of d hops costs tightness × (ln(d / period))².
    """
    n = strength.size
    score = strength.copy()
    previous = np.full(n, -1, np.int64)
    shortest, longest = int(np.ceil(period / 2)), int(2 * period)
    cost = np.empty(longest + 1)
    for step in range(shortest, longest + 1):
        cost[step] = tightness * np.log(step / period) ** 2
    for i in range(n):
        best, chosen = 0.0, -1
        for step in range(shortest, min(longest, i) + 1):
            value = score[i - step] - cost[step]
            if value > best:
                best, chosen = value, i - step
        if chosen >= 0:
            score[i] += best
            previous[i] = chosen
    return score, previous
