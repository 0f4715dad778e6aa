"""The appearance of all particles of a population, and values that bindings change."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64, Scalar
from ecs_core.kernels.jit import inline_kernel, kernel

f32 = np.float32

OPS = {"multiply": 0, "add": 1, "set": 2}
_MULTIPLY, _ADD = OPS["multiply"], OPS["add"]


@inline_kernel
def _sine(turns: f32) -> f32:
    """sin(2π · turns) for turns in [0, 1), to 5e-6.

    The Taylor series of a quarter turn: the sine of the C library is slow, and another one on another machine.
    """
    half = turns - f32(0.5)
    quarter = f32(0.25) - abs(f32(0.25) - abs(half))
    square = quarter * quarter
    sine = quarter * (
        f32(6.2831853) + square * (
            f32(-41.341702) + square * (f32(81.605249) + square * (f32(-76.705860) + square * f32(42.058694)))
        )
    )  # fmt: skip
    return -sine if half > f32(0.0) else sine


@kernel("f4[::1], f4[::1], f4[::1], f8, f8, f8")
def twinkle(light: F32, phase: F32, rate: F32, dt: Scalar, middle: Scalar, swing: Scalar) -> None:
    """Advance phases by rates × ``dt``, and scale light by a sine of them; all (n,) float32, in place."""
    dt, middle, swing = f32(dt), f32(middle), f32(swing)
    for i in range(light.size):
        turned = phase[i] + rate[i] * dt
        turned -= np.floor(turned)
        phase[i] = turned
        light[i] *= middle + swing * _sine(turned)


@kernel("f4[::1], f4[::1], f4[::1], f8, f8, f8, f8")
def fade_with_distance(
    light: F32, x: F32, y: F32, from_x: Scalar, from_y: Scalar, reach: Scalar, floor: Scalar
) -> None:
    """Scale light by 1 at a point, falling to ``floor`` at a distance of ``reach``."""
    from_x, from_y, reach, floor = f32(from_x), f32(from_y), f32(reach), f32(floor)
    for i in range(light.size):
        dx, dy = x[i] - from_x, y[i] - from_y
        light[i] *= max(floor, f32(1.0) - (f32(1.0) - floor) * np.sqrt(dx * dx + dy * dy) / reach)


@kernel("f4[::1], f4[::1], f4[::1], f8, f8, f8, f8, f8")
def scale_with_distance(
    radius: F32, x: F32, y: F32, from_x: Scalar, from_y: Scalar, reach: Scalar, near: Scalar, far: Scalar
) -> None:
    """Scale radii by ``near`` at a point, changing evenly to ``far`` at a distance of ``reach`` and beyond."""
    from_x, from_y, reach, near, far = f32(from_x), f32(from_y), f32(reach), f32(near), f32(far)
    for i in range(radius.size):
        dx, dy = x[i] - from_x, y[i] - from_y
        radius[i] *= near + (far - near) * min(f32(1.0), np.sqrt(dx * dx + dy * dy) / reach)


@kernel("f4[::1], f4[::1], f4[:, ::1], f4[::1], f4[::1], f4[::1]")
def paint(at: F32, light: F32, colours: F32, red: F32, green: F32, blue: F32) -> None:
    """Set colours to ``light`` times those that lie between the rows of ``colours`` at 0–1; what is no number is 0."""
    last = colours.shape[0] - 1
    for i in range(at.size):
        place = at[i] * f32(last)
        place = min(place, f32(last)) if place > f32(0.0) else f32(0.0)
        one = int(place)
        other = min(one + 1, last)
        share = place - f32(one)
        red[i] = light[i] * (colours[one, 0] + share * (colours[other, 0] - colours[one, 0]))
        green[i] = light[i] * (colours[one, 1] + share * (colours[other, 1] - colours[one, 1]))
        blue[i] = light[i] * (colours[one, 2] + share * (colours[other, 2] - colours[one, 2]))


@kernel("i8[::1], f4[::1], f4[:, ::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[::1]")
def paint_in_turn(
    birth: I64, light: F32, colours: F32, factors: F32, red: F32, green: F32, blue: F32, shown: F32
) -> None:
    """Set colours to ``light`` times one of the ``colours`` each, in turn by birth id, and scale the light that is
    ``shown`` by its factor.
    """
    for i in range(light.size):
        one = birth[i] % colours.shape[0]
        red[i] = light[i] * colours[one, 0]
        green[i] = light[i] * colours[one, 1]
        blue[i] = light[i] * colours[one, 2]
        shown[i] *= factors[one]


@kernel("f4[::1], i8, f4, f4, f4")
def drive(values: F32, op: int, amount: float, low: float, high: float) -> None:
    """Multiply values by 1 + ``amount``, add it or set them to it, within limits; (n,) float32, in place."""
    factor = f32(1.0) + amount
    for i in range(values.size):
        driven = amount
        if op == _MULTIPLY:
            driven = values[i] * factor
        elif op == _ADD:
            driven = values[i] + amount
        values[i] = min(max(driven, low), high)
