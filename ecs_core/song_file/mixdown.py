"""Mixdown: from any layout to one or two channels by ITU-R BS.775, as quiet as it must be so as not to clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import log10
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32
from ecs_core.song_file.layouts import NOWHERE, is_mixed, positions, stereo_weights

_SURROUNDS = {"BL": "SL", "BR": "SR", "SL": "BL", "SR": "BR"}  # where a layout has one pair, it may be either
_T = TypeVar("_T", np.float32, np.complex64, np.complex128)


class Mixdown:
    """Mixes blocks (channels, n) float32 of a ``layout`` to blocks of one or two ``channels``.

    Mono and stereo stay as they are. Everything else is mixed to stereo, and multiplied by ``gain``.
    """

    def __init__(self, layout: str, *, gain: float = 1.0) -> None:
        self.layout = layout
        self.is_mixed = is_mixed(layout)
        self.channels = 2 if self.is_mixed else len(positions(layout))
        self._weights = stereo_weights(layout) if self.is_mixed else None
        self._gain = np.float32(gain)

    def __call__(self, block: NDArray[_T]) -> NDArray[_T]:
        """The block mixed; the same block if nothing has to be done. Its spectrum can be mixed as well."""
        if self._weights is None:
            return block
        mixed = np.zeros((2, block.shape[1]), block.dtype)
        for weights, channel in zip(self._weights.T, block, strict=True):
            for side in weights.nonzero()[0]:
                mixed[side] += weights[side] * channel
        return mixed if self._gain == 1 else mixed * self._gain

    def blocks(self, blocks: Iterable[F32]) -> Iterator[F32]:
        """The blocks mixed, one by one."""
        return map(self, blocks)


def conversion(before: str, after: str) -> F32:
    """The matrix (channels after, channels before), float32, that converts a layout to another one.

    Channels keep their positions where the other layout has them, and are mixed to its front otherwise.
    """
    old, new = positions(before), positions(after)
    if old == ("FC",) and new == ("FL", "FR"):
        return np.ones((2, 1), np.float32)
    matrix = np.zeros((len(new), len(old)), np.float32)
    sides = stereo_weights(before) if is_mixed(before) or len(old) == 1 else np.eye(2, dtype=np.float32)
    for column, position in enumerate(old):
        other = _SURROUNDS.get(position, position)
        position = position if position in new or other in old else other  # noqa: PLW2901 - the same place
        if position in new and position != NOWHERE:
            matrix[new.index(position), column] = 1
        elif len(new) == 1:
            matrix[0, column] = sides[:, column].mean()
        else:
            left, right = (new.index(side) if side in new else number for number, side in enumerate(("FL", "FR")))
            matrix[left, column], matrix[right, column] = sides[:, column]
    return matrix


def peak_of(blocks: Iterable[F32], layout: str) -> float:
    """The highest absolute sample of a whole song mixed down without a cut."""
    mixdown = Mixdown(layout)
    return max((float(np.abs(block).max(initial=0)) for block in mixdown.blocks(blocks)), default=0.0)


def gain_for(peak: float | None) -> float:
    """The gain, at most 1, at which a mix with this peak just does not clip; 1 if the peak is not known."""
    return 1 / peak if peak is not None and peak > 1 else 1.0


def cut_warning(layout: str, peak: float) -> tuple[str, ...]:
    """A warning about the cut that the mix of a whole song takes; empty if it takes none."""
    gain = gain_for(peak) if is_mixed(layout) else 1.0
    cut = -20 * log10(gain)
    return (f"mixed from {layout} to stereo, the song would clip: it is {cut:.2g} dB quieter",) if cut >= 0.05 else ()
