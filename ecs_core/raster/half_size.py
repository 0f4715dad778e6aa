"""Pictures that are painted at half size, as drafts are, and shown at full size."""

from __future__ import annotations

import numpy as np

from ecs_core import kernels
from ecs_core.raster.rasteriser import Planes

_LUMA, _CHROMA = 6, 7  # see kernels.doubling


def double(small: Planes, planes: Planes) -> None:
    """Interpolate the picture ``small``, without padding, into ``planes`` of twice its width and height."""
    for of, to, near in (
        (small.luma, planes.luma, _LUMA),
        (small.cb, planes.cb, _CHROMA),
        (small.cr, planes.cr, _CHROMA),
    ):
        rows, columns = of.shape
        kernels.doubling.double(of, to, rows, columns, near, np.empty(columns + 2, np.float32))
