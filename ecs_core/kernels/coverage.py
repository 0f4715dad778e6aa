"""How much of each pixel outlines cover; how far pixels are from them; blur.

Areas are exact, by signed areas that are added up along rows: Raph Levien, "Inside the fastest font renderer in the
world" (2016). Curves become as many lines as Wang's formula asks for: at most 1/50 pixel from the curve.
"""

from __future__ import annotations

import math

import numpy as np

from ecs_core.arrays import F32, F64
from ecs_core.kernels.jit import inline_kernel, inner_kernel, kernel

f32 = np.float32
f64 = np.float64
_FAR_FROM_CURVE = 0.02  # pixels
_FAR_FROM_OUTLINE = 0.05  # where distances are measured, whose edges are half a pixel soft
_LARGEST_COUNT = 64  # lines of one curve
_NOTHING = 1.0 / 4096  # of a pixel: what rounding leaves where nothing is covered


@inline_kernel
def _lines_of(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float, far: float
) -> int:
    """How many lines a cubic curve becomes, to be ``far`` from it at most: √(6/8 · second difference / far) (Wang)."""
    first = math.hypot(ax - 2.0 * bx + cx, ay - 2.0 * by + cy)
    second = math.hypot(bx - 2.0 * cx + dx, by - 2.0 * cy + dy)
    count = math.ceil(math.sqrt(0.75 * max(first, second) / far))
    return min(max(count, 1), _LARGEST_COUNT)


@inline_kernel
def _on_curve(t: float, a: float, b: float, c: float, d: float) -> float:
    s = 1.0 - t
    return s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d


@inner_kernel
def _add_line(areas: F32, x0: float, y0: float, x1: float, y1: float) -> None:
    """Add the signed area to the right of a line, as differences along rows, whose sums are the area."""
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1, sign = x1, y1, x0, y0, -1.0
    height, last = areas.shape[0], areas.shape[1] - 2
    slope = (x1 - x0) / (y1 - y0)
    if y0 < 0.0:
        x0, y0 = x0 - y0 * slope, 0.0
    x, row = x0, int(y0)
    while row < height and row < y1:
        step = min(row + 1.0, y1) - max(f64(row), y0)
        further = x + slope * step
        area = step * sign
        left, right = min(x, further), max(x, further)
        left, right = min(max(left, 0.0), f64(last)), min(max(right, 0.0), f64(last))
        first, end = int(left), math.ceil(right)
        if end <= first + 1:
            part = 0.5 * (left + right) - first
            areas[row, first] += f32(area * (1.0 - part))
            areas[row, first + 1] += f32(area * part)
        else:
            share = 1.0 / (right - left)
            begun, rest = 1.0 - (left - first), right - (end - 1)
            areas[row, first] += f32(area * 0.5 * share * begun * begun)
            before = 0.5 * share * begun * begun  # covered of the pixels so far
            for column in range(first + 1, end - 1):
                covered = share * (column + 0.5 - left)
                areas[row, column] += f32(area * (covered - before))
                before = covered
            covered = 1.0 - 0.5 * share * rest * rest
            areas[row, end - 1] += f32(area * (covered - before))
            areas[row, end] += f32(area * (1.0 - covered))
        x = further
        row += 1


@inline_kernel
def _placed(
    curves: F32, curve: int, scale: float, x: float, y: float
) -> tuple[float, float, float, float, float, float, float, float]:
    """The four points of a curve in pixels, y downwards."""
    ax, ay = x + scale * curves[curve, 0], y - scale * curves[curve, 1]
    bx, by = x + scale * curves[curve, 2], y - scale * curves[curve, 3]
    cx, cy = x + scale * curves[curve, 4], y - scale * curves[curve, 5]
    return ax, ay, bx, by, cx, cy, x + scale * curves[curve, 6], y - scale * curves[curve, 7]


@kernel("f4[:, ::1], f4[:, ::1], f8, f8, f8")
def add_outline(areas: F32, curves: F32, scale: float, x: float, y: float) -> None:
    """Add an outline's signed areas to ``areas`` (height, width + 2), whose last two columns are scratch.

    ``curves`` are closed contours of cubic curves, (n, 8): x0, y0 … x3, y3, y upwards. A point (u, v) of them lies at
    (x + scale · u, y − scale · v), in pixels, y downwards, within (height, width): what lies outside writes nothing
    elsewhere, but is not cut off exactly.
    """
    for curve in range(curves.shape[0]):
        ax, ay, bx, by, cx, cy, dx, dy = _placed(curves, curve, scale, x, y)
        count = _lines_of(ax, ay, bx, by, cx, cy, dx, dy, _FAR_FROM_CURVE)
        u0, v0 = ax, ay
        for each in range(1, count + 1):
            u1, v1 = dx, dy
            if each < count:
                t = f64(each) / f64(count)
                u1, v1 = _on_curve(t, ax, bx, cx, dx), _on_curve(t, ay, by, cy, dy)
            _add_line(areas, u0, v0, u1, v1)
            u0, v0 = u1, v1


