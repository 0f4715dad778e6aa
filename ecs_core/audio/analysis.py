"""Analysis: the features of a song in natural units, from which a FeatureTimeline is made at any frame rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache, partial
from typing import Literal

import numpy as np

from ecs_core.arrays import F32, F64
from ecs_core.audio.beats import beat_phase
from ecs_core.audio.catalogue import FEATURES, Decibels, Feature, Fixed, Percentiles
from ecs_core.audio.curves import column_of
from ecs_core.audio.guidance import Hearing
from ecs_core.audio.onsets import SECONDS_PER_HOP
from ecs_core.audio.sonogram import Sonogram
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.lazily import Lazily

_RELEASE = 0.09  # seconds for a hit to fall to 1/e: 200 ms to a tenth
_SMOOTH = 0.1  # seconds, full width
_SILENT = 1e-4 * 3**-0.5  # RMS below this (-85 dBFS) is silence in any song
_GATE = 10 ** (-50 / 20)  # so is anything 50 dB below the song's loud passages
_CHUNK = 4096  # hops or frames processed at a time, to limit memory


@dataclass(frozen=True, eq=False)
class Analysis:
    """The features of a song: curves on the analysis grid (one value per 11.6 ms) and events, at no frame rate.

    ``curves`` holds (hops,) float32 by name, in the units of the catalogue (``chroma`` is (hops, 12)); features of
    plugins, whose kinds ``added`` lists, are 0–1. ``events`` holds ascending times in seconds by name, ``strengths``
    the strength (0–1) of some of them. ``labels`` has a letter per section, the same letter for similar sections.
    ``tempo`` is in beats per minute and ``metre`` in beats per bar (0: none), ``loudness`` in LUFS; ``key`` is an
    estimate. ``confidence`` gives the reliability of estimates by name, 0–1. ``peak`` is the highest absolute sample of
    the song mixed to one or two channels, None if it is not known. ``sonogram`` is for pictures of the sound; documents
    as JSON, and those of earlier versions, have none.
    """

    exact_duration: Fraction
    tempo: float
    curves: Mapping[str, F32]
    events: Mapping[str, F64]
    warnings: tuple[str, ...] = ()
    strengths: Mapping[str, F32] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    metre: int = 0
    loudness: float = -70.0
    key: str = ""
    confidence: Mapping[str, float] = field(default_factory=dict)
    added: Mapping[str, Literal["hit", "slow"]] = field(default_factory=dict)
    peak: float | None = None
    sonogram: Sonogram | None = None

    def timeline(
        self,
        fps: Fraction,
        frames: int,
        hearing: Mapping[str, Hearing] | None = None,
        *,
        start: Fraction = Fraction(0),
        lazily: bool = False,
        pictured: bool = False,
    ) -> FeatureTimeline:
        """The features at each of ``frames`` video frames; for hits, the highest value within the frame.

        The first frame is at ``start`` seconds of the song. Levels are relative to the whole song in any case. If
        ``lazily``, each feature is made whenever it is looked at, as all are large together. If ``pictured``, the
        timeline has what it needs of the sonogram.
        """
        hearing = hearing or {}
        dt = float(1 / fps)
        lead = int(start * fps)
        # Where start is on the grid of frames, the times are those of the whole song's frames to the bit.
        starts: F64 = (np.arange(lead + frames, dtype=np.float64) + float(start * fps - lead)) * dt
        gate = gate_of(self.curves["rms"])
        events, strengths = self._events_heard(hearing)
        seconds = float(self.exact_duration)
        made: dict[str, Callable[[], F32]] = {
            feature.name: partial(self._heard, feature, gate, hearing.get(feature.name, Hearing()), starts, dt)
            for feature in FEATURES
            if feature.kind != "phase"
        }
        made |= {name: partial(self._heard_by_plugin, name, starts, dt) for name in self.added}
        made |= {name: partial(phase, events, seconds, starts) for name, phase in PHASES.items()}

        @lru_cache(maxsize=1)  # who saves a timeline looks at each twice: before the start, and from there on
        def values(name: str) -> F32:
            return made[name]()

        features: Mapping[str, F32] = Lazily(made, lambda name: values(name)[lead:])
        before: Mapping[str, F32] = Lazily(made if lead else (), lambda name: values(name)[:lead])
        if not lazily:
            whole = {name: values(name) for name in made}
            features = {name: each[lead:] for name, each in whole.items()}
            before = {name: each[:lead] for name, each in whole.items()} if lead else {}
        sonogram = self.sonogram.part(float(start), float(start + frames / fps)) if pictured and self.sonogram else None
        return FeatureTimeline(fps, frames, seconds, self.tempo, features, events, strengths, start, before, sonogram)

    def _heard(self, feature: Feature, gate: F32, hearing: Hearing, starts: F64, dt: float) -> F32:
        """A feature at each frame."""
        if feature.column is None:
            curve = self.curves[feature.curve]
        else:
            curve = column_of(self.curves, feature.curve, feature.column)
        return _at_frames(_level(feature, curve, gate, hearing), feature.kind, starts, dt)

    def _heard_by_plugin(self, name: str, starts: F64, dt: float) -> F32:
        """A feature of a plugin at each frame."""
        curve, kind = self.curves[name], self.added[name]
        return _at_frames(_release(curve) if kind == "hit" else curve, kind, starts, dt)

    def _events_heard(self, hearing: Mapping[str, Hearing]) -> tuple[Mapping[str, F64], Mapping[str, F32]]:
        events, strengths = dict(self.events), dict(self.strengths)
        for name, (threshold, _) in hearing.items():
            if threshold is not None and name in strengths and strengths[name].size:
                strong = strengths[name] >= np.percentile(strengths[name], threshold)
                events[name], strengths[name] = events[name][strong], strengths[name][strong]
        return events, strengths


def _section_phase(events: Mapping[str, F64], duration: float, times: F64) -> F32:
    sections = events["sections"]
    if not sections.size:
        return np.zeros(len(times), np.float32)
    edges = np.append(sections, max(duration, sections[-1] + 1e-3))
    within = np.interp(times, edges, np.arange(len(edges)), left=0.0, right=0.0)
    return np.where(times < duration, np.mod(within, 1.0), 0).astype(np.float32)


def _build(events: Mapping[str, F64], duration: float, times: F64) -> F32:
    build = np.zeros(len(times), np.float32)
    for start in events["builds"]:
        ends = events["drops"][events["drops"] > start]
        if ends.size:
            share = (times - start) / (ends[0] - start)
            build = np.where((share >= 0) & (share < 1), share, build).astype(np.float32)
    return build


# Features derived from events, given the song's duration, at some times; all in seconds.
PHASES: dict[str, Callable[[Mapping[str, F64], float, F64], F32]] = {
    "beat_phase": lambda events, duration, times: beat_phase(events["beats"], times),
    "bar_phase": lambda events, duration, times: beat_phase(events["downbeats"], times),
    "section_phase": _section_phase,
    "build": _build,
}


def gate_of(rms: F32) -> F32:
    """1 where the song is audible and 0 in silence, (hops,) float32."""
    loud = float(np.percentile(rms, 95)) if len(rms) else 0.0
    return (rms > max(_SILENT if loud < 10 * _SILENT else 0.0, loud * _GATE)).astype(np.float32)


def _level(feature: Feature, values: F32, gate: F32, hearing: Hearing) -> F32:
    """A feature's curve normalised to 0–1, 0 in silence; hits get a slow release, other curves are smoothed."""
    scale = feature.scale
    if isinstance(scale, Fixed) and scale.log:
        values = np.log(np.maximum(values, np.float32(min(scale.low, scale.high) * 1e-2)))
        scale = Fixed(float(np.log(scale.low)), float(np.log(scale.high)))
    heard = values[gate > 0]
    if not heard.size:
        return np.zeros(len(values), np.float32)
    if isinstance(scale, Fixed):
        low, high = scale.low, scale.high
        if scale.high < scale.low:  # inverted
            values, heard, low, high = -values, -heard, -low, -high
    elif isinstance(scale, Decibels):
        high = float(np.percentile(heard, scale.high))
        low = high - scale.below
    else:
        low, high = (float(value) for value in np.percentile(heard, (scale.low, scale.high)))
    if hearing.threshold is not None:
        low = float(np.percentile(heard, hearing.threshold))
    if hearing.full is not None:
        high = float(np.percentile(heard, hearing.full))
    if isinstance(scale, Percentiles):
        if high <= 0:
            return np.zeros(len(values), np.float32)
        low = min(low, 0.7 * high)  # a steady tone is loud, not absent
    elif high <= low:
        low = high - 1e-3 * max(1.0, abs(high))
    level: F32 = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1) * gate
    return _release(level) if feature.kind == "hit" else _smooth(level)


