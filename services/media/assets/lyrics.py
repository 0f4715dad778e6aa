"""Reading of lyrics, in the sandboxed process: text in UTF-8 with times, as LRC, SRT or WebVTT."""

from __future__ import annotations

import re
from pathlib import Path

from services.media.assets.kinds import ALLOWED, AssetError
from services.media.assets.limits import LONGEST_LINE, MOST_LINES
from services.media.sandbox.messages import Channel

_MARK = b"\xef\xbb\xbf"  # of UTF-8, with which editors begin files
_LRC = re.compile(r"\[\d{1,3}:[0-5]\d(?:[.:]\d{1,3})?\]")
_SRT = re.compile(r"\d{1,3}:[0-5]\d:[0-5]\d[,.]\d{1,3} +--> +\d{1,3}:[0-5]\d:[0-5]\d[,.]\d{1,3}\b")
_VTT = re.compile(r"(?:\d{1,3}:)?[0-5]\d:[0-5]\d\.\d{3}[ \t]+-->[ \t]+(?:\d{1,3}:)?[0-5]\d:[0-5]\d\.\d{3}\b")


def read(path: Path, channel: Channel, form: str) -> None:
    """Send {format, lines}, then the text: lines that end with a line feed, without a byte order mark.

    ``lines`` is the number of those with a time.

    Raises:
        AssetError: it is not UTF-8, has no times, or holds what no lyrics hold.
    """
    try:
        text = path.read_bytes().removeprefix(_MARK).decode()
    except UnicodeDecodeError as error:
        raise AssetError(f"{path}: is not UTF-8 (at byte {error.start}); allowed: {ALLOWED['lyrics']}") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    if len(lines) > MOST_LINES:
        raise AssetError(f"{path}: has {len(lines)} lines; allowed: at most {MOST_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            raise AssetError(f"{path}: line {number} has {len(line)} letters; allowed: at most {LONGEST_LINE}")
        if any(_is_control(letter) for letter in line):
            raise AssetError(f"{path}: line {number} holds control characters; allowed: text alone")
    found, times = _format(lines)
    if not times:
        raise AssetError(f"{path}: is text without times; allowed: {ALLOWED['lyrics']}")
    channel.say(format=found, lines=times)
    whole = "".join(f"{line}\n" for line in lines).encode()
    channel.send(whole)


def _is_control(letter: str) -> bool:
    return (letter < " " and letter != "\t") or "\x7f" <= letter <= "\x9f" or letter in "\u2028\u2029"


def _format(lines: list[str]) -> tuple[str, int]:
    """The format, and how many lines tell a time."""
    if lines[0].split(" ")[0].split("\t")[0] == "WEBVTT":
        return "VTT", sum(_VTT.match(line.strip()) is not None for line in lines)
    if count := sum(_SRT.match(line.strip()) is not None for line in lines):
        return "SRT", count
    return "LRC", sum(_LRC.match(line.strip()) is not None for line in lines)
