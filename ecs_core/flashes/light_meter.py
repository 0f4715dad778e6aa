"""LightMeter: the light of a picture as cells, small enough to send or keep for every frame."""

from __future__ import annotations

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import U16
from ecs_core.raster.rasteriser import Planes

CELLS = 12  # to a third of the picture's width and height


def grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of cells for a picture in pixels: 36 × 36, fewer where a picture is tiny, multiples of three."""
    rows, columns = (3 * min(CELLS, side // 2 // 3) for side in (height, width))
    return rows, columns


class LightMeter:
    """Measures pictures of ``width × height`` pixels, both even."""

    def __init__(self, width: int, height: int) -> None:
        self._size, self._shape = (width, height), (3, *grid(width, height))
        self._work = np.empty((3, width // 2), np.float32)

    def measure(self, planes: Planes) -> U16:
        """The mean linear light of each cell, (3, rows, columns) uint16: red, green and blue, 65535 for 1."""
        light: U16 = np.empty(self._shape, np.uint16)
        kernels.flashes.measure(planes.luma, planes.cb, planes.cr, *self._size, self._work, light)
        return light
