"""Part: what a video takes of its song's sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from ecs_core.arrays import F32


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a song from ``start`` on, ``duration`` long, both in seconds and exact."""

    start: Fraction
    duration: Fraction

    def heard(self, blocks: Iterable[F32], rate: int) -> Iterator[F32]:
        """Of a song's blocks, (channels, n) float32 each, the samples of this part.

        It begins at the sample nearest to ``start``. Blocks of the part may be fewer than it is long, if the song ends.
        """
        left = round(self.start * rate)  # samples to leave out
        for block in blocks:
            part = block[:, left:] if left else block
            left = max(0, left - block.shape[1])
            if part.shape[1]:
                yield part
