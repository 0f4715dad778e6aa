"""analyze(): a song in, an Analysis out, from which a FeatureTimeline is made at any frame rate.

Features, all 0–1 over the song:

- ``sub``, ``bass``, ``low_mid``, ``mid``, ``high``: amplitude in a band (spectrum.BANDS), between what is usual in the
  song's quiet moments and its 97th percentile; rises at once, falls in about 200 ms.
- ``rms``: loudness as amplitude, likewise, smoothed over 100 ms without lag.
- ``onset``: strength of what begins now; falls in about 200 ms.
- ``beat_phase``: 0 at a beat, rising to 1 at the next.
- ``centroid``: brightness, 0 at 100 Hz, 1 at 8 kHz, on a logarithmic scale.

Percentiles of the song make a threshold mean the same on a quiet and on a loud song; a gate keeps silence at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.beats import beat_phase, beats_of, tempo_of
from ecs_core.audio.decode import AudioFile
from ecs_core.audio.onsets import SECONDS_PER_HOP, onset_envelope, pick_onsets
from ecs_core.audio.spectrum import BANDS, Spectrum, spectrum_of
from ecs_core.audio.timeline import AudioFeature, FeatureTimeline

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_RELEASE = 0.09  # seconds for a hit to fall to 1/e: 200 ms to a tenth
_SMOOTH = 0.1  # seconds, full width
_SILENT = 1e-4  # rms below this (-80 dBFS) is silence, whatever the song
_GATE = 10 ** (-50 / 20)  # as is what lies 50 dB below the song's loud passages


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was heard, on the analysis grid (a value every 11.6 ms) and as events; independent of any frame rate.

    ``hits`` and ``slow`` hold (hops,) float32 curves by name: hits rise at once and fall slowly, slow ones are smooth.
    """

    exact_duration: Fraction
    tempo: float
    hits: Mapping[str, F32]
    slow: Mapping[str, F32]
    events: Mapping[str, F64]
    warnings: tuple[str, ...]

    def timeline(self, fps: Fraction, frames: int) -> FeatureTimeline:
        """The features at each of ``frames`` video frames: the highest value within a frame for hits."""
        dt = float(1 / fps)
        starts: F64 = np.arange(frames, dtype=np.float64) * dt
        features = {name: _highest(curve, starts, dt) for name, curve in self.hits.items()}
        for name, curve in self.slow.items():
            features[name] = _sample(curve, starts + dt / 2)
        features["beat_phase"] = beat_phase(self.events["beats"], starts)
        return FeatureTimeline(fps, frames, float(self.exact_duration), self.tempo, features, self.events)


def analyze(
    path: str | Path,
    *,
    more: Sequence[AudioFeature] = (),
    progress: Callable[[float], None] = lambda share: None,
) -> Analysis:
    """Analyse a song; ``progress`` hears shares from 0 to 1. A pure function of the decoded samples and ``more``.

    Raises:
        AudioError: the song cannot be read.
    """
    with AudioFile(path) as song:
        expected = (song.seconds or 180.0) * song.rate

        def on_samples(done: int) -> None:
            progress(min(0.99, done / expected) if expected > 0 else 0.0)

        progress(0.0)
        spectrum = spectrum_of(song.blocks(), rate=song.rate, on_samples=on_samples)
        warnings = tuple(song.warnings)
    analysis = features_of(spectrum, warnings, more=more)
    progress(1.0)
    return analysis