@kernel("f4[:, ::1], f4[:, ::1]")
def cover(areas: F32, coverage: F32) -> None:
    """Write how much of each pixel is covered, 0–1, (height, width), from signed areas (height, width + 2).

    Overlapping contours of the same direction are one shape, as the rule of non-zero winding numbers has it.
    """
    for row in range(coverage.shape[0]):
        total = 0.0
        for column in range(coverage.shape[1]):
            total += areas[row, column]
            share = min(abs(total), 1.0)
            if share < _NOTHING:
                share = 0.0
            elif share > 1.0 - _NOTHING:
                share = 1.0
            coverage[row, column] = f32(share)


@inner_kernel
def _near_line(squares: F32, reach: float, x0: float, y0: float, x1: float, y1: float) -> None:
    """Lower squared distances of pixels' centres to that from a line, where it is at most ``reach``."""
    height, width = squares.shape
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    inverse = 1.0 / length if length > 0.0 else 0.0
    top = max(0, math.floor(min(y0, y1) - reach))
    bottom = min(height, math.ceil(max(y0, y1) + reach) + 1)
    left = max(0, math.floor(min(x0, x1) - reach))
    right = min(width, math.ceil(max(x0, x1) + reach) + 1)
    # Single precision, which the processor computes for twice as many pixels at once: 1/4000 pixel within 4096 columns.
    a, b, c, before = f32(dx), f32(dy), f32(inverse), f32(left + 0.5 - x0)
    if left >= right:
        return
    for row in range(top, bottom):
        v = f32(row + 0.5 - y0)
        across, near = v * b, squares[row, left:right]
        for column in range(right - left):
            u = f32(column) + before
            along = min(max((u * a + across) * c, f32(0.0)), f32(1.0))
            p, q = u - along * a, v - along * b
            near[column] = min(near[column], p * p + q * q)


@kernel("f4[:, ::1], f4[:, ::1], f8, f8, f8, f8")
def approach(squares: F32, curves: F32, scale: float, x: float, y: float, reach: float) -> None:
    """Lower ``squares`` (height, width) to the squared distance in pixels of each pixel's centre from an outline.

    ``curves``, ``scale``, ``x`` and ``y`` are those of :func:`add_outline`. Distances over ``reach`` may be left out.
    """
    for curve in range(curves.shape[0]):
        ax, ay, bx, by, cx, cy, dx, dy = _placed(curves, curve, scale, x, y)
        count = _lines_of(ax, ay, bx, by, cx, cy, dx, dy, _FAR_FROM_OUTLINE)
        u0, v0 = ax, ay
        for each in range(1, count + 1):
            u1, v1 = dx, dy
            if each < count:
                t = f64(each) / f64(count)
                u1, v1 = _on_curve(t, ax, bx, cx, dx), _on_curve(t, ay, by, cy, dy)
            _near_line(squares, reach, u0, v0, u1, v1)
            u0, v0 = u1, v1


@kernel("f4[:, ::1], f4[:, ::1], f4, f4[:, ::1]")
def widen(coverage: F32, squares: F32, by: f32, wide: F32) -> None:
    """Write the coverage of a shape that is wider by ``by`` pixels at each side, with round corners.

    All are (height, width). A pixel whose centre is at a distance d from the outline has by − d + ½ of it, 0–1.
    """
    for row in range(coverage.shape[0]):
        for column in range(coverage.shape[1]):
            share = by - math.sqrt(squares[row, column]) + f32(0.5)
            wide[row, column] = max(coverage[row, column], min(max(share, f32(0.0)), f32(1.0)))


@kernel("f4[:, ::1], f4[:, ::1], f8[::1], i8, f8")
def blur(plane: F32, blurred: F32, sums: F64, radius: int, share: float) -> None:
    """Write a plane (height, width) that is blurred by a box along its columns; outside it there is nothing.

    The box has 2 · ``radius`` + 1 whole pixels and at both ends one more that counts ``share`` (0–1). ``sums`` is
    scratch of the width. The time does not depend on the radius. Rows are blurred as columns of the plane on its side,
    which is quicker: then a row's pixels do not wait for one another. Rounding can leave a little less than 0.
    """
    height, width = plane.shape
    scale = 1.0 / (2.0 * radius + 1.0 + 2.0 * share)
    for column in range(width):
        sums[column] = 0.0
    for row in range(min(radius, height)):
        for column in range(width):
            sums[column] += plane[row, column]
    for row in range(height):
        ahead, behind, out = row + radius, row - radius - 1, blurred[row]
        if behind >= 0 and ahead + 1 < height:
            come, gone, after = plane[ahead], plane[behind], plane[ahead + 1]
            for column in range(width):
                total = sums[column] + (come[column] - gone[column])
                sums[column] = total
                out[column] = f32((total + share * (after[column] + gone[column])) * scale)
            continue
        for column in range(width):
            ends = 0.0
            if ahead < height:
                sums[column] += plane[ahead, column]
            if ahead + 1 < height:
                ends += plane[ahead + 1, column]
            if behind >= 0:
                sums[column] -= plane[behind, column]
                ends += plane[behind, column]
            out[column] = f32((sums[column] + share * ends) * scale)
