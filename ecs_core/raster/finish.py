"""Finish: what is done to the light of a whole picture, and the tables that the kernels need for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from ecs_core.arrays import F32, I64
from ecs_core.kernels.curve import KB, KG, KR
from ecs_core.raster.sprites import Sprites
from ecs_core.units import UNITS

RGB = tuple[float, float, float]
_GRAIN_ROWS = 128  # after which grain repeats
_GRAINY = 1 / 3  # standard deviation of light at grain 1


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done to the light of a picture, in this order; the defaults change nothing.

    ``aberration`` is how far red and blue lie apart in the corners, in units; sprites that cover stay whole. ``bloom``
    is how many times its light each sprite spreads around itself, over about ``bloom_radius`` units. ``exposure`` is in
    stops. ``vignette`` is the share of light that is lost in the corners. ``saturation`` 0 is grey. ``contrast`` makes
    what is brighter than middle grey brighter, up to so many times, and what is darker darker. ``shadows`` and
    ``lights`` are colours, linear light of any brightness, that tint dark and bright parts. ``grain`` is the roughness
    of light: still, as coarse as a pixel at 1080p, and at 1 with a standard deviation of a third.
    """

    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {
            "bloom": (0.0, 10.0),
            "bloom_radius": (16.0, 540.0),
            "exposure": (-16.0, 16.0),
            "contrast": (0.5, 2.0),
            "saturation": (0.0, 4.0),
            "vignette": (0.0, 0.95),
            "aberration": (-100.0, 100.0),
            "grain": (0.0, 1.0),
        }
    )

    _: KW_ONLY
    bloom: float = 0.0
    bloom_radius: float = 120.0
    exposure: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    shadows: RGB = (1.0, 1.0, 1.0)
    lights: RGB = (1.0, 1.0, 1.0)
    vignette: float = 0.0
    aberration: float = 0.0
    grain: float = 0.0

    def gains(self, fade: float) -> F32:
        """(4, 3) float32, as ``kernels.finish.finish_band`` takes them."""
        # Light in the corners is 1 / (1 + vignette)² of what it was.
        vignette = 1 / math.sqrt(1 - self.vignette) - 1
        rows = (
            (2.0**self.exposure, self.contrast, self.saturation),
            _tint(self.shadows),
            _tint(self.lights),
            (vignette, fade, 0),
        )
        return np.array(rows, np.float32)


def _tint(colour: RGB) -> RGB:
    """The colour with a luminance of 1; white for black."""
    luminance = float(KR) * colour[0] + float(KG) * colour[1] + float(KB) * colour[2]
    r, g, b = (each / luminance if luminance > 0 else 1.0 for each in colour)
    return r, g, b


def corners(width: int, height: int) -> tuple[F32, F32]:
    """The squared distance from the middle, 1 in the corners, in two parts: (width / 2,) and (height / 2,) float32."""
    across = (np.arange(width // 2) + 0.25) / (width / 2) - 0.5
    down = (np.arange(height // 2) + 0.5) / (height / 2) - 0.5
    diagonal = (width**2 + height**2) / 4
    return (
        ((across * width) ** 2 / diagonal).astype(np.float32),
        ((down * height) ** 2 / diagonal).astype(np.float32),
    )


def apart_in_colour(sprites: Sprites, width: int, height: int, *, units: float) -> Sprites:
    """A red, a green and a blue sprite for each, the red one ``units`` farther out in the corners than the blue one.

    So does a lens that enlarges colours differently. Sprites that cover stay whole.
    """
    larger = units / 2 * min(width, height) / UNITS / math.hypot(width / 2, height / 2)
    adds = np.ones(len(sprites), bool) if sprites.cover is None else ~(sprites.cover > 0)
    single, number = sprites.where(adds), np.arange(len(sprites))
    nothing = np.zeros(len(single), np.float32)
    parts, numbers = [sprites.where(~adds)], [number[~adds]]
    for channel, scale in enumerate((1 + larger, 1.0, 1 - larger)):
        zoom = np.float32(scale)
        light = [nothing, nothing, nothing]
        light[channel] = (single.red, single.green, single.blue)[channel]
        part = replace(
            single,
            x=np.float32((1 - scale) * width / 2) + zoom * single.x,
            y=np.float32((1 - scale) * height / 2) + zoom * single.y,
            red=light[0],
            green=light[1],
            blue=light[2],
            dx=None if single.dx is None else zoom * single.dx,
            dy=None if single.dy is None else zoom * single.dy,
        )
        parts.append(part)
        numbers.append(number[adds])
    return Sprites.join(parts).where(np.argsort(np.concatenate(numbers), kind="stable"))


def grain_noise(width: int, height: int, *, band_rows: int) -> F32:
    """What a grain of 1 adds to a factor of 1 on light, (rows, width) float32; these rows are repeated.

    They are a multiple of ``band_rows``.
    """
    rows = -(-_GRAIN_ROWS // band_rows) * band_rows
    pitch = max(1.0, min(width, height) / UNITS)  # pixels
    noise = _white_noise(math.ceil(rows / pitch) + 1, math.ceil(width / pitch) + 1)
    (top, down), (left, right) = _mixed(rows, pitch), _mixed(width, pitch)
    across = noise[:, left] * (1 - right) + noise[:, left + 1] * right
    mixed = across[top] * (1 - down[:, None]) + across[top + 1] * down[:, None]
    grain: F32 = (_GRAINY * mixed / max(mixed.std(), 1e-6)).astype(np.float32)
    return grain


def _mixed(count: int, pitch: float) -> tuple[I64, F32]:
    at = np.arange(count) / pitch
    return at.astype(np.int64), (at % 1).astype(np.float32)


def _white_noise(rows: int, columns: int) -> F32:
    """Numbers with a mean of 0 that depend on their place alone: sums of two hashes (Chris Wellons' lowbias32)."""
    x = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
    total = np.zeros((rows, columns), np.float32)
    for salt in (0x9E3779B9, 0x85EBCA6B):
        h = x ^ np.uint32(salt)
        h ^= h >> np.uint32(16)
        h = h * np.uint32(0x7FEB352D)
        h ^= h >> np.uint32(15)
        h = h * np.uint32(0x846CA68B)
        h ^= h >> np.uint32(16)
        total += h.astype(np.float32) / np.float32(2**32) - np.float32(0.5)
    return total
