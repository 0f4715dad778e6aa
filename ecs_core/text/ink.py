"""Where letters leave ink: boxes round outlines, from their control points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ecs_core.text.fonts import Font, outline
from ecs_core.text.shaping import Letter


@dataclass(frozen=True, slots=True)
class Bounds:
    """A box: ``left``, ``top``, ``right`` and ``bottom``, y downwards; in pixels where nothing else is said."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    def grown(self, by: float) -> Bounds:
        """The box with ``by`` more at each side."""
        return Bounds(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def scaled(self, by: float) -> Bounds:
        """The box with all places times ``by``."""
        return Bounds(self.left * by, self.top * by, self.right * by, self.bottom * by)

    def moved(self, dx: float, dy: float) -> Bounds:
        """The box ``dx`` further to the right and ``dy`` further down."""
        return Bounds(self.left + dx, self.top + dy, self.right + dx, self.bottom + dy)


@lru_cache(8192)
def _box(font: Font, glyph: int) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a glyph in ems, y upwards. A curve lies within the box of its control points."""
    curves = outline(font, glyph)
    xs, ys = curves[:, 0::2], curves[:, 1::2]
    return float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())


def ink(letters: Iterable[tuple[Letter, float, float]], size: float) -> Bounds | None:
    """The box round letters at their origins (x, baseline), with ``size`` pixels to the em; None if none is seen."""
    lefts, tops, rights, bottoms = list[float](), list[float](), list[float](), list[float]()
    for letter, x, baseline in letters:
        for glyph in letter.glyphs:
            left, bottom, right, top = _box(glyph.font, glyph.number)
            lefts.append(x + (glyph.x + left) * size)
            rights.append(x + (glyph.x + right) * size)
            tops.append(baseline - (glyph.y + top) * size)
            bottoms.append(baseline - (glyph.y + bottom) * size)
    if not lefts:
        return None
    return Bounds(min(lefts), min(tops), max(rights), max(bottoms))


def around(boxes: Iterable[Bounds]) -> Bounds:
    """The box round boxes, of which there is one at least."""
    every = tuple(boxes)
    return Bounds(
        min(each.left for each in every),
        min(each.top for each in every),
        max(each.right for each in every),
        max(each.bottom for each in every),
    )
