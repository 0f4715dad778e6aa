"""FlashCounter: counts flashes in the light of a video's frames, and finds where WCAG 2.3.1 has too many of them.

WCAG 2.2 passes what has "no more than three general flashes and/or no more than three red flashes within any one-second
period", or whose "combined area of flashes occurring concurrently" is at most 25 % of any 10 degrees of the visual
field, for which it takes a window of 341 × 256 pixels anywhere on a screen of 1024 × 768: a third by a third.
https://www.w3.org/TR/WCAG22/#dfn-general-flash-and-red-flash-thresholds

So flashes are counted in each cell, a flash being two opposite changes, and cells with too many within the same second
are added up in every window. That is an aid and no certificate: flashes that change their place in a window, each
elsewhere, are not added up; what is smaller than a cell counts by its mean, so that fine patterns, as WCAG allows them,
do not flash; and the size of a screen is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F64, U16
from ecs_core.flashes.flashing import Flashing
from ecs_core.flashes.transitions import Changes, LuminanceTurns, RedTurns

MOST_FLASHES = 3  # within a second
LARGEST_AREA = 0.25  # of a window
_WINDOWS = 3  # to the width and height of the picture

Kind = Literal["general", "red"]


class FlashCounter:
    """Counts flashes in light that comes in the order of frames, in any number of them at a time."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self._second = ceil(fps)  # frames of which the first and the last are less than a second apart
        self._kinds: dict[Kind, _Kind] = {}

    def add(self, light: U16) -> None:
        """Count in the next frames, (frames, 3, rows, columns) as ``LightMeter.measure`` has them, one or more."""
        frames, _, rows, columns = light.shape
        if not self._kinds:
            for kind, turns in (("general", LuminanceTurns), ("red", RedTurns)):
                self._kinds[kind] = _Kind(turns(rows * columns), rows, columns, self._second)  # type: ignore[index]  # mypy takes the names for any text
        for each in self._kinds.values():
            each.add(light.reshape(frames, 3, rows * columns))

    @property
    def found(self) -> tuple[Flashing, ...]:
        """The passages so far that have too many flashes, by time. Those less than a second apart are one."""
        found = [
            Flashing(kind, float(start / self._fps), float(stop / self._fps), flashes, area)
            for kind, each in self._kinds.items()
            for start, stop, flashes, area in each.passages
        ]
        return tuple(sorted(found, key=lambda each: (each.start, each.kind)))


class _Kind:
    """Flashes of one kind."""

    def __init__(self, turns: LuminanceTurns | RedTurns, rows: int, columns: int, second: int) -> None:
        self._turns, self._shape, self._second = turns, (rows, columns), second
        self._recent = np.zeros((second - 1, rows * columns), bool)  # changes in the frames before
        self._frame = 0
        self.passages: list[tuple[int, int, int, float]] = []  # first frame, end, flashes within a second, area

    def add(self, light: U16) -> None:
        changes = np.concatenate([self._recent, self._turns.find(light)])
        self._recent = changes[len(changes) - self._second + 1 :]
        for frame, flashes in self._too_many(changes):
            self._add_passage(frame, flashes, changes[frame : frame + self._second])
        self._frame += len(light)

    def _too_many(self, changes: Changes) -> Iterator[tuple[int, NDArray[np.int16]]]:
        """The frames, counted from 0, up to which cells had too many flashes within a second; flashes by cell."""
        if not changes.any():
            return
        total = np.zeros((len(changes) + 1, changes.shape[1]), np.int16)
        np.cumsum(changes, axis=0, dtype=np.int16, out=total[1:])
        flashes = (total[self._second :] - total[: -self._second]) // 2
        for frame in np.flatnonzero((flashes > MOST_FLASHES).any(axis=1)):
            yield int(frame), flashes[frame]

    def _add_passage(self, frame: int, flashes: NDArray[np.int16], changes: Changes) -> None:
        """Add the second that ends with a frame, if its flashes are large enough; ``changes`` are those within it."""
        area = largest_area(flashes > MOST_FLASHES, self._shape)
        if area <= LARGEST_AREA:
            return
        most = MOST_FLASHES + 1
        while largest_area(flashes > most, self._shape) > LARGEST_AREA:
            most += 1
        changed = np.flatnonzero(changes[:, flashes > MOST_FLASHES].any(axis=1))
        before = self._frame + frame - self._second  # the frame before this second
        start, stop = before + 1 + int(changed[0]), before + 2 + int(changed[-1])
        if self.passages and start < self.passages[-1][1] + self._second:
            first, _, flashes_before, area_before = self.passages.pop()
            start, most, area = first, max(most, flashes_before), max(area, area_before)
        self.passages.append((start, stop, most, area))


def largest_area(cells: Changes, shape: tuple[int, int]) -> float:
    """The largest share of ``cells``, of a grid of so many rows and columns, in any window."""
    rows, columns = shape
    down, across = rows // _WINDOWS, columns // _WINDOWS
    summed: F64 = np.zeros((rows + 1, columns + 1))
    summed[1:, 1:] = cells.reshape(shape).cumsum(axis=0).cumsum(axis=1)
    inside = summed[down:, across:] - summed[:-down, across:] - summed[down:, :-across] + summed[:-down, :-across]
    return float(inside.max()) / (down * across)
