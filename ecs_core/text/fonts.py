"""A typeface at a weight: which characters it has, its measures, and the outlines of its glyphs."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
import uharfbuzz as hb

from ecs_core.arrays import F32
from ecs_core.errors import SceneError
from ecs_core.text import icu
from ecs_core.text.typefaces import Typeface, face

USUAL_WEIGHT = 400.0
_THIRD, _TWO_THIRDS = 1 / 3, 2 / 3


class Font:
    """A typeface at a weight. All lengths are in ems: 1 is the size of the font.

    Fonts are made by :func:`font` and equal only to themselves. They do not change, so threads can share them.
    """

    def __init__(self, typeface: Typeface, weight: float) -> None:
        self.typeface, self.weight = typeface, weight
        self.face = face(typeface)
        self.hb = hb.Font(self.face)
        if weights(typeface) is not None:
            self.hb.set_variations({"wght": weight})
        self.upem = int(self.face.upem)
        self._characters = frozenset(self.face.unicodes)
        extents = self.hb.get_font_extents("ltr")
        self.ascent, self.descent = extents.ascender / self.upem, -extents.descender / self.upem
        capital = self.hb.get_metric_position_with_fallback(hb.OTMetricsTag.CAP_HEIGHT)
        self.capital = (capital or 0.7 * extents.ascender) / self.upem

    def has(self, letter: str) -> bool:
        """Whether the typeface has all characters of a letter, or of its composed form."""
        return any(
            all(ord(each) in self._characters or icu.ignorable(each) for each in form)
            for form in (letter, unicodedata.normalize("NFC", letter))
        )


@lru_cache(256)
def font(typeface: Typeface, weight: float | None) -> Font:
    """A typeface at a weight, or the nearest that it has."""
    allowed = weights(typeface)
    wanted = USUAL_WEIGHT if weight is None else weight
    return Font(typeface, min(max(wanted, allowed[0]), allowed[1]) if allowed else USUAL_WEIGHT)


def weights(typeface: Typeface) -> tuple[float, float] | None:
    """The lightest and the heaviest weight of a variable font; None of one that has a single weight."""
    return next(((axis.min_value, axis.max_value) for axis in face(typeface).axis_infos if axis.tag == "wght"), None)


def check_weight(typeface: Typeface, weight: float | None) -> None:
    """Refuse a weight that a chosen typeface does not have.

    Raises:
        SceneError: it says which ones are allowed.
    """
    allowed = weights(typeface)
    if weight is None or (allowed and allowed[0] <= weight <= allowed[1]):
        return
    said = f"must be from {allowed[0]:g} to {allowed[1]:g}" if allowed else "it has one weight, so leave it out"
    raise SceneError(f"weight: {weight:g}; {typeface.name}: {said}")


@lru_cache(8192)
def outline(of: Font, glyph: int) -> F32:
    """A glyph's outline as cubic Bézier curves, (n, 8): x0, y0 … x3, y3 in ems, y upwards, from the glyph's origin.

    Closed: each contour ends where it begins. Lines and quadratic curves are written as cubic ones, which they equal.
    The array must not be changed.
    """
    pen = _Pen()
    of.hb.draw_glyph(glyph, _FUNCTIONS, pen)
    pen.close()
    curves: F32 = np.asarray(pen.curves, np.float32).reshape(-1, 8) / np.float32(of.upem)
    return curves


class _Pen:
    """Collects the curves of one glyph."""

    def __init__(self) -> None:
        self.curves: list[tuple[float, ...]] = []
        self.first = self.last = (0.0, 0.0)

    def move(self, x: float, y: float) -> None:
        self.close()
        self.first = self.last = (x, y)

    def line(self, x: float, y: float) -> None:
        (a, b), (dx, dy) = self.last, (x - self.last[0], y - self.last[1])
        self._add(a + dx * _THIRD, b + dy * _THIRD, a + dx * _TWO_THIRDS, b + dy * _TWO_THIRDS, x, y)

    def quadratic(self, cx: float, cy: float, x: float, y: float) -> None:
        a, b = self.last
        near = a + (cx - a) * _TWO_THIRDS, b + (cy - b) * _TWO_THIRDS
        self._add(*near, x + (cx - x) * _TWO_THIRDS, y + (cy - y) * _TWO_THIRDS, x, y)

    def cubic(self, ax: float, ay: float, bx: float, by: float, x: float, y: float) -> None:
        self._add(ax, ay, bx, by, x, y)

    def close(self) -> None:
        if self.last != self.first:
            self.line(*self.first)

    def _add(self, ax: float, ay: float, bx: float, by: float, x: float, y: float) -> None:
        self.curves.append((*self.last, ax, ay, bx, by, x, y))
        self.last = (x, y)


def _functions() -> hb.DrawFuncs:
    made = hb.DrawFuncs()
    made.set_move_to_func(lambda x, y, pen: pen.move(x, y))
    made.set_line_to_func(lambda x, y, pen: pen.line(x, y))
    made.set_quadratic_to_func(lambda cx, cy, x, y, pen: pen.quadratic(cx, cy, x, y))
    made.set_cubic_to_func(lambda ax, ay, bx, by, x, y, pen: pen.cubic(ax, ay, bx, by, x, y))
    made.set_close_path_func(lambda pen: pen.close())
    return made


_FUNCTIONS = _functions()
