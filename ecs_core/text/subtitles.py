"""SRT and WebVTT as lyrics: cues with a start and an end. pysubs2 reads their times and styles."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pysubs2

from ecs_core.errors import SceneError
from ecs_core.text.lyrics import Line, Lyrics, check_length, refuse, with_words

_TIMES = {
    "srt": re.compile(r"\s*(\d{1,2}:\d{2}:\d{2}[,.]\d{1,3})\s*-->\s*(\d{1,2}:\d{2}:\d{2}[,.]\d{1,3})(\s.*)?$"),
    "vtt": re.compile(r"\s*((?:\d{2,4}:)?\d{2}:\d{2}\.\d{3})\s*-->\s*((?:\d{2,4}:)?\d{2}:\d{2}\.\d{3})(\s.*)?$"),
}
_SHAPE = {"srt": "hh:mm:ss,mmm --> hh:mm:ss,mmm", "vtt": "hh:mm:ss.mmm --> hh:mm:ss.mmm"}
_COLON = "\ue03a"  # stands for a colon between digits
_BETWEEN = re.compile(r"(?<=\d):(?=\d)")
_WORD = re.compile(r"<(?:(\d{2,4}):)?(\d{2}):(\d{2})\.(\d{3})>")


def parse(text: str, kind: str, *, duration: float | None = None) -> Lyrics:
    """Lyrics from the text of an ``srt`` or ``vtt`` file; what lies after ``duration`` (seconds) is cut off.

    A cue is one line, whatever its line breaks. WebVTT can hold times of words: ``<hh:mm:ss.mmm>``.

    Raises:
        SceneError: a time is broken, or there is no cue.
    """
    lines = check_length(text)
    if kind == "vtt" and not (lines and lines[0].startswith("WEBVTT")):
        refuse(1, lines[0] if lines else "", "a .vtt file must begin with WEBVTT")
    found = list[Line]()
    for times, body in _cues(lines, kind):
        hidden = _BETWEEN.sub(_COLON, body)  # pysubs2 takes a line with two times for the beginning of a cue
        event = pysubs2.SSAFile.from_string(f"{times}\n{hidden}\n", format_=kind)[0]
        start, end = event.start / 1000, event.end / 1000
        shown = html.unescape(event.plaintext.replace(_COLON, ":"))
        if (line := _line(shown, start, end if duration is None else min(end, duration))).text:
            found.append(line)
    if not found:
        raise SceneError(f"lyrics: there is no cue with a text; allowed: {_SHAPE[kind]}, and its text in the next line")
    return Lyrics(tuple(sorted(found, key=lambda line: line.start)))


def _cues(lines: list[str], kind: str) -> Iterator[tuple[str, str]]:
    """The line of times and the text of each cue; numbers, names, notes and styles are left out."""
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        begin, at = at, next((after for after in range(at, len(lines)) if not lines[after].strip()), len(lines))
        if kind == "vtt" and lines[begin].startswith(("WEBVTT", "NOTE", "STYLE", "REGION")):
            continue
        named = "-->" not in lines[begin] and begin + 1 < at
        if named and kind == "srt" and not lines[begin].strip().isdigit():
            refuse(begin + 1, lines[begin], f"allowed: the number of a cue, or {_SHAPE[kind]}")
        yield _cue(lines, begin + named, at, kind)


def _cue(lines: list[str], number: int, end: int, kind: str) -> tuple[str, str]:
    """A cue from the line of its times up to line ``end``, both counted from 0."""
    times = _TIMES[kind].match(lines[number])
    if times is None:
        refuse(number + 1, lines[number], f"allowed: {_SHAPE[kind]}")
    if _order(times[1]) > _order(times[2]):
        refuse(number + 1, lines[number], "ends before it begins")
    for other in range(number + 1, end):
        if "-->" in lines[other]:
            refuse(other + 1, lines[other], "an empty line must stand before a cue")
    return f"{times[1]} --> {times[2]}", "\n".join(lines[number + 1 : end])


def _order(time: str) -> tuple[int, ...]:
    """A number that grows with a time, whatever it is written like."""
    clock, _, fraction = time.replace(",", ".").partition(".")
    parts = [int(each) for each in clock.split(":")]
    return (*([0] * (3 - len(parts))), *parts, int(fraction.ljust(3, "0")))


def _line(text: str, start: float, end: float) -> Line:
    marks = list(_WORD.finditer(text))
    if not marks:
        return Line(" ".join(text.split()), start, max(start, end))
    stamped = [(start, text[: marks[0].start()])]
    for mark, after in zip(marks, (*marks[1:], None), strict=True):
        hours, minutes, seconds, thousandths = (int(each or 0) for each in mark.groups())
        time = (3600 * hours + 60 * minutes + seconds) + thousandths / 1000
        part = text[mark.end() : after.start() if after else len(text)]
        stamped.append((min(max(time, stamped[-1][0]), max(start, end)), part))
    whole, words = with_words(stamped, end)
    return Line(whole, start, max(start, end), words)