def features_of(spectrum: Spectrum, warnings: tuple[str, ...] = (), *, more: Sequence[AudioFeature] = ()) -> Analysis:
    """The features of a song, from its spectrum; one of ``more`` that fails is 0 and a warning."""
    gate = _gate(spectrum.rms)
    envelope = onset_envelope(spectrum.mel) * gate
    duration = Fraction(spectrum.samples, spectrum.rate)
    onsets = pick_onsets(envelope)
    onsets = onsets[onsets < float(duration)]
    tempo = tempo_of(envelope)
    beats = beats_of(envelope, tempo)
    beats = beats[beats < float(duration)]
    hits = {name: _release(_normalise(spectrum.bands[:, band], gate)) for band, name in enumerate(BANDS)}
    hits["onset"] = _release(np.minimum(envelope, 1.0))
    bright = np.log(np.maximum(spectrum.centroid, 1.0) / 100.0) / np.log(80.0)
    slow = {
        "rms": _smooth(_normalise(spectrum.rms, gate)),
        "centroid": _smooth(np.clip(bright, 0, 1).astype(np.float32) * gate),
    }
    for feature in more:
        try:
            curve = _checked(feature.compute(spectrum), hops=len(spectrum.rms))
        except Exception as error:
            warnings += (f"audio feature {feature.name!r} is left out: {type(error).__name__}: {error}",)
            curve = np.zeros(len(spectrum.rms), np.float32)
        if feature.kind == "hit":
            hits[feature.name] = _release(curve)
        else:
            slow[feature.name] = curve
    return Analysis(duration, tempo if len(beats) else 0.0, hits, slow, {"onsets": onsets, "beats": beats}, warnings)


def _checked(values: NDArray[Any], *, hops: int) -> F32:
    """What a plugin worked out, as (hops,) float32 in 0–1."""
    curve = np.asarray(values, np.float32)
    if curve.shape != (hops,):
        raise ValueError(f"returned shape {curve.shape}, not ({hops},): a value for each hop")
    return np.clip(np.nan_to_num(curve, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)


def _gate(rms: F32) -> F32:
    """1 where the song is heard, 0 in silence, (hops,) float32."""
    loud = float(np.percentile(rms, 95)) if len(rms) else 0.0
    return (rms > max(_SILENT if loud < 10 * _SILENT else 0.0, loud * _GATE)).astype(np.float32)


def _normalise(values: F32, gate: F32) -> F32:
    """Between what is usual in quiet moments and the 97th percentile of what is heard; 0–1, and 0 in silence."""
    heard = values[gate > 0]
    if not heard.size:
        return np.zeros(len(values), np.float32)
    low, high = (float(value) for value in np.percentile(heard, (20, 97)))
    if high <= 0:
        return np.zeros(len(values), np.float32)
    low = min(low, 0.7 * high)  # a steady tone is loud, not absent
    level: F32 = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1) * gate
    return level


def _release(values: F32) -> F32:
    """Let hits fall exponentially; what rises, rises at once."""
    # As a running maximum of logarithms, tilted so that the fall is level.
    fall = np.arange(len(values)) * (SECONDS_PER_HOP / _RELEASE)
    level = np.log(np.maximum(values.astype(np.float64), 1e-9)) + fall
    out = np.exp(np.maximum.accumulate(level) - fall).astype(np.float32)
    return np.where(out < 1e-3, np.float32(0), np.minimum(out, np.float32(1)))


def _smooth(values: F32) -> F32:
    """A centred Hann average over 100 ms: no lag."""
    width = max(3, round(_SMOOTH / SECONDS_PER_HOP) | 1)
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(values, window / window.sum(), mode="same").astype(np.float32)[: len(values)]


def _sample(curve: F32, times: F64) -> F32:
    """A curve of the analysis grid at any times, seconds; 0 after the end of the song."""
    return np.interp(times / SECONDS_PER_HOP, np.arange(len(curve)), curve, right=0.0).astype(np.float32)


def _highest(curve: F32, starts: F64, dt: float) -> F32:
    """The highest value in [start, start + dt] of each start: at its ends or at a hop between, so no peak is lost."""
    high = np.maximum(_sample(curve, starts), _sample(curve, starts + dt))
    first = np.ceil(starts / SECONDS_PER_HOP).astype(np.int64)
    for step in range(int(dt / SECONDS_PER_HOP) + 1):
        hop = first + step
        inside = (hop < len(curve)) & (hop * SECONDS_PER_HOP <= starts + dt)
        high[inside] = np.maximum(high[inside], curve[hop[inside]])
    return high
