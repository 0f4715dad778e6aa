"""The best chain of beats of a song: found forwards by a kernel, in parts, and followed back from its end.

How each link came about is a byte for each hop and tempo, 40 MB in an hour, so it is kept in StoredRows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.audio.stored_rows import StoredRows

_PART = 4096  # hops


def best_chain(
    strength: F32, guide: F32, guide_hops: int, periods: F32, change: F32, jump: float, miss: float
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """The hops of the beats, ascending, and the tempo state of each.

    ``strength`` (hops,) is how much a beat at a hop is worth, ``guide`` (rows, states) how much a tempo is worth at hop
    row · ``guide_hops``, both per hop of the beat's period; ``periods`` (states,) hops, ascending. A change by n states
    costs ``change[n]``, any other ``jump``; a beat that is d hops off its period costs ``miss`` · d². The score of a
    chain is the sum of all, so that its mean a hop does not depend on the tempo.
    """
    hops, states = len(strength), len(periods)
    ring = int(periods[-1]) + 3
    score = np.full((ring, states), -np.inf, np.float32)
    before = np.zeros((ring, states), np.uint8)
    tops = np.zeros(hops, np.int16)
    end = np.array([-np.inf, 0, 0])
    links = StoredRows(states, np.uint8)
    came = np.zeros((_PART, states), np.uint8)
    worth = np.empty(states, np.float32)
    for first in range(0, hops, _PART):
        part = came[: hops - first]
        kernels.beats.extend_chains(
            strength, guide, guide_hops, periods, change, jump, miss, first, score, before, part, tops, end, worth
        )
        links.append(part)
    return _followed_back(links, tops, periods, hop=int(end[1]), state=int(end[2]))


def _followed_back(
    links: StoredRows, tops: NDArray[np.int16], periods: F32, *, hop: int, state: int
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """The chain that ends with a beat at a hop with a tempo."""
    nearest = (periods + np.float32(0.5)).astype(np.int64)
    hops, states = [hop], [state]
    start, came = len(links), links[:0]
    while True:
        if hop < start:
            start = max(0, hop + 1 - _PART)
            came = links[start : hop + 1]
        code = int(came[hop - start, state])
        if code == kernels.beats.FIRST:
            break
        hop -= int(nearest[state]) + code % 4 - 1
        jumped = code // 4 == kernels.beats.JUMPED
        state = int(tops[hop]) if jumped else state + code // 4 - kernels.beats.NEIGHBOURS
        hops.append(hop)
        states.append(state)
    return np.asarray(hops[::-1], np.int32), np.asarray(states[::-1], np.int16)
