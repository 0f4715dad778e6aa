"""Sprites: what systems draw, in units, and what the rasteriser draws, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32

Blend = Literal["add", "over"]


@dataclass(frozen=True, eq=False, slots=True)
class Sprites:
    """Round sprites in draw order; all arrays have shape (n,).

    ``x`` and ``y`` are float32 (pixel centres at .5, y down), ``radius`` float32 > 0, all in units or in pixels;
    ``red``, ``green`` and ``blue`` float32 linear light >= 0 at the sprite's centre (1 is about diffuse white, more
    goes towards a white core). ``skirt`` float32 is the brightness of the wide glow round a sprite as a share of its
    core's, 0 for none. ``disc`` uint8: 0 draws a glow, 1 an out-of-focus disc, which has no skirt. ``cover`` float32,
    0–1, is the share of what is behind that a sprite hides at its centre; light adds up where it is 0, and without it.
    """

    x: F32
    y: F32
    radius: F32
    red: F32
    green: F32
    blue: F32
    skirt: F32
    disc: NDArray[np.uint8]
    cover: F32 | None = None

    def __len__(self) -> int:
        return len(self.x)

    @staticmethod
    def join(lists: Sequence[Sprites]) -> Sprites:
        """Several lists as one, drawn in the order given."""
        if len(lists) == 1:
            return lists[0]
        if not lists:
            nothing = np.zeros(0, np.float32)
            return Sprites(nothing, nothing, nothing, nothing, nothing, nothing, nothing, np.zeros(0, np.uint8))
        names = ("x", "y", "radius", "red", "green", "blue", "skirt", "disc")
        x, y, radius, red, green, blue, skirt, disc = (
            np.concatenate([getattr(part, name) for part in lists]) for name in names
        )
        cover = None
        if any(part.cover is not None for part in lists):
            cover = np.concatenate([_zeros(len(part)) if part.cover is None else part.cover for part in lists])
        return Sprites(x, y, radius, red, green, blue, skirt, disc, cover)


def _zeros(n: int) -> F32:
    return np.zeros(n, np.float32)
