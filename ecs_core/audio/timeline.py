"""FeatureTimeline: a song's features, one value per video frame, and its events at their exact times."""

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
from ecs_core.lazily import joined

if TYPE_CHECKING:
    from ecs_core.audio.sonogram import Sonogram
    from ecs_core.audio.spectrum import Spectrum


# Every timeline has these features, each 0–1 (definitions: ecs_core/audio/catalogue.py).
FEATURES = tuple(feature.name for feature in catalogue.FEATURES)
# Two more depend on settings: the bass amplified by ``enhanced_mode``, and 1 while that is over ``bass_threshold``.
LEVELS = ("level", "bass_high")
EVENTS = tuple(catalogue.EVENTS)
# The last ones are attributes of AudioFrame, which has the features as attributes, too.
_TAKEN = {
    *FEATURES,
    *LEVELS,
    *EVENTS,
    *(name.removesuffix("s") for name in EVENTS),
    "count",
    "before",
    "recent",
    "again",
    "frame",
    "timeline",
}


@dataclass(frozen=True)
class AudioFeature:
    """A feature that a plugin adds to every timeline; bindings can use its name.

    ``compute`` receives the Spectrum and returns one value per hop, (hops,), in 0–1; values outside are clipped, NaN
    becomes 0. A "hit" gets an instant attack and a release of 200 ms; "slow" is used as it is.
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
    """Everything that the simulation knows about a song.

    ``features`` holds (frames,) float32 values in 0–1 by name; ``events`` ascending times in seconds by name, and
    ``strengths`` their strengths, 0–1, if known; ``duration`` is the song's in seconds; ``tempo`` in beats per minute,
    0 if there is none.

    The first frame is at ``start`` seconds of the song. Times of events are the song's, from its beginning to its end.
    ``lead`` holds the features at the frames before the first one, (lead_frames,) each, for bindings that remember.
    ``sonogram`` is what layers that picture the sound need of it, None where a scene has none of them.
    """

    fps: Fraction
    frames: int
    duration: float
    tempo: float
    features: Mapping[str, F32]
    events: Mapping[str, F64]
    strengths: Mapping[str, F32] = field(default_factory=dict)
    start: Fraction = Fraction(0)
    lead: Mapping[str, F32] = field(default_factory=dict)
    sonogram: Sonogram | None = None

    @property
    def lead_frames(self) -> int:
        """Number of frames of ``lead``."""
        return len(next(iter(self.lead.values()), ()))

    def time(self, frame: int) -> float:
        """The second of the song at which a frame begins: start + frame / fps."""
        return float(self.start + frame / self.fps)

    def count(self, event: str, frame: int) -> int:
        """Number of events of a kind in [time(frame), time(frame + 1))."""
        edges = [self.time(frame), self.time(frame + 1)]
        first, last = np.searchsorted(self.events[event], edges)
        return int(last - first)

    def event_of(self, source: str) -> str | None:
        """The events that a binding's source names, as "kicks" or "kick"; None if it is a feature or unknown."""
        if source in self.features:
            return None
        return next((name for name in (source, f"{source}s") if name in EVENTS or name in self.events), None)

    def values(self, feature: str) -> list[float]:
        """A feature at each frame, rounded to five decimals."""
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
        """A copy with more features, (frames,) each."""
        return replace(self, features=joined(self.features, more))

    @staticmethod
    def silence(fps: Fraction, frames: int, *, more: Iterable[str] = ()) -> FeatureTimeline:
        """A silent timeline: all features, including those named in ``more``, are 0, and there are no events."""
        nothing = {name: np.zeros(frames, np.float32) for name in (*FEATURES, *more)}
        return FeatureTimeline(fps, frames, float(frames / fps), 0.0, nothing, {name: np.zeros(0) for name in EVENTS})
