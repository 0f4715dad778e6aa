"""Spectrum: the one spectrogram that all features share, reduced to a few numbers a hop while the song streams by.

Samples are mixed to mono, resampled to 22 050 Hz and cut into windows of 1024 samples (46 ms) every 256 (11.6 ms), the
k-th centred on sample 256 · k. Only what features need is kept: 64 mel bands, rms and centroid, about 0.8 MB a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from ecs_core.audio.filters import mel_filters

F32 = NDArray[np.float32]

RATE, WINDOW, HOP = 22_050, 1024, 256
MEL_BANDS = 64
# Bands by name: Hz from, to. Bass includes sub, as people mean it.
BANDS = {"sub": (0, 60), "bass": (0, 250), "low_mid": (250, 1000), "mid": (1000, 4000), "high": (4000, 11_025)}
_CHUNK = 256 * HOP  # 3 s at a time
# Hops a matrix product: few enough (7 · 513 · 64 < 2^18) that OpenBLAS uses one thread. With more it would spin on the
# others, which costs ten times as much where the cores are busy.
_ROWS = 7
_AHEAD = 4096  # hops of memory that a growing spectrum takes at a time


@dataclass(frozen=True, eq=False)
class Spectrum:
    """``bands`` (hops, 5) amplitude in each of BANDS; ``mel`` (hops, 64) amplitude; ``rms`` and ``centroid`` (hops,).

    All are float32 but ``mel``, most of what a long song takes, which is float16.

    Amplitudes are linear; the centroid is in Hz. ``samples`` is the song's length at its own ``rate``.
    """

    bands: F32
    mel: NDArray[np.float16]
    rms: F32
    centroid: F32
    samples: int
    rate: int


def spectrum_of(blocks: Iterable[F32], *, rate: int, on_samples: Callable[[int], None] = lambda done: None) -> Spectrum:
    """Reduce a song, given as blocks (channels, n) float32; ``on_samples`` hears how many were read."""
    resample = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    mel = mel_filters(rate=RATE, window=WINDOW, bands=MEL_BANDS, lowest=27.5)
    # The periodic Hann window, scaled so that a full-scale sine has amplitude 1 in its bin.
    window = (np.hanning(WINDOW + 1)[:-1] * (4 / WINDOW)).astype(np.float32)
    edges = [(frequencies >= low) & (frequencies < high) for low, high in BANDS.values()]
    band = np.stack(edges, axis=1).astype(np.float32)
    kept = (_Growing(len(BANDS)), _Growing(MEL_BANDS, np.float16), _Growing(1), _Growing(1))
    waiting = [np.zeros(WINDOW // 2, np.float32)]  # so that window 0 is centred on sample 0
    have = WINDOW // 2
    samples = 0

    def reduce(signal: F32) -> F32:
        hops = (len(signal) - WINDOW) // HOP + 1
        if hops < 1:
            return signal
        windows = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[: hops * HOP : HOP]
        bins = np.abs(np.fft.rfft(windows * window, axis=1))
        power = bins * bins
        total = power.sum(axis=1) + np.float32(1e-20)
        centroid = (power @ frequencies.astype(np.float32)) / total
        by_mel = np.concatenate([bins[at : at + _ROWS] @ mel for at in range(0, hops, _ROWS)])
        for growing, rows in zip(kept, (np.sqrt(power @ band), by_mel, np.sqrt(total), centroid), strict=True):
            growing.append(rows.reshape(hops, -1))
        return signal[hops * HOP :]

    def take(piece: F32, *, last: bool = False) -> None:
        nonlocal waiting, have
        waiting.append(piece)
        have += len(piece)
        if last or have >= _CHUNK + WINDOW:
            rest = reduce(np.concatenate(waiting))
            waiting, have = [rest], len(rest)

    for block in blocks:
        samples += block.shape[1]
        take(resample.resample_chunk(block.mean(axis=0, dtype=np.float32)))
        on_samples(samples)
    take(resample.resample_chunk(np.zeros(0, np.float32), last=True))
    take(np.zeros(WINDOW, np.float32), last=True)  # so that the last sample lies in the middle of a window
    bands, mels, rms, centroids = (growing.rows() for growing in kept)
    return Spectrum(bands, mels, rms.reshape(-1), centroids.reshape(-1), samples, rate)


class _Growing:
    """Rows that are appended in place: a list of parts, put together at the end, would hold a long song twice."""

    def __init__(self, width: int, dtype: type[np.floating[Any]] = np.float32) -> None:
        self._rows = np.empty((0, width), dtype)
        self._count = 0

    def append(self, rows: F32) -> None:
        before, self._count = self._count, self._count + len(rows)
        if self._count > len(self._rows):
            self._rows.resize((self._count + _AHEAD, self._rows.shape[1]), refcheck=False)
        self._rows[before : self._count] = rows

    def rows(self) -> NDArray[Any]:
        self._rows.resize((self._count, self._rows.shape[1]), refcheck=False)
        return self._rows
