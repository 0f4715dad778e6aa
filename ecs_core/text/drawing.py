"""A layout as masks: its letters, their outline, shadow and glow, for the whole text or for each of its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.text.fonts import outline
from ecs_core.text.ink import Bounds, ink
from ecs_core.text.placed import Layout, Placed

By = Literal["text", "line", "word", "letter"]
_ROUNDS = 3  # of box blurs: within 3 % of a Gaussian
_SHARPEST = 0.3  # pixels: a blur of less is not seen


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """How much of each pixel is covered, ``values`` (height, width) float32, 0–1, in linear light.

    The pixel in its upper left corner is ``left`` to the right of the box's left edge and ``top`` below its top edge.
    ``values`` must not be changed; numpy is not told so, as numba would compile each kernel anew for such arrays.
    """

    values: F32
    left: int
    top: int


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Characters ``start`` to ``end``, in ``line`` (that of the first one), and their masks; ``bounds`` in pixels.

    Drawn from below: ``shadow``, ``glow``, ``outline``, ``fill``. The outline's mask has the letters in it, so it is
    drawn under the fill of this part *and of all others*: first all outlines, then all fills.
    """

    start: int
    end: int
    line: int
    bounds: Bounds
    fill: Mask
    outline: Mask | None
    shadow: Mask | None
    glow: Mask | None


def draw(layout: Layout, by: By | Sequence[tuple[int, int]] = "text") -> tuple[Part, ...]:
    """The masks of a layout, in the order of reading: of the whole text, or of each line, word or letter.

    ``by`` can also be pairs of a first character and one after the last, such as the syllables of a sung line. Parts in
    which nothing is seen are left out. Characters that share a glyph are one letter, in the part where it begins.
    """
    groups = ((letters, _bounds(letters, layout.size)) for letters in _grouped(layout, by))
    return tuple(_part(layout, letters, bounds) for letters, bounds in groups if bounds is not None)


def _bounds(letters: Sequence[Placed], size: float) -> Bounds | None:
    return ink(((each.letter, each.left, each.baseline) for each in letters), size)


def _grouped(layout: Layout, by: By | Sequence[tuple[int, int]]) -> Iterator[Sequence[Placed]]:
    if by == "text":
        yield layout.letters
    elif by == "letter":
        yield from ((each,) for each in layout.letters)
    elif by == "line":
        for number in range(len(layout.lines)):
            yield [each for each in layout.letters if each.line == number]
    else:
        for start, end in layout.words if by == "word" else by:
            yield [each for each in layout.letters if start <= each.start < end]


def _part(layout: Layout, letters: Sequence[Placed], bounds: Bounds) -> Part:
    style, size = layout.style, layout.size
    stroke = style.outline * size
    fill, wide = _letters(letters, bounds, size, stroke)
    body = fill if wide is None else wide
    shadow = glow = None
    if style.shadow is not None:
        shadow = _blurred(body, style.shadow.blur * size, style.shadow.dx * size, style.shadow.dy * size)
    if style.glow > 0:
        glow = _blurred(body, style.glow * size, 0.0, 0.0)
    start, end = min(each.start for each in letters), max(each.end for each in letters)
    return Part(start, end, letters[0].line, bounds.grown(stroke), fill, wide, shadow, glow)


def _letters(letters: Sequence[Placed], bounds: Bounds, size: float, stroke: float) -> tuple[Mask, Mask | None]:
    """The masks of the letters and, if ``stroke`` (pixels) is not 0, of the letters with a line around them."""
    margin = math.ceil(stroke + 0.5) if stroke > 0 else 0
    left, top = math.floor(bounds.left) - margin, math.floor(bounds.top) - margin
    width = math.ceil(bounds.right) + margin - left
    height = math.ceil(bounds.bottom) + margin - top
    areas, values = np.zeros((height, width + 2), np.float32), np.empty((height, width), np.float32)
    for curves, x, y in _outlines(letters, left, top, size):
        kernels.coverage.add_outline(areas, curves, size, x, y)
    kernels.coverage.cover(areas, values)
    fill = Mask(values, left, top)
    if not stroke > 0:
        return fill, None
    squares, wide = np.full((height, width), 1e12, np.float32), np.empty((height, width), np.float32)
    for curves, x, y in _outlines(letters, left, top, size):
        kernels.coverage.approach(squares, curves, size, x, y, stroke + 0.5)
    kernels.coverage.widen(values, squares, np.float32(stroke), wide)
    return fill, Mask(wide, left, top)


def _outlines(letters: Sequence[Placed], left: int, top: int, size: float) -> Iterator[tuple[F32, float, float]]:
    """The curves of all glyphs, and where their origins lie in a mask."""
    for each in letters:
        for glyph in each.letter.glyphs:
            x, y = each.left + glyph.x * size - left, each.baseline - glyph.y * size - top
            yield outline(glyph.font, glyph.number), x, y


def _blurred(mask: Mask, sigma: float, dx: float, dy: float) -> Mask:
    """A mask that is blurred by a standard deviation, and moved, in pixels; parts of a pixel are rounded."""
    left, top = mask.left + round(dx), mask.top + round(dy)
    if sigma < _SHARPEST:
        return Mask(mask.values, left, top)
    radius, share = _box(sigma)
    margin = _ROUNDS * (radius + 1)
    plane = np.pad(mask.values, margin)
    for _ in ("columns", "rows"):
        other, sums = np.empty_like(plane), np.empty(plane.shape[1])
        for _ in range(_ROUNDS):
            kernels.coverage.blur(plane, other, sums, radius, share)
            plane, other = other, plane
        plane = np.ascontiguousarray(plane.T)
    return Mask(np.maximum(plane, 0, out=plane), left - margin, top - margin)


def _box(sigma: float) -> tuple[int, float]:
    """The radius of a box and the share of its two end pixels, so that all rounds have a standard deviation.

    Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering" (2011).
    """
    variance = sigma * sigma / _ROUNDS
    radius = int(0.5 * math.sqrt(12 * variance + 1) - 0.5)
    share = (2 * radius + 1) * (radius * (radius + 1) - 3 * variance) / (6 * (variance - (radius + 1) ** 2))
    return radius, share
