"""What a user specifies about a song: tempo and metre, and the sensitivity of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Guidance:
    """A user's guidance for the analysis, which finds out the rest.

    ``bpm`` is the tempo in beats per minute, ``beat_offset`` the time of any beat in seconds; with both, beats lie on a
    regular grid. ``beat_octave`` halves or doubles the detected tempo; ``metre`` is in beats per bar.
    """

    bpm: float | None = None
    beat_offset: float | None = None
    beat_octave: Literal["half", "double"] | None = None
    metre: int | None = None

    @property
    def octave(self) -> int:
        """Octaves by which the detected tempo is shifted."""
        return {"half": -1, "double": 1, None: 0}[self.beat_octave]

    def to_json(self) -> dict[str, Any]:
        """The given values as plain data."""
        values = {name: getattr(self, name) for name in ("bpm", "beat_offset", "beat_octave", "metre")}
        return {name: value for name, value in values.items() if value is not None}


AS_HEARD = Guidance()


class Hearing(NamedTuple):
    """Sensitivity for one feature or event, in percentiles of the song; None keeps the default.

    A feature is 0 up to ``threshold`` and 1 from ``full`` on. Events weaker than ``threshold`` are dropped.
    """

    threshold: float | None = None
    full: float | None = None
