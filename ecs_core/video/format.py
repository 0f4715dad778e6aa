"""VideoFormat: the format that all segments of a video share. Imports no FFmpeg, as planning needs none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

Quality = Literal["draft", "standard", "high"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
Form = Literal["mp4", "mov", "webm", "png", "webp", "gif"]
FORMS: tuple[Form, ...] = get_args(Form)
Pixels = Literal["yuv420p", "yuva420p", "yuva444p10le", "rgba"]
_LARGE = 720  # pixels
SEGMENT_SECONDS = 2.0  # of a video are encoded by one process, unless asked otherwise


@dataclass(frozen=True, slots=True)
class FormFacts:
    """What a format is and can: how its files' names end, their media type, and what it holds.

    ``holds_alpha``: whether its pictures can be transparent; ``is_for_overlays``: whether they are so unless a
    background is asked for. ``has_rate``: whether a bit rate or a size can be asked for. ``most_seconds`` is how long
    it can be: one encoder makes the whole file. ``most_fps`` is how many frames a second players show.
    """

    _: KW_ONLY
    suffix: str
    media_type: str
    holds_alpha: bool = False
    is_for_overlays: bool = False
    has_sound: bool = False
    has_rate: bool = False
    most_seconds: int | None = None
    most_fps: int | None = None


FACTS: Mapping[Form, FormFacts] = MappingProxyType(
    {
        "mp4": FormFacts(suffix=".mp4", media_type="video/mp4", has_sound=True, has_rate=True),
        "mov": FormFacts(
            suffix=".mov", media_type="video/quicktime", holds_alpha=True, is_for_overlays=True, has_sound=True
        ),
        "webm": FormFacts(
            suffix=".webm",
            media_type="video/webm",
            holds_alpha=True,
            is_for_overlays=True,
            has_sound=True,
            has_rate=True,
        ),
        "png": FormFacts(suffix=".zip", media_type="application/zip", holds_alpha=True, is_for_overlays=True),
        "webp": FormFacts(suffix=".webp", media_type="image/webp", holds_alpha=True, most_seconds=20),
        # Browsers show frames of less than 20 ms for 100 ms.
        "gif": FormFacts(suffix=".gif", media_type="image/gif", most_seconds=20, most_fps=50),
    }
)


def form_named(path: Path) -> Form | None:
    """The format of which a file's name has the suffix, if any."""
    return next((form for form, facts in FACTS.items() if facts.suffix == path.suffix.lower()), None)


def check_length(form: Form, seconds: float) -> None:
    """Refuse a video that is longer than its format can be.

    Raises:
        ValueError: as above.
    """
    most = FACTS[form].most_seconds
    if most is not None and seconds > most:
        raise ValueError(f"format = {form} with {seconds:.15g} s of video: it is for at most {most} s; use mp4 or webm")


@dataclass(frozen=True, slots=True)
class Rates:
    """What was asked for instead of a quality, and what follows from it; bits a second.

    ``picture`` is the rate of the picture. ``most`` is what no segment of the picture exceeds, and ``sound`` the rate of
    the sound, so that the whole file has at most ``max_bytes``.
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
