"""Moments of a song that stand out: its strongest drop, and where a bar before it begins."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ecs_core.arrays import F64
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.onsets import SECONDS_PER_HOP

_PASSAGE = 4.0  # seconds before and after a drop that are compared
_BEATS = 4  # a bar, where no bars are heard
_LEAD = 2.0  # seconds: a bar, where no beats are heard


def strongest_moment(analysis: Analysis) -> float:
    """The second of the drop at which the bass gains most power; without drops, the start of the loudest section.

    In a song without sections it is 0, the beginning.
    """
    drops = analysis.events["drops"]
    if drops.size:
        power = analysis.curves["bass"].astype(np.float64) ** 2
        gains = [_mean(power, time, time + _PASSAGE) - _mean(power, time - _PASSAGE, time) for time in drops.tolist()]
        return float(drops[int(np.argmax(gains))])
    sections = analysis.events["sections"]
    if not sections.size:
        return 0.0
    power = analysis.curves["rms"].astype(np.float64) ** 2
    ends = [*sections[1:].tolist(), float(analysis.exact_duration)]
    levels = [_mean(power, *bounds) for bounds in zip(sections.tolist(), ends, strict=True)]
    return float(sections[int(np.argmax(levels))])


def bar_before(analysis: Analysis, time: float) -> Fraction:
    """The second at which the bar before ``time`` begins, to the millisecond; at least 0.

    Where no bars are heard, four beats count as one; where no beats are heard, two seconds.
    """
    downbeats, beats = analysis.events["downbeats"], analysis.events["beats"]
    if len(downbeats) > 1:
        bar = float(np.median(np.diff(downbeats)))
        earlier = downbeats[downbeats < time - bar / 2]
        if earlier.size and time - earlier[-1] <= 1.5 * bar:
            return _milliseconds(float(earlier[-1]))
    else:
        bar = _BEATS * float(np.median(np.diff(beats))) if len(beats) > 1 else _LEAD
    return _milliseconds(time - bar)


def _mean(values: F64, start: float, end: float) -> float:
    """The mean of a curve from ``start`` to ``end`` seconds; 0 if nothing is there."""
    part = values[max(0, round(start / SECONDS_PER_HOP)) : max(0, round(end / SECONDS_PER_HOP))]
    return float(part.mean()) if part.size else 0.0


def _milliseconds(seconds: float) -> Fraction:
    return Fraction(max(0, round(1000 * seconds)), 1000)
