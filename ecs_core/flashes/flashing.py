"""Flashing: a passage of a video that flashes more than WCAG 2.3.1 allows, and what users are told of it.

Imports no numba and no FFmpeg, as the service's API tells it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_LISTED = 3


@dataclass(frozen=True, slots=True)
class Flashing:
    """A passage of a video that flashes more than WCAG 2.3.1 allows.

    ``kind`` is "general" (of luminance) or "red". It lasts from ``start`` to ``stop``, in seconds of the video, from
    the first change to the end of the frame with the last one. ``flashes`` is the most within one second, and ``area``
    the largest share, 0–1, of a window of a third by a third of the picture that flashes at once.
    """

    kind: Literal["general", "red"]
    start: float
    stop: float
    flashes: int
    area: float


def flash_warning(found: Sequence[Flashing]) -> str:
    """What users are told of one or more passages, in one line.

    >>> flash_warning([Flashing("red", 2.0, 5.5, 6, 0.8)])
    'flashes more often than WCAG 2.3.1 allows: red at 2.00–5.50 s (6 a second, 80 % of an area)'
    """
    listed = [
        f"{'red ' if each.kind == 'red' else ''}at {each.start:.2f}–{each.stop:.2f} s "
        f"({each.flashes} a second, {100 * each.area:.0f} % of an area)"
        for each in found[:_LISTED]
    ]
    more = [f"and {len(found) - _LISTED} more times"] if len(found) > _LISTED else []
    return f"flashes more often than WCAG 2.3.1 allows: {', '.join(listed + more)}"
