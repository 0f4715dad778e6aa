"""Background: a static gradient that costs nothing where no particle passes over it.

The gradient is ``base + glow · gx(x) · gy(y)`` in linear light. A product of two curves is enough for a vignette, a
horizon or a flat colour, and the tone mapper can compute any pixel from two small arrays that stay in cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecs_core.arrays import F32

RGB = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Background:
    """A soft glow over a base colour.

    ``base`` and ``glow`` are linear light, 0–1 each; ``centre`` is a fraction of the frame; ``spread`` is the sigma of
    the Gaussian falloff as a fraction of the frame's width and height.
    """

    base: RGB = (0.0, 0.0, 0.0)
    glow: RGB = (0.0, 0.0, 0.0)
    centre: tuple[float, float] = (0.5, 0.5)
    spread: tuple[float, float] = (0.4, 0.45)

    def curves(self, width: int, height: int) -> tuple[F32, F32]:
        """The two curves, (width,) and (height,) float32, 1 at the centre."""
        x = ((np.arange(width) + 0.5) / width - self.centre[0]) / self.spread[0]
        y = ((np.arange(height) + 0.5) / height - self.centre[1]) / self.spread[1]
        return np.exp(-0.5 * x * x).astype(np.float32), np.exp(-0.5 * y * y).astype(np.float32)
