"""LRC: ``[mm:ss.xx]text``, with ``<mm:ss.xx>`` before each word if their times are known. Read, and written again.

``[offset:500]`` says in milliseconds how much earlier everything comes. A line with a time and without text ends the
one before.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ecs_core.errors import SceneError
from ecs_core.text.lyrics import Line, Lyrics, Word, check_length, ends, refuse, with_words

_TIME = r"(\d{1,3}):([0-5]?\d)(?:[.:](\d{1,3}))?"
_STAMP = re.compile(rf"\s*\[{_TIME}\]")
_WORD = re.compile(rf"<{_TIME}>")
_LIKE_A_WORD = re.compile(r"<\s*\d[^>]*>?")
_TAG = re.compile(r"\s*\[([A-Za-z#][A-Za-z_#]*)\s*:(.*)\]\s*$")
_ALLOWED = "allowed: [mm:ss.xx]text, [mm:ss.xx]<mm:ss.xx>word <mm:ss.xx>word, [tag:value]"
_LONGEST_OFFSET = 600_000  # milliseconds


def parse(text: str, *, duration: float | None = None) -> Lyrics:
    """Lyrics from the text of an LRC file; the last line lasts until ``duration``, in seconds, if that is given.

    Raises:
        SceneError: a line is broken, or no line has a time.
    """
    stamped, tags, offset = list[tuple[int, str, int, str]](), list[tuple[str, str]](), 0
    for number, line in enumerate(check_length(text), 1):
        rest, starts = line, list[int]()
        while found := _STAMP.match(rest):
            starts.append(_milliseconds(found))
            rest = rest[found.end() :]
        if starts:
            stamped += [(start, rest, start - starts[0], f"{number}:{line}") for start in starts]
        elif found := _TAG.match(line):
            if found[1].lower() == "offset":
                offset = _offset(number, line, found[2])
            else:
                tags.append((found[1].lower(), found[2].strip()))
        elif line.strip():
            refuse(number, line, f"has no time; {_ALLOWED}")
    if not stamped:
        raise SceneError(f"lyrics: no line has a time; {_ALLOWED}")
    stamped.sort(key=lambda each: each[0])
    lines = [_line(each, offset) for each in stamped]
    until = ends([line.start for line in lines], duration)
    kept = (replace(line, end=end, words=_until(line.words, end)) for line, end in zip(lines, until, strict=True))
    return Lyrics(tuple(line for line in kept if line.text), tuple(tags))


def write(lyrics: Lyrics) -> str:
    """Lyrics as an LRC file. Times are in hundredths of a second, or in milliseconds where they need to be.

    Reading it gives the same lyrics again, if no line begins before the one before it ends.
    """
    written = [f"[{name}:{value}]" for name, value in lyrics.tags]
    for number, line in enumerate(lyrics.lines):
        written.append(f"[{_written(line.start)}]{_words(line) if line.words else line.text}")
        after = lyrics.lines[number + 1].start if number + 1 < len(lyrics.lines) else None
        if after is None or line.end < after:
            written.append(f"[{_written(line.end)}]")
    return "".join(f"{line}\n" for line in written)


def _milliseconds(found: re.Match[str]) -> int:
    minutes, seconds, fraction = found.groups()
    return (60 * int(minutes) + int(seconds)) * 1000 + int((fraction or "0").ljust(3, "0"))


def _offset(number: int, line: str, value: str) -> int:
    found = re.fullmatch(r"\s*([+-]?\d{1,7})\s*", value)
    if found is None or abs(int(found[1])) > _LONGEST_OFFSET:
        refuse(number, line, f"the offset must be milliseconds from -{_LONGEST_OFFSET} to {_LONGEST_OFFSET}")
    return int(found[1])


def _line(stamped: tuple[int, str, int, str], offset: int) -> Line:
    """A line without its end. A line with several stamps has its words at the first one."""
    start, rest, later, source = stamped
    number, _, shown = source.partition(":")
    begin = _seconds(start - offset)
    if not (marks := list(_WORD.finditer(rest))):
        if found := _LIKE_A_WORD.search(rest):
            refuse(int(number), shown, f"{found[0]} is no time of a word; allowed: <mm:ss.xx>")
        return Line(" ".join(rest.split()), begin, begin)
    parts = [(begin, rest[: marks[0].start()])] if rest[: marks[0].start()].strip() else []
    for mark, after in zip(marks, (*marks[1:], None), strict=True):
        until = after.start() if after else len(rest)
        parts.append((_seconds(_milliseconds(mark) + later - offset), rest[mark.end() : until]))
        if found := _LIKE_A_WORD.search(parts[-1][1]):
            refuse(int(number), shown, f"{found[0]} is no time of a word; allowed: <mm:ss.xx>")
    if any(a > b for (a, _), (b, _) in zip(((begin, ""), *parts), parts, strict=False)):
        refuse(int(number), shown, "the times of its words must not go back, nor before that of the line")
    text, words = with_words(parts, parts[-1][0])
    return Line(text, begin, begin, words)


def _seconds(milliseconds: int) -> float:
    return max(0, milliseconds) / 1000


def _until(words: tuple[Word, ...], end: float) -> tuple[Word, ...]:
    """The last word lasts until its line ends, if nothing else says when it ends."""
    if not words or words[-1].end > words[-1].start:
        return words
    return (*words[:-1], replace(words[-1], end=max(words[-1].start, end)))


def _words(line: Line) -> str:
    written, at = "", 0
    for number, word in enumerate(line.words):
        after = line.words[number + 1].start if number + 1 < len(line.words) else None
        written += f"{line.text[at : word.at]}<{_written(word.start)}>{word.text}"
        written += f"<{_written(word.end)}>" if after is None or word.end < after else ""
        at = word.at + len(word.text)
    return written + line.text[at:]


def _written(seconds: float) -> str:
    whole = round(1000 * seconds)
    minutes, rest = divmod(whole, 60_000)
    fraction = f"{rest % 1000:03d}"
    return f"{minutes:02d}:{rest // 1000:02d}.{fraction.removesuffix('0') if fraction.endswith('0') else fraction}"
