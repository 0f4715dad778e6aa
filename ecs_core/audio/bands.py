"""Bands of a song's spectrum at any moment, with attack and release in seconds.

A value depends on the song and the moment alone, in whichever order moments are asked for: all is computed in whole
numbers, and of what was before only the time that a full rise and a full fall take can matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ecs_core.arrays import F32, F64, I64, U8
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.sonogram import Sonogram, band_of, hertz_of, mels_between
from ecs_core.audio.spectrum import MEL_BANDS
from ecs_core.audio.wave_rows import STEP, TOP

_WHOLE = 1 << 15  # steps in a decibel
_SHARES = 256  # steps between neighbouring mel bands
_BLOCK = 512  # hops that are computed together: 6 s
_SILENT = -85.0  # dB: a song that is never louder is silent


@dataclass(frozen=True, slots=True)
class BandsWanted:
    """``count`` bands as wide as one another on the mel scale, from ``low`` to ``high`` Hz.

    0 is ``below`` dB under the loudest of the song in these bands, 1 that. A rise from 0 to 1 takes ``attack`` seconds,
    a fall from 1 to 0 ``release``. ``tilt`` raises what is higher, and lowers what is lower than 1 kHz, by so many dB
    an octave.
    """

    count: int
    low: float = 40.0
    high: float = 10_000.0
    below: float = 60.0
    attack: float = 0.02
    release: float = 0.4
    tilt: float = 0.0


class Bands:
    """The bands of a song at any moment of it; all 0 without a sonogram."""

    def __init__(self, sonogram: Sonogram | None, wanted: BandsWanted) -> None:
        self._sonogram, self._wanted = sonogram, wanted
        self._at, self._first, self._tilts = _positions(wanted)
        self._range = round(wanted.below * _WHOLE)
        self._rise, self._fall = (
            None if seconds <= 0 else max(1, round(self._range * SECONDS_PER_HOP / seconds))
            for seconds in (wanted.attack, wanted.release)
        )
        self._lead = sum(-(-self._range // slope) for slope in (self._rise, self._fall) if slope is not None)
        loudest = round(_SILENT * _WHOLE)
        if sonogram is not None:
            loudest = max(loudest, int(self._levels(sonogram.loudest[None]).max(initial=loudest)))
        self._silent = loudest == round(_SILENT * _WHOLE)
        self._floor = loudest - self._range
        self._block: tuple[int, I64] = (-1, np.zeros((0, wanted.count), np.int64))

    def at(self, seconds: float) -> F32:
        """The bands at a moment of the song, (count,), 0–1."""
        if self._sonogram is None or self._silent or seconds < 0:
            return np.zeros(self._wanted.count, np.float32)
        hop = math.floor(seconds / SECONDS_PER_HOP)
        share = seconds / SECONDS_PER_HOP - hop
        number = hop // _BLOCK
        if self._block[0] != number:
            self._block = (number, self._values(number * _BLOCK, (number + 1) * _BLOCK + 1))
        before, after = self._block[1][hop - number * _BLOCK :][:2]
        found: F32 = ((before * (1 - share) + after * share) / self._range).astype(np.float32)
        return found

    def _values(self, first: int, last: int) -> I64:
        """The bands at hops from ``first`` up to but not including ``last``, 0 to ``_range``."""
        assert self._sonogram is not None
        begin = first - self._lead
        values = np.zeros((last - begin, self._wanted.count), np.int64)
        table = self._sonogram.levels
        low, high = (min(max(0, hop - self._sonogram.begin), len(table)) for hop in (begin, last))
        if low < high:
            at = low + self._sonogram.begin - begin
            levels = self._levels(table[low:high])
            values[at : at + high - low] = np.clip(levels - self._floor, 0, self._range)
        steps = np.arange(len(values), dtype=np.int64)[:, None]
        if self._rise is not None:
            values = np.minimum.accumulate(values - self._rise * steps) + self._rise * steps
        if self._fall is not None:
            values = np.maximum.accumulate(values + self._fall * steps) - self._fall * steps
        return values[self._lead :]

    def _levels(self, rows: U8) -> I64:
        """Levels (n, 64) as the loudest in each band, (n, count), in steps of a decibel above full scale."""
        lower, share = self._at >> 8, self._at & (_SHARES - 1)
        wide = rows.astype(np.int64)
        found = wide[:, lower] * (_SHARES - share) + wide[:, np.minimum(lower + 1, MEL_BANDS - 1)] * share
        levels = found * int(STEP * _WHOLE / _SHARES) + round((TOP - 255 * STEP) * _WHOLE) + self._tilts
        # A byte of 0 is nothing, whatever tilt says.
        return np.maximum.reduceat(np.where(found < _SHARES, round(-200 * _WHOLE), levels), self._first, axis=1)


def _positions(wanted: BandsWanted) -> tuple[I64, I64, I64]:
    """Where to look at the mel bands for each band, in shares of one; the first place of each; and their tilts.

    A band is the loudest of its middle and of the mel bands whose middles lie in it.
    """
    mels = mels_between(wanted.low, wanted.high, 2 * wanted.count + 1)
    edges, middles = band_of(hertz_of(mels[::2])), band_of(hertz_of(mels[1::2]))
    places: list[float] = []
    first: list[int] = []
    for number, middle in enumerate(middles):
        first.append(len(places))
        places.append(middle)
        if edges[number + 1] - edges[number] >= 1:
            places += range(math.ceil(edges[number]), math.ceil(edges[number + 1]))
    at: F64 = np.clip(np.array(places), 0, MEL_BANDS - 1)
    whole = np.rint(at * _SHARES).astype(np.int64)
    hertz = hertz_of(np.interp(at, edges[[0, -1]], mels[[0, -1]]))
    tilts = np.rint(wanted.tilt * np.log2(hertz / 1000) * _WHOLE).astype(np.int64)
    return whole, np.array(first, np.int64), tilts
