"""Meters: streaming measurements at the song's own sample rate, per channel.

Each block goes through one Fourier transform per channel (overlap-save, so the result equals filtering the whole song),
which applies the K-weighting and isolates what is above 10 kHz. Kept are sums of squares: per tenth of a second for
loudness and stereo, per hop for air.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio.loudness import weighting
from ecs_core.song_file.layouts import positions
from ecs_core.song_file.mixdown import Mixdown

STEP = 0.1  # seconds between sums for loudness and stereo
AIR = (9_500.0, 10_500.0)  # Hz: air is what lies above; the response fades in between
_PAST = 0.15  # seconds of overlap: after that the 38 Hz high-pass has decayed to e^-35
_BLOCK = 1 << 16  # samples per transform, including the overlap


@dataclass(frozen=True, eq=False)
class Measured:
    """Mean squares, float32: ``loudness`` (n, channels), K-weighted, and ``stereo`` (n, 3) of left, right and their
    product in the stereo mix, for each ``STEP`` seconds; ``air`` (hops,), the amplitude above 10 kHz around each hop.
    """

    loudness: F32
    stereo: F32
    air: F32


class Meters:
    """Measures a song of a ``layout`` from its blocks in order. ``hop`` is in seconds."""

    def __init__(self, *, rate: int, layout: str, hop: float) -> None:
        channels = len(positions(layout))
        self._mixdown = Mixdown(layout)
        self._past = max(256, round(_PAST * rate))
        self._size = max(_BLOCK, 1 << (4 * self._past).bit_length())
        frequencies = np.fft.rfftfreq(self._size, 1 / rate)
        self._weighting = weighting(frequencies, rate)
        self._air = np.clip((frequencies - AIR[0]) / (AIR[1] - AIR[0]), 0, 1).astype(np.float32)
        self._has_air = bool(self._air.any())
        self._waiting = [np.zeros((channels, self._past), np.float32)]
        self._have = self._past
        self._loudness = _Sums(STEP * rate, channels)
        self._stereo = _Sums(STEP * rate, 3)
        self._cells = _Sums(hop * rate, 1, first=-0.5)

    def take(self, block: F32) -> None:
        """The next samples, (channels, n) float32."""
        self._waiting.append(block)
        self._have += block.shape[1]
        while self._have >= self._size:
            whole = np.concatenate(self._waiting, axis=1) if len(self._waiting) > 1 else self._waiting[0]
            self._measure(whole[:, : self._size])
            rest = whole[:, self._size - self._past :].copy()
            self._waiting, self._have = [rest], rest.shape[1]

    def finish(self) -> Measured:
        """The measurements of the whole song."""
        if self._have > self._past:
            self._measure(np.concatenate(self._waiting, axis=1))
        cells = np.pad(self._cells.means()[:, 0], 1)  # a hop's window covers half of each neighbour
        air = np.sqrt(0.25 * cells[:-2] + 0.5 * cells[1:-1] + 0.25 * cells[2:])
        return Measured(self._loudness.means(), self._stereo.means(), air.astype(np.float32))

    def _measure(self, samples: F32) -> None:
        """Measure samples, the first ``_past`` of which are overlap."""
        spectrum = np.fft.rfft(samples, self._size, axis=1)
        used = slice(self._past, samples.shape[1])
        weighted = np.fft.irfft(spectrum * self._weighting, self._size, axis=1)[:, used]
        self._loudness.add(weighted * weighted)
        mixed = self._mixdown(samples[:, used])
        left, right = mixed[0], mixed[-1]
        self._stereo.add(np.stack([left * left, right * right, left * right]))
        if self._has_air:
            above = np.fft.irfft(self._mixdown(spectrum).mean(axis=0) * self._air, self._size)[used]
            self._cells.add((above * above)[None])
        else:
            self._cells.add(np.zeros((1, samples.shape[1] - self._past), np.float32))


class _Sums:
    """Sums over cells of ``width`` samples, not necessarily whole; the first cell begins at ``first`` cells."""

    def __init__(self, width: float, columns: int, *, first: float = 0.0) -> None:
        self._width, self._first, self._at = width, first, 0
        self._parts: list[F64] = []
        self._open: F64 = np.zeros(columns)  # the incomplete cell
        self._count = 0  # complete cells

    def add(self, values: NDArray[np.floating[Any]]) -> None:
        """Add the next values, (columns, n)."""
        stop = self._at + values.shape[1]
        edges: list[int] = []
        while (edge := self._edge(self._count + len(edges) + 1)) <= stop:
            edges.append(edge - self._at)
        full = bool(edges) and edges[-1] == values.shape[1]  # the last cell ends here, and the open one is empty
        starts = np.array([0, *(edges[:-1] if full else edges)], np.int64)
        sums = np.add.reduceat(values, starts, axis=1, dtype=np.float64)
        if full:
            sums = np.concatenate([sums, np.zeros((len(sums), 1))], axis=1)
        sums[:, 0] += self._open
        self._parts.append(sums[:, :-1].T)
        self._open, self._count, self._at = sums[:, -1], self._count + len(edges), stop

    def _edge(self, cell: int) -> int:
        return round((cell + self._first) * self._width)

    def means(self) -> F32:
        """The mean of each cell, (cells, columns) float32; the last one may be shorter than the others."""
        parts = [*self._parts, self._open[None]] if self._at > self._edge(self._count) else self._parts
        sums = np.concatenate(parts) if parts else np.zeros((0, len(self._open)))
        numbers = range(len(sums) + 1)
        edges = np.fromiter((min(max(0, self._edge(cell)), self._at) for cell in numbers), np.int64, len(numbers))
        sums /= np.maximum(1, np.diff(edges))[:, None]
        return sums.astype(np.float32)
