"""Births: the first values of new particles, drawn by Philox from their birth ids.

A draw depends on the seed, the population and the birth id alone: a particle is the same however many others are born
with it.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64
from ecs_core.kernels.jit import inline_kernel, kernel
from ecs_core.kernels.rng import philox

f32 = np.float32

# Rows of ``draws``, each (is a Pareto, low, high, tail or alpha), and the uniform number that each one takes.
SIZE, SPEED, ORBIT, DRIFT_X, DRIFT_Y, SPAN, GROWTH, PULSE, LIGHT = range(9)
_ALONG, _ACROSS, _DIRECTION, _PHASE, _COLOUR, _SINCE = range(9, 15)
_UNIFORMS = 16
# Elements of ``fields``: the row of each field in the table, -1 if the particles lack it.
FIELDS = (
    ("Position", "x"), ("Position", "y"), ("Velocity", "x"), ("Velocity", "y"), ("Lifetime", "age"),
    ("Lifetime", "span"), ("Size", "value"), ("Growth", "rate"), ("Growth", "low"), ("Growth", "high"),
    ("Pulse", "phase"), ("Pulse", "rate"), ("Color", "r"), ("Color", "g"), ("Color", "b"), ("Brightness", "value"),
)  # fmt: skip
# Elements of ``shape``: numbers of a Birth.
(
    _KIND, _X, _Y, _WIDTH, _HEIGHT, _INNER, _OUTER, _HAS_DIRECTION, _TOWARDS, _SPREAD, _SPEED_WITH_SIZE, _SMALLEST,
    _LARGEST, _SWING_LOW, _SWING_HIGH, _LIGHT_BY_SIZE, _TRAVELLED,
) = range(17)  # fmt: skip
SHAPES = {"point": 0.0, "area": 1.0, "ring": 2.0}  # by kind
_AREA, _RING = f32(SHAPES["area"]), f32(SHAPES["ring"])
_TAU = f32(2.0 * np.pi)


@inline_kernel
def _drawn(draws: F32, which: int, uniforms: F32) -> f32:
    low, high, exponent, u = draws[which, 1], draws[which, 2], draws[which, 3], uniforms[which]
    drawn = low
    if low == high:
        pass
    elif draws[which, 0] != f32(0.0):
        drawn = min(low * (f32(1.0) - u) ** (f32(-1.0) / exponent), high)
    elif exponent == f32(1.0):
        drawn = low + (high - low) * u
    else:
        drawn = low + (high - low) * u**exponent
    return f32(drawn)


@inline_kernel
def _put(values: F32, fields: I64, field: int, row: int, value: f32) -> None:
    if fields[field] >= 0:
        values[fields[field], row] = value


@kernel("f4[:, ::1], i8[::1], i8, i8, i8[::1], f4[:, ::1], f4[::1], f4[:, ::1], f4, i8, i8, i8, f4[::1]")
def bear(
    values: F32, birth: I64, first: int, last: int, fields: I64, draws: F32, shape: F32, palette: F32, dt: float,
    k0: int, k1: int, stream: int, until: F32,
) -> None:  # fmt: skip
    """Write the first values of the rows from ``first`` up to but not including ``last``.

    ``values`` is a table's (fields, rows), ``birth`` its birth ids; ``fields``, ``draws`` and ``shape`` are as above;
    ``palette`` is (colours, 3). If ``dt`` (s) is not 0, particles were born at random times of the frame: they start as
    much before their place as they travel until their birth, and as much younger than 0. ``until``, (last - first,), is
    set to the seconds from the beginning of the frame to each birth.
    """
    uniforms = np.empty(_UNIFORMS, np.float32)
    scale = f32(1.0 / 16777216.0)
    for row in range(first, last):
        identity = int(birth[row])
        for block in range(_UNIFORMS // 4):
            words = philox(identity & 0xFFFFFFFF, (identity >> 32) & 0xFFFFFFFF, stream, block, k0, k1)
            uniforms[4 * block] = f32(words[0] >> 8) * scale
            uniforms[4 * block + 1] = f32(words[1] >> 8) * scale
            uniforms[4 * block + 2] = f32(words[2] >> 8) * scale
            uniforms[4 * block + 3] = f32(words[3] >> 8) * scale
        smallest, largest = shape[_SMALLEST], shape[_LARGEST]
        radius = min(max(_drawn(draws, SIZE, uniforms), smallest), largest)
        dx, dy = f32(0.0), f32(0.0)
        if shape[_KIND] == _AREA:
            dx, dy = (uniforms[_ALONG] - f32(0.5)) * shape[_WIDTH], (uniforms[_ACROSS] - f32(0.5)) * shape[_HEIGHT]
        elif shape[_KIND] == _RING:
            inner, outer = shape[_INNER] * shape[_INNER], shape[_OUTER] * shape[_OUTER]
            away, angle = np.sqrt(inner + (outer - inner) * uniforms[_ALONG]), _TAU * uniforms[_ACROSS]
            dx, dy = away * np.cos(angle), away * np.sin(angle)
        away = np.sqrt(dx * dx + dy * dy)
        if shape[_HAS_DIRECTION] != f32(0.0):
            angle = shape[_TOWARDS] + shape[_SPREAD] * (f32(2.0) * uniforms[_DIRECTION] - f32(1.0))
            across, down = np.cos(angle), np.sin(angle)
        elif away > f32(1e-6):
            across, down = dx / away, dy / away
        else:
            across, down = np.cos(_TAU * uniforms[_DIRECTION]), np.sin(_TAU * uniforms[_DIRECTION])
        speed, by_size = _drawn(draws, SPEED, uniforms), shape[_SPEED_WITH_SIZE]
        if by_size != f32(0.0):
            share = (radius - draws[SIZE, 1]) / max(draws[SIZE, 2] - draws[SIZE, 1], f32(1e-6))
            speed = (f32(1.0) - by_size) * speed + by_size * (
                draws[SPEED, 1] + (draws[SPEED, 2] - draws[SPEED, 1]) * share
            )
        orbit = _drawn(draws, ORBIT, uniforms)
        vx = across * speed - down * orbit + _drawn(draws, DRIFT_X, uniforms)
        vy = down * speed + across * orbit + _drawn(draws, DRIFT_Y, uniforms)
        wait = dt * uniforms[_SINCE]
        until[row - first] = wait
        _put(values, fields, 0, row, shape[_X] + dx - vx * wait * shape[_TRAVELLED])
        _put(values, fields, 1, row, shape[_Y] + dy - vy * wait * shape[_TRAVELLED])
        _put(values, fields, 2, row, vx)
        _put(values, fields, 3, row, vy)
        _put(values, fields, 4, row, -wait)
        _put(values, fields, 5, row, _drawn(draws, SPAN, uniforms))
        _put(values, fields, 6, row, radius)
        _put(values, fields, 7, row, _drawn(draws, GROWTH, uniforms))
        _put(values, fields, 8, row, max(shape[_SWING_LOW] * radius, smallest))
        _put(values, fields, 9, row, min(shape[_SWING_HIGH] * radius, largest))
        _put(values, fields, 10, row, uniforms[_PHASE])
        _put(values, fields, 11, row, _drawn(draws, PULSE, uniforms))
        light = _drawn(draws, LIGHT, uniforms) + shape[_LIGHT_BY_SIZE] * radius
        colour = min(int(uniforms[_COLOUR] * f32(palette.shape[_KIND])), palette.shape[_KIND] - 1)
        _put(values, fields, 12, row, palette[colour, 0] * light)
        _put(values, fields, 13, row, palette[colour, 1] * light)
        _put(values, fields, 14, row, palette[colour, 2] * light)
        _put(values, fields, 15, row, light)
