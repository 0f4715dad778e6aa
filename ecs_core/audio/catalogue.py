"""The catalogue of features: their units, and how they are normalised to 0–1 (docs/listening.md).

An Analysis holds curves in natural units; a timeline normalises them to 0–1, either between fixed values, if a unit
means the same in every song, or between percentiles of the song, so that a threshold works for quiet and loud songs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
Kind = Literal["hit", "slow", "phase"]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """0 at the ``low``-th percentile of the song's audible part, 1 at the ``high``-th."""

    low: float = 20.0
    high: float = 97.0


@dataclass(frozen=True, slots=True)
class Decibels:
    """1 at the ``high``-th percentile of the song's audible part, 0 at ``below`` decibels below that."""

    below: float = 30.0
    high: float = 97.0


@dataclass(frozen=True, slots=True)
class Fixed:
    """0 at ``low`` and 1 at ``high``, in the curve's unit; ``high`` may be the smaller one. ``log``: logarithmic."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature made from a curve of the analysis (from one ``column``, if it has several).

    A "hit" has an instant attack and a release of 200 ms; a "slow" feature is smoothed over 100 ms without lag; a
    "phase" is computed from events at the time of a frame and has no curve.
    """

    name: str
    description: str
    unit: str
    kind: Kind
    scale: Percentiles | Decibels | Fixed
    curve: str = ""
    column: int | None = None


def _band(name: str, hertz: str) -> Feature:
    return Feature(name, f"amplitude (RMS) of what sounds {hertz}", "1 = full scale", "hit", Percentiles(), name)


def _phase(name: str, description: str) -> Feature:
    return Feature(name, description, "", "phase", Fixed(0, 1))


FEATURES = (
    _band("sub", "from 20 to 60 Hz"),
    _band("bass", "from 20 to 250 Hz"),
    _band("low_mid", "from 250 Hz to 1 kHz"),
    _band("mid", "from 1 to 4 kHz"),
    _band("high", "from 4 to 11 kHz"),
    _band("air", "from 10 kHz up"),
    Feature("rms", "loudness as amplitude (RMS)", "1 = full scale", "slow", Percentiles(), "rms"),
    Feature("momentary", "loudness of 0.4 s around, by BS.1770", "LUFS", "slow", Decibels(), "momentary"),
    Feature("short_term", "loudness of 3 s around, by BS.1770", "LUFS", "slow", Decibels(), "short_term"),
    Feature("onset", "how much begins now", "1 = a strong onset of the song", "hit", Fixed(0, 1), "onset"),
    Feature("tempo", "how fast the beats come", "beats a minute", "slow", Fixed(60, 180, log=True), "tempo"),
    Feature(
        "centroid", "brightness: the spectrum's centre of power", "Hz", "slow", Fixed(100, 8000, log=True), "centroid"
    ),
    Feature(
        "flatness",
        "noise rather than tones",
        "geometric over arithmetic mean",
        "slow",
        Fixed(1e-4, 0.5, log=True),
        "flatness",
    ),
    Feature("harmonic", "share of tones in what sounds", "1 = all", "slow", Fixed(0, 1), "harmonic"),
    Feature("percussive", "share of strokes in what sounds", "1 = all", "slow", Fixed(1, 0), "harmonic"),
    Feature(
        "width", "share of the sides: 0 mono, 1 both sides apart", "1 = out of phase", "slow", Fixed(0, 0.5), "width"
    ),
    Feature("left", "how far to the left", "-1 = left, 1 = right", "slow", Fixed(0, -1), "balance"),
    Feature("right", "how far to the right", "-1 = left, 1 = right", "slow", Fixed(0, 1), "balance"),
    *(
        Feature(
            f"chroma_{note.lower().replace('#', 's')}",
            f"how much of a {note} sounds, in any octave",
            "1 = the strongest note of the moment",
            "slow",
            Fixed(0, 1),
            "chroma",
            column,
        )
        for column, note in enumerate(NOTES)
    ),
    _phase("beat_phase", "0 at a beat, rising to 1 at the next"),
    _phase("bar_phase", "0 at a downbeat, rising to 1 at the next"),
    _phase("section_phase", "0 where a section begins, rising to 1 at its end"),
    _phase("build", "0 where a build-up begins, rising to 1 at the drop; 0 elsewhere"),
)
STRONG = ("onsets", "kicks", "snares", "hats")  # events that have strengths
# Events by name, and what they mean.
EVENTS = {
    "onsets": "something begins",
    "beats": "a beat",
    "downbeats": "the first beat of a bar",
    "kicks": "a bass drum",
    "snares": "a snare drum or a clap",
    "hats": "a hi-hat",
    "sections": "a section begins",
    "builds": "a build-up begins, which ends with the next drop",
    "drops": "the bass comes back in after a quieter passage",
}
