"""The words of a song: from its own tags, and with times from its analysis where they have none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ecs_core.errors import SceneError
from ecs_core.song_file.lyrics_in_tags import are_timed
from ecs_core.song_file.tags import SongTags
from ecs_core.text import lrc
from ecs_core.text.lyrics import Lyrics
from ecs_core.text.untimed import set_times

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis

_NAMES = {"ti": "title", "ar": "artist", "al": "album"}  # of LRC, and of songs


def song_tags(song: Path) -> SongTags:
    """The tags of a song.

    Raises:
        AudioError: the song cannot be read.
    """
    from ecs_core.song_file.audio_file import AudioFile  # noqa: PLC0415 - slow, and not needed without a song

    with AudioFile(song) as file:
        return file.tags()


def lyrics_in_tags(song: Path, tags: SongTags, *, duration: float | None) -> Lyrics | None:
    """The lyrics in a song's tags, if they have times; None if they are to be set.

    Raises:
        SceneError: there are none, or a line of them is broken.
    """
    if not tags.lyrics:
        raise SceneError(f"{song}: its tags hold no lyrics; give them as a text, or as .lrc, .srt or .vtt")
    if not are_timed(tags.lyrics):
        return None
    try:
        return lrc.parse(tags.lyrics, duration=duration)
    except SceneError as error:
        said = str(error).removeprefix("lyrics: ")
        raise SceneError(f"{song}: the lyrics in its tags: {said}") from None


def set_by_analysis(text: str, analysis: Analysis) -> Lyrics:
    """Lines of text with times by the sections and beats of their song.

    Raises:
        SceneError: there is no line, or the song is too short for them.
    """
    events = analysis.events
    return set_times(
        text,
        sections=[float(each) for each in events["sections"]],
        beats=[float(each) for each in events["beats"]],
        duration=float(analysis.exact_duration),
    )


def named(lyrics: Lyrics, tags: SongTags) -> Lyrics:
    """Lyrics with the title, artist and album of their song, where they say nothing of themselves."""
    said = tuple((name, tags.texts[of]) for name, of in _NAMES.items() if of in tags.texts)
    return lyrics if lyrics.tags else Lyrics(lyrics.lines, said)
