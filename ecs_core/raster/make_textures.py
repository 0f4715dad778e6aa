"""``python -m ecs_core.raster.make_textures``: write ``textures.npz`` anew, the pictures that sprites can have.

Each is drawn from distances to simple shapes, four times as fine as it is kept. A change of the file changes frames.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import U8
from ecs_core.raster.textures import BUILT_IN, FILE, SIDE

F64 = NDArray[np.float64]
_FINE = 4  # samples per kept pixel and direction
_SOFT = 0.014  # over which an edge fades out, of half a side


def make_textures() -> dict[str, U8]:
    """All pictures by name, (2, SIDE, SIDE) uint8 each: alpha, and shade where there is any."""
    n = SIDE * _FINE
    y, x = (np.mgrid[0:n, 0:n].astype(np.float64) + 0.5) / n * 2 - 1
    made = {}
    for name in BUILT_IN:
        alpha, shade = _DRAWN[name](x, y)
        alpha, shaded = _coarse(alpha), _coarse(alpha * shade)
        shade = np.divide(shaded, alpha, out=np.ones_like(alpha), where=alpha > 0)
        made[name] = np.round(255 * np.clip([alpha, shade], 0, 1)).astype(np.uint8)
    return made


def _coarse(fine: F64) -> F64:
    """Means of squares of samples."""
    mean: F64 = np.clip(fine, 0, 1).reshape(SIDE, _FINE, SIDE, _FINE).mean(axis=(1, 3))
    return mean


def _inside(distance: F64, soft: float = _SOFT) -> F64:
    """1 where a distance is negative, 0 where it is positive, smooth over ``soft``."""
    t = np.clip(0.5 - distance / soft, 0, 1)
    return t * t * (3 - 2 * t)


def _segment(x: F64, y: F64, a: tuple[float, float], b: tuple[float, float]) -> tuple[F64, F64]:
    """The distance from a segment, and how far along it the nearest point is, 0–1."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    along = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - a[0] - along * dx, y - a[1] - along * dy), along


def _union(a: F64, b: F64, *, round_by: float) -> F64:
    """The distance from two shapes that flow into each other."""
    h = np.clip(0.5 + 0.5 * (b - a) / round_by, 0, 1)
    return b + (a - b) * h - round_by * h * (1 - h)


def _outline(x: F64, y: F64, width: Callable[[F64], F64], top: float, bottom: float) -> F64:
    """About the distance from a shape that is as wide at each height as ``width`` says, of 0–1 from top to bottom."""
    t = np.clip((y - top) / (bottom - top), 0, 1)
    half = width(t)
    slope = np.gradient(half[:, 0], y[:, 0])[:, None]
    side = (np.abs(x) - half) / np.sqrt(1 + np.minimum(slope * slope, 9))
    distance: F64 = np.maximum(side, np.maximum(top - y, y - bottom))
    return distance


def _petal(x: F64, y: F64) -> tuple[F64, F64]:
    """A petal of a cherry: narrow at its base, broad above, with a notch in its tip and veins that fan out."""
    bend = x + 0.05 * (1 - y * y) - 0.03  # a little bent, so that no two turns look alike
    t = np.clip((0.86 - y) / 1.72, 0, 1)  # from the base to the tip
    half = 0.66 * np.sin(np.pi * t**0.86) ** 0.72 * (0.30 + 0.70 * t**0.62) * 1.12
    rim = (np.abs(bend) - half) * 0.72
    outside = np.maximum(rim, np.maximum(-0.86 - y, y - 0.86))
    notch = (0.34 - (y + 0.98)) * 0.55 - 1.15 * np.abs(bend) + 0.02  # a wedge that points downwards
    distance = -_union(-outside, -notch, round_by=0.09)
    alpha = _inside(distance, 2 * _SOFT)
    up = np.clip(t, 0, 1)
    angle = bend / (0.18 + 0.9 * up)
    veins = np.exp(-((np.sin(angle * 13.0) / 0.42) ** 2)) * np.clip(np.sin(np.pi * np.clip(up, 0, 1)), 0, 1) ** 1.4
    fold = np.exp(-((bend / 0.05) ** 2)) * (1 - up) * 0.10
    edge = np.exp(-(((distance + 0.0) / 0.12) ** 2))
    shade = 0.80 + 0.20 * up**0.8 - 0.055 * veins - fold + 0.03 * edge + 0.05 * bend
    return alpha * (0.90 + 0.10 * edge), np.clip(shade, 0, 1)


