"""Limited sequences are under the threshold, keep what they may, and are left alone where they are calm."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecs_core.flashes.counter import FlashCounter
from ecs_core.flashes.limiter import FlashLimiter

N = 12  # cells to a side


def limited(light: np.ndarray, fps: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """The gains of made light, (frames, 3, rows, columns) 0–1, and the light that is left, uint16."""
    limiter, gains, left = FlashLimiter(fps), [], []

    def at(frame: np.ndarray) -> Callable[[float], np.ndarray]:
        return lambda gain: np.round(np.minimum(frame * gain, 1) * 65535).astype(np.uint16)

    for frame in light:
        gains.append(limiter.gain(at(frame)))
        left.append(at(frame)(gains[-1]))
    return np.array(gains), np.stack(left)


def flashes(light: np.ndarray, fps: Fraction) -> int:
    counter = FlashCounter(fps)
    counter.add(light)
    return len(counter.found)


def strobe(
    rate: float, fps: Fraction, *, seconds: float = 3, colour: tuple[float, float, float] = (1, 1, 1)
) -> np.ndarray:
    lit = np.floor(2 * rate * np.arange(int(seconds * fps)) / float(fps)) % 2
    return lit[:, None, None, None] * np.reshape(colour, (3, 1, 1)) * np.ones((3, N, N))


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30), Fraction(60)])
@pytest.mark.parametrize("rate", [4, 5.5, 10])
@pytest.mark.parametrize("colour", [(1, 1, 1), (0.4, 0, 0), (3, 3, 3)])
def test_a_strobe_is_held_under_the_threshold(fps: Fraction, rate: float, colour: tuple[float, float, float]) -> None:
    light = strobe(rate, fps, colour=colour)
    assert flashes(np.round(np.minimum(light, 1) * 65535).astype(np.uint16), fps)
    assert not flashes(limited(light, fps)[1], fps)


def test_the_first_three_flashes_of_a_second_stay_as_they_are() -> None:
    gains, _ = limited(strobe(5, Fraction(30), seconds=1), Fraction(30))
    lit = [slice(first, first + 3) for first in (3, 9, 15, 21, 27)]
    assert [float(gains[each].max()) for each in lit[:3]] == [1, 1, 1]
    assert [float(gains[each].max()) for each in lit[3:]] == pytest.approx([0.08, 0.08], abs=0.01)


@pytest.mark.parametrize("rate", [1, 2, 3])
def test_slower_flashes_are_left_alone(rate: float) -> None:
    assert limited(strobe(rate, Fraction(30)), Fraction(30))[0].tolist() == [1.0] * 90


def test_a_small_area_is_left_alone() -> None:
    light = strobe(8, Fraction(30))
    light[:, :, 2:, :] = 0.3
    light[:, :, :, 1:] = 0.3  # one cell in 16 of a window flashes
    assert limited(light, Fraction(30))[0].min() == 1


def test_light_that_was_taken_away_comes_back_in_a_while() -> None:
    light = np.concatenate([strobe(8, Fraction(30), seconds=2), np.full((60, 3, N, N), 0.5)])
    gains, _ = limited(light, Fraction(30))
    assert gains[:60].min() < 0.2
    assert gains[-1] == 1


@settings(max_examples=40, deadline=None)
@example(seed=78, hold=1)  # changes of 0.08 and of 0.1 turn at other times
@given(seed=st.integers(0, 2**32), hold=st.integers(1, 4))
def test_whatever_is_shown_is_held_under_the_threshold(seed: int, hold: int) -> None:
    rng = np.random.default_rng(seed)
    places = rng.random((40, 1, 3, 3)) * rng.choice([0.0, 0.3, 1.0, 4.0], (40, 1, 3, 3))
    colours = np.where(rng.random((40, 1, 3, 3)) < 0.3, np.reshape([1, 0, 0], (3, 1, 1)), 1.0)
    light = np.repeat(np.kron(places * colours, np.ones((1, 1, 4, 4))), hold, axis=0)
    assert not flashes(limited(light, Fraction(30))[1], Fraction(30))
