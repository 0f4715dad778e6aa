"""Resources: what there is one of in a world. Frozen: a new one takes the place of an old one, nobody changes them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.errors import SceneError


@dataclass(frozen=True, slots=True)
class Canvas:
    """The space particles live in: ``width × height`` units, the height always 1080."""

    width: float
    height: float = 1080.0


@dataclass(frozen=True, slots=True)
class Clock:
    """The moment of the current frame: ``t`` = frame / fps seconds, ``dt`` = 1 / fps."""

    frame: int
    t: float
    dt: float
    fps: Fraction


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """What is heard in the current frame: every feature by name, ``audio.bass`` or ``audio["bass"]``, 0–1."""

    frame: int
    timeline: FeatureTimeline

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
        """How many events of a kind ("onsets", "beats") fall into this frame."""
        if event not in self.timeline.events:
            known = ", ".join(sorted(self.timeline.events))
            raise SceneError(f"no audio event {event!r}; there are: {known}")
        return self.timeline.count(event, self.frame)

    def before(self, event: str) -> int:
        """How many events of a kind there were before this frame: the number of the first that falls into it."""
        self.count(event)  # names the events that there are
        return int(np.searchsorted(self.timeline.events[event], float(self.frame / self.timeline.fps)))
