"""Made sequences on both sides of each threshold of WCAG 2.3.1."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.flashes.counter import FlashCounter
from ecs_core.flashes.flashing import Flashing, flash_warning

RATES = [Fraction(24), Fraction(30000, 1001), Fraction(30), Fraction(60)]
GRID = 36
BLACK, WHITE, RED = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0)
RGB = tuple[float, float, float]


def grey(luminance: float) -> RGB:
    return (luminance,) * 3


def strobe(
    a: RGB,
    b: RGB,
    *,
    flashes: float = 4,
    seconds: float = 2.0,
    fps: Fraction = Fraction(30),
    area: tuple[int, int] = (GRID, GRID),
    around: RGB = BLACK,
) -> np.ndarray:
    """Light that is ``a`` and ``b`` in turn, so many times a second, in so many cells of the upper left corner."""
    frames = np.arange(int(seconds * fps))
    second = np.array([floor(2 * flashes * frame / fps) % 2 for frame in frames.tolist()], bool)
    light = np.empty((len(frames), 3, GRID, GRID))
    light[:] = np.reshape(around, (3, 1, 1))
    shown = np.where(second[:, None], b, a)[:, :, None, None]
    light[:, :, : area[0], : area[1]] = shown
    return quantised(light)


def quantised(light: np.ndarray) -> np.ndarray:
    return np.round(light * 65535).astype(np.uint16)


def found(light: np.ndarray, fps: Fraction = Fraction(30)) -> tuple[Flashing, ...]:
    counter = FlashCounter(fps)
    counter.add(light)
    return counter.found


def kinds(light: np.ndarray, fps: Fraction = Fraction(30)) -> list[str]:
    return [each.kind for each in found(light, fps)]


@pytest.mark.parametrize("fps", RATES)
def test_four_flashes_a_second_are_too_many(fps: Fraction) -> None:
    assert kinds(strobe(BLACK, WHITE, flashes=4, fps=fps), fps) == ["general"]


@pytest.mark.parametrize("fps", RATES)
def test_three_flashes_a_second_are_not(fps: Fraction) -> None:
    assert not found(strobe(BLACK, WHITE, flashes=3, seconds=5, fps=fps), fps)


@pytest.mark.parametrize(("last", "too_many"), [(38, True), (39, False)])
def test_a_second_is_30_frames(last: int, too_many: bool) -> None:
    light = np.zeros((90, 3, GRID, GRID), np.uint16)
    light[[10, 20, 30, last]] = 65535  # the last change is one frame later
    assert bool(found(light)) == too_many


def test_a_passage_lasts_from_its_first_change_to_its_last_and_counts_the_most() -> None:
    light = np.concatenate([np.zeros((30, 3, GRID, GRID), np.uint16), strobe(BLACK, WHITE, flashes=5)])
    assert found(light) == (Flashing("general", pytest.approx(33 / 30), pytest.approx(88 / 30), 5, 1.0),)


def test_passages_a_second_apart_are_two() -> None:
    flashing, calm = strobe(BLACK, WHITE, seconds=1.5), np.zeros((60, 3, GRID, GRID), np.uint16)
    assert len(found(np.concatenate([flashing, calm, flashing]))) == 2
    assert len(found(np.concatenate([flashing, calm[:20], flashing]))) == 1


@pytest.mark.parametrize(("change", "too_many"), [(0.099, False), (0.1, True), (0.101, True)])
@pytest.mark.parametrize("darker", [0.0, 0.4, 0.79])
def test_a_change_of_a_tenth_counts(darker: float, change: float, too_many: bool) -> None:
    assert bool(found(strobe(grey(darker), grey(darker + change)))) == too_many


@pytest.mark.parametrize(("darker", "too_many"), [(0.795, True), (0.805, False)])
def test_the_darker_must_be_under_eight_tenths(darker: float, too_many: bool) -> None:
    assert bool(found(strobe(grey(darker), grey(darker + 0.15)))) == too_many


def test_luminance_is_that_of_bt_709() -> None:
    assert not found(strobe(BLACK, (0.0, 0.0, 1.0)))  # 0.0722
    assert found(strobe(BLACK, (0.0, 0.15, 0.0)))
    assert not found(strobe(BLACK, (0.0, 0.13, 0.0)))


@pytest.mark.parametrize(("rows", "too_many"), [(6, False), (7, True)])
def test_more_than_a_quarter_of_a_window_counts(rows: int, too_many: bool) -> None:
    assert bool(found(strobe(BLACK, WHITE, area=(rows, 6)))) == too_many  # of 12 × 12 cells


def test_the_window_may_be_anywhere() -> None:
    light = strobe(BLACK, WHITE, area=(7, 7))
    for rows, columns in ((15, 4), (29, 29), (0, 20)):
        assert found(np.roll(light, (rows, columns), axis=(2, 3)))[0].area == pytest.approx(49 / 144)


def test_areas_in_different_windows_are_not_added() -> None:
    light = strobe(BLACK, WHITE, area=(6, 6))
    assert not found(np.maximum(light, np.roll(light, (18, 18), axis=(2, 3))))
    assert found(np.maximum(light, np.roll(light, (0, 6), axis=(2, 3))))


def test_a_slow_rise_between_flashes_is_one_change() -> None:
    saw = np.tile(np.linspace(0, 1, 10), 9)  # three rises and falls a second
    assert not found(quantised(np.broadcast_to(saw[:, None, None, None], (90, 3, GRID, GRID))))


def test_small_ripples_on_the_way_are_no_changes() -> None:
    ripples = np.arange(120) % 2 * 0.05 + np.linspace(0, 0.9, 120)
    assert not found(quantised(np.broadcast_to(ripples[:, None, None, None], (120, 3, GRID, GRID))))


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize(("flashes", "expected"), [(3, []), (4, ["red"])])
def test_red_flashes_are_counted_by_themselves(fps: Fraction, flashes: int, expected: list[str]) -> None:
    dark_red = (0.4, 0.0, 0.0)  # with a luminance of 0.085
    assert kinds(strobe(BLACK, dark_red, flashes=flashes, seconds=3, fps=fps), fps) == expected


def test_red_of_equal_luminance_flashes() -> None:
    green = (0.0, 0.2126 / 0.7152, 0.0)
    assert kinds(strobe(RED, green)) == ["red"]


@pytest.mark.parametrize(("red", "expected"), [(0.79, []), (0.81, ["red"])])
def test_red_is_saturated_from_eight_tenths_on(red: float, expected: list[str]) -> None:
    other = (0.0, 0.0, 0.3)  # far from red, and about as light
    shown = (0.3 * red, 0.3 * (1 - red), 0.0)
    assert kinds(strobe(other, shown)) == expected


def test_colours_less_than_two_tenths_apart_do_not_flash() -> None:
    def apart(a: RGB, b: RGB) -> float:
        (ua, va), (ub, vb) = map(chromaticity, (a, b))
        return float(np.hypot(ua - ub, va - vb))

    near, far = (0.2, 0.085, 0.0), (0.2, 0.115, 0.0)
    red = (0.4, 0.0, 0.0)
    assert apart(red, near) < 0.19
    assert apart(red, far) > 0.205
    assert kinds(strobe(red, near)) == []
    assert kinds(strobe(red, far)) == ["red"]


def chromaticity(light: RGB) -> tuple[float, float]:
    """u', v' (CIE 15:2004, 8.2) of linear sRGB (IEC 61966-2-1)."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = matrix @ np.array(light)
    return float(4 * x / (x + 15 * y + 3 * z)), float(9 * y / (x + 15 * y + 3 * z))


