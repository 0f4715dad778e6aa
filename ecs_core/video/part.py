"""Part: what a video takes of its song, and how sound and picture fade at both ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ecs_core.arrays import F32, F64


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a song from ``start`` on, ``duration`` long, faded in and out; all in seconds and exact.

    A fade is the rise of a squared sine, from 0 to 1 and level at both ends, or its mirror image. Applied to samples it
    makes no click; applied to linear light it is close to even for the eye, which sees about the square root. Fades
    that overlap multiply. They belong to the video, whether or not the song lasts to its end.
    """

    start: Fraction
    duration: Fraction
    fade_in: Fraction = Fraction(0)
    fade_out: Fraction = Fraction(0)

    @property
    def is_faded(self) -> bool:
        """Whether there are fades."""
        return bool(self.fade_in or self.fade_out)

    def light(self, frame: int, fps: Fraction) -> float:
        """How much of its light a frame keeps, 0–1: the first of a fade in is black, and the last of a fade out."""
        return float(self.lights(np.array([float(frame)]), fps)[0]) if self.is_faded else 1.0

    def lights(self, frames: F64, fps: Fraction) -> F64:
        """The same for many frames at once, (frames,) each."""
        return self._gains(frames, float(self.duration * fps) - 1 - frames, fps)

    def heard(self, blocks: Iterable[F32], rate: int) -> Iterator[F32]:
        """Of a song's blocks, (channels, n) float32 each, the samples of this part, faded.

        It begins at the sample nearest to ``start``. Blocks of the part may be fewer than it is long, if the song ends.
        """
        left = round(self.start * rate)  # samples to leave out
        at = 0
        for block in blocks:
            part = block[:, left:] if left else block
            left = max(0, left - block.shape[1])
            if part.shape[1]:
                yield self._faded(part, at, rate)
                at += part.shape[1]

    def _faded(self, block: F32, at: int, rate: int) -> F32:
        """A block that begins with sample ``at`` of the part."""
        end = round(self.duration * rate)
        n = block.shape[1]
        if not self.is_faded or (self.fade_in * rate <= at and at + n <= end - self.fade_out * rate):
            return block
        numbers = np.arange(at, at + n, dtype=np.float64)
        gains = self._gains(numbers, end - 1 - numbers, Fraction(rate))
        return (block * gains).astype(np.float32)

    def _gains(self, since: F64, until: F64, rate: Fraction) -> F64:
        """The product of both fades, so many frames or samples after the first and before the last."""
        gains = np.ones(len(since))
        for passed, fade in ((since, self.fade_in), (until, self.fade_out)):
            if fade:
                gains *= np.sin(np.pi / 2 * np.clip(passed / float(fade * rate), 0, 1)) ** 2
        return gains