def _flake(x: F64, y: F64) -> tuple[F64, F64]:
    """A crystal of snow: six arms with branches that become shorter towards the tip, and a hexagon in the middle."""
    angle = np.arctan2(y, x)
    radius = np.hypot(x, y)
    folded = np.abs((angle + np.pi / 6) % (np.pi / 3) - np.pi / 6)
    u, v = radius * np.cos(folded), radius * np.sin(folded)
    arm, along = _segment(u, v, (0.0, 0.0), (0.90, 0.0))
    distance = arm - (0.050 - 0.020 * along)
    for at, length in ((0.30, 0.17), (0.48, 0.25), (0.66, 0.19), (0.80, 0.09)):
        c, s = np.cos(np.pi / 3), np.sin(np.pi / 3)
        twig, far = _segment(u, v, (at, 0.0), (at + length * c, length * s))
        distance = _union(distance, twig - (0.036 - 0.014 * far), round_by=0.03)
    hexagon = np.abs(np.maximum(u, u * 0.5 + v * 0.8660254) - 0.17) - 0.028
    distance = _union(distance, hexagon, round_by=0.03)
    core = np.exp(-((radius / 0.16) ** 2)) * 0.55
    alpha = np.maximum(_inside(distance, 1.6 * _SOFT), core)
    return alpha, 0.86 + 0.14 * np.exp(-((radius / 0.5) ** 2))


def _spark(x: F64, y: F64) -> tuple[F64, F64]:
    """A spark: four long rays, four short ones between them, and a bright middle."""
    radius = np.hypot(x, y)
    fade = np.clip(1 - radius, 0, 1)
    a, b = (x + y) * 0.70710678, (x - y) * 0.70710678

    def ray(along: F64, across: F64, length: float, width: float) -> F64:
        left = np.clip(1 - np.abs(along) / length, 0, 1)
        return left**1.5 * np.exp(-((across / (width * (0.25 + 0.75 * left))) ** 2))

    rays = np.maximum(ray(x, y, 0.97, 0.045), ray(y, x, 0.97, 0.045))
    short = 0.7 * np.maximum(ray(a, b, 0.5, 0.04), ray(b, a, 0.5, 0.04))
    core = np.exp(-((radius / 0.13) ** 2))
    halo = 0.16 * np.exp(-((radius / 0.34) ** 2))
    alpha = (1 - (1 - rays) * (1 - short) * (1 - core) * (1 - halo)) * np.minimum(1, 8 * fade)
    return alpha, np.ones_like(x)


def _noise(x: F64, y: F64, cells: int, key: int) -> F64:
    """Smooth noise, 0–1, of ``cells`` per unit: the same everywhere, as its grid comes from a multiplication."""
    u, v = (x + 1) * cells, (y + 1) * cells
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    a, b = u - i, v - j
    a, b = (t * t * t * (t * (6 * t - 15) + 10) for t in (a, b))

    def grid(di: int, dj: int) -> F64:
        h = ((i + di) * 374761393 + (j + dj) * 668265263 + key * 974634777) & 0x7FFFFFFF
        h = ((h ^ (h >> 13)) * 1274126177) & 0x7FFFFFFF
        found: F64 = ((h ^ (h >> 16)) & 0xFFFF) / 65535.0
        return found

    top = grid(0, 0) + a * (grid(1, 0) - grid(0, 0))
    low = grid(0, 1) + a * (grid(1, 1) - grid(0, 1))
    return top + b * (low - top)


def _smoke(x: F64, y: F64) -> tuple[F64, F64]:
    """A puff of smoke: billows that are dense in the middle and thin out, lit from above."""
    wx = x + 0.22 * (_noise(x, y, 3, 1) - 0.5)
    wy = y + 0.22 * (_noise(x, y, 3, 2) - 0.5)
    cloud = sum(_noise(wx, wy, 2 << k, 3 + k) * 0.5**k for k in range(5)) / 1.9375
    radius = np.hypot(wx, wy)
    puff = np.clip(1 - radius / 0.92, 0, 1)
    puff = puff * puff * (3 - 2 * puff)
    dense = np.clip(1.9 * puff * (0.2 + 1.2 * cloud) - 0.22, 0, 1.6)
    alpha = (1 - np.exp(-1.5 * dense)) * np.clip((1 - np.hypot(x, y)) * 6, 0, 1)
    above = sum(_noise(wx, wy + 0.08, 2 << k, 3 + k) * 0.5**k for k in range(5)) / 1.9375
    return alpha, np.clip(0.86 + 1.1 * (cloud - above) - 0.12 * y, 0.5, 1)


