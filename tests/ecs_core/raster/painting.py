"""Pictures for tests: painted at once, compared, and turned back into light."""

from __future__ import annotations

import numpy as np

from ecs_core import Sprites, kernels
from ecs_core.raster.background import Background
from ecs_core.raster.finish import Finish
from ecs_core.raster.rasteriser import Planes, Rasteriser

WIDTH, HEIGHT = 192, 108
BLACK = Background()


def painted(
    drawn: Sprites,
    background: Background = BLACK,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    *,
    finish: Finish | None = None,
    light: float = 1.0,
) -> Planes:
    """A picture of the sprites over the background."""
    planes = Planes.empty(*size)
    Rasteriser(*size, background=background).paint(drawn, planes, light=light, finish=finish)
    return planes


def same(a: Planes, b: Planes) -> bool:
    """Whether two pictures are equal in every byte."""
    return all(np.array_equal(x, y) for x, y in ((a.luma, b.luma), (a.cb, b.cb), (a.cr, b.cr)))


def light_of(planes: Planes) -> np.ndarray:
    """The linear light that luma shows, (height, width)."""
    shown = (planes.luma.astype(float) - 16 - 0.5) / 219  # without the mean of the dither
    return kernels.curve.linear_shown_as(shown.clip(0, 0.999))


def rgb_of(planes: Planes) -> np.ndarray:
    """What planes show, (height, width, 3) uint8: BT.709 in limited range, each colour as large as four pixels."""
    luma = (planes.luma.astype(float) - 16) / 219
    blue, red = ((each.repeat(2, 0).repeat(2, 1).astype(float) - 128) / 224 for each in (planes.cb, planes.cr))
    r, b = luma + 1.5748 * red, luma + 1.8556 * blue
    g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152
    return np.round(np.stack([r, g, b], axis=2).clip(0, 1) * 255).astype(np.uint8)
