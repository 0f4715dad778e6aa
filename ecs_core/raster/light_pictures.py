"""Pictures and masks as marks draw them: shares of white, times alpha, in levels of half the size each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from ecs_core import kernels
from ecs_core.arrays import F32, U8
from ecs_core.kernels.curve import KB, KG, KR

RGB = tuple[float, float, float]
_WHITEST = 0.9996  # shown: white itself would be infinite light
_SMALLEST = 4  # texels: the side of the coarsest level

Level = tuple[F32, F32, bool]  # planes as kernels.pictures has them, fine and half, and whether alpha is 1 everywhere


class Picture(Protocol):
    """Pixels as shares of what is shown, in levels of half the size each."""

    @property
    def width(self) -> int:
        """Texels of a row."""

    @property
    def height(self) -> int:
        """Its rows."""

    @property
    def depth(self) -> int:
        """The number of its levels."""

    def level(self, number: int) -> Level:
        """One of its levels, from the finest, 0, on."""


@dataclass(frozen=True, eq=False)
class LightPicture:
    """A picture that does not move."""

    levels: tuple[Level, ...]
    width: int
    height: int

    @staticmethod
    def of(pixels: U8) -> LightPicture:
        """From (height, width, 3 or 4) uint8: sRGB, and straight alpha."""
        return LightPicture.showing(shown_shares(pixels))

    @staticmethod
    def showing(planes: F32) -> LightPicture:
        """From (5, height, width): alpha, and luma, red, green and blue as shares of white, times alpha."""
        _, height, width = planes.shape
        return LightPicture(tuple(levels_of(planes)), width, height)

    @property
    def depth(self) -> int:
        """See :class:`Picture`."""
        return len(self.levels)

    def level(self, number: int) -> Level:
        """See :class:`Picture`."""
        return self.levels[number]


def shown_shares(pixels: U8) -> F32:
    """What :meth:`LightPicture.showing` takes, of (height, width, 3 or 4) uint8: sRGB, and straight alpha."""
    height, width = pixels.shape[:2]
    planes = np.empty((5, height, width), np.float32)
    planes[0] = np.divide(pixels[:, :, 3], 255, dtype=np.float32) if pixels.shape[2] == 4 else 1
    planes[1] = 0
    for channel, weight in enumerate((KR, KG, KB)):
        planes[2 + channel] = _shares()[pixels[:, :, channel]]
        planes[1] += weight * planes[2 + channel]
    if pixels.shape[2] == 4:
        planes[1:] *= planes[0]
    return planes


def shares_of(colours: F32, alpha: F32) -> F32:
    """The same of (3, height, width) display-encoded values, 0–1, and (height, width) straight alpha."""
    shown = shown_share(light_to_show(colours))
    luma = np.tensordot(np.array([KR, KG, KB], np.float32), shown, 1)
    return np.concatenate([alpha[None], alpha * luma[None], alpha * shown])


def levels_of(planes: F32) -> Iterator[Level]:
    """All levels of such planes, from the finest on."""
    for whole, half in _halvings(planes):
        yield _framed(whole[:2]), _framed(half[[0, 2, 3, 4]]), bool(whole[0].min() == 1)


@dataclass(frozen=True, eq=False)
class LightMask:
    """A mask as marks draw it, in levels of half the size each."""

    levels: tuple[tuple[F32, F32], ...]
    width: int
    height: int

    @property
    def depth(self) -> int:
        """The number of its levels."""
        return len(self.levels)

    @staticmethod
    def of(alpha: F32) -> LightMask:
        """From (height, width) float32, 0–1."""
        height, width = alpha.shape
        levels = ((_framed(whole)[0], _framed(half)[0]) for whole, half in _halvings(alpha[None]))
        return LightMask(tuple(levels), width, height)


def light_of(colour: Sequence[int]) -> RGB:
    """The light of marks that are shown as an sRGB colour, 0–255 each; (3,)."""
    red, green, blue = (float(_lights()[value]) for value in colour)
    return red, green, blue


def light_to_show(values: ArrayLike) -> F32:
    """The linear light of display-encoded values, 0–1, of which white is a little less; the same shape."""
    light: F32 = kernels.curve.linear_shown_as(np.clip(values, 0, _WHITEST)).astype(np.float32)
    return light


def shown_share(light: F32) -> F32:
    """Linear light as a share of white, as ``kernels.cover`` has it."""
    shown: F32 = (light / (light + kernels.cover.TOE)).astype(np.float32)
    return shown


@cache  # not at import, which would load a compiler
def _lights() -> F32:
    """The light of each sRGB value, (256,)."""
    return light_to_show(np.arange(256) / 255)


@cache
def _shares() -> F32:
    """The share of white of each sRGB value, (256,)."""
    return shown_share(_lights())


def _halvings(planes: F32) -> Iterator[tuple[F32, F32]]:
    """Planes (n, rows, columns) whose sides are even, and of half their size, and so on."""
    while True:
        planes = _even(planes)
        half = halved(planes)
        yield planes, half
        if min(half.shape[1:]) < _SMALLEST:
            return
        planes = half


def halved(planes: F32) -> F32:
    """Planes (n, rows, columns), of even sides, at half the size."""
    rows = planes[:, 0::2] + planes[:, 1::2]
    half: F32 = (rows[:, :, 0::2] + rows[:, :, 1::2]) * np.float32(0.25)
    return half


def _even(planes: F32) -> F32:
    _, rows, columns = planes.shape
    if not (rows | columns) & 1:
        return planes
    return np.pad(planes, ((0, 0), (0, rows & 1), (0, columns & 1)))


def _framed(planes: F32) -> F32:
    return np.ascontiguousarray(np.pad(planes, ((0, 0), (1, 1), (1, 1))))
