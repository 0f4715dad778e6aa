"""Bars: downbeats and metre.

Each beat is described by the change of chord and bass, by its likelihood of a kick and a snare, and by its onset
strength, together with its neighbours up to two beats away, as a backbeat says more than a single beat. A logistic
regression turns this into the probability of a downbeat; the best path through bars of 2, 3 or 4 beats, with a penalty
for irregular bars, gives the downbeats. The weights are fitted like those of drums (``python -m bench.music.fit``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio.drums import WEIGHTS as DRUMS
from ecs_core.audio.drums import described as stroke
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.spectrum import CHROMA_HOP, HOP, compressed
from ecs_core.audio.stored_rows import Rows

# For each of five beats, two before to two after: chord change, bass change, kick, snare, strength. Then the bias.
# fmt: off
WEIGHTS = (
    -0.39, -0.64, -0.47, 0.60, -0.66,
    -0.41, -0.78, -0.15, -0.13, 0.32,
    0.71, 0.91, 2.26, -2.73, 0.75,
    -0.11, -0.31, -0.77, 0.28, -0.24,
    -0.83, -0.70, -0.29, 0.43, -0.61,
    -2.89,
)
# fmt: on
CONTEXT = 2  # beats either side
_BASS = 10  # mel bands: up to 430 Hz
_CHUNK = 4096  # hops read at a time, to limit memory
_METRES = {4: 0.0, 3: -2.0, 2: -4.0}  # beats per bar that are considered, and their log prior
_USUAL = 0.27  # prior probability of a downbeat
_SLIP = 8.0  # penalty for an irregular bar


class Bars(NamedTuple):
    """Downbeats in seconds, ascending; beats per bar, 0 if there are none; the confidence of both, 0–1."""

    downbeats: F64
    metre: int
    confidence: float
    sure_of_metre: float


def bars_of(mel: Rows, gains: F32, chroma: F32, strength: F32, beats: F64, *, metre: int | None = None) -> Bars:
    """Find the bars of a song, given its beats in seconds.

    ``gains`` (bands,) equalises the bands (onsets.whitening), ``chroma`` (n, 12) is the Spectrum's, ``strength``
    (hops,) is the onset strength (onsets.Rise.whole). ``metre`` is the number of beats per bar if it is known; then all
    bars have it.
    """
    if len(beats) < 8:
        return Bars(beats[:0], 0, 0.0, 0.0)
    numbers = described(mel, gains, chroma, strength, beats)
    logits = (numbers * np.asarray(WEIGHTS[:-1])).sum(axis=1) + WEIGHTS[-1]
    ways = {metre: 0.0} if metre else _METRES
    slip = np.inf if metre else _SLIP
    scored = [_path(logits, beats_a_bar, likely, slip) for beats_a_bar, likely in ways.items()]
    best, first, beats_a_bar = max(scored, key=lambda each: each[0])
    metres = [score for score, _, other in scored if other != beats_a_bar]
    shifts = [_steady(logits, first, beats_a_bar, shift) + ways[beats_a_bar] for shift in range(1, beats_a_bar)]

    def sure(others: list[float]) -> float:  # from the margin per bar to the best alternative
        margin = (best - max(others, default=0.0)) / (len(beats) / beats_a_bar)
        return round(float(np.tanh(max(0.0, margin))), 3) if others else 1.0

    return Bars(beats[first], beats_a_bar, sure(metres + shifts), sure(metres))


def counted(beats: F64, metre: int, near: F64) -> F64:
    """The downbeats of regular bars, with the offset that brings them closest to the downbeats ``near``."""
    if metre < 1:
        return beats[:0]
    if not near.size or not beats.size:
        return beats[::metre]
    around = np.clip(np.searchsorted(near, beats)[:, None] - (0, 1), 0, len(near) - 1)
    off = np.abs(beats[:, None] - near[around]).min(axis=1)
    first = min(range(min(metre, len(beats))), key=lambda way: float(off[way::metre].mean()))
    return beats[first::metre]


def described(mel: Rows, gains: F32, chroma: F32, strength: F32, beats: F64) -> F64:
    """Descriptors of each beat, (beats, 25): five for each of the five beats around it."""
    hops = np.clip(np.rint(beats / SECONDS_PER_HOP).astype(np.int64), 0, len(mel) - 1)
    starts = beats / SECONDS_PER_HOP
    bass = [_means(_level(mel, gains, band), starts + 2) for band in range(_BASS)]  # one at a time, to limit memory
    drums = stroke(mel, gains, hops)
    chances = [
        1 / (1 + np.exp(-((drums * np.asarray(each[:-1])).sum(axis=1) + each[-1])))
        for each in (DRUMS["kicks"], DRUMS["snares"])
    ]
    numbers = np.stack(
        [
            _change(_means(chroma, starts * HOP / CHROMA_HOP + 0.5)),
            _change(np.concatenate(bass, axis=1)),
            *(2 * chance for chance in chances),
            np.minimum(strength[hops], 2.0),
        ],
        axis=1,
    ).astype(np.float64)
    for column in (0, 1, 4):  # normalised per song; the probability of a drum is absolute
        numbers[:, column] -= numbers[:, column].mean()
        numbers[:, column] /= numbers[:, column].std() + 1e-6
    wide = np.pad(numbers, ((CONTEXT, CONTEXT), (0, 0)), mode="edge")
    return np.concatenate([wide[offset : offset + len(beats)] for offset in range(2 * CONTEXT + 1)], axis=1)


def _level(mel: Rows, gains: F32, band: int) -> F32:
    """The level of a mel band, (hops, 1)."""
    level = np.empty((len(mel), 1), np.float32)
    for first in range(0, len(mel), _CHUNK):
        level[first : first + _CHUNK] = mel[first : first + _CHUNK][:, band : band + 1]
    return compressed(level * gains[band])


def _means(rows: F32, starts: F64) -> F64:
    """The mean of the rows from each start to the next, in rows."""
    first = np.clip(np.rint(starts).astype(np.int64), 0, len(rows) - 1)
    usual = int(np.median(np.diff(first)))
    last = np.minimum(np.append(first[1:], first[-1] + usual), len(rows))
    total = np.zeros((len(rows) + 1, rows.shape[1]))
    np.cumsum(rows, axis=0, dtype=np.float64, out=total[1:])
    last = np.maximum(last, first + 1)
    means: F64 = (total[last] - total[first]) / (last - first)[:, None]
    return means


def _change(rows: F64) -> F64:
    """Cosine distance between two rows and the two before them: 0 equal, 1 nothing in common."""
    pairs = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    pairs = pairs + np.concatenate([pairs[1:], pairs[-1:]])
    before = np.concatenate([pairs[:1], pairs[:1], pairs[:-2]])
    scale = np.linalg.norm(pairs, axis=1) * np.linalg.norm(before, axis=1)
    change: F64 = 1 - (pairs * before).sum(axis=1) / np.maximum(scale, 1e-9)
    return change


def _gains(logits: F64) -> tuple[F64, F64]:
    """Log-likelihood ratios of a beat being a downbeat, and of it not being one."""
    return -np.logaddexp(0, -logits) - np.log(_USUAL), -np.logaddexp(0, logits) - np.log(1 - _USUAL)


def _path(logits: F64, metre: int, likely: float, slip: float) -> tuple[float, NDArray[np.bool_], int]:
    """The best path through bars of ``metre`` beats: its score, the downbeats as a mask, and the metre."""
    is_first, is_other = _gains(logits)
    places = np.arange(metre)
    worth = np.where(places == 0, is_first[0], is_other[0])
    came = np.empty((len(logits), metre), np.int64)
    for beat in range(1, len(logits)):
        following = np.roll(worth, 1)
        best = int(np.argmax(worth))
        slips = worth[best] - slip > following
        came[beat] = np.where(slips, best, (places - 1) % metre)
        worth = np.where(slips, worth[best] - slip, following)
        worth = worth + np.where(places == 0, is_first[beat], is_other[beat])
    place = int(np.argmax(worth))
    score = float(worth[place]) + likely
    first = np.zeros(len(logits), np.bool_)
    for beat in range(len(logits) - 1, -1, -1):
        first[beat] = place == 0
        if beat:
            place = int(came[beat, place])
    return score, first, metre


def _steady(logits: F64, first: NDArray[np.bool_], metre: int, shift: int) -> float:
    """The score of the same bars, shifted by some beats."""
    is_first, is_other = _gains(logits)
    moved = np.roll(first, shift)
    return float(np.where(moved, is_first, is_other).sum())
