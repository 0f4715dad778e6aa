"""Converter: the frames that FFmpeg decodes as blocks of one rate and layout, even if these change midway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import av
import av.error
import numpy as np

from ecs_core.arrays import F32
from ecs_core.song_file.layouts import MOST_CHANNELS, layout_of, positions
from ecs_core.song_file.mixdown import conversion

_TOLD = 5  # changes


@dataclass(frozen=True, slots=True)
class Shape:
    """A sample rate and a layout."""

    rate: int
    layout: str

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(positions(self.layout))

    def __str__(self) -> str:
        return f"{self.layout} at {self.rate} Hz"


def layout_name(layout: av.AudioLayout) -> str:
    """The name of a layout, or of FFmpeg's default for that number of channels where the file does not say which."""
    return layout_of(layout.name, [channel.name for channel in layout.channels])


class Converter:
    """Converts frames to blocks (channels, n) float32 of one shape; ``changes`` says what changed midway."""

    def __init__(self, shape: Shape) -> None:
        self._shape, self._before = shape, shape
        self._resampler: av.AudioResampler | None = None
        self._form: object = None
        self._matrix: F32 | None = None
        self._samples = self._changes = 0
        self._told: list[str] = []

    @property
    def changes(self) -> list[str]:
        """What changed when; the first few, and the number of the others."""
        more = self._changes - len(self._told)
        return [*self._told, f"changes {more} times more"] if more else self._told

    def convert(self, frame: av.AudioFrame) -> Iterator[F32 | None]:
        """Yield the next blocks; None if the frame's properties contradict each other."""
        if frame.sample_rate <= 0 or not 1 <= frame.layout.nb_channels <= MOST_CHANNELS:
            yield None
            return
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._form != form:
            yield from self.flush()
            self._form = form
            self._begin(frame)
        assert self._resampler is not None
        try:
            frames = self._resampler.resample(frame)
        except (av.error.FFmpegError, ValueError):
            self._form = self._resampler = None
            yield None
            return
        yield from map(self._block, frames)

    def flush(self) -> Iterator[F32]:
        """Yield what a conversion of the rate still holds."""
        if self._resampler is not None and self._before.rate != self._shape.rate:
            with suppress(av.error.FFmpegError):
                yield from map(self._block, self._resampler.resample(None))
        self._resampler = None

    def _begin(self, frame: av.AudioFrame) -> None:
        shape = Shape(frame.sample_rate, layout_name(frame.layout))
        if self._samples and shape != self._before:
            self._changes += 1
            if len(self._told) < _TOLD:
                at = f"{self._samples / self._shape.rate:.2f} s"
                self._told.append(f"changes at {at} from {self._before} to {shape}: converted to {self._shape}")
        self._before = shape
        self._resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=self._shape.rate)
        same = positions(shape.layout) == positions(self._shape.layout)
        self._matrix = None if same else conversion(shape.layout, self._shape.layout)

    def _block(self, frame: av.AudioFrame) -> F32:
        # Interleaved, as PyAV crashes on many planes.
        block: F32 = np.ascontiguousarray(frame.to_ndarray().reshape(-1, frame.layout.nb_channels).T)
        self._samples += block.shape[1]
        if self._matrix is None:
            return block
        mixed = sum(gains[:, None] * channel for gains, channel in zip(self._matrix.T, block, strict=True))
        return np.asarray(mixed, np.float32)
