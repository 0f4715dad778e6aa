"""FlashLimiter: how much of its light each frame keeps, so that a video does not flash too often.

Light can only be taken away, so flashes are held where light rises. A rise is let pass as long as fewer than seven
changes, three flashes and a half, lie within the second that it ends: what falls after it makes no fourth flash. Any
other rise, over too large an area, is dimmed to what just fails to count. So the first three flashes of a second stay
as they are, and all that comes before; what is to come is not looked at.

The limits are a little stricter than those that are reported, as the picture that is measured is a small one. Smaller
changes than are reported are limited beside those, as they can turn at other times.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from fractions import Fraction
from math import ceil

import numpy as np

from ecs_core.arrays import U16
from ecs_core.flashes.counter import MOST_FLASHES, largest_area
from ecs_core.flashes.transitions import Changes, LuminanceTurns, RedTurns

_CHANGES, _APART = (0.08, 0.1), (0.17, 0.2)  # that count, in luminance and in u'v'
_AREA = 0.2  # of a window
_MOST = 2 * MOST_FLASHES  # changes within the second that a rise ends, with it
_DOUBLES = 0.1  # seconds in which light that was taken away comes back by a factor of two
_STEPS = 7  # of the search, each of which halves what is not known of a gain
_DARKEST = 1 / 256


class FlashLimiter:
    """Limits the frames of a video, one after the other."""

    def __init__(self, fps: Fraction) -> None:
        self._second = ceil(fps)
        self._growth = 2 ** (1 / (_DOUBLES * float(fps)))
        self._gain = 1.0
        self._kinds: list[_Loads] = []

    def gain(self, measure: Callable[[float], U16]) -> float:
        """The factor on the light of the next frame, 0–1; ``measure`` returns its cells at such a factor."""
        gain = min(1.0, self._gain * self._growth)
        after = self._after(measure(gain))
        if after is None:
            low, high = np.log2(_DARKEST), np.log2(gain)  # dark enough, if nothing else is
            gain = 0.0
            for _ in range(_STEPS):
                middle = (low + high) / 2
                tried = self._after(measure(2.0**middle))
                if tried is None:
                    high = middle
                else:
                    low, after, gain = middle, tried, 2.0**middle
            if after is None:
                after = self._after(measure(0.0), anyhow=True)
        assert after is not None
        self._kinds, self._gain = after, max(gain, _DARKEST)
        return gain

    def _after(self, light: U16, *, anyhow: bool = False) -> list[_Loads] | None:
        """What is known after a frame with this light; None if it must not be shown, unless ``anyhow``."""
        if not self._kinds:
            rows, columns = light.shape[1:]
            turns: list[LuminanceTurns | RedTurns] = [
                *(LuminanceTurns(rows * columns, change=change) for change in _CHANGES),
                *(RedTurns(rows * columns, apart=apart) for apart in _APART),
            ]
            self._kinds = [_Loads(each, (rows, columns), self._second) for each in turns]
        after = [each.after(light) for each in self._kinds]
        return after if anyhow or all(each.is_fine for each in after) else None


class _Loads:
    """Changes of one kind within the last second, and which cells must not change again."""

    def __init__(self, turns: LuminanceTurns | RedTurns, shape: tuple[int, int], second: int) -> None:
        self._turns, self._shape = turns, shape
        self._recent = np.zeros((second, shape[0] * shape[1]), bool)
        self.is_fine = True

    def after(self, light: U16) -> _Loads:
        """The same after one more frame; ``is_fine`` says whether that may be shown."""
        turns = deepcopy(self._turns)
        changes = turns.find(light.reshape(1, 3, -1))
        then = _Loads.__new__(_Loads)
        then._turns, then._shape = turns, self._shape
        then._recent = np.concatenate([self._recent[1:], changes])
        then.is_fine = self._allows(then._recent, changes[0], turns.has_risen)
        return then

    def _allows(self, recent: Changes, changes: Changes, has_risen: Changes) -> bool:
        if not (changes & has_risen).any():
            return True
        count = recent.sum(axis=0)
        loaded = (count > _MOST) & has_risen | (count > _MOST + 1)
        if not (changes & has_risen & loaded).any():
            return True
        return largest_area(loaded, self._shape) <= _AREA
