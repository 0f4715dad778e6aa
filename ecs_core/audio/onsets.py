"""Onset detection with SuperFlux, and times that are accurate to a few milliseconds.

Böck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013: the rise of each mel band over the
loudest of its neighbours a moment before. Bands are whitened (D. Stowell and M. Plumbley, "Adaptive whitening for
improved real-time audio onset detection", ICMC 2007), so that a hi-hat counts beside a kick.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio.spectrum import HOP, RATE, compressed
from ecs_core.audio.stored_rows import Rows
from ecs_core.audio.windows import around, medians

SECONDS_PER_HOP = HOP / RATE
MIDDLE, HIGH = slice(5, 25), slice(40, 64)  # mel bands: 250–1100 Hz, above 3.3 kHz
_LAG = 2  # hops between the two spectra compared
_FLOOR = 0.04  # of the loudest band: limits how much quiet bands are amplified
# The curve peaks a little after a hit begins, later for weak onsets and earlier after silence. Measured on the songs of
# bench/music: the median is right within 2 ms; clicks in silence are 4 ms early.
_LATE, _WEAK_LATE = 0.001, 0.003  # seconds, and how much more for weak onsets
_STANDS_OUT = 0.6  # the rise of a strong onset
_NEIGHBOURHOOD = 0.5  # seconds on each side for the local mean
_APART = 0.045  # seconds: closer onsets are merged
_AROUND = 9  # hops on each side for the local median
_LEAST, _MOST, _SHARE = 0.012, 0.04, 0.05  # threshold: limits, and its share of the local maximum
_TIMES = 1.7  # factor over the local median
_COUNTS = {"high": 0.6, "middle": 0.4}  # weights of rises in these bands alone
_SECOND, _SECONDS = 86, 3  # hops per second, and seconds on each side for the local maximum
_CHUNK = 4096  # hops processed at a time, to limit memory


@dataclass(frozen=True, eq=False)
class Rise:
    """The rise at each hop, (hops,) float32 >= 0, over all bands, the middle and the high ones.

    The mean of logarithms, so it does not depend on the loudness of the song.
    """

    whole: F32
    middle: F32
    high: F32


def whitening(mel: Rows) -> F32:
    """Gains of the mel bands that equalise the levels of their loud moments, (bands,) float32."""
    step = max(1, len(mel) // 20_000)  # a sample of a long song
    chunk = max(1, _CHUNK // step) * step
    some = np.concatenate(
        [mel[:0], *(mel[first : first + chunk][::step].copy() for first in range(0, len(mel), chunk))]
    )
    loudest = some.max(axis=1, initial=0).astype(np.float32)
    heard = loudest > 0.01 * loudest.max(initial=0)
    if not heard.any():
        return np.zeros(some.shape[1], np.float32)
    usual = np.stack([np.percentile(band[heard].astype(np.float32), 95) for band in some.T])
    gains: F32 = (10.0 / np.maximum(usual, _FLOOR * usual.max())).astype(np.float32)
    return gains


def rise_of(mel: Rows, gains: F32, gate: F32) -> Rise:
    """The rise in a song; 0 where ``gate`` (hops,) is 0, in silence."""
    if not len(mel):
        return Rise(*np.zeros((3, 0), np.float32))
    parts = [
        np.stack([rise.mean(axis=1), rise[:, MIDDLE].mean(axis=1), rise[:, HIGH].mean(axis=1)])
        for rise in _rises(mel, gains)
    ]
    return Rise(*np.concatenate(parts, axis=1) * gate)


def onset_envelope(rise: F32) -> F32:
    """The onset strength at each hop, (hops,) float32 >= 0; about 1 for a strong onset of the song, at any gain."""
    above = np.maximum(rise - _local_mean(rise, _NEIGHBOURHOOD), 0)
    # Partial gain control over ten seconds: raises quiet passages and lowers loud ones.
    usual = _local_mean(above, 5.0) + np.float32(0.25 * above.mean() + 1e-9) if len(above) else above
    gained = above / np.sqrt(usual)
    strong = gained[gained > 0]
    scale = float(np.percentile(strong, 97)) if strong.size else 0.0
    return gained / np.float32(scale) if scale > 0 else np.zeros(len(rise), np.float32)


def pick_onsets(rise: Rise) -> tuple[NDArray[np.int64], F64]:
    """The hops of the onsets, ascending, and their times in seconds: prominent local maxima."""
    curve = np.maximum(rise.whole, np.maximum(_COUNTS["high"] * rise.high, _COUNTS["middle"] * rise.middle))
    if len(curve) < 3:
        return np.zeros(0, np.int64), np.zeros(0)
    enough = np.clip(_SHARE * _strong(curve), _LEAST, _MOST)
    left, right = np.pad(curve, (1, 0))[:-1], np.pad(curve, (0, 1))[1:]
    peaks = np.flatnonzero((curve > left) & (curve >= right) & (curve > enough))
    usual = medians(curve[None], 2 * _AROUND + 1, outside="constant")[0]
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
    """Times in seconds of the onsets at the given hops, refined by parabolic interpolation."""
    inner = np.clip(hops, 1, max(1, len(curve) - 2))
    left, here, right = (curve[inner + offset].astype(np.float64) for offset in (-1, 0, 1))
    bend = left - 2 * here + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros(len(inner)), where=bend < 0)
    late = _LATE + _WEAK_LATE * np.maximum(0.0, 1 - here / _STANDS_OUT)
    times: F64 = np.maximum(0.0, (inner + np.clip(shift, -0.5, 0.5)) * SECONDS_PER_HOP - late)
    return times


def _rises(mel: Rows, gains: F32) -> Iterator[F32]:
    """The rise of each band, in chunks of hops."""
    for first in range(0, len(mel), _CHUNK):
        level = compressed(mel[max(0, first - _LAG) : first + _CHUNK].astype(np.float32) * gains)
        if first == 0:  # silence before the song, so that a hit at its very beginning is an onset
            level = np.concatenate([np.zeros((_LAG, level.shape[1]), np.float32), level])
        before = level[:-_LAG]
        widest = before.copy()
        widest[:, 1:] = np.maximum(widest[:, 1:], before[:, :-1])
        widest[:, :-1] = np.maximum(widest[:, :-1], before[:, 1:])
        yield np.maximum(level[_LAG:] - widest, 0)


def _strong(curve: F32) -> F32:
    """The largest rise per second, as the median over some seconds around each hop, (hops,)."""
    seconds = -(-len(curve) // _SECOND)
    strongest = np.pad(curve, (0, seconds * _SECOND - len(curve))).reshape(seconds, _SECOND).max(axis=1)
    usual = np.median(around(strongest, 2 * _SECONDS + 1, outside="edge"), axis=1)
    return np.repeat(usual, _SECOND)[: len(curve)]


def _local_mean(values: F32, seconds: float) -> F32:
    """The mean over ``seconds`` on each side, within the song."""
    half = max(1, round(seconds / SECONDS_PER_HOP))
    total = np.zeros(len(values) + 1)
    np.cumsum(values, dtype=np.float64, out=total[1:])
    mean = np.empty(len(values), np.float32)
    for start in range(0, len(values), _CHUNK):
        at = np.arange(start, min(start + _CHUNK, len(values)))
        first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
        mean[at] = (total[last] - total[first]) / (last - first)
    return mean
