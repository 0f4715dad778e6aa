"""Sprites: what systems draw, in units, and what the rasteriser draws, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, I64
from ecs_core.errors import PluginError
from ecs_core.raster.textures import pictures_in_use

Blend = Literal["add", "over"]


@dataclass(frozen=True, eq=False, slots=True)
class Sprites:
    """Round sprites in draw order; all arrays have shape (n,).

    ``x`` and ``y`` are float32 (pixel centres at .5, y down), ``radius`` float32 > 0, all in units or in pixels;
    ``red``, ``green`` and ``blue`` float32 linear light >= 0 at the sprite's centre (1 is about diffuse white, more
    goes towards a white core). ``skirt`` float32 is the brightness of the wide glow round a sprite as a share of its
    core's, 0 for none. ``disc`` uint8: 0 draws a glow, 1 an out-of-focus disc, which has no skirt. ``cover`` float32,
    0–1, is the share of what is behind that a sprite hides at its centre; light adds up where it is 0, and without it.

    ``dx`` and ``dy`` float32 make a line of a sprite, to (x + dx, y + dy); where both are 0, and without them, it is
    round. At its other end a line's radius is ``taper`` times, and its light ``fade`` times, what they are here (1
    without them); the root of the light changes evenly. Lines have no skirt and cover nothing.

    What systems draw may have a place in depth, ``z`` float32 in units (0 in the plane of the canvas, growing away from
    the viewer), and ``dz``; the camera projects it. Where ``open`` (float32, seconds) is over 0, (dx, dy, dz) is no
    line but the way that a sprite has gone while the shutter was open: it becomes a streak on the screen.

    ``texture`` uint8 draws a sprite with a picture, by its ``texture_number``, whose sides are 2 × ``radius`` long; 0,
    and without it, with none. It is turned clockwise by ``angle`` float32, in turns, after its width was multiplied by
    ``squeeze`` float32 (1 without it), -1–1; negative mirrors it. Then ``skirt`` and ``disc`` mean nothing.
    """

    x: F32
    y: F32
    radius: F32
    red: F32
    green: F32
    blue: F32
    skirt: F32
    disc: NDArray[np.uint8]
    cover: F32 | None = None
    dx: F32 | None = None
    dy: F32 | None = None
    taper: F32 | None = None
    fade: F32 | None = None
    z: F32 | None = None
    dz: F32 | None = None
    open: F32 | None = None
    texture: NDArray[np.uint8] | None = None
    angle: F32 | None = None
    squeeze: F32 | None = None

    def __len__(self) -> int:
        return len(self.x)

    def checked(self) -> Sprites:
        """With float32 columns, and all as long as ``x``.

        Raises:
            PluginError: names a column that has another shape, or a texture that there is not.
        """
        n = np.shape(self.x)
        if len(n) != 1:
            raise PluginError(f"Sprites.x has the shape {n}, not (n,)")
        found: dict[str, Any] = {}
        for name in _COLUMNS:
            column = getattr(self, name)
            if column is None:
                continue
            found[name] = column = np.ascontiguousarray(column, np.uint8 if name in _BYTES else np.float32)
            if column.shape != n:
                raise PluginError(f"Sprites.{name} has the shape {column.shape}, but x has {n}")
        if "texture" in found and (highest := int(found["texture"].max(initial=0))) > pictures_in_use():
            raise PluginError(f"Sprites.texture = {highest}: must be 0 or what texture_number() returns")
        return Sprites(**found)

    def where(self, chosen: NDArray[np.bool_] | I64) -> Sprites:
        """Those that are ``chosen``, (n,), or whose numbers are given, in that order."""
        columns: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        there = {name: column[chosen] for name, column in columns.items() if column is not None}
        return Sprites(**there)

    @staticmethod
    def join(lists: Sequence[Sprites]) -> Sprites:
        """Several lists as one, drawn in the order given."""
        if len(lists) == 1:
            return lists[0]
        if not lists:
            nothing = np.zeros(0, np.float32)
            return Sprites(nothing, nothing, nothing, nothing, nothing, nothing, nothing, np.zeros(0, np.uint8))
        joined: dict[str, Any] = {}
        for each in fields(Sprites):
            columns = [getattr(part, each.name) for part in lists]
            if all(column is None for column in columns):
                continue
            usual, kind = _USUAL.get(each.name, 0.0), np.uint8 if each.name in _BYTES else np.float32
            joined[each.name] = np.concatenate(
                [
                    np.full(len(part), usual, kind) if column is None else column
                    for part, column in zip(lists, columns, strict=True)
                ]
            )
        return Sprites(**joined)


_COLUMNS = tuple(each.name for each in fields(Sprites))
_USUAL = {"taper": 1.0, "fade": 1.0, "squeeze": 1.0}  # of columns that may be missing; 0 of all others
_BYTES = ("disc", "texture")
