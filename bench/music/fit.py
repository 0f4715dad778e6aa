"""Fit the weights of ecs_core/audio/drums.py and bars.py to songs 1–8 of every kind, and print them.

python -m bench.music.fit       # some minutes
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio import bars, drums
from ecs_core.audio.analysis import gate_of
from ecs_core.audio.beats import beats_of
from ecs_core.audio.onsets import pick_onsets, rise_of, whitening
from ecs_core.audio.spectrum import spectrum_of

from .compositions import KINDS, RATE, compose

F64 = NDArray[np.float64]
SEEDS = range(1, 9)
NEAR_ONSET, NEAR_BEAT = 0.03, 0.07  # seconds
PENALTIES = 1e-4, 3e-4  # L2 penalties of the weights: for drums, and for bars


def near(times: F64, true: F64, within: float) -> F64:
    """1 for each time that has a true one nearby, else 0."""
    return np.asarray([bool((np.abs(true - time) < within).any()) for time in times], np.float64)


def fit(numbers: F64, true: F64, counts: F64, penalty: float) -> F64:
    """Logistic regression by Newton's method; the constant last."""
    matrix = np.concatenate([numbers, np.ones((len(numbers), 1))], axis=1)
    weights = np.zeros(matrix.shape[1])
    penalty *= len(matrix)
    for _ in range(40):
        chance = 1 / (1 + np.exp(-np.clip(matrix @ weights, -30, 30)))
        curve = (matrix.T * (chance * (1 - chance) * counts + 1e-6)) @ matrix + penalty * np.eye(len(weights))
        weights += np.linalg.solve(curve, matrix.T @ ((true - chance) * counts) - penalty * weights)
    return weights


def show(name: str, weights: F64, columns: int) -> None:
    print(name)
    for first in range(0, len(weights), columns):
        print("    " + ", ".join(f"{weight:.2f}" for weight in weights[first : first + columns]) + ",")


def main() -> None:
    strokes: list[F64] = []
    struck: dict[str, list[F64]] = {name: [] for name in drums.WEIGHTS}
    counts: list[F64] = []
    beats: list[F64] = []
    firsts: list[F64] = []
    for kind in KINDS:
        for seed in SEEDS:
            song = compose(kind, seed)
            spectrum = spectrum_of([song.sound[None]], rate=RATE)
            gains = whitening(spectrum.mel)
            rise = rise_of(spectrum.mel, gains, gate_of(spectrum.rms))
            hops, times = pick_onsets(rise)
            strokes.append(drums.described(spectrum.mel, gains, hops).astype(np.float64))
            counts.append(np.full(len(hops), 100 / max(1, len(hops))))  # every song counts alike
            for name, true in song.drums.items():
                struck[name].append(near(times, true, NEAR_ONSET))
            found = beats_of(rise).times
            if near(found, song.beats, NEAR_BEAT).mean() > 0.9 and near(song.beats, found, NEAR_BEAT).mean() > 0.9:
                beats.append(bars.described(spectrum.mel, gains, spectrum.chroma, rise.whole, found))
                firsts.append(near(found, song.downbeats, NEAR_BEAT))
    for name in drums.WEIGHTS:
        true = np.concatenate(struck[name])
        show(name, fit(np.concatenate(strokes), true, np.concatenate(counts), PENALTIES[0]), 9)
    true = np.concatenate(firsts)
    show("bars", fit(np.concatenate(beats), true, np.ones(len(true)), PENALTIES[1]), 5)


if __name__ == "__main__":
    main()
