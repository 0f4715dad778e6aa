"""Bars: which beats are the first of a bar, and how many beats a bar has.

Each beat is described by how much chord and bass change at it, by what of kick and snare is in it, and by how strongly
it begins; its neighbours two beats either side belong to its description, for a backbeat says more than any one beat. A
logistic regression makes that the chance of a downbeat, and the best path through bars of 2, 3 or 4 beats, which may
slip at a price, says which it is. Weights are fitted as those of drums are (``python -m bench.music.fit``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio.drums import WEIGHTS as DRUMS
from ecs_core.audio.drums import described as stroke
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.spectrum import CHROMA_HOP, HOP

# For each of five beats, two before to two after: chord change, bass change, kick, snare, strength. Then what is added.
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
_METRES = {4: 0.0, 3: -2.0, 2: -4.0}  # beats a bar that are thought of, and the logarithm of how likely they are
_USUAL = 0.27  # of all beats are downbeats
_SLIP = 8.0  # what a bar too short or too long costs


class Bars(NamedTuple):
    """The downbeats, seconds, ascending; beats a bar, 0 where there are none; how sure each of the two is, 0–1."""

    downbeats: F64
    metre: int
    confidence: float
    sure_of_metre: float


def bars_of(
    mel: NDArray[np.floating[Any]], gains: F32, chroma: F32, strength: F32, beats: F64, *, metre: int | None = None
) -> Bars:
    """The bars of a song with these beats, seconds.

    ``gains`` (bands,) makes bands as loud as each other (onsets.whitening), ``chroma`` (n, 12) is the Spectrum's,
    ``strength`` (hops,) how much begins (onsets.Rise.whole). ``metre`` is the number of beats a bar if it is known:
    then no bar has more or less.
    """
    if len(beats) < 8:
        return Bars(beats[:0], 0, 0.0, 0.0)
    numbers = described(mel, gains, chroma, strength, beats)
    logits = numbers @ np.asarray(WEIGHTS[:-1]) + WEIGHTS[-1]
    ways = {metre: 0.0} if metre else _METRES
    slip = np.inf if metre else _SLIP
    scored = [_path(logits, beats_a_bar, likely, slip) for beats_a_bar, likely in ways.items()]
    best, first, beats_a_bar = max(scored, key=lambda each: each[0])
    metres = [score for score, _, other in scored if other != beats_a_bar]
    shifts = [_steady(logits, first, beats_a_bar, shift) + ways[beats_a_bar] for shift in range(1, beats_a_bar)]

    def sure(others: list[float]) -> float:  # by how much worse the best of the other ways is, a bar
        margin = (best - max(others, default=0.0)) / (len(beats) / beats_a_bar)
        return round(float(np.tanh(max(0.0, margin))), 3) if others else 1.0

    return Bars(beats[first], beats_a_bar, sure(metres + shifts), sure(metres))


def counted(beats: F64, metre: int, near: F64) -> F64:
    """The downbeats of even bars: of the ways to count, that whose downbeats are nearest to times that were some."""
    if metre < 1:
        return beats[:0]
    if not near.size or not beats.size:
        return beats[::metre]
    around = np.clip(np.searchsorted(near, beats)[:, None] - (0, 1), 0, len(near) - 1)
    off = np.abs(beats[:, None] - near[around]).min(axis=1)
    first = min(range(min(metre, len(beats))), key=lambda way: float(off[way::metre].mean()))
    return beats[first::metre]


def described(mel: NDArray[np.floating[Any]], gains: F32, chroma: F32, strength: F32, beats: F64) -> F64:
    """Each beat as numbers, (beats, 25): five for each of the five beats around it, with mean 0 and deviation 1."""
    hops = np.clip(np.rint(beats / SECONDS_PER_HOP).astype(np.int64), 0, len(mel) - 1)
    bass = np.log1p(mel[:, :_BASS].astype(np.float32) * gains[:_BASS])
    drums = stroke(mel, gains, hops)
    chances = [
        1 / (1 + np.exp(-(drums @ np.asarray(each[:-1]) + each[-1]))) for each in (DRUMS["kicks"], DRUMS["snares"])
    ]
    numbers = np.stack(
        [
            _change(_means(chroma, beats / SECONDS_PER_HOP * HOP / CHROMA_HOP + 0.5)),
            _change(_means(bass, beats / SECONDS_PER_HOP + 2)),
            *(2 * chance for chance in chances),
            np.minimum(strength[hops], 2.0),
        ],
        axis=1,
    ).astype(np.float64)
    for column in (0, 1, 4):  # these depend on the song; whether there is a drum does not
        numbers[:, column] -= numbers[:, column].mean()
        numbers[:, column] /= numbers[:, column].std() + 1e-6
    wide = np.pad(numbers, ((CONTEXT, CONTEXT), (0, 0)), mode="edge")
    return np.concatenate([wide[offset : offset + len(beats)] for offset in range(2 * CONTEXT + 1)], axis=1)


def _means(rows: F32, starts: F64) -> F64:
    """The mean of the rows from each start to the next, in rows."""
    first = np.clip(np.rint(starts).astype(np.int64), 0, len(rows) - 1)
    usual = int(np.median(np.diff(first)))
    last = np.minimum(np.append(first[1:], first[-1] + usual), len(rows))
    total = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])
    last = np.maximum(last, first + 1)
    means: F64 = (total[last] - total[first]) / (last - first)[:, None]
    return means


def _change(rows: F64) -> F64:
    """How unlike two rows are to the two before them: 0 alike, 1 nothing in common."""
    pairs = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    pairs = pairs + np.concatenate([pairs[1:], pairs[-1:]])
    before = np.concatenate([pairs[:1], pairs[:1], pairs[:-2]])
    scale = np.linalg.norm(pairs, axis=1) * np.linalg.norm(before, axis=1)
    change: F64 = 1 - (pairs * before).sum(axis=1) / np.maximum(scale, 1e-9)
    return change


def _gains(logits: F64) -> tuple[F64, F64]:
    """What it is worth that a beat is a downbeat, or is none."""
    return -np.logaddexp(0, -logits) - np.log(_USUAL), -np.logaddexp(0, logits) - np.log(1 - _USUAL)


def _path(logits: F64, metre: int, likely: float, slip: float) -> tuple[float, NDArray[np.bool_], int]:
    """The best path through bars of so many beats: its score, which beats are downbeats, and the metre."""
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
    """The score of the same bars, so many beats later."""
    is_first, is_other = _gains(logits)
    moved = np.roll(first, shift)
    return float(np.where(moved, is_first, is_other).sum())
