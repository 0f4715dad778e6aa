"""The HUD: audio features as rows of lights in a corner of the picture; off unless ``hud`` is set."""

from __future__ import annotations

import numpy as np

from ecs_core.ecs.resources import AudioFrame
from ecs_core.raster.sprites import Sprites

ROWS = ("sub", "bass", "low_mid", "mid", "high", "rms", "onset", "beat_phase")  # from the top
_LIGHTS = 16
_STEP, _MARGIN = 14.0, 40.0  # units


def hud_sprites(audio: AudioFrame, *, height: float, scale: float) -> Sprites:
    """One row of lights per feature, lit in proportion to its value.

    ``height`` of the canvas is in units, ``scale`` in pixels per unit.
    """
    column, row = np.meshgrid(np.arange(_LIGHTS), np.arange(len(ROWS)))
    values = np.array([audio[name] for name in ROWS])
    lit = (column + 0.5) / _LIGHTS < values[:, None]
    n = lit.size
    light = np.where(lit, 1.2, 0.05).ravel().astype(np.float32)
    x = _MARGIN + _STEP * column.ravel()
    y = height - _MARGIN - _STEP * (len(ROWS) - 1 - row.ravel())
    return Sprites(
        (x * scale).astype(np.float32),
        (y * scale).astype(np.float32),
        np.full(n, 3.0 * scale, np.float32),
        light * np.float32(0.55),
        light * np.float32(0.85),
        light,
        np.zeros(n, np.float32),
        np.zeros(n, np.uint8),
    )
