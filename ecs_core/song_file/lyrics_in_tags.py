"""Lyrics in the tags of songs: found, cleaned and limited, as they come from strangers."""

from __future__ import annotations

import re
from collections.abc import Mapping

MOST_OF_LYRICS = 100_000  # characters
# Control characters, halves of surrogate pairs, and what changes the direction of the text around a tag.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")
# What FFmpeg calls lyrics: those of MP4 (©lyr), of Vorbis, APE and Matroska, and of ID3 (USLT: lyrics-eng).
_LYRICS = re.compile(r"lyrics(?:-.*)?|(?:unsynced|synced) ?lyrics|wm/lyrics", re.IGNORECASE | re.DOTALL)
_TIMED = re.compile(r"^\s*\[\d{1,3}:\d", re.MULTILINE)


def clean_lines(text: str) -> str:
    """Lyrics line by line, without control characters, and without empty lines around them."""
    return "\n".join(" ".join(UNSAFE.sub(" ", line).split()) for line in text.splitlines()).strip("\n")


def are_timed(lyrics: str) -> bool:
    """Whether any line of lyrics begins with a time, as lines of LRC do."""
    return _TIMED.search(lyrics) is not None


def lyrics_in(tags: Mapping[str, str], name: str) -> tuple[str, tuple[str, ...]]:
    """The lyrics in the tags of a song, those with times if there are several; and a warning if they are too long.

    The warning calls the song ``name``.
    """
    found = [text for key, text in tags.items() if _LYRICS.fullmatch(key) and not text.isspace()]
    kept = [clean_lines(text) for text in found if len(text) <= MOST_OF_LYRICS]
    best = next((text for text in kept if are_timed(text)), next(filter(None, kept), ""))
    if found and not kept:
        what = f"{name}: lyrics of {len(found[0])} characters were left out; allowed: {MOST_OF_LYRICS}"
        return "", (what,)
    return best, ()
