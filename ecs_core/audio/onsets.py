"""Onsets: where something begins, from a SuperFlux envelope with true times.

Böck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013: the rise of each mel band over the
loudest of its neighbours a moment ago. Every band is heard at its own level (D. Stowell and M. Plumbley, "Adaptive
whitening for improved real-time audio onset detection", ICMC 2007), so that a hi-hat counts beside a kick.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from ecs_core.arrays import F32, F64
from ecs_core.audio.spectrum import HOP, RATE

Mel = NDArray[np.floating[Any]]

SECONDS_PER_HOP = HOP / RATE
MIDDLE, HIGH = slice(5, 25), slice(40, 64)  # mel bands: 250–1100 Hz, above 3.3 kHz
_LAG = 2  # hops between the two spectra compared
_FLOOR = 0.04  # of the loudest band: quieter ones are not made louder than that
# The curve peaks later than a hit begins, as that takes some milliseconds to unfold, and more so if it stands out less;
# out of silence it peaks earlier. Measured with the songs of bench/music, where the median comes out right within 2 ms;
# clicks in silence are 4 ms early.
_LATE, _WEAK_LATE = 0.001, 0.003  # seconds, and how much more for something that hardly rises
_STANDS_OUT = 0.6  # a rise from which on it does
_NEIGHBOURHOOD = 0.5  # seconds either side: what is usual here
_APART = 0.045  # seconds: two onsets closer than this are one
_AROUND = 9  # hops either side of an onset that it must stand out from
_LEAST, _MOST, _SHARE = 0.012, 0.04, 0.05  # it must rise by so much: by this share of what is strong these seconds,
_TIMES = 1.7  # more than so many times the median around it
_COUNTS = {"high": 0.6, "middle": 0.4}  # of what rises in these bands alone
_SECOND, _SECONDS = 86, 3  # hops of a second, and seconds either side that are "these"
_CHUNK = 4096  # hops worked on at a time: a long song takes no more memory than a short one


@dataclass(frozen=True, eq=False)
class Rise:
    """How much rises at each hop, (hops,) float32 >= 0: over all bands, the middle and the high ones.

    The mean of logarithms, so that it does not depend on how loud the song is.
    """

    whole: F32
    middle: F32
    high: F32


def whitening(mel: Mel) -> F32:
    """The gain of each mel band that makes the loud moments of all as loud as each other, (bands,) float32."""
    some = mel[:: max(1, len(mel) // 20_000)].astype(np.float32)  # enough of a long song
    loudest = some.max(axis=1, initial=0)
    heard = some[loudest > 0.01 * loudest.max(initial=0)]
    if not heard.size:
        return np.zeros(mel.shape[1], np.float32)
    usual = np.percentile(heard, 95, axis=0)
    gains: F32 = (10.0 / np.maximum(usual, _FLOOR * usual.max())).astype(np.float32)
    return gains


def rise_of(mel: Mel, gains: F32, gate: F32) -> Rise:
    """How much rises in a song; ``gate`` (hops,) is 0 in silence, where nothing does."""
    if not len(mel):
        return Rise(*np.zeros((3, 0), np.float32))
    parts = [
        np.stack([rise.mean(axis=1), rise[:, MIDDLE].mean(axis=1), rise[:, HIGH].mean(axis=1)])
        for rise in _rises(mel, gains)
    ]
    return Rise(*np.concatenate(parts, axis=1) * gate)


def onset_envelope(rise: F32) -> F32:
    """How much begins at each hop, (hops,) float32 >= 0, 1 about a strong onset of this song; independent of gain."""
    above = np.maximum(rise - _local_mean(rise, _NEIGHBOURHOOD), 0)
    # Quiet passages count more than they weigh, loud ones less: a partial gain control over ten seconds.
    usual = _local_mean(above, 5.0) + np.float32(0.25 * above.mean() + 1e-9) if len(above) else above
    gained = above / np.sqrt(usual)
    strong = gained[gained > 0]
    scale = float(np.percentile(strong, 97)) if strong.size else 0.0
    return gained / np.float32(scale) if scale > 0 else np.zeros(len(rise), np.float32)


def pick_onsets(rise: Rise) -> tuple[NDArray[np.int64], F64]:
    """The hops of the onsets, ascending, and their times in seconds: local maxima that stand out."""
    curve = np.maximum(rise.whole, np.maximum(_COUNTS["high"] * rise.high, _COUNTS["middle"] * rise.middle))
    if len(curve) < 3:
        return np.zeros(0, np.int64), np.zeros(0)
    enough = np.clip(_SHARE * _strong(curve), _LEAST, _MOST)
    left, right = np.concatenate([[0.0], curve[:-1]]), np.concatenate([curve[1:], [0.0]])
    peaks = np.flatnonzero((curve > left) & (curve >= right) & (curve > enough))
    usual = median_filter(curve, 2 * _AROUND + 1, mode="constant")
    peaks = peaks[curve[peaks] > _TIMES * usual[peaks] + enough[peaks]]
    chosen: list[int] = []
    for peak in peaks.tolist():
        if chosen and (peak - chosen[-1]) * SECONDS_PER_HOP < _APART:
            if curve[peak] > curve[chosen[-1]]:
                chosen[-1] = peak
        else:
            chosen.append(peak)
    hops = np.asarray(chosen, np.int64)
    return hops, refine(curve, hops)


def refine(curve: F32, hops: NDArray[np.int64]) -> F64:
    """Times in seconds of what rises at the given hops, placed between hops by the parabola through three points."""
    inner = np.clip(hops, 1, max(1, len(curve) - 2))
    left, here, right = (curve[inner + offset].astype(np.float64) for offset in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros(len(inner)), where=bend < 0)
    late = _LATE + _WEAK_LATE * np.maximum(0.0, 1 - here / _STANDS_OUT)
    times: F64 = np.maximum(0.0, (inner + np.clip(shift, -0.5, 0.5)) * SECONDS_PER_HOP - late)
    return times


def _rises(mel: Mel, gains: F32) -> Iterator[F32]:
    """The rise of each band, a chunk of hops after the other."""
    for first in range(0, len(mel), _CHUNK):
        level = np.log1p(mel[max(0, first - _LAG) : first + _CHUNK].astype(np.float32) * gains)
        if first == 0:  # what is before the song is silence, so that one which begins with a hit has an onset there
            level = np.concatenate([np.zeros((_LAG, level.shape[1]), np.float32), level])
        before = level[:-_LAG]
        widest = before.copy()
        widest[:, 1:] = np.maximum(widest[:, 1:], before[:, :-1])
        widest[:, :-1] = np.maximum(widest[:, :-1], before[:, 1:])
        yield np.maximum(level[_LAG:] - widest, 0)


def _strong(curve: F32) -> F32:
    """How much the strongest of a second rises, as the median over some seconds around each hop, (hops,)."""
    seconds = -(-len(curve) // _SECOND)
    strongest = np.pad(curve, (0, seconds * _SECOND - len(curve))).reshape(seconds, _SECOND).max(axis=1)
    usual = median_filter(strongest, 2 * _SECONDS + 1, mode="nearest")
    return np.repeat(usual, _SECOND)[: len(curve)]


def _local_mean(values: F32, seconds: float) -> F32:
    """The mean over ``seconds`` either side, with what lies outside the song counted as absent."""
    half = max(1, round(seconds / SECONDS_PER_HOP))
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    mean: F32 = ((total[last] - total[first]) / (last - first)).astype(np.float32)
    return mean
