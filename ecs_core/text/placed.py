"""A text that is laid out: lines, letters and words in pixels from the left and top edges of its box."""

from __future__ import annotations

from dataclasses import dataclass

from ecs_core.text.ink import Bounds
from ecs_core.text.shaping import Letter
from ecs_core.text.style import Style


@dataclass(frozen=True, slots=True)
class Placed:
    """A ``letter`` in ``line``, from ``left`` to ``right`` on ``baseline``, in pixels from the box's edges."""

    letter: Letter
    line: int
    left: float
    right: float
    baseline: float

    @property
    def start(self) -> int:
        """The first of its characters."""
        return self.letter.start

    @property
    def end(self) -> int:
        """One after the last of its characters."""
        return self.letter.end


@dataclass(frozen=True, slots=True)
class Line:
    """Characters ``start`` to ``end`` between ``left`` and ``right``, from ``top`` to ``bottom`` round ``baseline``."""

    start: int
    end: int
    left: float
    right: float
    top: float
    bottom: float
    baseline: float
    rtl: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a ``line`` between ``left`` and ``right``, in pixels; ``rtl`` if it is read from right to left."""

    line: int
    left: float
    right: float
    rtl: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A text of one size in a box of ``width`` by ``height``; all in pixels from the box's left and top edges.

    ``size`` is that of the font (an em); ``letters`` are in the order of reading, ``words`` are pairs of a first
    character and one after the last. ``bounds`` holds all that is drawn of the letters and their outline.
    """

    text: str
    style: Style
    size: float
    width: float
    height: float
    lines: tuple[Line, ...]
    letters: tuple[Placed, ...]
    words: tuple[tuple[int, int], ...]
    bounds: Bounds

    def spans(self, start: int, end: int) -> tuple[Span, ...]:
        """Where characters ``start`` to ``end`` stand, in the order of reading: one span per line and direction.

        Characters that share a glyph have equal parts of its width.
        """
        found = list[Span]()
        for each in self.letters:
            first, last = max(start, each.start), min(end, each.end)
            if first >= last:
                continue
            count, across = each.end - each.start, each.right - each.left
            near, far = (first - each.start) / count * across, (last - each.start) / count * across
            rtl = each.letter.rtl
            left, right = (each.right - far, each.right - near) if rtl else (each.left + near, each.left + far)
            joined = found and found[-1].line == each.line and found[-1].rtl == rtl
            if joined and abs((found[-1].left - right) if rtl else (left - found[-1].right)) < 0.01:
                left, right = min(left, found[-1].left), max(right, found[-1].right)
                found.pop()
            found.append(Span(each.line, left, right, rtl))
        return tuple(found)
