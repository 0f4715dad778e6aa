"""Resources: objects that a world has one of each. They are frozen; a new one replaces the old one."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.errors import SceneError
from ecs_core.units import UNITS


@dataclass(frozen=True, slots=True)
class Canvas:
    """Size of the canvas in units; the shorter side is always 1080, or the height for plugins of version 1."""

    width: float
    height: float = UNITS

    @staticmethod
    def of_picture(width: int, height: int, *, api_version: int) -> Canvas:
        """The canvas that a type of a plugin API's version has in a picture of so many pixels."""
        unit = (height if api_version == 1 else min(width, height)) / UNITS
        return Canvas(width / unit, height / unit)


@dataclass(frozen=True, slots=True)
class Clock:
    """Time of the current frame: ``t`` = frame / fps and ``dt`` = 1 / fps, in seconds."""

    frame: int
    t: float
    dt: float
    fps: Fraction


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """Audio features in the current frame, 0–1 each: ``audio.bass`` or ``audio["bass"]``.

    Where a frame has several moves (``Phase``), its events are counted in the first of them, and not ``again``.
    """

    frame: int
    timeline: FeatureTimeline
    again: bool = False

    def __getitem__(self, feature: str) -> float:
        try:
            return float(self.timeline.features[feature][self.frame])
        except KeyError:
            known = ", ".join(sorted(self.timeline.features))
            raise SceneError(f"no audio feature {feature!r}; there are: {known}") from None

    def __getattr__(self, feature: str) -> float:
        if feature.startswith("_"):
            raise AttributeError(feature)
        return self[feature]

    def count(self, event: str) -> int:
        """Number of events of a kind ("onsets", "beats") in this frame."""
        if event not in self.timeline.events:
            known = ", ".join(sorted(self.timeline.events))
            raise SceneError(f"no audio event {event!r}; there are: {known}")
        return 0 if self.again else self.timeline.count(event, self.frame)

    def recent(self, event: str, seconds: float) -> list[tuple[int, float, float]]:
        """Events of a kind in the last so many seconds before this frame: number, seconds since, and strength (1 where
        there is none); nothing where the song has no such events.
        """
        now = self.timeline.time(self.frame)
        times = self.timeline.events.get(event, np.zeros(0))
        strengths = self.timeline.strengths.get(event, np.ones(len(times)))
        first, last = np.searchsorted(times, (now - seconds, now), side="right")
        return [(nth, now - float(times[nth]), float(strengths[nth])) for nth in range(first, last)]

    def before(self, event: str) -> int:
        """Number of the song's events of a kind before this frame, which is the index of the first one in it."""
        self.count(event)  # raises for unknown events
        return int(np.searchsorted(self.timeline.events[event], self.timeline.time(self.frame)))
