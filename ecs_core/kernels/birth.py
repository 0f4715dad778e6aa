"""Births: the first values of new particles, drawn by Philox from their birth ids.

A draw depends on the seed, the population and the birth id alone: a particle is the same however many others are born
with it.
"""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64
from ecs_core.kernels.jit import inner_kernel, kernel
from ecs_core.kernels.rng import philox

f32 = np.float32

# Rows of ``draws``, each (is a Pareto, low, high, tail or alpha), and the uniform number that each one takes.
SIZE, SPEED, ORBIT, DRIFT_X, DRIFT_Y, SPAN, GROWTH, PULSE, LIGHT = range(9)
_ALONG, _ACROSS, _DIRECTION, _PHASE, _COLOUR, _SINCE = range(9, 15)
SCRATCH = (3, 16)  # shape of ``scratch``: uniform numbers, what is drawn by them, and the values of the fields
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
_ZERO, _HALF, _ONE, _TWO = f32(0.0), f32(0.5), f32(1.0), f32(2.0)
_LEAST, _PER_24_BITS = f32(1e-6), f32(1.0 / 16777216.0)


@inner_kernel
def _draw(draw: F32, u: f32) -> f32:
    """What a row of ``draws`` makes of a uniform number."""
    low, high, exponent = draw[1], draw[2], draw[3]
    drawn: f32 = low
    if low == high:
        return drawn
    if draw[0] != _ZERO:
        drawn = min(low * (_ONE - u) ** (-_ONE / exponent), high)
    elif exponent == _ONE:
        drawn = low + (high - low) * u
    else:
        drawn = low + (high - low) * u**exponent
    return drawn


@kernel("f4[:, ::1], i8[::1], i8, i8, i8[::1], f4[:, ::1], f4[::1], f4[:, ::1], f4, i8, i8, i8, f4[:, ::1], f4[::1]")
def bear(
    values: F32, birth: I64, first: int, last: int, fields: I64, draws: F32, shape: F32, palette: F32, dt: float,
    k0: int, k1: int, stream: int, scratch: F32, until: F32,
) -> None:  # fmt: skip
    """Write the first values of the rows from ``first`` up to but not including ``last``.

    ``values`` is a table's (fields, rows), ``birth`` its birth ids; ``fields``, ``draws`` and ``shape`` are as above;
    ``palette`` is (colours, 3), ``scratch`` SCRATCH. If ``dt`` (s) is not 0, particles were born at random times of the
    frame: they start as much before their place as they travel until their birth, and as much younger than 0.
    ``until``, (last - first,), is set to the seconds from the beginning of the frame to each birth.
    """
    uniforms, drawn, born = scratch[0], scratch[1], scratch[2]
    smallest, largest, by_size = shape[_SMALLEST], shape[_LARGEST], shape[_SPEED_WITH_SIZE]
    for row in range(first, last):
        identity = int(birth[row])
        for block in range(4):
            a, b, c, d = philox(identity & 0xFFFFFFFF, (identity >> 32) & 0xFFFFFFFF, stream, block, k0, k1)
            uniforms[4 * block] = f32(a >> 8) * _PER_24_BITS
            uniforms[4 * block + 1] = f32(b >> 8) * _PER_24_BITS
            uniforms[4 * block + 2] = f32(c >> 8) * _PER_24_BITS
            uniforms[4 * block + 3] = f32(d >> 8) * _PER_24_BITS
        for which in range(len(draws)):
            drawn[which] = _draw(draws[which], uniforms[which])
        radius = min(max(drawn[SIZE], smallest), largest)
        dx, dy, turns = _ZERO, _ZERO, uniforms[_DIRECTION]
        if shape[_KIND] == _AREA:
            dx, dy = (uniforms[_ALONG] - _HALF) * shape[_WIDTH], (uniforms[_ACROSS] - _HALF) * shape[_HEIGHT]
        elif shape[_KIND] == _RING:
            inner, outer = shape[_INNER] * shape[_INNER], shape[_OUTER] * shape[_OUTER]
            away, angle = np.sqrt(inner + (outer - inner) * uniforms[_ALONG]), _TAU * uniforms[_ACROSS]
            dx, dy = away * np.cos(angle), away * np.sin(angle)
        away = np.sqrt(dx * dx + dy * dy)
        angle = _TAU * turns
        if shape[_HAS_DIRECTION] != _ZERO:
            angle = shape[_TOWARDS] + shape[_SPREAD] * (_TWO * turns - _ONE)
        if shape[_HAS_DIRECTION] == _ZERO and away > _LEAST:
            across, down = dx / away, dy / away
        else:
            across, down = np.cos(angle), np.sin(angle)
        speed = drawn[SPEED]
        if by_size != _ZERO:
            slowest, fastest = draws[SPEED, 1], draws[SPEED, 2]
            share = (radius - draws[SIZE, 1]) / max(draws[SIZE, 2] - draws[SIZE, 1], _LEAST)
            speed = (_ONE - by_size) * speed + by_size * (slowest + (fastest - slowest) * share)
        vx = across * speed - down * drawn[ORBIT] + drawn[DRIFT_X]
        vy = down * speed + across * drawn[ORBIT] + drawn[DRIFT_Y]
        wait = dt * uniforms[_SINCE]
        until[row - first] = wait
        light = drawn[LIGHT] + shape[_LIGHT_BY_SIZE] * radius
        colour = min(int(uniforms[_COLOUR] * f32(len(palette))), len(palette) - 1)
        born[0] = shape[_X] + dx - vx * wait * shape[_TRAVELLED]
        born[1] = shape[_Y] + dy - vy * wait * shape[_TRAVELLED]
        born[2], born[3] = vx, vy
        born[4], born[5] = -wait, drawn[SPAN]
        born[6], born[7] = radius, drawn[GROWTH]
        born[8], born[9] = max(shape[_SWING_LOW] * radius, smallest), min(shape[_SWING_HIGH] * radius, largest)
        born[10], born[11] = uniforms[_PHASE], drawn[PULSE]
        for channel in range(3):
            born[12 + channel] = palette[colour, channel] * light
        born[15] = light
        for field in range(len(fields)):
            if fields[field] >= 0:
                values[fields[field], row] = born[field]
