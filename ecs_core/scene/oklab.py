"""OKLab: colours by lightness, and by two axes of hue, in which equal distances look equally large.

B. Ottosson, "A perceptual color space for image processing", 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]

_TO_CONES = ((0.4122214708, 0.5363325363, 0.0514459929), (0.2119034982, 0.6806995451, 0.1073969566),
             (0.0883024619, 0.2817188376, 0.6299787005))  # fmt: skip
_TO_LAB = ((0.2104542553, 0.7936177850, -0.0040720468), (1.9779984951, -2.4285922050, 0.4505937099),
           (0.0259040371, 0.7827717662, -0.8086757660))  # fmt: skip
_FROM_LAB = ((1.0, 0.3963377774, 0.2158037573), (1.0, -0.1055613458, -0.0638541728),
             (1.0, -0.0894841775, -1.2914855480))  # fmt: skip
_FROM_CONES = ((4.0767416621, -3.3077115913, 0.2309699292), (-1.2684380046, 2.6097574011, -0.3413193965),
               (-0.0041960863, -0.7034186147, 1.7076147010))  # fmt: skip


def lab_from_srgb(srgb: ArrayLike) -> F64:
    """OKLab (lightness 0–1, a, b) of sRGB values, 0–1; shape (..., 3)."""
    value = np.asarray(srgb, np.float64)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return _mixed(_TO_LAB, np.cbrt(_mixed(_TO_CONES, linear)))


def srgb_from_lab(lab: ArrayLike) -> F64:
    """Values in sRGB of OKLab; below 0 or above 1 where screens cannot show the colour; shape (..., 3)."""
    linear = _mixed(_FROM_CONES, _mixed(_FROM_LAB, np.asarray(lab, np.float64)) ** 3)
    curved = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved)


def colour_shown(lightness: float, a: float, b: float) -> list[int]:
    """The sRGB colour, 0–255 each, of a colour in OKLab; what screens cannot show is paler, of the same hue."""
    low, high = 0.0, 1.0
    if not _is_shown(lightness, a, b):
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if _is_shown(lightness, a * middle, b * middle) else (low, middle)
        a, b = a * low, b * low
    return [round(255 * min(max(float(each), 0.0), 1.0)) for each in srgb_from_lab((lightness, a, b))]


def with_lightness(colour: Sequence[int], lightness: float) -> list[int]:
    """A colour, 0–255 each, made as light as this, 0–1; near black and white it has less of its hue."""
    before, a, b = (float(each) for each in lab_from_srgb(np.divide(colour, 255)))
    room = math.sin(math.pi * min(max(lightness, 0.0), 1.0))
    kept = min(1.0, room / max(math.sin(math.pi * min(max(before, 0.05), 0.95)), 1e-3))
    return colour_shown(lightness, a * kept, b * kept)


def _is_shown(lightness: float, a: float, b: float) -> bool:
    shown = srgb_from_lab((lightness, a, b))
    return bool((shown >= -1e-4).all() and (shown <= 1 + 1e-4).all())


def _mixed(matrix: Sequence[Sequence[float]], value: F64) -> F64:
    """A matrix times each vector, added up in this order on every machine."""
    x, y, z = value[..., 0], value[..., 1], value[..., 2]
    return np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix], axis=-1)
