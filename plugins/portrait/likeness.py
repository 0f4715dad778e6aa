"""Likenesses: where each particle of a text or a picture belongs, how large and bright it is, and in which colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecs_core import F32, Canvas
from plugins.portrait.homes import PER_POINT, means, shrinking, spread
from plugins.portrait.picture import read_picture
from plugins.portrait.settings import PortraitSettings
from plugins.portrait.text import text_mask

f32 = np.float32
CROWDED = 1.3  # lightness ** this is how dense particles are; the rest of it, their light


@dataclass(frozen=True, eq=False, slots=True)
class Likeness:
    """Of n particles: ``x``, ``y`` and ``size`` in units, ``light``, ``phase`` and ``rate`` of the pulse, (n,) each;
    ``color`` (n, 3), linear.
    """

    x: F32
    y: F32
    size: F32
    light: F32
    color: F32
    phase: F32
    rate: F32


def likeness(settings: PortraitSettings, canvas: Canvas, n: int, rng: np.random.Generator) -> Likeness:
    """The likeness of the settings' picture or text, of ``n`` particles."""
    picture = None if settings.picture is None else read_picture(settings.picture)
    lightness = text_mask(settings.text) if picture is None else picture.lightness
    high, wide = lightness.shape
    unit = settings.fill * min(canvas.width / wide, canvas.height / high)  # units of a pixel
    dense = lightness if picture is None else lightness ** f32(CROWDED)
    step = shrinking(dense, PER_POINT * n)
    points = spread(means(dense, step), n, rng) * step
    column, row = (np.clip(points[:, axis].astype(np.int64), 0, side - 1) for axis, side in ((0, wide), (1, high)))
    middle_x, middle_y = settings.centre(canvas)
    x, y = middle_x + (points[:, 0] - wide / 2) * unit, middle_y + (points[:, 1] - high / 2) * unit
    gap = unit * (float(dense.sum(dtype=np.float64)) / max(1, n)) ** 0.5  # units between neighbours
    draw = rng.uniform(0.0, 1.0, (5, n)).astype(f32)
    along = np.clip((points[:, 0] / wide).astype(f32) + f32(0.10) * (draw[0] - f32(0.5)), 0, 1)
    glitter = draw[1] ** 6  # few are large and bright
    size = f32(np.clip(0.27 * gap, 0.7, 20.0)) * (f32(0.7) + f32(0.5) * draw[2] + f32(1.1) * glitter)
    if picture is None:
        light = f32(0.32) + f32(0.7) * draw[3] ** 2 + f32(2.6) * glitter
    else:  # evener, as light tells what is seen
        light = (f32(0.2) + lightness[row, column]) * (f32(0.45) + f32(0.5) * draw[3] + f32(1.2) * glitter)
    color = settings.palette(along)
    if settings.colors == "picture" and picture is not None:
        color = _bright(picture.linear[row, column])
    return Likeness(
        x.astype(f32), y.astype(f32), size, light, color, phase=draw[4], rate=f32(0.25) + f32(0.9) * draw[3]
    )


def _bright(linear: F32) -> F32:
    """The same hues with all the light that there is room for: their light is told by the particles' own; (n, 3)."""
    strongest = linear.max(axis=1, keepdims=True)
    found: F32 = linear / np.maximum(strongest, f32(1e-3))
    return found
