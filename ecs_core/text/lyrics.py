"""Lyrics with times: lines and their words, read from LRC, SRT or WebVTT."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from ecs_core.errors import SceneError
from ecs_core.song_file.lyrics_in_tags import are_timed

MOST_LINES = 5000
MOST_CHARACTERS = 500_000
_MOST_BYTES = 4 * MOST_CHARACTERS  # of a file
_KINDS = ("lrc", "srt", "vtt")
_LAST = 4.0  # seconds that a last line stays whose end nothing says


@dataclass(frozen=True, slots=True)
class Word:
    """A word or syllable that is sung from ``start`` to ``end``, in seconds; ``at`` is its place in its line's text."""

    text: str
    start: float
    end: float
    at: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is sung from ``start`` to ``end``, in seconds; its words in order, if their times are known."""

    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Lyrics:
    """The lines of a song by their starts, and what the file says of itself (``ar``: artist, ``ti``: title …)."""

    lines: tuple[Line, ...]
    tags: tuple[tuple[str, str], ...] = ()


def read_lyrics(text: str, name: str, *, duration: float | None = None) -> Lyrics:
    """Lyrics from the text of a file; ``duration`` is that of the song in seconds.

    Their kind is what ``name`` ends with, or else what the text looks like.

    Raises:
        SceneError: there are no times, or a line is broken; it names the line and what is allowed.
    """
    from ecs_core.text import lrc, subtitles  # noqa: PLC0415 - they build on this module

    named = name.lower().rpartition(".")[2]
    kind = named if named in _KINDS else _kind(text)
    if kind is None:
        raise SceneError(f"lyrics: {name}: has no times; allowed: LRC, SRT or WebVTT")
    if kind == "lrc":
        return lrc.parse(text, duration=duration)
    return subtitles.parse(text, kind, duration=duration)


def load_lyrics(path: Path, *, duration: float | None = None) -> Lyrics:
    """Lyrics from a file, by :func:`read_lyrics`.

    Raises:
        SceneError: it cannot be read, has no times, or a line is broken; it names the file.
    """
    text = load_text(path)
    try:
        return read_lyrics(text, path.name, duration=duration)
    except SceneError as error:
        said = str(error).removeprefix("lyrics: ").removeprefix(f"{path.name}: ")
        raise SceneError(f"lyrics: {path}: {said}") from None


def load_text(path: Path, *, pipes: bool = False) -> str:
    """The text of a file of lyrics or words.

    With ``pipes`` it may also be what is read but once, such as ``/dev/stdin``. A scene's files are read several times.

    Raises:
        SceneError: it is no file, cannot be read, is too large or not UTF-8.
    """
    try:
        if not pipes and not stat.S_ISREG(path.stat().st_mode):
            raise SceneError(f"lyrics: {path}: is no file")
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise SceneError(f"lyrics: {path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > _MOST_BYTES:
        raise SceneError(f"lyrics: {path}: has more than {_MOST_BYTES} bytes; allowed: {MOST_CHARACTERS} characters")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SceneError(f"lyrics: {path}: is not UTF-8 (at byte {error.start}); save it as UTF-8") from None


def shifted(lyrics: Lyrics, seconds: float) -> Lyrics:
    """Lyrics that come so many seconds later, or earlier if negative; lines that would end before 0 are left out."""

    def moved(time: float) -> float:
        return max(0.0, round(time + seconds, 6))

    lines = (
        Line(
            line.text,
            moved(line.start),
            moved(line.end),
            tuple(replace(word, start=moved(word.start), end=moved(word.end)) for word in line.words),
        )
        for line in lyrics.lines
        if line.end + seconds > 0
    )
    return replace(lyrics, lines=tuple(lines))


def _kind(text: str) -> str | None:
    """What a text looks like: one of the kinds, or None if it has no times."""
    if text.removeprefix("\ufeff").startswith("WEBVTT"):
        return "vtt"
    if "-->" in text:
        return "srt"
    return "lrc" if are_timed(text) else None


def check_length(text: str) -> list[str]:
    """The lines of a file of lyrics.

    Raises:
        SceneError: it is too long.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if len(lines) > MOST_LINES or len(text) > MOST_CHARACTERS:
        found = f"{len(lines)} lines with {len(text)} characters"
        raise SceneError(f"lyrics: {found}; allowed: {MOST_LINES} lines with {MOST_CHARACTERS} characters")
    return lines


def refuse(number: int, line: str, problem: str) -> NoReturn:
    """Raise an error that names a line by its number and says what is wrong and allowed."""
    shown = line if len(line) <= 60 else f"{line[:59]}…"
    raise SceneError(f"lyrics: line {number}: {shown!r}: {problem}")


def with_words(stamped: Sequence[tuple[float, str]], end: float) -> tuple[str, tuple[Word, ...]]:
    """A line's text and words from its stamps, each with the text up to the next; the last one lasts until ``end``.

    A stamp without text ends the word before it. Words are put together as they are, or with one space.
    """
    text, words, gap = "", list[Word](), False
    for number, (start, part) in enumerate(stamped):
        word = " ".join(part.split())
        gap |= part[:1].isspace()
        if word:
            text += " " if gap and text else ""
            until = stamped[number + 1][0] if number + 1 < len(stamped) else max(end, start)
            words.append(Word(word, start, until, len(text)))
            text, gap = text + word, False
        gap |= part[-1:].isspace()
    return text, tuple(words)


def ends(starts: Sequence[float], duration: float | None) -> list[float]:
    """When lines end that last until the next one: the next later start; the last one at the end of the song."""
    found, after = [0.0] * len(starts), None
    for number in range(len(starts) - 1, -1, -1):
        start = starts[number]
        if number + 1 < len(starts) and starts[number + 1] > start:
            after = starts[number + 1]
        last = start + _LAST if duration is None else max(start, duration)
        found[number] = last if after is None else after
    return found
