"""FeatureTimeline: what is heard in a song, one row per video frame, and its events by their exact times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Every timeline has these features, each 0–1 (definitions: ecs_core/audio/features.py).
FEATURES = ("sub", "bass", "low_mid", "mid", "high", "rms", "onset", "beat_phase", "centroid")
EVENTS = ("onsets", "beats")


@dataclass(frozen=True, eq=False)
class FeatureTimeline:
    """All that the simulation knows of a song.

    ``features`` holds (frames,) float32 values in 0–1 by name; ``events`` ascending times in seconds by name;
    ``duration`` is the song's, seconds; ``tempo`` in beats a minute, 0 where there is none.
    """

    fps: Fraction
    frames: int
    duration: float
    tempo: float
    features: Mapping[str, F32]
    events: Mapping[str, F64]

    def row(self, frame: int) -> dict[str, float]:
        """Every feature at a frame."""
        return {name: float(values[frame]) for name, values in self.features.items()}

    def count(self, event: str, frame: int) -> int:
        """How many events of a kind fall into [frame / fps, (frame + 1) / fps)."""
        edges = [float(frame / self.fps), float((frame + 1) / self.fps)]
        first, last = np.searchsorted(self.events[event], edges)
        return int(last - first)

    def to_json(self) -> dict[str, Any]:
        """The timeline as plain data: {fps, duration, tempo, features, onsets, beats}."""
        whole = self.fps.denominator == 1
        return {
            "fps": int(self.fps) if whole else f"{self.fps.numerator}/{self.fps.denominator}",
            "duration": self.duration,
            "tempo": self.tempo,
            "features": {name: [round(float(value), 5) for value in values] for name, values in self.features.items()},
            **{name: [round(float(time), 6) for time in times] for name, times in self.events.items()},
        }

    @staticmethod
    def silence(fps: Fraction, frames: int) -> FeatureTimeline:
        """A timeline in which nothing is ever heard."""
        nothing = {name: np.zeros(frames, np.float32) for name in FEATURES}
        return FeatureTimeline(fps, frames, float(frames / fps), 0.0, nothing, {name: np.zeros(0) for name in EVENTS})
