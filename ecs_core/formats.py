"""The formats of videos: what their files are called, and what they can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Literal, get_args

Form = Literal["mp4", "mov", "webm", "png", "webp", "gif"]
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True, slots=True)
class FormFacts:
    """What a format is and can: how its files' names end, their media type, and what it holds.

    ``holds_alpha``: whether its pictures can be transparent; ``is_for_overlays``: whether they are so unless a
    background is asked for. ``holds_subtitles``: whether it has a track of words that players can show. ``has_rate``:
    whether a bit rate or a size can be asked for. ``most_seconds`` is how long it can be: one encoder makes the whole
    file. ``most_fps`` is how many frames a second players show.
    """

    _: KW_ONLY
    suffix: str
    media_type: str
    holds_alpha: bool = False
    is_for_overlays: bool = False
    has_sound: bool = False
    holds_subtitles: bool = False
    has_rate: bool = False
    most_seconds: int | None = None
    most_fps: int | None = None


FACTS: Mapping[Form, FormFacts] = MappingProxyType(
    {
        "mp4": FormFacts(suffix=".mp4", media_type="video/mp4", has_sound=True, holds_subtitles=True, has_rate=True),
        "mov": FormFacts(
            suffix=".mov",
            media_type="video/quicktime",
            holds_alpha=True,
            is_for_overlays=True,
            has_sound=True,
            holds_subtitles=True,
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


def form_named(path: PurePath) -> Form | None:
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
