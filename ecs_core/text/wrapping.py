"""Where lines end: at the places that Unicode allows (UAX 14), as few lines as possible, about equally long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ecs_core.text import icu
from ecs_core.text.ink import Bounds, ink
from ecs_core.text.itemising import Paragraph
from ecs_core.text.shaping import Letter, Shaped, line_letters
from ecs_core.text.style import Style

_ROUNDS = 14  # of bisection for lines of equal length


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters that stay in one line: ``start`` to ``end``; ``seen`` is where its trailing spaces begin."""

    start: int
    seen: int
    end: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line in ems: its characters, its letters from left to right, its ``width``, and the ink they leave.

    ``ink`` is measured from the line's left end on the baseline, y downwards; None if nothing is seen.
    """

    start: int
    end: int
    rtl: bool
    letters: tuple[Letter, ...]
    width: float
    ink: Bounds | None


def rows(shaped: Shaped, room: float) -> tuple[Row, ...]:
    """The lines of a text that is ``room`` ems wide."""
    return tuple(
        _row(shaped.text, shaped.style, paragraph, start, end)
        for paragraph in shaped.paragraphs
        for start, end in broken(shaped, paragraph, pieces(shaped.text, shaped.style.language, paragraph), room)
    )


@lru_cache(1024)
def _row(text: str, style: Style, paragraph: Paragraph, start: int, end: int) -> Row:
    letters = line_letters(text, style, paragraph, start, end)
    at, placed = 0.0, list[tuple[Letter, float, float]]()
    for letter in letters:
        placed.append((letter, at, 0.0))
        at += letter.advance
    return Row(start, end, paragraph.rtl, letters, at - style.letter_spacing if letters else 0.0, ink(placed, 1.0))


@lru_cache(256)
def pieces(text: str, language: str | None, paragraph: Paragraph) -> tuple[Piece, ...]:
    """The parts of a paragraph between which a line may end; an empty one if it is empty."""
    line = text[paragraph.start : paragraph.end]
    if not line:
        return (Piece(paragraph.start, paragraph.start, paragraph.start),)
    ends = icu.line_breaks(line, language or "en")
    return tuple(
        Piece(paragraph.start + first, paragraph.start + first + len(line[first:last].rstrip()), paragraph.start + last)
        for first, last in zip((0, *ends), ends, strict=False)
    )


def width(shaped: Shaped, paragraph: Paragraph, start: int, end: int) -> float:
    """About how wide a line is, in ems: what lies between is measured in the unbroken paragraph."""
    if start >= end:
        return 0.0
    before = shaped.ends[start - 1] if start > paragraph.start else 0.0
    return max(0.0, shaped.ends[end - 1] - before - shaped.style.letter_spacing)


def broken(shaped: Shaped, paragraph: Paragraph, parts: Sequence[Piece], room: float) -> tuple[tuple[int, int], ...]:
    """The start and end of each line of a paragraph that is as wide as ``room`` ems, trailing spaces left out.

    A piece that is wider stands alone in its line.
    """
    lines = _greedy(shaped, paragraph, parts, room)
    if shaped.style.balance and len(lines) > 1:
        low, high = max(width(shaped, paragraph, each.start, each.seen) for each in parts), room
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            tried = _greedy(shaped, paragraph, parts, middle)
            if len(tried) > len(lines):
                low = middle
            else:
                high, lines = middle, tried
    return lines


def _greedy(shaped: Shaped, paragraph: Paragraph, parts: Sequence[Piece], room: float) -> tuple[tuple[int, int], ...]:
    lines, start, seen = list[tuple[int, int]](), parts[0].start, parts[0].seen
    for piece in parts[1:]:
        if width(shaped, paragraph, start, piece.seen) > room:
            lines.append((start, seen))
            start = piece.start
        seen = piece.seen
    return (*lines, (start, seen))
