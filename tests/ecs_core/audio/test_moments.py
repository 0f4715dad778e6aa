"""Where a video of the best part of a song begins: a bar before its strongest drop, or what comes closest to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest

from ecs_core.audio.analysis import Analysis
from ecs_core.audio.moments import bar_before, strongest_moment
from ecs_core.audio.onsets import SECONDS_PER_HOP

SECONDS = 60


def heard(loud: Mapping[tuple[float, float], float] | None = None, **events: Sequence[float]) -> Analysis:
    """A song of a minute that is as loud as given from one second to another, and 0.1 elsewhere."""
    times = np.arange(0, SECONDS, SECONDS_PER_HOP)
    level = np.full(len(times), 0.1, np.float32)
    for (start, end), amplitude in (loud or {}).items():
        level[(times >= start) & (times < end)] = amplitude
    names = ("drops", "sections", "downbeats", "beats")
    found = {name: np.asarray(events.get(name, ()), np.float64) for name in names}
    return Analysis(Fraction(SECONDS), 120.0, {"bass": level, "rms": level}, found)


def test_strongest_drop_is_where_the_bass_gains_most() -> None:
    loud = {(8, 14): 0.5, (30, 45): 0.9, (48, 55): 0.95, (45, 48): 0.8}
    assert strongest_moment(heard(loud, drops=(8, 30, 48), sections=(0, 8, 30, 48))) == 30


def test_without_drops_the_loudest_section_counts() -> None:
    loud = {(20, 35): 0.6, (35, 36): 0.9}
    assert strongest_moment(heard(loud, sections=(0, 20, 35))) == 20


def test_without_sections_the_beginning_counts() -> None:
    assert strongest_moment(heard()) == 0


@pytest.mark.parametrize(
    ("time", "downbeats", "bar"),
    [
        (10.0, np.arange(0.5, 60, 2), "8.5"),  # not on a downbeat: the bar that begins more than half a bar before
        (10.5, np.arange(0.5, 60, 2), "8.5"),
        (10.4, np.arange(0.5, 60, 2), "8.5"),  # a little before its downbeat
        (10.6, np.arange(0.5, 60, 2), "8.5"),  # a little after
        (1.0, np.arange(0.5, 60, 2), "0"),
        (30.0, [0, 2, 4, 6], "28"),  # no downbeats are heard there
        (10.00049, [6.00049, 8.00049, 10.00049], "8"),  # told in milliseconds
    ],
)
def test_bar_before_a_moment(time: float, downbeats: Sequence[float], bar: str) -> None:
    assert bar_before(heard(downbeats=downbeats), time) == Fraction(bar)


def test_four_beats_are_a_bar_where_no_bars_are_heard() -> None:
    assert bar_before(heard(beats=np.arange(0, 60, 0.4).tolist()), 20.0) == Fraction("18.4")


def test_two_seconds_are_a_bar_where_no_beats_are_heard() -> None:
    assert bar_before(heard(), 20.0) == 18
