"""Sonogram: what the sound of a song looks like, for layers that show its spectrum or its wave.

It is kept in bytes, as it is large: 11 kB a second. A row of the levels has the mel bands around a hop (11.6 ms); one
of the wave has the samples from it to the next hop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecs_core.arrays import F64, U8
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.spectrum import LOWEST, MEL_BANDS, RATE, RMS, Spectrum
from ecs_core.audio.stored_rows import Rows, StoredRows, chunks_of, part_of
from ecs_core.audio.wave_rows import loudness_of

LONGEST_MEMORY = 20.0  # seconds of the song before a moment that a picture of it may depend on
_AFTER = 2.0  # and after it
TABLES = ("levels", "wave", "outline")  # what is large


# The amplitude that each byte of loudness stands for.
@dataclass(frozen=True, eq=False)
class Sonogram:
    """``levels`` (hops, 64) uint8: loudness of a tone in each mel band; ``wave`` (hops, 65) uint8: samples as int8, 127
    being the amplitude that the last one, their peak, stands for.

    Both begin with hop ``begin`` of the song. Of the whole song are ``loudest`` (64,) uint8, the highest level of each
    band, ``peak``, the highest of the wave's, and ``outline`` (hops, 1) uint8, how loud the song is at each hop (RMS).
    """

    levels: Rows
    wave: Rows
    outline: Rows
    loudest: U8
    peak: int
    begin: int = 0

    def part(self, start: float, end: float) -> Sonogram:
        """What pictures of the song from one second to another need of it; nothing is read."""
        first = max(self.begin, int((start - LONGEST_MEMORY) / SECONDS_PER_HOP))
        last = int((end + _AFTER) / SECONDS_PER_HOP) + 1
        rows = (part_of(each, first - self.begin, last - self.begin) for each in (self.levels, self.wave))
        return replace(self, levels=next(rows), wave=next(rows), begin=first)


def sonogram_of(spectrum: Spectrum) -> Sonogram:
    """The sonogram of a song."""
    levels, loudest = StoredRows(MEL_BANDS, np.uint8), np.zeros(MEL_BANDS, np.uint8)
    edges = hertz_of(mels_between(LOWEST, RATE / 2, MEL_BANDS + 2))
    # A tone is in three bins of its window, as ½, 1 and ½; the filters are triangles with an area of 1 in kHz.
    gains = ((edges[2:] - edges[:-2]) / 4000).astype(np.float32)
    for chunk in chunks_of(spectrum.mel_rows):
        loud = loudness_of(chunk.astype(np.float32) * gains)
        np.maximum(loudest, loud.max(axis=0), out=loudest)
        levels.append(loud)
    peak = max((int(chunk[:, -1].max()) for chunk in chunks_of(spectrum.wave_rows)), default=0)
    return Sonogram(levels, spectrum.wave_rows, loudness_of(spectrum.rms * RMS)[:, None], loudest, peak)


def mel_of(hertz: F64) -> F64:
    """Frequencies on the mel scale (HTK's, as the filters of the analysis)."""
    mel: F64 = 2595 * np.log10(1 + hertz / 700)
    return mel


def mels_between(low: float, high: float, count: int) -> F64:
    """``count`` places on the mel scale from one frequency to another, both among them."""
    first, last = mel_of(np.array([low, high]))
    return np.linspace(float(first), float(last), count)


def hertz_of(mel: F64) -> F64:
    """Frequencies from the mel scale."""
    hertz: F64 = 700 * (10 ** (mel / 2595) - 1)
    return hertz


def band_of(hertz: F64) -> F64:
    """Where frequencies lie among the mel bands: 0 at the middle of the first one, 1 at that of the second."""
    low, high = mel_of(np.array([LOWEST, RATE / 2]))
    bands: F64 = (mel_of(hertz) - low) / (high - low) * (MEL_BANDS + 1) - 1
    return bands
