"""The best chain of beats: tempo and place together, by dynamic programming over hops and tempi."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32
from ecs_core.kernels.jit import kernel

NEIGHBOURS = 3  # tempo states either side that a beat may go on with
_JUMPED = 2 * NEIGHBOURS + 1  # from the best tempo of that hop, wherever it is
_FIRST = 255


@kernel("f4[::1], f4[:, ::1], i8, f4[::1], f4[::1], f8, f8")
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
    score = np.full((ring, states), -np.inf, np.float32)  # of the best chain with a beat here and this tempo after it
    # How each came about, in a byte, as this is much memory in a long song: 4 · how many states above the lowest
    # neighbour the tempo before was, or _JUMPED, + which of three steps; _FIRST: the first beat.
    came = np.zeros((hops, states), np.uint8)
    tops = np.zeros(hops, np.int16)  # the best tempo state of each hop
    before = np.zeros((ring, states), np.uint8)  # the best tempo state before, if this one follows, likewise
    worth = np.empty(states, np.float32)
    end_score, end_hop, end_state = np.float32(-np.inf), 0, 0
    for hop in range(hops):
        row = hop / guide_hops
        low = min(int(row), len(guide) - 1)
        high = min(low + 1, len(guide) - 1)
        part = np.float32(row - low)
        here = hop % ring
        top, top_state = np.float32(-np.inf), 0
        for state in range(states):
            period = periods[state]
            nearest = int(period + np.float32(0.5))
            gain = period * (strength[hop] + (1 - part) * guide[low, state] + part * guide[high, state])
            best, step = np.float32(-np.inf), 0
            for offset in range(3):
                length = nearest + offset - 1
                if length <= hop and length > 0:
                    off = np.float32(length) - period
                    value = score[(hop - length) % ring, state] - np.float32(miss) * off * off
                    if value > best:
                        best, step = value, offset
            if (
                hop < 2 * period and best < 0
            ):  # a chain begins in the first two beats; what came before is worth nothing
                best, came[hop, state] = np.float32(0), _FIRST
            else:
                length = nearest + step - 1
                came[hop, state] = 4 * before[(hop - length) % ring, state] + step if best > -np.inf else _FIRST
            worth[state] = best + gain
            if worth[state] > top:
                top, top_state = worth[state], state
            if hop >= hops - period and worth[state] > end_score:
                end_score, end_hop, end_state = worth[state], hop, state
        tops[hop] = top_state
        for state in range(states):
            best, source = top - np.float32(jump), _JUMPED
            for other in range(max(0, state - NEIGHBOURS), min(states, state + NEIGHBOURS + 1)):
                value = worth[other] - change[abs(other - state)]
                if value > best:
                    best, source = value, other - state + NEIGHBOURS
            score[here, state] = best
            before[here, state] = source
    found = np.empty(hops, np.int32)
    tempi = np.empty(hops, np.int16)
    count, hop, state = 0, end_hop, end_state
    while True:
        found[count], tempi[count] = hop, state
        count += 1
        code: Any = int(came[hop, state])  # a byte would overflow where the compiler is off
        if code == _FIRST:
            break
        hop -= int(periods[state] + np.float32(0.5)) + code % 4 - 1
        best_there: Any = int(tops[hop])
        state = best_there if code // 4 == _JUMPED else state + code // 4 - NEIGHBOURS
    return found[:count][::-1].copy(), tempi[:count][::-1].copy()
