"""Colours of what layers draw: one, or several from a layer's one end to its other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, WithJsonSchema

from ecs_core.arrays import F32, F64
from ecs_core.scene.model import RGB
from ecs_core.scene.oklab import lab_from_srgb, srgb_from_lab
from ecs_core.scene.palettes import PALETTES

_MOST = 64
_WHITEST = 0.9996  # shown: white itself would be infinite light


def _colours(value: Any) -> Any:
    if isinstance(value, str):
        if value not in PALETTES:
            raise ValueError(
                f"must be a list of colours, such as [[255, 180, 90]], or a palette: {', '.join(PALETTES)}"
            )
        return PALETTES[value]
    return value


_COLOUR = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}, "minItems": 3, "maxItems": 3}
# Colours in sRGB, 0–255, or the name of a palette.
Colours = Annotated[
    tuple[RGB, ...],
    Field(min_length=1, max_length=_MOST),
    BeforeValidator(_colours),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": _COLOUR, "minItems": 1, "maxItems": _MOST},
                {"type": "string", "enum": [*PALETTES]},
            ]
        }
    ),
]


def gradient(colours: Sequence[Sequence[int]], shares: F64) -> tuple[F32, F32]:
    """Light whose colour goes from the first of these to the last, at ``shares`` (n,) of the way.

    Returns that of marks, which are shown as these colours, (n, 3), and that of sprites, whose light adds up, (n, 3).
    What lies between two colours is between them in OKLab.
    """
    from ecs_core import kernels  # noqa: PLC0415 - slow
    from ecs_core.raster.colour import linear_from_srgb  # noqa: PLC0415 - likewise

    lab = lab_from_srgb(np.divide(colours, 255.0))
    places = np.linspace(0.0, 1.0, len(colours)) if len(colours) > 1 else np.zeros(1)
    between = np.stack([np.interp(shares, places, lab[:, axis]) for axis in range(3)], axis=-1)
    shown = np.clip(srgb_from_lab(between), 0.0, _WHITEST)
    return kernels.curve.linear_shown_as(shown).astype(np.float32), linear_from_srgb(shown)
