"""Rumble: what lies below 20 Hz, such as a DC offset, is not heard and must not move a picture.

A low-pass with linear phase is subtracted from the stream where rumble is a part of the sound worth removing. Songs
without that keep their samples bit for bit, although each kick has a little below 20 Hz too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from ecs_core.arrays import F32

LOWEST = 20.0  # Hz: the lowest that is heard
_CUTOFF = 15.0  # Hz, at -6 dB: 0.1 % are left at 20 Hz
_TAPS = 8191  # 0.37 s at 22 050 Hz
_BETA = 5.65  # of Kaiser's window: 60 dB
_BLOCK = 1 << 16  # samples per transform
_KEPT, _REMOVED = 0.1, 0.2  # share of the RMS of three seconds up to which rumble stays, and from which it goes


class RumbleFilter:
    """Removes rumble from mono float32 samples at a ``rate``; what comes out is cut as what went in."""

    def __init__(self, rate: int) -> None:
        half = _TAPS // 2
        times = np.arange(-half, half + 1) / rate
        taps = np.sinc(2 * _CUTOFF * times) * np.kaiser(_TAPS, _BETA)
        self._response = np.fft.rfft(taps / taps.sum(), _BLOCK)
        self._half = half
        self._gain: float | None = None
        self._waiting = np.zeros(half, np.float32)  # with what is around the next samples
        self._sizes: deque[int] = deque()  # of pieces that are not out yet
        self._done = np.zeros(0, np.float32)

    def pieces(self, piece: F32, *, last: bool = False) -> Iterator[F32]:
        """Yield the pieces that are ready, filtered; all that remain with the ``last`` one.

        They are those that went in, as sums over other pieces would be rounded in other ways.
        """
        self._sizes.append(len(piece))
        self._done = np.concatenate([self._done, self._filtered(piece, last=last)])
        while self._sizes and self._sizes[0] <= len(self._done):
            size = self._sizes.popleft()
            yield self._done[:size]
            self._done = self._done[size:]

    def _filtered(self, piece: F32, *, last: bool) -> F32:
        """The next filtered samples, late by half the filter's length; all that remain with the ``last`` piece."""
        parts = [self._waiting, piece, np.zeros(self._half, np.float32)] if last else [self._waiting, piece]
        signal = np.concatenate(parts)
        done, at, used = [], 0, _BLOCK - 2 * self._half
        while len(signal) - at >= _BLOCK or (last and len(signal) - at > 2 * self._half):
            done.append(self._block(signal[at : at + _BLOCK]))
            at += used
        self._waiting = signal[min(at, len(signal)) :].copy()
        return np.concatenate(done) if done else np.zeros(0, np.float32)

    def _block(self, signal: F32) -> F32:
        """The samples of a block that have their surroundings in it."""
        low = np.fft.irfft(np.fft.rfft(signal, _BLOCK) * self._response, _BLOCK)[2 * self._half : len(signal)]
        samples = signal[self._half : len(signal) - self._half]
        level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
        share = float(np.sqrt(np.mean(np.square(low)))) / level if level else 0.0
        gain = min(1.0, max(0.0, (share - _KEPT) / (_REMOVED - _KEPT)))
        before, self._gain = gain if self._gain is None else self._gain, gain
        if not before and not gain:
            return samples
        kept: F32 = samples - (low * np.linspace(before, gain, len(low))).astype(np.float32)
        return kept
