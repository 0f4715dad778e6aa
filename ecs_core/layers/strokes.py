"""Strokes: lines and the areas under them, as boxes, and soft light along lines."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ecs_core.arrays import F32, F64
from ecs_core.raster.marks import BoxesMark, Floats, Pose
from ecs_core.raster.sprites import Blend, Sprites

_STEP = 2  # pixels of a column: colours have half the picture's size
_TOGETHER = 4  # columns
_OVERLAP = 0.5  # pixels: what two edges that meet in a pixel cover of it together would be less than all
_WIDTHS = 1.755  # of a line's light, in radii
FINE = 4.0  # pixels: about the length of the pieces of a curve


def line_mark(pose: Pose, x: F64, y: F64, *, thickness: float, colours: F32, blend: Blend) -> BoxesMark:
    """A line through points (n,), in local pixels, whose pieces have ``colours`` (n - 1, 3), linear light."""
    across, down = np.diff(x), np.diff(y)
    angle, half = np.arctan2(down, across), thickness / 2
    if pose.opacity >= 1 and blend == "over":  # round ends lie on one another
        longer, corner = half, half
    else:  # where one shines through the other, each ends where the next begins
        turn = np.abs(np.diff(angle))
        turn = np.minimum(turn, 2 * math.pi - turn)
        corners = np.minimum(half * np.tan(np.minimum(turn, 2.5) / 2), half)
        longer = np.maximum(np.append(corners, 0), np.append(0, corners)) / 2 + _OVERLAP / 2 / pose.scale
        corner = 0.0
    wide = np.hypot(across, down) / 2 + longer
    middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    tall = np.full(len(wide), half)
    return BoxesMark.at(pose, middle_x, middle_y, wide, tall, colours, angle=angle, corner=corner, blend=blend)


def area_mark(pose: Pose, x: F64, y: F64, *, colours: F32, blend: Blend) -> BoxesMark:
    """The area between the layer's middle line and a line through points (n,), ``x`` ascending, in local pixels.

    ``colours`` (n, 3) are those of its points. It is made of columns; where it is not turned, of whole pixels.
    """
    left, right = float(x[0]) * pose.scale, float(x[-1]) * pose.scale
    is_upright = pose.angle == 0
    if is_upright:
        first, last = math.floor((pose.x + left) / _STEP), math.ceil((pose.x + right) / _STEP)
        edges: Floats = np.clip(np.arange(first, last + 1) * float(_STEP) - pose.x, left, right)
    else:
        edges = np.linspace(left, right, max(2, math.ceil((right - left) / _STEP)))
    middles, wide = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2 + (0 if is_upright else _OVERLAP / 2)
    high, low = np.interp(middles, x * pose.scale, y * pose.scale), np.zeros(len(middles))
    light = np.stack([np.interp(middles, x * pose.scale, colours[:, channel]) for channel in range(3)], axis=-1)
    if is_upright:  # what all of several columns have is one box
        starts = np.arange(0, len(middles), _TOGETHER)
        ends = np.append(starts[1:], len(middles))
        tops = np.maximum.reduceat(high, starts)
        tops = np.minimum(np.ceil((pose.y + tops) / _STEP) * _STEP - pose.y, 0)
        low = np.repeat(tops, ends - starts)
        light = np.concatenate([light, light[(starts + ends) // 2]])
        middles = np.append(middles, (edges[starts] + edges[ends]) / 2)
        wide = np.append(wide, (edges[ends] - edges[starts]) / 2)
        high, low = np.append(np.minimum(high, low), tops), np.append(low, np.zeros(len(starts)))
    size, tall = replace(pose, scale=1.0), (low - high) / 2
    return BoxesMark.at(size, middles, (high + low) / 2, wide, tall, light.astype(np.float32), blend=blend)


def glow_sprites(
    pose: Pose, x: Floats, y: Floats, to_x: Floats, to_y: Floats, *, radius: float, apart: float, colours: F32
) -> Sprites:
    """Soft light along lines from (x, y) to others, (n,) each, in local pixels; ``colours`` (n, 3) linear light.

    Where lines are closer than their light is wide, ``apart`` pixels, each has less of it.
    """
    seen_x, seen_y = pose.points(x, y)
    other_x, other_y = pose.points(to_x, to_y)
    light = colours * np.float32(pose.opacity * min(1.0, apart / (_WIDTHS * radius)))
    n = len(x)

    def column(values: Floats | float) -> F32:
        return np.array(np.broadcast_to(values, n), np.float32)

    red, green, blue = (column(light[:, channel]) for channel in range(3))
    return Sprites(
        column(seen_x),
        column(seen_y),
        column(max(radius * pose.scale, 0.05)),
        red,
        green,
        blue,
        column(0.0),
        np.zeros(n, np.uint8),
        dx=column(other_x - seen_x),
        dy=column(other_y - seen_y),
    )


def soft_line(pose: Pose, x: F64, y: F64, *, radius: float, colours: F32) -> Sprites:
    """Soft light along a line through points (n,), in local pixels; ``colours`` (n - 1, 3) linear light."""
    chosen = np.arange(0, len(x) - 1, max(1, round(radius / FINE)))
    ends = np.append(chosen[1:], len(x) - 1)
    lit = colours[(chosen + ends) // 2]
    return glow_sprites(pose, x[chosen], y[chosen], x[ends], y[ends], radius=radius, apart=math.inf, colours=lit)


def smooth_curve(values: F64, count: int, *, closed: bool) -> F64:
    """Values (n,) as ``count`` of a curve through them; if ``closed``, the first follows the last.

    It is nowhere beyond the lowest and the highest of them.
    """
    n = len(values)
    at = np.arange(count) * n / count if closed else np.linspace(0.0, n - 1, count)
    whole = np.minimum(np.floor(at).astype(np.int64), n - 1 if closed else max(0, n - 2))
    share = at - whole
    around = [whole + offset for offset in (-1, 0, 1, 2)]
    a, b, c, d = (values[each % n if closed else np.clip(each, 0, n - 1)] for each in around)
    curve: F64 = b + share * (c - a + share * (2 * a - 5 * b + 4 * c - d + share * (3 * (b - c) + d - a))) / 2
    bounded: F64 = np.clip(curve, values.min(), values.max())
    return bounded
