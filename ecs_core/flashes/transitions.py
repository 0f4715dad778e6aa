"""Where the light of a cell turns: the changes that flashes are made of, by WCAG 2.2, success criterion 2.3.1.

"A general flash is defined as a pair of opposing changes in relative luminance of 10 % or more of the maximum relative
luminance (1.0) where the relative luminance of the darker image is below 0.80", and a change is "between adjacent peaks
and valleys in a plot of relative luminance against time". A red flash is "any pair of opposing transitions involving a
saturated red", of which "one transition is either to or from a state with a value R/(R + G + B) that is greater than or
equal to 0.8, and the difference between states is more than 0.2 (unitless) in the CIE 1976 UCS chromaticity diagram".
https://www.w3.org/TR/WCAG22/#dfn-general-flash-and-red-flash-thresholds

Light comes as (frames, 3, cells) uint16, in any number of frames at a time: what is found does not depend on it. Cells
that cannot turn in these frames, most of them in a calm video, are passed over at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, U16

Changes = NDArray[np.bool_]
_I32 = NDArray[np.int32]

# Luminance in whole numbers: weights of ITU-R BT.709, as WCAG's relative luminance has them, in ten thousandths.
_WEIGHTS = np.array([2126, 7152, 722], np.int32)
_ONE = 10_000 * 65_535
_ROUNDING = 10_000  # what two roundings of light to whole numbers may take away from a change
_BRIGHT = _ONE * 8 // 10

# Of red, green and blue: X, Y and X + 15 Y + 3 Z of CIE 1931 (IEC 61966-2-1), by which u' = 4 X / sum, v' = 9 Y / sum.
_X, _Y, _SUM = (0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (3.6593, 11.4432, 4.1150)
# Light that any screen reflects, of a white of 1 (the veiling glare of sRGB): without it black would have no colour,
# and what is nearly black any.
_VEIL = np.float32(0.0025)
_RED_U, _RED_V = np.float32(0.4507), np.float32(0.5229)  # the red of sRGB
_SEEN = 65_535 // 16  # R - G - B of the darkest red that counts: 20 of 320, as WCAG 2.0 and 2.1 have it


class LuminanceTurns:
    """Finds the changes of luminance that count in each of ``cells``: those of at least ``change``, 0–1."""

    def __init__(self, cells: int, *, change: float = 0.1) -> None:
        self._change = int(_ONE * change) - _ROUNDING
        self._way = np.zeros(cells, np.int8)  # 1 where light has risen last, -1 fallen, 0 where it has not turned yet
        self._low, self._high = np.full(cells, 2 * _ONE, np.int32), np.full(cells, -_ONE, np.int32)
        self._bright = np.zeros(cells, bool)  # where the change that goes on has not been dark enough to count

    @property
    def has_risen(self) -> Changes:
        """Where the last change was a rise, (cells,)."""
        return self._way > 0

    def find(self, light: U16) -> Changes:
        """In which frames a change begins to count, (frames, cells)."""
        luminance = np.einsum("fck,c->fk", light.astype(np.int32), _WEIGHTS)
        found = np.zeros(luminance.shape, bool)
        least, most = luminance.min(axis=0), luminance.max(axis=0)
        low, high = np.minimum(self._low, least), np.maximum(self._high, most)
        swing = np.where(self._way > 0, high - least, np.where(self._way < 0, most - low, high - low))
        turning = np.flatnonzero((swing >= self._change) | self._bright)
        way_there, low_there = self._way[turning], self._low[turning]
        high_there, bright_there = self._high[turning], self._bright[turning]
        # Where nothing turns, only the end of the change that goes on moves.
        np.copyto(self._low, low, where=self._way <= 0)
        np.copyto(self._high, high, where=self._way >= 0)
        if turning.size:
            found[:, turning] = [
                _turn(seen, self._change, way_there, low_there, high_there, bright_there)
                for seen in luminance[:, turning]
            ]
            self._way[turning], self._low[turning] = way_there, low_there
            self._high[turning], self._bright[turning] = high_there, bright_there
        return found


def _turn(value: _I32, change: int, way: NDArray[np.int8], low: _I32, high: _I32, bright: Changes) -> Changes:
    """Follow one frame's luminance, in place; where a change begins to count."""
    np.minimum(low, value, out=low, where=way <= 0)
    np.maximum(high, value, out=high, where=way >= 0)
    falls = (way >= 0) & (high - value >= change)
    rises = (way <= 0) & (value - low >= change)
    counts: Changes = (rises & (low < _BRIGHT)) | ((falls | (bright & (way < 0))) & (value < _BRIGHT))
    way[falls], way[rises] = -1, 1
    np.copyto(low, value, where=falls)
    np.copyto(high, value, where=rises)
    bright &= ~rises
    bright |= falls
    bright &= ~counts
    return counts


