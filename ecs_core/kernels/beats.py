"""The best chain of beats: tempo and place together, by dynamic programming over hops and tempi."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecs_core.arrays import F32, I64, U8
from ecs_core.kernels.jit import kernel

NEIGHBOURS = 3  # tempo states either side that a beat may go on with
_JUMPED = 2 * NEIGHBOURS + 1  # from the best tempo of that hop, wherever it is
_FIRST = 255


@kernel("f4[::1], f4[:, ::1], i8, f4[::1], f4[::1], f8, f8, f4[:, ::1], u1[:, ::1], i8[:, ::1]")
def best_chain(
    strength: F32, guide: F32, guide_hops: int, periods: F32, change: F32, jump: float, miss: float,
    scores: F32, came: U8, chain: I64,
) -> int:  # fmt: skip
    """Write the hops of the beats, last first, into ``chain[0]``, the tempo state of each into ``chain[1]``.

    Returns their number. ``strength`` (hops,) is how much a beat at a hop is worth, ``guide`` (rows, states) how much a
    tempo is worth at hop row · ``guide_hops``, both per hop of the beat's period; ``periods`` (states,) hops,
    ascending. A change by n states costs ``change[n]``, any other ``jump``; a beat that is d hops off its period costs
    ``miss`` · d². The score of a chain is the sum of all, so that its mean a hop does not depend on the tempo.

    ``chain`` is (3, hops). ``scores`` (ring + 1, states) is -inf, and ``came`` (hops + ring, states) and ``chain`` are
    0; a ring of hops is at least three longer than the longest period.
    """
    hops, states, ring = len(strength), len(periods), len(scores) - 1
    # Each row of ``scores`` is that of the best chain with a beat at a hop of the ring and this tempo after it; the
    # last one is that of those with a beat now and this tempo before it.
    worth, befores = scores[ring], came[hops:]
    # ``came`` is how each came about, in a byte, as this is much memory in a long song: 4 · how many states above the
    # lowest neighbour the tempo before was, or _JUMPED, + which of three steps; _FIRST: the first beat. Below those of
    # the hops are the best tempo states before, if this one follows, likewise, of the ring.
    tops = chain[2]  # the best tempo state of each hop
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
                    at = here - length if length <= here else here - length + ring
                    value = scores[at, state] - np.float32(miss) * off * off
                    if value > best:
                        best, step = value, offset
            if (
                hop < 2 * period and best < 0
            ):  # a chain begins in the first two beats; what came before is worth nothing
                best, came[hop, state] = np.float32(0), _FIRST
            else:
                length = nearest + step - 1
                at = here - length if length <= here else here - length + ring
                came[hop, state] = 4 * befores[at, state] + step if best > -np.inf else _FIRST
            total = np.float32(best + gain)
            worth[state] = total
            if total > top:
                top, top_state = total, state
            if hop >= hops - period and total > end_score:
                end_score, end_hop, end_state = total, hop, state
        tops[hop] = top_state
        for state in range(states):
            best, source = top - np.float32(jump), _JUMPED
            for other in range(max(0, state - NEIGHBOURS), min(states, state + NEIGHBOURS + 1)):
                value = worth[other] - change[abs(other - state)]
                if value > best:
                    best, source = value, other - state + NEIGHBOURS
            scores[here, state] = best
            befores[here, state] = source
    count, hop, state = 0, end_hop, end_state
    while True:
        chain[0, count], chain[1, count] = hop, state
        count += 1
        code: Any = int(came[hop, state])  # a byte would overflow where the compiler is off
        if code == _FIRST:
            return count
        hop -= int(periods[state] + np.float32(0.5)) + code % 4 - 1
        state = tops[hop] if code // 4 == _JUMPED else state + code // 4 - NEIGHBOURS
