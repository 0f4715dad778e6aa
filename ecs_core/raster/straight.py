"""Pictures with straight alpha, or with all their colours: a rasteriser for what is not 8-bit 4:2:0 video.

What is not covered is light, and light hides what is behind it only as far as it must (``kernels.straight``). What
sprites cover is drawn a second time, black on white, which shows how much of the background is still seen (Smith and
Blinn, "Blue Screen Matting", SIGGRAPH 1996). Pictures over a background hide all of what is behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32, I64, U8, U16
from ecs_core.raster.background import Background
from ecs_core.raster.finish import Finish
from ecs_core.raster.marks import Marks, PlacedMark
from ecs_core.raster.rasteriser import BAND_ROWS, Rasteriser
from ecs_core.raster.sprites import Sprites

StraightForm: TypeAlias = Literal["rgba", "yuva420p", "yuva444p10le"]
_WHITE = 0.99  # of the background of what covers; 1 would be infinite light


@dataclass(frozen=True, eq=False, slots=True)
class StraightPlanes:
    """A picture in one of three forms; rows may be longer than it is wide.

    ``rgba`` has one array (height, >= 4 × width) uint8. The others have luma, cb, cr and alpha, (height, >= width)
    each: uint8, with cb and cr half in both directions, or uint16 that hold ten bits. YUV is BT.709 in limited range,
    alpha has the full range.
    """

    form: StraightForm
    arrays: tuple[U8 | U16, ...]

    @staticmethod
    def empty(form: StraightForm, width: int, height: int) -> StraightPlanes:
        """Planes without padding, uninitialised."""
        if form == "rgba":
            return StraightPlanes(form, (np.empty((height, 4 * width), np.uint8),))
        full, half = (height, width), (height // 2, width // 2)
        if form == "yuva420p":
            return StraightPlanes(form, tuple(np.empty(size, np.uint8) for size in (full, half, half, full)))
        return StraightPlanes(form, tuple(np.empty(full, np.uint16) for _ in range(4)))


class StraightRasteriser:
    """Paints frames of ``width × height`` pixels (both even) over a background, or, where it is None, over nothing."""

    def __init__(self, width: int, height: int, *, background: Background | None) -> None:
        self._size, self._opaque = (width, height), background is not None
        self._rasteriser = Rasteriser(width, height, background=background or Background())
        self._behind: F32 = np.full((1, 1), 0.0 if self._opaque else 1.0, np.float32)
        self._covers: _Covers | None = None
        self._scratch = kernels.straight.scratch(width, BAND_ROWS)

    def reset(self) -> None:
        """Redraw the next frame completely, as is necessary on planes that were not painted before."""
        self._rasteriser.reset()

    def paint(
        self,
        sprites: Sprites,
        planes: StraightPlanes,
        *,
        light: float = 1.0,
        finish: Finish | None = None,
        marks: Marks = (),
    ) -> float:
        """Update ``planes``, as the last call left them; see :meth:`Rasteriser.paint`.

        ``light`` fades pictures over nothing to nothing.
        """
        behind = self._behind if self._opaque else self._seen_behind(sprites, marks, light)
        target = _Target(planes, behind, self._opaque, self._scratch)
        return self._rasteriser.paint(sprites, target, light=light, finish=finish, marks=marks)

    def _seen_behind(self, sprites: Sprites, marks: Marks, light: float) -> F32:
        """The share of what is behind the picture that is still seen, (height, width), or (1, 1) if it is the same."""
        covering = bool(marks) or (sprites.cover is not None and bool((sprites.cover > 0).any()))
        if not covering and self._covers is None:
            return self._behind
        if self._covers is None:
            self._covers = _Covers(*self._size)
            self.reset()
        behind = self._covers.behind(sprites, marks)
        if light == 1:
            return behind
        faded: F32 = 1 - np.float32(light) * (1 - behind)
        return faded


class _Covers:
    """Draws what sprites cover."""

    def __init__(self, width: int, height: int) -> None:
        grey = float(kernels.cover.TOE) * _WHITE / (1 - _WHITE)
        self._rasteriser = Rasteriser(width, height, background=Background(base=(grey, grey, grey)))
        self._behind: F32 = np.empty((height, width), np.float32)
        self._runs, *_ = kernels.straight.scratch(width, BAND_ROWS)

    def behind(self, sprites: Sprites, marks: Marks) -> F32:
        """The share of the background that is still seen behind ``sprites`` and ``marks``, (height, width)."""
        covering = [mark for each in marks if (mark := each.mark.black()) is not None]
        nobody = np.zeros(0, np.int64)
        sprites = sprites.where(nobody if sprites.cover is None else sprites.cover > 0)
        if sprites.dx is not None and sprites.dy is not None:  # lines cover nothing
            sprites = sprites.where((sprites.dx == 0) & (sprites.dy == 0))
        black = np.zeros(len(sprites), np.float32)
        self._rasteriser.paint(
            replace(sprites, red=black, green=black, blue=black, skirt=black),
            _Behind(self._behind, self._runs),
            marks=[PlacedMark(0, mark) for mark in covering],  # where all is black, order does not matter
        )
        return self._behind


@dataclass(frozen=True, eq=False, slots=True)
class _Behind:
    """What is seen behind sprites, as planes."""

    share: F32
    runs: I64

    def develop(
        self, luminance: F32, colour: F32, top: int, bottom: int, width: int, touched: U8, before: U8, base: F32,
        glow: F32, gx: F32, gy: F32, dither: F32,
    ) -> None:  # fmt: skip
        kernels.straight.see_behind(
            luminance,
            colour,
            top,
            bottom,
            width,
            touched,
            before,
            base,
            np.float32(_WHITE),
            self.runs,
            self.share,
        )


@dataclass(frozen=True, eq=False, slots=True)
class _Target:
    """Planes, and what is still seen behind them."""

    planes: StraightPlanes
    behind: F32
    opaque: bool
    scratch: tuple[I64, F32, F32, F32]

    def develop(
        self, luminance: F32, colour: F32, top: int, bottom: int, width: int, touched: U8, before: U8, base: F32,
        glow: F32, gx: F32, gy: F32, dither: F32,
    ) -> None:  # fmt: skip
        do = {
            "rgba": kernels.straight.develop_rgba,
            "yuva420p": kernels.straight.develop_yuva420,
            "yuva444p10le": kernels.straight.develop_yuva444,
        }[self.planes.form]
        # Where alpha varies it is dithered; a colour that is the same everywhere is better left alone.
        amount = np.float32(self.opaque)
        do(
            luminance, colour, top, bottom, width, touched, before, base, glow, gx, gy, self.behind, dither, amount,
            *self.scratch, *self.planes.arrays,
        )  # fmt: skip
