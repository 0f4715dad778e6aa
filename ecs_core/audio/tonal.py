"""Harmonic and percussive shares, pitch classes, and an estimate of the key."""

from __future__ import annotations

import statistics

import numpy as np

from ecs_core.arrays import F32
from ecs_core.audio.catalogue import NOTES
from ecs_core.audio.stored_rows import Rows
from ecs_core.audio.windows import medians

_LONG, _BROAD = 9, 17  # cells: 0.4 s, and a quarter of the mel bands
_FAINT = 1e-3  # moments 60 dB below the loudest one have no pitch
_CELL = 4  # hops
_PART = 512  # cells processed at a time, to limit memory
# Key profiles of C major and C minor: C. Krumhansl, "Cognitive Foundations of Musical Pitch", 1990, p. 30.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


def harmonic_share(mel: Rows) -> F32:
    """The harmonic share of the energy, (hops,) float32 in 0–1; the rest is percussive.

    D. Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010, on mel bands (hops, 64):
    sustained sounds survive a median over time, broadband ones a median over bands; soft masks of order 2.
    """
    hops = len(mel)
    cells = -(-hops // _CELL)
    share = np.zeros(cells, np.float32)
    for first in range(0, cells, _PART):
        start, stop = max(0, first - _LONG // 2), min(cells, first + _PART + _LONG // 2)
        part = mel[start * _CELL : stop * _CELL].astype(np.float32)
        part = (
            np.pad(part, ((0, (stop - start) * _CELL - len(part)), (0, 0)))
            .reshape(stop - start, _CELL, -1)
            .mean(axis=1)
        )
        tone = np.ascontiguousarray(_medians(part.T, _LONG).T) ** 2
        stroke = _medians(part, _BROAD) ** 2
        energy = part * part
        heard = energy.sum(axis=1)
        mask = tone / (tone + stroke + np.float32(1e-30))
        found = np.divide((mask * energy).sum(axis=1), heard, out=np.zeros(len(part), np.float32), where=heard > 0)
        share[first : first + _PART] = found[first - start :][:_PART]
    return np.repeat(share, _CELL)[:hops]


def _medians(rows: F32, width: int) -> F32:
    """Running median over ``width`` values of each row; rows are mirrored at their ends."""
    return medians(rows, width, outside="reflect" if rows.shape[1] > width else "edge")


def pitch_classes(chroma: F32) -> F32:
    """Amplitudes (n, 12) relative to the strongest pitch class of each moment, 0–1."""
    strongest = chroma.max(axis=1, keepdims=True)
    classes: F32 = np.divide(
        chroma, strongest, out=np.zeros_like(chroma), where=strongest > _FAINT * strongest.max(initial=0)
    )
    return classes


def key_of(chroma: F32) -> tuple[str, float]:
    """The best-fitting key, such as "A minor", and a confidence in 0–1; ("", 0) if none fits.

    The loudness-weighted mean of each pitch class is correlated with Krumhansl's profiles of the 24 keys. The
    confidence is the best correlation, times its lead over the second best (0.1 counts fully), times the coefficient of
    variation of the pitch classes (0.2 counts fully).
    """
    total = chroma.sum(axis=0, dtype=np.float64)
    if total.std() <= 1e-9 * max(1.0, float(total.max())):
        return "", 0.0
    heard, fits = total.tolist(), []
    for mode, profile in (("major", _MAJOR), ("minor", _MINOR)):
        for note in range(12):
            fit = statistics.correlation(np.roll(profile, note).tolist(), heard)
            fits.append((fit, f"{NOTES[note]} {mode}"))
    (best, name), (second, _) = sorted(fits, reverse=True)[:2]
    if best <= 0:
        return "", 0.0
    uneven = float(total.std() / total.mean())
    return name, round(best * min(1.0, (best - second) / 0.1) * min(1.0, uneven / 0.2), 3)
