"""Envelopes of bindings: an analytic envelope for events, a follower for features.

An event's envelope is a function of time, so its value at a given time is the same at 24, 30 and 60 frames per second.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ecs_core.arrays import F32, F64

Grid = Literal["bar", "beat", "half", "quarter"]
# A frame stays on screen until the next one, so what it shows is late by half a frame on average. Envelopes begin this
# much before their event, at any frame rate: half a frame at 60 frames per second, a quarter at 30.
LEAD = 1 / 120  # seconds
RELEASE = 0.15  # seconds: the default for events, as an envelope without a release could fall between two frames
_TOGETHER = 8  # events that may overlap


def envelope(times: F64, events: F64, heights: F64, *, attack: float, release: float) -> F64:
    """The envelope of events at the given times, (times,) float64.

    ``events`` are ascending times, ``heights`` (events,) their peaks. Each rises linearly within ``attack`` seconds,
    starting ``LEAD`` before the event, and after its peak, at the event or later, falls to 1/e within ``release``
    seconds. Where envelopes overlap, the highest counts.
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
    """The times that events are quantised to: bars, beats, or parts of beats."""
    if grid == "bar":
        return downbeats
    parts = {"beat": 1, "half": 2, "quarter": 4}[grid]
    if parts == 1 or len(beats) < 2:
        return beats
    return np.interp(np.arange((len(beats) - 1) * parts + 1) / parts, np.arange(len(beats)), beats)


def quantised(events: F64, heights: F64, grid: F64) -> tuple[F64, F64]:
    """Events moved to the nearest grid time, keeping the highest of those that coincide; unchanged without a grid."""
    if not len(grid) or not len(events):
        return events, heights
    middles = (grid[1:] + grid[:-1]) / 2
    nearest = np.searchsorted(middles, events, side="right")
    points, first = np.unique(nearest, return_index=True)
    return grid[points], np.maximum.reduceat(heights, first)


def held(values: F32, times: F64, grid: F64) -> F32:
    """A feature held at its mean between consecutive grid times; unchanged before the first one."""
    if not len(grid) or not len(values):
        return values
    part = np.searchsorted(grid, times + 1e-9, side="right")
    sums = np.bincount(part, values, minlength=len(grid) + 1)
    counts = np.bincount(part, minlength=len(grid) + 1)
    means = sums / np.maximum(1, counts)
    return np.where(part > 0, means[part], values).astype(np.float32)


def follow(wanted: F64, attack: float, release: float) -> F64:
    """An envelope follower with exponential attack and release; time constants in frames, 0 follows immediately."""
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
