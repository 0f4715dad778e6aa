"""VideoFormat: the format that all segments of a video share. Imports no FFmpeg, as planning needs none."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, get_args

from ecs_core.formats import FACTS, Form

Quality = Literal["draft", "standard", "high"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
Pixels = Literal["yuv420p", "yuva420p", "yuva444p10le", "rgba"]
_LARGE = 720  # pixels
SEGMENT_SECONDS = 2.0  # of a video are encoded by one process, unless asked otherwise
SOUND_SECONDS = 90  # of a sound are encoded by one process, more or less


def pieces_of_sound(seconds: float | Fraction) -> int:
    """How many pieces a sound of so many seconds is encoded in."""
    return max(1, round(seconds / SOUND_SECONDS))


@dataclass(frozen=True, slots=True)
class Rates:
    """What was asked for instead of a quality, and what follows from it; bits a second.

    ``picture`` is the rate of the picture. ``most`` is what no segment of the picture exceeds, and ``sound`` the rate
    of the sound, so that the whole file has at most ``max_bytes``.
    """

    picture: int | None = None
    most: int | None = None
    sound: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class VideoFormat:
    """The format of a video: size in pixels (even), frame rate, quality, and longest GOP in frames.

    ``alpha`` says whether its pictures have alpha.
    """

    width: int
    height: int
    fps: Fraction
    quality: Quality
    gop: int
    form: Form = "mp4"
    alpha: bool = False
    rates: Rates = field(default_factory=Rates)

    @property
    def pixels(self) -> Pixels:
        """How raw frames are stored, before they are encoded."""
        if self.form in ("mp4", "webm"):
            return "yuva420p" if self.alpha else "yuv420p"
        return "yuva444p10le" if self.form == "mov" else "rgba"

    @property
    def is_painted_at_half_size(self) -> bool:
        """Whether pictures are painted at half size and interpolated: drafts that are large enough for that."""
        size = self.width, self.height
        drafts = self.quality == "draft" and self.pixels == "yuv420p"
        return drafts and min(size) >= _LARGE and not any(side % 4 for side in size)

    @property
    def reordered(self) -> int:
        """Delay in frames between decoding and presentation: two for x264's pyramid of B-frames."""
        return 0 if self.quality == "draft" or self.form != "mp4" else 2

    @property
    def segment_suffix(self) -> str:
        """How the names of segments' files end; frames are kept as PNG files in a zip file."""
        return FACTS[self.form].suffix if FACTS[self.form].has_sound else ".zip"
