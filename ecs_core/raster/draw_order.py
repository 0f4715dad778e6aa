"""Draw order: sprites between marks; round ones and lines apart, as different kernels draw them, and in turn again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ecs_core.arrays import I64
from ecs_core.raster.marks import Marks, PlacedMark
from ecs_core.raster.sprites import Sprites


def in_order(sprites: Sprites, marks: Marks) -> Iterator[Sprites | PlacedMark]:
    """The marks of a picture and the sprites between them, in draw order."""
    done = 0
    for mark in marks:
        if mark.after > done:
            yield sprites.where(np.arange(done, mark.after))
            done = mark.after
        yield mark
    if not marks:
        yield sprites
    elif done < len(sprites):
        yield sprites.where(np.arange(done, len(sprites)))


def apart(sprites: Sprites) -> tuple[Sprites, Sprites | None, I64]:
    """Round sprites; lines, if any; and how many of the former come before each of the latter, (lines,)."""
    if sprites.dx is not None and sprites.dy is not None:
        long = (sprites.dx != 0) | (sprites.dy != 0)
        if long.any():
            return sprites.where(~long), sprites.where(long), np.cumsum(~long)[long]
    return sprites, None, np.zeros(0, np.int64)


def windows_ahead(sprites: Sprites, ahead: I64) -> I64:
    """How many windows come before each line: of round ``sprites`` each a core and, where it has one, a skirt."""
    windows = 1 + ((sprites.disc == 0) & (sprites.skirt > 0))
    found: I64 = np.concatenate([[0], np.cumsum(windows)])[ahead]
    return found


def in_turn(windows: I64, lines: I64, ahead: I64) -> list[tuple[I64, I64]]:
    """Runs of windows, each with the lines that follow it, in draw order.

    ``windows`` and ``lines`` are ascending numbers, and ``ahead`` is as :func:`windows_ahead` returns it.
    """
    if not lines.size or not windows.size:
        return [(windows, lines)]
    at = np.searchsorted(windows, ahead[lines])
    begins = np.flatnonzero(np.diff(at, prepend=-1))  # of lines that follow the same windows
    runs = np.split(windows, at[begins])
    return [*zip(runs, [*np.split(lines, begins[1:]), lines[:0]], strict=True)]
