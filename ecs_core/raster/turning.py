"""Which of a picture's sprites are drawn with textures, and how these are turned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32, I64
from ecs_core.raster.sprites import Sprites
from ecs_core.raster.textures import atlas

_DIAGONAL = np.float32(1.5)  # of a square and its fringe, in halves of a side
_OF_A_DISC = np.float32(0.4)  # the light of a picture, as a share of a disc's that is as wide
_TURN = np.float32(2 * np.pi)


def without_shape(sprites: Sprites) -> Sprites:
    """Sprites whose textured ones are discs without a skirt, as large as their pictures with all that they need."""
    assert sprites.texture is not None
    pictures = sprites.texture > 0
    _, (reaches, *_) = atlas()
    return replace(
        sprites,
        radius=np.where(pictures, sprites.radius * reaches[sprites.texture], sprites.radius),
        disc=np.where(pictures, np.uint8(1), sprites.disc),
    )


def _squeeze_of(sprites: Sprites) -> F32:
    assert sprites.squeeze is not None
    squeeze: F32 = np.nan_to_num(np.clip(sprites.squeeze, -1, 1))
    return squeeze


def as_bright_discs(sprites: Sprites) -> Sprites:
    """Sprites as :func:`without_shape` returns them, whose textured ones give about as much light as their pictures."""
    assert sprites.texture is not None
    squeeze = np.float32(1) if sprites.squeeze is None else np.abs(_squeeze_of(sprites))
    share = np.where(sprites.texture > 0, _OF_A_DISC * squeeze, np.float32(1))
    return replace(sprites, red=share * sprites.red, green=share * sprites.green, blue=share * sprites.blue)


@dataclass(frozen=True, eq=False, slots=True)
class Textured:
    """How windows are drawn: ``turns`` is (7, windows) as ``kernels.textures`` takes it, with 0 for no picture."""

    turns: F32
    atlas: F32

    @staticmethod
    def of(sprites: Sprites) -> Textured:
        """Those of sprites as :func:`without_shape` returns them, of each its core and, where it has one, its skirt."""
        assert sprites.texture is not None
        pictures, (_, wide, tall, detail) = atlas()
        n = len(sprites)
        turns = np.zeros((7, n), np.float32)
        turns[0] = sprites.texture
        angle = np.zeros(n, np.float32) if sprites.angle is None else np.nan_to_num(sprites.angle % 1) * _TURN
        turns[1], turns[2] = np.cos(angle), np.sin(angle)
        turns[3] = 1 if sprites.squeeze is None else _squeeze_of(sprites)
        turns[4], turns[5], turns[6] = wide[sprites.texture], tall[sprites.texture], detail[sprites.texture]
        windows = 1 + ((sprites.disc == 0) & (sprites.skirt > 0))
        return Textured(np.repeat(turns, windows, axis=1), pictures)

    def reach(self, reach: F32) -> F32:
        """How far windows reach from their middles however they are turned; (windows,)."""
        # At half size the finest are twice as large, and are sampled from a level with a pixel more around it.
        finest = np.float32(2 * kernels.raster.FINEST)
        larger: F32 = np.where(self.turns[0] > 0, _DIAGONAL * np.maximum(reach, finest) + 4, reach)
        return larger

    def covered(self, windows: F32, width: int, height: int) -> float:
        """The pixels of a picture that squares of textures cover; ``windows`` is (3, windows): middles and reach."""
        large = (self.turns[0] > 0) & (windows[2] > kernels.raster.FINEST)  # others cannot be drawn smaller
        x, y, reach = windows[:, large].astype(np.float64)
        wide = np.minimum(x + reach, width) - np.maximum(x - reach, 0)
        high = np.minimum(y + reach, height) - np.maximum(y - reach, 0)
        return float(np.nansum(np.maximum(wide, 0) * np.maximum(high, 0)))

    def runs(self, listed: I64, *, in_order: bool) -> list[tuple[NDArray[np.int64], bool]]:
        """The listed windows, and whether they have pictures: together, or ``in_order`` with as many runs as needed."""
        pictures = self.turns[0, listed] > 0
        if not in_order:
            return [(each, kind) for kind in (False, True) if (each := listed[pictures == kind]).size]
        ends = np.flatnonzero(np.diff(pictures)) + 1
        return [
            (run, bool(pictures[first]))
            for run, first in zip(np.split(listed, ends), (0, *ends.tolist()), strict=True)
            if run.size
        ]
