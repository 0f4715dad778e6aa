"""Kicks, snares and hi-hats: classify onsets by the spectrum before, at and after them.

An onset is described in nine groups of mel bands from 27 Hz to 11 kHz: the rise of each, the part of it that remains
after 80 ms, and the level then. Three logistic regressions detect the drums, as several may sound at once. The weights
were fitted to songs of bench/music, each with its own synthesised drums (``python -m bench.music.fit``), and are scored
on other songs (bench/listening.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio.spectrum import compressed
from ecs_core.audio.stored_rows import Rows

EDGES = np.array([0, 2, 4, 8, 14, 22, 32, 42, 52, 64])  # of the groups, in mel bands
_CHUNK = 4096  # hops processed at a time, to limit memory
BEFORE, AT, AFTER = (-4, -3), (0, 1, 2, 3), (6, 7, 8)  # hops from the onset
# A weight per descriptor of described(), then the bias; logits.
# fmt: off
WEIGHTS = {
    "kicks": (
        1.54, 4.55, 1.77, 0.61, -0.05, -1.35, 1.26, 0.57, -0.70,
        -0.07, -3.43, -2.32, -0.92, 1.09, -0.37, -0.55, 0.19, -0.84,
        1.78, -0.82, 0.25, 0.64, 1.96, -3.15, -0.13, 1.44, 0.49,
        -10.22,
    ),
    "snares": (
        -0.22, -2.24, 2.91, 2.71, -4.50, 1.22, 4.03, 1.98, -2.26,
        0.76, 2.27, -1.93, -3.40, 1.98, 0.05, 0.17, 0.55, -1.47,
        -1.56, -1.90, 0.89, 1.76, -1.12, -1.54, 0.85, 3.04, 0.92,
        -4.50,
    ),
    "hats": (
        1.16, 0.04, -0.46, -0.34, 1.17, -1.50, -3.64, -1.89, 12.79,
        -0.39, 0.01, 0.71, 0.19, -0.43, 1.80, 0.83, -2.13, -3.65,
        0.31, -0.98, 0.04, 0.54, 0.21, -1.25, -0.75, 0.80, 0.67,
        -1.28,
    ),
}
# fmt: on


class Drums(NamedTuple):
    """Times of a drum in seconds, ascending; strengths, 0–1; and the overall confidence, 0–1."""

    times: F64
    strengths: F32
    confidence: float


def drums_of(mel: Rows, gains: F32, hops: NDArray[np.int64], times: F64) -> dict[str, Drums]:
    """The "kicks", "snares" and "hats" among the onsets of onsets.pick_onsets.

    ``gains`` (bands,) equalises the bands (onsets.whitening).
    """
    if not len(hops):
        return {name: Drums(np.zeros(0), np.zeros(0, np.float32), 0.0) for name in WEIGHTS}
    numbers = described(mel, gains, hops)
    found = {}
    for name, weights in WEIGHTS.items():
        logits = (numbers * np.asarray(weights[:-1], np.float32)).sum(axis=1) + np.float32(weights[-1])
        struck = logits > 0
        # Strength is the rise in the drum's own bands.
        rise = numbers[struck][:, _HOME[name]].mean(axis=1)
        strong = float(np.percentile(rise, 90)) if rise.size else 1.0
        strengths = np.clip(rise / max(strong, 1e-6), 0.05, 1).astype(np.float32)
        sure = float(np.tanh(np.abs(logits[struck]) / 2).mean()) if rise.size else 0.0
        found[name] = Drums(times[struck], strengths, round(sure, 3))
    return found


_HOME = {"kicks": [0, 1, 2], "snares": [3, 4, 5, 6], "hats": [7, 8]}  # groups


def described(mel: Rows, gains: F32, hops: NDArray[np.int64]) -> F32:
    """Descriptors of each onset, (onsets, 27): rise, remaining rise, and later level, in nine groups of bands.

    ``hops`` ascend.
    """
    parts = np.split(hops, np.searchsorted(hops, np.arange(_CHUNK, len(mel), _CHUNK)))
    found = [_described(mel, gains, part) for part in parts if len(part)]
    return np.concatenate(found) if found else np.zeros((0, 3 * (len(EDGES) - 1)), np.float32)


def _described(mel: Rows, gains: F32, hops: NDArray[np.int64]) -> F32:
    start = max(0, int(hops[0]) + BEFORE[0])
    around = mel[start : int(hops[-1]) + AFTER[-1] + 1]

    def level(offset: int) -> F32:
        heard: F32 = compressed(around[np.clip(hops + offset, 0, len(mel) - 1) - start].astype(np.float32) * gains)
        return heard

    before = sum(level(offset) for offset in BEFORE) / np.float32(len(BEFORE))
    at = np.maximum.reduce([level(offset) for offset in AT])
    after = sum(level(offset) for offset in AFTER) / np.float32(len(AFTER))
    before, at, after = (np.add.reduceat(each, EDGES[:-1], axis=1) / np.diff(EDGES) for each in (before, at, after))
    return np.concatenate([at - before, after - before, after], axis=1).astype(np.float32)