def _at_frames(curve: F32, kind: str, starts: F64, dt: float) -> F32:
    values = np.empty(len(starts), np.float32)
    for first in range(0, len(starts), _CHUNK):
        some = starts[first : first + _CHUNK]
        values[first : first + _CHUNK] = _highest(curve, some, dt) if kind == "hit" else _sample(curve, some + dt / 2)
    return values


def _release(values: F32) -> F32:
    """An exponential release with an instant attack."""
    # A running maximum of logarithms, tilted so that the release is level.
    out, highest = np.empty(len(values), np.float32), -np.inf
    for first in range(0, len(values), _CHUNK):
        some = values[first : first + _CHUNK]
        fall = np.arange(first, first + len(some)) * (SECONDS_PER_HOP / _RELEASE)
        level = np.log(np.maximum(some.astype(np.float64), 1e-9)) + fall
        level[0] = max(level[0], highest)
        level = np.maximum.accumulate(level)
        highest = level[-1]
        out[first : first + _CHUNK] = np.exp(level - fall)
    return np.where(out < 1e-3, np.float32(0), np.minimum(out, np.float32(1)))


def _smooth(values: F32) -> F32:
    """A centred Hann average over 100 ms, without lag."""
    width = max(3, round(_SMOOTH / SECONDS_PER_HOP) | 1)
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, width // 2)
    smooth = np.empty(len(values), np.float32)
    for first in range(0, len(values), _CHUNK):
        last = min(first + _CHUNK, len(values))
        smooth[first:last] = sum(
            weight * padded[first + at : last + at] for at, weight in enumerate(window / window.sum())
        )
    return smooth


def _sample(curve: F32, times: F64) -> F32:
    """A curve interpolated at the given times in seconds, which ascend; 0 after the end of the song."""
    hops = times / SECONDS_PER_HOP
    first = min(int(hops[0]), len(curve) - 1)
    near = curve[first : int(hops[-1]) + 2]
    return np.interp(hops, np.arange(first, first + len(near)), near, right=0.0).astype(np.float32)


def _highest(curve: F32, starts: F64, dt: float) -> F32:
    """The highest value in [start, start + dt] for each start, including the hops between, so no peak is lost."""
    high = np.maximum(_sample(curve, starts), _sample(curve, starts + dt))
    first = np.ceil(starts / SECONDS_PER_HOP).astype(np.int64)
    for step in range(int(dt / SECONDS_PER_HOP) + 1):
        hop = first + step
        inside = (hop < len(curve)) & (hop * SECONDS_PER_HOP <= starts + dt)
        high[inside] = np.maximum(high[inside], curve[hop[inside]])
    return high
