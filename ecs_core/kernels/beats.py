"""Chains of beats: tempo and place together, by dynamic programming over hops and tempi."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64, U8
from ecs_core.kernels.jit import kernel

NEIGHBOURS = 3  # tempo states either side that a beat may go on with
JUMPED = 2 * NEIGHBOURS + 1  # from the best tempo of that hop, wherever it is
FIRST = 255


@kernel(
    "f4[::1], f4[:, ::1], i8, f4[::1], f4[::1], f8, f8, i8, f4[:, ::1], u1[:, ::1], u1[:, ::1], i2[::1], f8[::1], "
    "f4[::1]"
)
def extend_chains(
    strength: F32,
    guide: F32,
    guide_hops: int,
    periods: F32,
    change: F32,
    jump: float,
    miss: float,
    first: int,
    score: F32,
    before: U8,
    came: U8,
    tops: NDArray[np.int16],
    end: F64,
    worth: F32,
) -> None:
    """Extend the best chains of beats by the hops from ``first`` on, as many as ``came`` has.

    The first arguments are those of ``audio.beat_chain.best_chain``. All others are written. ``score`` and ``before``
    (longest period + 3, states) are a ring of the last hops: the score of the best chain with a beat there and this
    tempo after it, and its tempo before, as states above the lowest neighbour, or ``JUMPED``: the best of that hop,
    which is in ``tops`` (hops,). ``came`` (n, states) is how each chain came about: 4 · its tempo before + which of
    three steps, or ``FIRST`` at its first beat. ``end`` is the score, hop and state of the best last beat,
    ``worth`` scratch (states,).
    """
    hops, states, ring = len(strength), len(periods), len(score)
    for hop in range(first, first + len(came)):
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
                best, came[hop - first, state] = np.float32(0), FIRST
            else:
                length = nearest + step - 1
                code = 4 * before[(hop - length) % ring, state] + step if best > -np.inf else FIRST
                came[hop - first, state] = code
            worth[state] = best + gain
            if worth[state] > top:
                top, top_state = worth[state], state
            if hop >= hops - period and worth[state] > end[0]:
                end[0], end[1], end[2] = worth[state], hop, state
        tops[hop] = top_state
        for state in range(states):
            best, source = top - np.float32(jump), JUMPED
            for other in range(max(0, state - NEIGHBOURS), min(states, state + NEIGHBOURS + 1)):
                value = worth[other] - change[abs(other - state)]
                if value > best:
                    best, source = value, other - state + NEIGHBOURS
            score[here, state] = best
            before[here, state] = source
