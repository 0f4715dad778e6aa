"""The wave of a song in few bytes, and loudness in one, for pictures of the sound.

Loudness is in steps of half a decibel: a byte of 255 is TOP above full scale, one of 1 is 127 dB less, and 0 is
nothing. A row of the wave has the samples of one hop, low-passed to 2.7 kHz, and their peak.
"""

from __future__ import annotations

import numpy as np
import soxr

from ecs_core.arrays import F32, F64, U8
from ecs_core.audio.stored_rows import StoredRows

TOP, STEP = 12.0, 0.5  # dB
WAVE_SAMPLES = 64  # a row
_FEWER = 4  # times
# The amplitude that each byte of loudness stands for.
AMPLITUDES: F64 = np.array([0.0, *(10 ** ((TOP - (255 - byte) * STEP) / 20) for byte in range(1, 256))])
_UP_TO: F32 = (AMPLITUDES[1:] * 10 ** (-STEP / 40)).astype(np.float32)  # from there on a level is that byte


class Wave:
    """Makes the rows of a sonogram's wave from a mono stream, of which it keeps every fourth sample."""

    def __init__(self, rate: int) -> None:
        self._resample = soxr.ResampleStream(rate, rate / _FEWER, 1, dtype="float32", quality="HQ")
        self._waiting = np.zeros(0, np.float32)
        self.rows = StoredRows(WAVE_SAMPLES + 1, np.uint8)

    def take(self, piece: F32, *, last: bool = False) -> None:
        """Take the next samples; the last row ends with silence."""
        samples = np.concatenate([self._waiting, self._resample.resample_chunk(piece, last=last)])
        if last:
            samples = np.pad(samples, (0, -len(samples) % WAVE_SAMPLES))
        count = len(samples) // WAVE_SAMPLES
        self._waiting = samples[count * WAVE_SAMPLES :].copy()
        self.rows.append(wave_rows(samples[: count * WAVE_SAMPLES].reshape(count, WAVE_SAMPLES)))


def loudness_of(amplitudes: F32) -> U8:
    """Amplitudes as bytes of loudness, the nearest ones."""
    # Not by logarithms, which numpy rounds in other ways on other processors.
    return np.searchsorted(_UP_TO, amplitudes, side="right").astype(np.uint8)


def wave_rows(samples: F32) -> U8:
    """Samples (n, 64) as rows of a wave, (n, 65)."""
    highest = np.abs(samples).max(axis=1)
    peaks = np.minimum(np.searchsorted(AMPLITUDES, highest), 255)
    scales = np.where(peaks > 0, 127 / np.maximum(AMPLITUDES[peaks], 1e-30), 0.0)
    rows = np.empty((len(samples), WAVE_SAMPLES + 1), np.uint8)
    rows[:, :-1] = np.clip(np.rint(samples * scales[:, None]), -127, 127).astype(np.int8).view(np.uint8)
    rows[:, -1] = peaks
    return rows


def wave_samples(rows: U8) -> F64:
    """The samples in rows of a wave, one after another."""
    rows = np.ascontiguousarray(rows)
    samples: F64 = rows[:, :-1].view(np.int8) * (AMPLITUDES[rows[:, -1]] / 127)[:, None]
    return samples.reshape(-1)