def test_what_is_nearly_black_is_not_red() -> None:
    assert not found(strobe(BLACK, (0.05, 0.0, 0.0)))
    assert kinds(strobe(BLACK, (0.07, 0.0, 0.0))) == ["red"]


def test_red_that_changes_its_brightness_alone_is_no_red_flash() -> None:
    assert kinds(strobe((0.3, 0.0, 0.0), RED)) == ["general"]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 119), max_size=12))
def test_flashes_do_not_depend_on_cuts(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.choice([0.0, 0.05, 0.12, 0.5, 0.78, 0.85, 1.0], (24, 3, 9, 9))
    levels[:, 1:] *= rng.choice([0.0, 1.0], (24, 1, 9, 9))  # some are red
    held = np.repeat(levels, 5, axis=0)  # six flashes a second at most
    calm = rng.random((1, 1, 9, 9)) < rng.random()
    light = quantised(np.where(calm, held[:1], held))
    marks = [0, *sorted(set(cuts)), len(light)]
    counter = FlashCounter(Fraction(30))
    for start, stop in pairwise(marks):
        counter.add(light[start:stop])
    assert counter.found == found(light)
    by_frame = FlashCounter(Fraction(30))
    for frame in light:
        by_frame.add(frame[None])
    assert by_frame.found == found(light)


def test_the_warning_is_one_line_with_times() -> None:
    flashing = [Flashing("general", 1.5 * n, 1.5 * n + 1, 4, 0.5) for n in range(5)]
    assert flash_warning(flashing) == (
        "flashes more often than WCAG 2.3.1 allows: at 0.00–1.00 s (4 a second, 50 % of an area), at 1.50–2.50 s "
        "(4 a second, 50 % of an area), at 3.00–4.00 s (4 a second, 50 % of an area), and 2 more times"
    )
