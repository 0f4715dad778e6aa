"""A text in a box, at a given size or the largest that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecs_core.errors import SceneError
from ecs_core.text import icu
from ecs_core.text.ink import Bounds, around
from ecs_core.text.placed import Layout, Line, Placed
from ecs_core.text.shaping import Shaped, line_letters, shape
from ecs_core.text.style import Style
from ecs_core.text.wrapping import Row, rows

_TOLERANCE = 1e-3  # pixels by which a line may be wider than its box: rounding
_STEP = 1 / 16  # pixels: sizes that fit() tells apart


def lay_out(text: str, style: Style, *, width: float, height: float, size: float) -> Layout:
    """Lay out a text in a box at one size: ``size``, ``width`` and ``height`` in pixels.

    Raises:
        SceneError: it does not fit, or no typeface has a character.
    """
    shaped = _checked(text, style, width, height)
    if not size > 0:
        raise SceneError(f"size: {size:g} pixels; must be greater than 0")
    found = _arranged(shaped, width, height, size)
    if found.too_large:
        raise SceneError(
            f"text: {_short(text)} at {size:g} pixels is {found.too_large}; use a smaller size or a larger box"
        )
    return _laid_out(shaped, found)


def fit(
    text: str, style: Style, *, width: float, height: float, least: float, most: float | None = None, lines: int = 0
) -> Layout:
    """Lay out a text in a box at the largest size at which it fits.

    ``least`` is the size in pixels below which nobody could read it, ``most`` the largest one (by default, the box's
    height), ``lines`` how many lines it may have (0: any number).

    Raises:
        SceneError: it fits at no size that can be read, or no typeface has a character.
    """
    shaped = _checked(text, style, width, height)
    low, high = least, max(least, height if most is None else most)
    found = _arranged(shaped, width, height, low)
    if not found.fits(lines):
        reason = found.too_large or f"{len(found.rows)} lines, of {lines} that are allowed"
        raise SceneError(
            f"text: {_short(text)} at {least:g} pixels, the smallest size that can be read, is {reason}; "
            "use a shorter text, a larger box or a narrower typeface"
        )
    tried = _arranged(shaped, width, height, high)
    if tried.fits(lines):
        return _laid_out(shaped, tried)
    while high - low > _STEP:
        middle = (low + high) / 2
        tried = _arranged(shaped, width, height, middle)
        low, high, found = (middle, high, tried) if tried.fits(lines) else (low, middle, found)
    return _laid_out(shaped, found)


def check_text(text: str, style: Style) -> None:
    """Refuse a text that cannot be drawn, whatever its size: quick, and without drawing.

    Raises:
        SceneError: it is empty, a typeface does not exist, or no typeface has a character.
    """
    _all_seen(shape(text, style))


def _checked(text: str, style: Style, width: float, height: float) -> Shaped:
    shaped = shape(text, style)
    _all_seen(shaped)
    if not (width > 0 and height > 0):
        raise SceneError(f"box: {width:g} × {height:g} pixels; both must be greater than 0")
    return shaped


def _all_seen(shaped: Shaped) -> None:
    for each in shaped.paragraphs:
        letters = line_letters(shaped.text, shaped.style, each, each.start, each.end)
        if any(not letter.space for letter in letters):
            return
    raise SceneError("text: there is nothing to draw; it must have at least one letter")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 40 else f"{line[:39]}…")


@dataclass(frozen=True, slots=True)
class _Arranged:
    """Where the rows of a text are at one size, whether it fits or not; in pixels.

    ``lefts`` and ``baselines`` are those of each row, ``top`` and ``bottom`` the heights of a line above and below its
    baseline.
    """

    rows: tuple[Row, ...]
    lefts: Sequence[float]
    baselines: Sequence[float]
    top: float
    bottom: float
    bounds: Bounds
    size: float
    width: float
    height: float

    @property
    def too_large(self) -> str:
        """What is larger than the box; empty if nothing is."""
        wide = max(self.bounds.width, max(row.width for row in self.rows) * self.size)
        tall = max(self.bounds.height, self.baselines[-1] - self.baselines[0] + self.top + self.bottom)
        if wide > self.width + _TOLERANCE:
            return f"{wide:.0f} pixels wide, and its box {self.width:.0f}"
        if tall > self.height + _TOLERANCE:
            return f"{tall:.0f} pixels high, and its box {self.height:.0f}"
        return ""

    def fits(self, lines: int) -> bool:
        """Whether it is within its box, in at most as many lines as are allowed (0: any number)."""
        return not self.too_large and (not lines or len(self.rows) <= lines)


def _arranged(shaped: Shaped, width: float, height: float, size: float) -> _Arranged:
    style, stroke = shaped.style, shaped.style.outline * size
    found = rows(shaped, max(0.0, width - 2 * stroke) / size)
    fonts = {run.font for paragraph in shaped.paragraphs for run in paragraph.runs}
    top, bottom = max(each.ascent for each in fonts) * size, max(each.descent for each in fonts) * size
    apart = style.line_height * size
    block = top + (len(found) - 1) * apart + bottom
    if style.place == "top":
        first = top
    elif style.place == "bottom":
        first = height - block + top
    else:  # what the eye takes for the middle: between the top of capitals and the last baseline
        first = (height + max(each.capital for each in fonts) * size - (len(found) - 1) * apart) / 2
        first = max(min(first, height - block + top), top)
    lefts = [_left(style, row, width, size, stroke) for row in found]
    baselines = [first + number * apart for number in range(len(found))]
    places = zip(found, lefts, baselines, strict=True)
    bounds = around(row.ink.scaled(size).moved(left, base) for row, left, base in places if row.ink).grown(stroke)
    dx, dy = _inwards(bounds.left, bounds.right, width), _inwards(bounds.top, bounds.bottom, height)
    lefts, baselines = [each + dx for each in lefts], [each + dy for each in baselines]
    return _Arranged(found, lefts, baselines, top, bottom, bounds.moved(dx, dy), size, width, height)


def _left(style: Style, row: Row, width: float, size: float, stroke: float) -> float:
    side = style.align
    if side in ("start", "end"):
        side = "left" if (side == "start") != row.rtl else "right"
    rest = width - row.width * size
    return {"left": stroke, "right": rest - stroke}.get(side, rest / 2)


def _inwards(low: float, high: float, room: float) -> float:
    """How far a stretch has to move to lie within 0 and ``room``; 0 if it is longer."""
    return 0.0 if high - low > room else max(0.0, -low) + min(0.0, room - high)


def _laid_out(shaped: Shaped, found: _Arranged) -> Layout:
    lines, placed = list[Line](), list[Placed]()
    for number, (row, left, baseline) in enumerate(zip(found.rows, found.lefts, found.baselines, strict=True)):
        right, top, bottom = left + row.width * found.size, baseline - found.top, baseline + found.bottom
        lines.append(Line(row.start, row.end, left, right, top, bottom, baseline, row.rtl))
        at, of_line = left, list[Placed]()
        for letter in row.letters:
            of_line.append(Placed(letter, number, at, at + letter.advance * found.size, baseline))
            at = of_line[-1].right
        placed += sorted(of_line, key=lambda each: each.start)
    return Layout(
        text=shaped.text,
        style=shaped.style,
        size=found.size,
        width=found.width,
        height=found.height,
        lines=tuple(lines),
        letters=tuple(placed),
        words=icu.words(shaped.text),
        bounds=found.bounds,
    )
