"""FeatureTimeline: what is heard in a song, one row per video frame, and its events by their exact times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32, F64
from ecs_core.audio import catalogue
from ecs_core.errors import PluginError

if TYPE_CHECKING:
    from ecs_core.audio.spectrum import Spectrum


# Every timeline has these features, each 0–1 (definitions: ecs_core/audio/catalogue.py).
FEATURES = tuple(feature.name for feature in catalogue.FEATURES)
# Besides, settings make these of the bass: amplified as ``enhanced_mode`` says, and 1 over ``bass_threshold``.
LEVELS = ("level", "bass_high")
EVENTS = tuple(catalogue.EVENTS)
_TAKEN = {*FEATURES, *LEVELS, *EVENTS, *(name.removesuffix("s") for name in EVENTS)}


@dataclass(frozen=True)
class AudioFeature:
    """A feature that a plugin adds to every timeline, under a name that bindings can use.

    ``compute`` gets the Spectrum and returns a value for each hop, (hops,), in 0–1: what lies outside is clipped, NaN
    is 0. A "hit" rises at once and falls within 200 ms; "slow" is taken as it is.
    """

    name: str
    description: str
    compute: Callable[[Spectrum], NDArray[Any]]
    kind: Literal["hit", "slow"] = "slow"

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name in _TAKEN:
            raise PluginError(f"audio feature {self.name!r}: the name is taken, or no identifier")
        if self.kind not in ("hit", "slow"):
            raise PluginError(f"audio feature {self.name!r}: kind = {self.kind!r}: must be 'hit' or 'slow'")


@dataclass(frozen=True, eq=False)
class FeatureTimeline:
    """All that the simulation knows of a song.

    ``features`` holds (frames,) float32 values in 0–1 by name; ``events`` ascending times in seconds by name, and
    ``strengths`` how strong each is, 0–1, where that is known; ``duration`` is the song's, seconds; ``tempo`` in beats
    a minute, 0 where there is none.
    """

    fps: Fraction
    frames: int
    duration: float
    tempo: float
    features: Mapping[str, F32]
    events: Mapping[str, F64]
    strengths: Mapping[str, F32] = field(default_factory=dict)

    def count(self, event: str, frame: int) -> int:
        """How many events of a kind fall into [frame / fps, (frame + 1) / fps)."""
        edges = [float(frame / self.fps), float((frame + 1) / self.fps)]
        first, last = np.searchsorted(self.events[event], edges)
        return int(last - first)

    def event_of(self, source: str) -> str | None:
        """The events that a binding's source names, "kicks" or "kick"; None where it is a feature, or nothing."""
        if source in self.features:
            return None
        return next((name for name in (source, f"{source}s") if name in EVENTS or name in self.events), None)

    def values(self, feature: str) -> list[float]:
        """A feature at each frame, to five digits."""
        return [round(float(value), 5) for value in self.features[feature]]

    def to_json(self) -> dict[str, Any]:
        """The timeline as plain data: {fps, duration, tempo, features, onsets, beats}."""
        whole = self.fps.denominator == 1
        return {
            "fps": int(self.fps) if whole else f"{self.fps.numerator}/{self.fps.denominator}",
            "duration": self.duration,
            "tempo": self.tempo,
            "features": {name: self.values(name) for name in self.features},
            **{name: [round(float(time), 6) for time in times] for name, times in self.events.items()},
        }

    def with_features(self, more: Mapping[str, F32]) -> FeatureTimeline:
        """The same timeline with further features, (frames,) each."""
        return replace(self, features={**self.features, **more})

    @staticmethod
    def silence(fps: Fraction, frames: int, *, more: Iterable[str] = ()) -> FeatureTimeline:
        """A timeline in which nothing is ever heard, not even the features named in ``more``."""
        nothing = {name: np.zeros(frames, np.float32) for name in (*FEATURES, *more)}
        return FeatureTimeline(fps, frames, float(frames / fps), 0.0, nothing, {name: np.zeros(0) for name in EVENTS})