class RedTurns:
    """Finds the changes to and from a saturated red that count in each of ``cells``: those ``apart`` in u'v'."""

    def __init__(self, cells: int, *, apart: float = 0.2) -> None:
        self._apart = np.float32(apart)
        self._is_red = np.zeros(cells, bool)
        self._begun = False
        # The colour, as u', v' and its distance from red, that the next change is measured from: the reddest, or the
        # one that is farthest from red, since the last change.
        self._from = np.zeros((3, cells), np.float32)

    @property
    def has_risen(self) -> Changes:
        """Where the last change was to red, (cells,)."""
        return self._is_red

    def find(self, light: U16) -> Changes:
        """In which frames a change counts, (frames, cells)."""
        colours, red = _chromaticity(light), _is_saturated_red(light)
        if not self._begun:
            self._begun, self._is_red = True, red[0].copy()
            self._from = colours[:, 0].copy()
        found = np.zeros(red.shape, bool)
        turning = self._is_red | red.any(axis=0)
        farthest = colours[2].argmax(axis=0)
        most = np.take_along_axis(colours, farthest[None, None], axis=1)[:, 0]
        farther = ~turning & (most[2] > self._from[2])
        turning_cells = np.flatnonzero(turning)
        np.copyto(self._from, most, where=farther)
        if turning_cells.size:
            is_red, since = self._is_red[turning_cells], self._from[:, turning_cells]
            for frame in range(len(red)):
                found[frame, turning_cells] = _turn_red(
                    colours[:, frame, turning_cells], red[frame, turning_cells], self._apart, is_red, since
                )
            self._is_red[turning_cells], self._from[:, turning_cells] = is_red, since
        return found


def _turn_red(colour: F32, red: Changes, least: np.float32, is_red: Changes, since: F32) -> Changes:
    """Follow one frame's colours, in place; where a change counts."""
    apart = np.hypot(colour[0] - since[0], colour[1] - since[1]) > least
    counts: Changes = apart & (is_red | red)
    further = np.where(is_red, red & (colour[2] < since[2]), colour[2] > since[2])
    is_red ^= counts
    np.copyto(since, colour, where=counts | further)
    return counts


def _chromaticity(light: U16) -> F32:
    """u', v' and the distance from red of (frames, 3, cells), as (3, frames, cells) float32."""
    r, g, b = (light[:, channel] * np.float32(1 / 65_535) + _VEIL for channel in range(3))
    x, y, total = (
        np.float32(each[0]) * r + np.float32(each[1]) * g + np.float32(each[2]) * b for each in (_X, _Y, _SUM)
    )
    u, v = np.float32(4) * x / total, np.float32(9) * y / total
    return np.stack([u, v, np.hypot(u - _RED_U, v - _RED_V)])


def _is_saturated_red(light: U16) -> Changes:
    """Where R is at least 0.8 of R + G + B, and not nearly black."""
    red, others = light[:, 0].astype(np.int32), light[:, 1].astype(np.int32) + light[:, 2]
    saturated: Changes = (red >= 4 * others) & (red - others > _SEEN)
    return saturated
