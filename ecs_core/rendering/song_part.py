"""The part of a song that a video shows: from ``start`` on, which may be a second or a moment that is heard."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from ecs_core.errors import SceneError
from ecs_core.scene.settings import Settings

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis


def start_of(settings: Settings, analysis: Analysis | None) -> Fraction:
    """The second of the song at which the video begins, exact as written; 0 without a song.

    Raises:
        SceneError: the song is over by then.
    """
    if analysis is None or settings.start == 0:
        return Fraction(0)
    if settings.start == "drop":
        from ecs_core.audio.moments import bar_before, strongest_moment  # noqa: PLC0415 - slow, and rarely needed

        return bar_before(analysis, strongest_moment(analysis))
    start = Fraction(str(settings.start))
    check_start(start, analysis.exact_duration)
    return start


def check_start(start: Fraction, song: Fraction) -> None:
    """Refuse a start at or after the end of a song of so many seconds.

    Raises:
        SceneError: the song is over by then.
    """
    if start >= song:
        raise SceneError(f"start = {float(start):g}: must be under {float(song):g} seconds, the length of the song")
