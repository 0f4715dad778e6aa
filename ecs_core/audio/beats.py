"""Tempo and beats from the onset envelope.

The tempo is where a comb over the envelope's autocorrelation, weighted towards 125 beats a minute, is highest. The
beats are then the path of evenly spaced strong onsets that dynamic programming finds: D. Ellis, "Beat tracking by
dynamic programming", J. New Music Research 36, 2007 (librosa.beat does the same, but compiles for two seconds at every
import and places beats on hops).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.onsets import SECONDS_PER_HOP, refine

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_SLOWEST, _FASTEST = 40.0, 240.0
_USUAL, _OCTAVES = 125.0, 0.9  # centre and width of the log-normal prior
_TIGHTNESS = 400.0
_BEGINS = 0.05  # an envelope above this is something that begins


def tempo_of(envelope: F32) -> float:
    """Beats a minute, 0 where nothing repeats."""
    longest = round(4 * 60 / _SLOWEST / SECONDS_PER_HOP)
    if len(envelope) < 3 or envelope.max() <= 0:
        return 0.0
    size = 1 << int(np.ceil(np.log2(len(envelope) + longest)))
    transform = np.fft.rfft(envelope - envelope.mean(), size)
    correlation = np.fft.irfft(transform * transform.conj())[: longest + 2]
    if correlation[0] <= 0:
        return 0.0
    correlation = correlation / correlation[0]
    tempi = _SLOWEST * (_FASTEST / _SLOWEST) ** np.linspace(0, 1, 1200)
    lags = 60.0 / tempi / SECONDS_PER_HOP
    positions = np.arange(len(correlation))
    comb = sum(np.interp(lags * tooth, positions, correlation) / weight for tooth, weight in ((1, 1), (2, 2), (4, 2)))
    prior = np.exp(-0.5 * (np.log2(tempi / _USUAL) / _OCTAVES) ** 2)
    score = np.maximum(comb, 0) * prior
    best = int(np.argmax(score))
    return float(tempi[best]) if score[best] > 0.05 else 0.0


def beats_of(envelope: F32, tempo: float) -> F64:
    """Times of the beats, seconds, ascending; none where there is no tempo or fewer than three beats."""
    if tempo <= 0:
        return np.zeros(0)
    period = 60.0 / tempo / SECONDS_PER_HOP
    smooth = np.exp(-0.5 * (np.arange(-8, 9) * 32.0 / period) ** 2)  # a beat may be off by a 32nd of a beat or so
    strength = np.convolve(np.minimum(envelope, 2.0), smooth, mode="same").astype(np.float64)
    deviation = float(strength.std())
    if deviation <= 0 or len(strength) < 3 * period:
        return np.zeros(0)
    score, previous = _chain(strength / deviation, period)
    tail = len(score) - round(period)
    at = tail + int(np.argmax(score[tail:]))
    hops = []
    while at >= 0:
        hops.append(at)
        at = int(previous[at])
    found = np.asarray(hops[::-1], np.int64)
    found = _without_silence(found, envelope)
    if len(found) < 3:
        return np.zeros(0)
    # A beat is where the sound begins that is nearest to it, if there is one within a twelfth of a beat.
    reach = max(1, round(period / 12))
    nearest = np.asarray([_strongest(envelope, hop, reach) for hop in found.tolist()], np.int64)
    if (envelope[nearest] > _BEGINS).sum() < 3:  # two sounds, such as the two ends of a tone, are no beat
        return np.zeros(0)
    return np.unique(refine(envelope, nearest))


def _chain(strength: F64, period: float) -> tuple[F64, NDArray[np.int64]]:
    """Best score of a chain of beats that ends at each hop, and the beat before it (-1: none).

    ``strength`` (hops,) is the reward of a beat; a step of d hops costs tightness × (ln(d / period))². No step is
    shorter than half a period, so that many hops depend only on what is known already and are worked out together.
    """
    shortest, longest = max(1, int(np.ceil(period / 2))), int(2 * period)
    steps = np.arange(shortest, longest + 1)
    cost = _TIGHTNESS * np.log(steps / period) ** 2
    score = np.concatenate([np.full(longest, -np.inf), strength])  # before the song there is no beat
    previous = np.full(len(strength), -1, np.int64)
    for first in range(0, len(strength), shortest):
        hops = np.arange(first, min(first + shortest, len(strength)))
        values = score[longest + hops[:, None] - steps] - cost
        best = np.argmax(values, axis=1)
        gain = values[np.arange(len(hops)), best]
        follows = gain > 0
        score[longest + hops[follows]] += gain[follows]
        previous[hops[follows]] = hops[follows] - steps[best[follows]]
    return score[longest:], previous


def _strongest(envelope: F32, hop: int, reach: int) -> int:
    first = max(0, hop - reach)
    around = envelope[first : hop + reach + 1]
    return first + int(np.argmax(around)) if around.max() > _BEGINS else hop


def _without_silence(hops: NDArray[np.int64], envelope: F32) -> NDArray[np.int64]:
    """Drop beats before the first and after the last thing that is heard."""
    heard = np.flatnonzero(envelope > 0.1)
    if not heard.size:
        return hops[:0]
    slack = round(0.1 / SECONDS_PER_HOP)
    kept: NDArray[np.int64] = hops[(hops >= heard[0] - slack) & (hops <= heard[-1] + slack)]
    return kept


def beat_phase(beats: F64, times: F64) -> F32:
    """0 at a beat, rising to 1 at the next, at the given times; carried on before the first and after the last."""
    if len(beats) < 2:
        return np.zeros(len(times), np.float32)
    first, last = beats[1] - beats[0], beats[-1] - beats[-2]
    before = int(beats[0] / first) + 2
    after = max(0, int((times[-1] - beats[-1]) / last)) + 2 if len(times) else 1
    ahead, beyond = beats[0] - first * np.arange(before, 0, -1), beats[-1] + last * np.arange(1, after + 1)
    grid = np.concatenate([ahead, beats, beyond])
    phase = np.mod(np.interp(times, grid, np.arange(len(grid))), 1.0)
    return phase.astype(np.float32)
