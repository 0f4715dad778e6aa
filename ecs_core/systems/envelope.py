"""How a binding follows the song: events by an analytic envelope at a frame's time, features by a follower.

An event's envelope is a function of time alone, so at one moment it is the same at 24, 30 and 60 frames a second.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ecs_core.arrays import F32, F64

Grid = Literal["bar", "beat", "half", "quarter"]
# A frame is seen until the next one comes, so what is shown at a frame's time is late by half a frame on average. This
# much earlier an event begins to be seen, at any rate: half a frame at 60 frames a second, a quarter at 30.
LEAD = 1 / 120  # seconds
RELEASE = 0.15  # seconds, where a binding of an event has none: without, it might fall between two frames
_TOGETHER = 8  # events that may overlap


def envelope(times: F64, events: F64, heights: F64, *, attack: float, release: float) -> F64:
    """What is seen of events at the given times: (times,) float64.

    ``events`` are ascending times and ``heights`` (events,) how high each rises: on a straight line within ``attack``
    seconds, from ``LEAD`` before the event on; from the top, though not before the event itself, it falls to 1/e within
    ``release`` seconds. The highest of those that overlap counts.
    """
    out = np.zeros(len(times))
    if not len(events):
        return out
    release = release or RELEASE
    top = max(0.0, attack - LEAD)
    newest = np.searchsorted(events, times + LEAD + 1e-9, side="right") - 1
    for back in range(_TOGETHER):
        which = newest - back
        begun = which >= 0
        since = times[begun] - events[which[begun]]
        shape = np.exp(-np.maximum(0.0, since - top) / release)
        if attack > 0:
            shape = np.minimum(shape, np.clip((since + LEAD) / attack, 0, 1))
        out[begun] = np.maximum(out[begun], heights[which[begun]] * shape)
    return out


def grid_of(beats: F64, downbeats: F64, grid: Grid) -> F64:
    """The times that events are moved to: bars, beats, or parts of beats."""
    if grid == "bar":
        return downbeats
    parts = {"beat": 1, "half": 2, "quarter": 4}[grid]
    if parts == 1 or len(beats) < 2:
        return beats
    return np.interp(np.arange((len(beats) - 1) * parts + 1) / parts, np.arange(len(beats)), beats)


def quantised(events: F64, heights: F64, grid: F64) -> tuple[F64, F64]:
    """Events moved to the nearest time of a grid; of those that meet, the highest. Without a grid they stay."""
    if not len(grid) or not len(events):
        return events, heights
    middles = (grid[1:] + grid[:-1]) / 2
    nearest = np.searchsorted(middles, events, side="right")
    points, first = np.unique(nearest, return_index=True)
    return grid[points], np.maximum.reduceat(heights, first)


def held(values: F32, times: F64, grid: F64) -> F32:
    """A feature's mean from each time of the grid to the next, held all the while; before the first as it is."""
    if not len(grid) or not len(values):
        return values
    part = np.searchsorted(grid, times + 1e-9, side="right")
    sums = np.bincount(part, values, minlength=len(grid) + 1)
    counts = np.bincount(part, minlength=len(grid) + 1)
    means = sums / np.maximum(1, counts)
    return np.where(part > 0, means[part], values).astype(np.float32)


def follow(wanted: F64, attack: float, release: float) -> F64:
    """An envelope that rises and falls exponentially with time constants in frames; 0 follows at once."""
    rise = 1.0 if attack <= 0 else 1.0 - float(np.exp(-1.0 / attack))
    fall = 1.0 if release <= 0 else 1.0 - float(np.exp(-1.0 / release))
    out = np.empty(len(wanted))
    if rise == fall == 1.0:
        return wanted
    level = 0.0
    for i, value in enumerate(wanted.tolist()):
        level += (value - level) * (rise if value > level else fall)
        out[i] = level
    return out