def _leaf(x: F64, y: F64) -> tuple[F64, F64]:
    """A maple leaf of seven pointed lobes on a stalk, with a vein into each of them."""
    px, py = x, y - 0.30  # veins come together here
    angle, radius = np.arctan2(px, -py), np.hypot(px, py)  # from straight up
    lobes = ((0.0, 1.16, 0.30), (0.80, 1.00, 0.27), (1.58, 0.80, 0.23), (2.28, 0.50, 0.20))
    reach = np.full_like(x, 0.20)
    veins = np.full_like(x, 1e3)
    for towards, length, width in lobes:
        off = np.abs(np.abs(angle) - towards)
        tip = np.clip(1 - off / (width * 1.55), 0, 1)
        reach = np.maximum(reach, 0.20 + (length - 0.20) * tip**1.25)
        for side in (-1, 1) if towards else (1,):
            end = (side * length * np.sin(towards) * 0.93, -length * np.cos(towards) * 0.93)
            line, along = _segment(px, py, (0.0, 0.0), end)
            veins = np.minimum(veins, line / (1.15 - along))
    teeth = 1 + 0.035 * (np.abs((radius * 9) % 1 - 0.5) - 0.25) * (reach > 0.3)
    distance = (radius - reach * teeth) * 0.42
    stalk, along = _segment(x - 0.05 * (y - 0.3) ** 2 * 2, y, (0.0, 0.30), (0.0, 0.96))
    distance = _union(distance, stalk - (0.030 - 0.008 * along), round_by=0.03)
    alpha = _inside(distance, 1.6 * _SOFT)
    vein = np.exp(-((veins / 0.022) ** 2))
    shade = 0.84 + 0.14 * np.clip(radius, 0, 1) - 0.17 * vein * np.clip(1.1 - radius, 0, 1)
    return alpha, np.clip(shade, 0, 1)


def _note(x: F64, y: F64) -> tuple[F64, F64]:
    """A quaver: a slanted head, a stem, and a flag that swings down."""
    hx, hy = x + 0.24, y - 0.60
    c, s = np.cos(0.42), np.sin(0.42)
    u, v = (hx * c - hy * s) / 0.315, (hx * s + hy * c) / 0.215
    head = (np.hypot(u, v) - 1) * 0.215
    stem, _ = _segment(x, y, (0.035, 0.52), (0.035, -0.84))
    distance = np.minimum(head, stem - 0.034)
    t = np.clip((y + 0.84) / 1.02, 0, 1)  # along the flag, from the top
    middle = 0.035 + 0.50 * np.sin(np.pi * 0.62 * np.clip(t * 1.04, 0, 1)) ** 1.35 * (1 - 0.32 * t**3)
    thick = 0.118 * (1 - t) ** 0.8 * (0.35 + 1.3 * np.clip(t * 3, 0, 1)) - 0.004
    flag = np.maximum(np.abs(x - middle) * 0.75 - thick, np.maximum(-0.84 - y, y - 0.18))
    distance = _union(distance, flag, round_by=0.035)
    return _inside(distance, 1.4 * _SOFT), np.ones_like(x)


def _sun(x: F64, y: F64) -> tuple[F64, F64]:
    """A low sun as printed from wood: a disc whose colour thins out towards its lower edge."""
    low = np.clip((y + 0.25) / 1.15, 0, 1)
    return _inside(np.hypot(x, y) - 0.96, 1.6 * _SOFT) * (1 - 0.72 * low * low * (3 - 2 * low)), np.ones_like(x)


_DRAWN = {"flake": _flake, "leaf": _leaf, "note": _note, "petal": _petal, "smoke": _smoke, "spark": _spark, "sun": _sun}


if __name__ == "__main__":
    np.savez_compressed(FILE, allow_pickle=False, **make_textures())
    print(FILE)
