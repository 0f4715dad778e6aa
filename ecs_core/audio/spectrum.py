"""Spectrum: the spectrogram that all features share, reduced to a few numbers per hop while the song streams.

Samples are mixed to mono, resampled to 22 050 Hz, freed of what is below 20 Hz, and divided into windows of 1024
samples (46 ms) every 256 (11.6 ms), the k-th centred on sample 256 · k. Only what is needed is kept: 64 mel bands, RMS,
every fourth sample and the like, about 1 MB per minute, most of it in files. Pitch classes come from windows four times
as long at every eighth hop, as low notes are close together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import soxr
from numpy.typing import NDArray

from ecs_core.arrays import F32
from ecs_core.audio.filters import WeightedSums, filter_banks
from ecs_core.audio.meters import Measured, Meters
from ecs_core.audio.rumble import LOWEST as LOWEST_HEARD
from ecs_core.audio.rumble import RumbleFilter
from ecs_core.audio.stored_rows import StoredRows
from ecs_core.audio.wave_rows import Wave
from ecs_core.heartbeat import beat
from ecs_core.song_file.mixdown import Mixdown

RATE, WINDOW, HOP = 22_050, 1024, 256
MEL_BANDS, LOWEST = 64, 27.5  # how many, and where the first one begins, Hz
CHROMA_WINDOW, CHROMA_HOP = 4096, 2048
# Bands by name: from and to, Hz. Bass includes sub, as in common usage. Meters measures "air", above 10 kHz.
BANDS = {"sub": (20, 60), "bass": (20, 250), "low_mid": (250, 1000), "mid": (1000, 4000), "high": (4000, 11_025)}
RMS = np.float32(
    3**-0.5
)  # of what has this amplitude: a sine of amplitude 1 is 1, ½ and ½ in three bins, and 0.707 RMS
_CHUNK = 256 * HOP  # 3 s at a time
_LOUDEST = np.float32(60_000)  # about the largest float16


@dataclass(frozen=True, eq=False)
class Spectrum:
    """``bands`` (hops, 5): amplitude in each of BANDS; ``mel`` (hops, 64): amplitude per kHz; ``rms``, ``centroid`` and
    ``flatness`` (hops,); ``chroma`` (hops / 8, 12): amplitude of each pitch class from C on, the k-th at hop 8 · k;
    ``measured``: see Meters; ``peak``: the highest absolute sample of the stereo mix; ``wave_rows``: see Wave.

    All are float32 except ``mel``, the largest, which is float16; per kHz, as values per Hz would underflow in quiet
    songs. It is kept as ``mel_rows``, to be read in parts: only who looks at ``mel`` needs all of it in memory.

    Amplitudes are linear; the centroid is in Hz; flatness is 0 for a tone, about 0.6 for noise. ``samples`` is the
    song's length at its own ``rate``; ``layout`` is FFmpeg's name of its channels' layout.
    """

    bands: F32
    mel_rows: StoredRows
    rms: F32
    centroid: F32
    flatness: F32
    chroma: F32
    measured: Measured
    samples: int
    rate: int
    layout: str
    peak: float
    wave_rows: StoredRows

    @cached_property
    def mel(self) -> NDArray[np.float16]:
        """The mel bands of the whole song, read-only."""
        whole: NDArray[np.float16] = self.mel_rows[:]
        whole.setflags(write=False)
        return whole


def spectrum_of(
    blocks: Iterable[F32], *, rate: int, layout: str = "mono", on_samples: Callable[[int], None] = lambda done: None
) -> Spectrum:
    """The spectrum of a song from blocks (channels, n) float32 of a ``layout``.

    ``on_samples`` is called with the number of samples read.
    """
    resample = soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)
    banks = filter_banks()
    mel, pitch = WeightedSums(banks.mel * np.float32(1000)), WeightedSums(banks.chroma)
    # What is below 20 Hz was removed; the first bin has a part of what is just above.
    edges = np.searchsorted(frequencies, [(0 if low == LOWEST_HEARD else low, high) for low, high in BANDS.values()])
    kept = tuple(StoredRows(width, np.float32) for width in (len(BANDS), 1, 1, 1))
    mels, chroma = StoredRows(MEL_BANDS, np.float16), StoredRows(12, np.float32)
    rumble = RumbleFilter(RATE)
    short, long, wave = _Windows(WINDOW, HOP), _Windows(CHROMA_WINDOW, CHROMA_HOP), Wave(RATE)
    mixdown, meters = Mixdown(layout), Meters(rate=rate, layout=layout, hop=HOP / RATE)
    samples, peak = 0, 0.0

    def take(piece: F32, *, last: bool = False) -> None:
        wave.take(piece, last=last)
        windows = short.of(piece, last=last)
        if len(windows):
            bins = np.abs(np.fft.rfft(windows, axis=1))
            power = bins * bins
            total = power.sum(axis=1) + np.float32(1e-20)
            centroid = (power * frequencies.astype(np.float32)).sum(axis=1) / total
            even = np.maximum(power, total[:, None] * np.float32(1e-9))  # what is 90 dB down is inaudible
            flatness = np.exp(np.log(even).mean(axis=1)) / even.mean(axis=1)
            by_band = np.stack([power[:, first:last].sum(axis=1) for first, last in edges], axis=1)
            mels.append(np.minimum(mel(bins), _LOUDEST))
            rows = (np.sqrt(by_band), np.sqrt(total), centroid, flatness)
            for stored, values in zip(kept, rows, strict=True):
                stored.append(values.reshape(len(bins), -1))
        windows = long.of(piece, last=last)
        if len(windows):
            power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
            chroma.append(np.sqrt(pitch(power)))

    def take_filtered(piece: F32, *, last: bool = False) -> None:
        ready = list(rumble.pieces(piece, last=last))
        for number, each in enumerate(ready, 1):
            take(each, last=last and number == len(ready))

    for block in blocks:
        samples += block.shape[1]
        meters.take(block)
        mixed = mixdown(block)
        peak = max(peak, float(np.abs(mixed).max(initial=0)))
        take_filtered(resample.resample_chunk(mixed.mean(axis=0, dtype=np.float32)))
        on_samples(samples)
        beat()
    take_filtered(resample.resample_chunk(np.zeros(0, np.float32), last=True), last=True)
    measured = meters.finish()
    bands, rms, centroids, flatness = (stored[:] for stored in kept)
    curves = (rms.reshape(-1), centroids.reshape(-1), flatness.reshape(-1))
    return Spectrum(bands, mels, *curves, chroma[:], measured, samples, rate, layout, peak, wave.rows)


def compressed(level: F32) -> F32:
    """Levels >= 0 on a scale that is linear for quiet ones and logarithmic for loud ones; float32, same shape."""
    # Not log1p: numpy has another one, with other roundings, for AVX-512.
    heard: F32 = np.log(level + np.float32(1))
    return heard


class _Windows:
    """Divides a stream into windows of ``size`` samples every ``hop``, the k-th centred on sample k · hop.

    Windows are weighted with the periodic Hann window, scaled so that a full-scale sine has amplitude 1 in its bin.
    """

    def __init__(self, size: int, hop: int) -> None:
        self._size, self._hop = size, hop
        self._hann = (np.hanning(size + 1)[:-1] * (4 / size)).astype(np.float32)
        self._waiting = [np.zeros(size // 2, np.float32)]
        self._have = size // 2

    def of(self, piece: F32, *, last: bool) -> F32:
        """The complete windows, (n, size), once there are enough; all that remain with the ``last`` piece."""
        # Silence at the end, so that the last sample is in the middle of a window.
        parts = [piece, np.zeros(self._size, np.float32)] if last else [piece]
        self._waiting += parts
        self._have += sum(len(part) for part in parts)
        count = (self._have - self._size) // self._hop + 1
        if count < 1 or (not last and self._have < _CHUNK + self._size):
            return np.zeros((0, self._size), np.float32)
        signal = np.concatenate(self._waiting)
        rest = signal[count * self._hop :].copy()
        self._waiting, self._have = [rest], len(rest)
        return (
            np.lib.stride_tricks.sliding_window_view(signal, self._size)[: count * self._hop : self._hop] * self._hann
        )
