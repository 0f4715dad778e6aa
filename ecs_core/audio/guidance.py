"""What a user knows of a song, or wants of it: how it is counted, and how its features are heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Guidance:
    """How a song is counted, as far as a user says so; the analysis finds out the rest.

    ``bpm`` is the tempo in beats a minute, ``beat_offset`` the time of any beat in seconds: with both, beats lie on an
    even grid. ``beat_octave`` counts half or double what is heard; ``metre`` is in beats a bar.
    """

    bpm: float | None = None
    beat_offset: float | None = None
    beat_octave: Literal["half", "double"] | None = None
    metre: int | None = None

    @property
    def octave(self) -> int:
        """How often the tempo that is heard is doubled."""
        return {"half": -1, "double": 1, None: 0}[self.beat_octave]

    def to_json(self) -> dict[str, Any]:
        """What is said, as plain data."""
        said = {name: getattr(self, name) for name in ("bpm", "beat_offset", "beat_octave", "metre")}
        return {name: value for name, value in said.items() if value is not None}


AS_HEARD = Guidance()


class Hearing(NamedTuple):
    """How one feature or event is heard, in percentiles of the song; None: as the catalogue has it.

    Of a feature: 0 at and below ``threshold``, 1 from ``full`` on. Of an event: those weaker than ``threshold`` are
    left out.
    """

    threshold: float | None = None
    full: float | None = None
