"""Onsets: where something begins, from a SuperFlux envelope with true times.

Böck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013: the rise of each mel band over the
loudest of its neighbours a moment ago, summed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.spectrum import HOP, RATE

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SECONDS_PER_HOP = HOP / RATE
_LAG = 2  # hops between the two spectra compared
_PART = 4096  # hops worked on at a time, for the sake of memory
# The envelope peaks a little before the window of 46 ms that has an attack at its centre. The difference is a constant
# of window, hop and lag, measured with clicks and drum hits (tests/ecs_core/audio/test_onsets.py).
_EARLY = 0.0020  # seconds
_NEIGHBOURHOOD = 0.5  # seconds either side: what is usual here
_APART = 0.045  # seconds: two onsets closer than this are one
_THRESHOLD = 0.10
_CHUNK = 4096  # hops compared at a time: a long song takes no more memory than a short one


def onset_envelope(mel: NDArray[np.floating[Any]]) -> F32:
    """How much begins at each hop, (hops,) float32 >= 0, 1 about a strong onset of this song; independent of gain."""
    loudest = mel.max(axis=1, initial=0).astype(np.float32)
    if not loudest.any():
        return np.zeros(len(mel), np.float32)
    loud = float(np.percentile(loudest, 95)) or float(loudest.max())  # a song may be silent but for a few hits
    gain = np.float32(30.0 / loud)
    rise = np.concatenate([_rise(mel, first, gain) for first in range(0, len(mel), _CHUNK)])
    above = np.maximum(rise - _local_mean(rise, _NEIGHBOURHOOD), 0)
    # Quiet passages count more than they weigh, loud ones less: a partial gain control over ten seconds.
    usual = _local_mean(above, 5.0) + np.float32(0.25 * above.mean() + 1e-9)
    gained = above / np.sqrt(usual)
    strong = gained[gained > 0]
    scale = float(np.percentile(strong, 97)) if strong.size else 0.0
    return gained / np.float32(scale) if scale > 0 else np.zeros(len(mel), np.float32)


def _rise(mel: NDArray[np.floating[Any]], first: int, gain: np.float32) -> F32:
    """The flux of one chunk of hops: how much each band rises over the loudest of its neighbours a moment ago."""
    level = np.log1p(mel[max(0, first - _LAG) : first + _CHUNK].astype(np.float32) * gain)
    if first == 0:  # what is before the song is silence, so that one which begins with a hit has an onset there
        level = np.concatenate([np.zeros((_LAG, level.shape[1]), np.float32), level])
    before = level[:-_LAG]
    widest = before.copy()
    widest[:, 1:] = np.maximum(widest[:, 1:], before[:, :-1])
    widest[:, :-1] = np.maximum(widest[:, :-1], before[:, 1:])
    rise: F32 = np.maximum(level[_LAG:] - widest, 0).mean(axis=1)
    return rise


def pick_onsets(envelope: F32) -> F64:
    """Times of the onsets, seconds, ascending: local maxima that stand out, placed between hops by a parabola."""
    if len(envelope) < 3:
        return np.zeros(0)
    left, right = np.concatenate([[0.0], envelope[:-1]]), np.concatenate([envelope[1:], [0.0]])
    peaks = np.flatnonzero((envelope > left) & (envelope >= right) & (envelope > _THRESHOLD))
    usual = _local_mean(envelope, 0.1)
    peaks = peaks[envelope[peaks] > usual[peaks] * 1.6]
    chosen: list[int] = []
    for peak in peaks.tolist():
        if chosen and (peak - chosen[-1]) * SECONDS_PER_HOP < _APART:
            if envelope[peak] > envelope[chosen[-1]]:
                chosen[-1] = peak
        else:
            chosen.append(peak)
    return refine(envelope, np.asarray(chosen, np.int64))


def refine(envelope: F32, hops: NDArray[np.int64]) -> F64:
    """Times in seconds of peaks at the given hops, placed between hops by the parabola through three points."""
    inner = np.clip(hops, 1, max(1, len(envelope) - 2))
    left, here, right = (envelope[inner + offset].astype(np.float64) for offset in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros(len(inner)), where=bend < 0)
    times: F64 = np.maximum(0.0, (inner + np.clip(shift, -0.5, 0.5)) * SECONDS_PER_HOP + _EARLY)
    return times


def _local_mean(values: F32, seconds: float) -> F32:
    """The mean over ``seconds`` either side, with what lies outside the song counted as absent."""
    half = max(1, round(seconds / SECONDS_PER_HOP))
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    mean: F32 = ((total[last] - total[first]) / (last - first)).astype(np.float32)
    return mean
