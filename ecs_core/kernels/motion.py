"""Motion of all particles of a population in one pass over memory, and curl noise."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, I64, Scalar
from ecs_core.kernels.jit import inline_kernel, kernel
from ecs_core.kernels.rng import philox

f32 = np.float32

_MASK = 0xFFFFFFFF


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f8, f8")
def advance(x: F32, y: F32, vx: F32, vy: F32, step: Scalar, keep: Scalar) -> None:
    """Positions += velocities × ``step`` (s), velocities × ``keep``; all (n,) float32, in place."""
    step, keep = f32(step), f32(keep)
    for i in range(x.size):
        x[i] += vx[i] * step
        y[i] += vy[i] * step
        vx[i] *= keep
        vy[i] *= keep


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f8, f8, f8")
def advance_aging(x: F32, y: F32, vx: F32, vy: F32, age: F32, step: Scalar, keep: Scalar, dt: Scalar) -> None:
    """As :func:`advance`, and ages += ``dt``."""
    step, keep, dt = f32(step), f32(keep), f32(dt)
    for i in range(x.size):
        x[i] += vx[i] * step
        y[i] += vy[i] * step
        vx[i] *= keep
        vy[i] *= keep
        age[i] += dt


@inline_kernel
def _reflect(position: f32, velocity: f32, low: f32, high: f32, bounce: f32) -> tuple[f32, f32]:
    # Selects instead of branches, so that the loop around them is vectorised.
    below, above = position < low, position > high
    inside = low + low - position if below else position
    inside = high + high - inside if above else inside
    inside = min(max(inside, low), high)  # it may cross the whole canvas in one step
    inward = bounce * abs(velocity) if below else velocity
    inward = -bounce * abs(velocity) if above else inward
    return inside, inward


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f4[::1], f8, f8, f8, f8, f8, f8")
def advance_reflecting(
    x: F32,
    y: F32,
    vx: F32,
    vy: F32,
    age: F32,
    step: Scalar,
    keep: Scalar,
    dt: Scalar,
    width: Scalar,
    height: Scalar,
    bounce: Scalar,
) -> None:
    """As :func:`advance_aging`, mirrored at the edges of ``width × height``, keeping ``bounce`` of the speed there."""
    step, keep, dt, width, height, bounce = f32(step), f32(keep), f32(dt), f32(width), f32(height), f32(bounce)
    zero = f32(0.0)
    for i in range(x.size):
        px, speed_x = _reflect(x[i] + vx[i] * step, vx[i] * keep, zero, width, bounce)
        x[i] = px
        vx[i] = speed_x
        py, speed_y = _reflect(y[i] + vy[i] * step, vy[i] * keep, zero, height, bounce)
        y[i] = py
        vy[i] = speed_y
        age[i] += dt


@kernel("f4[::1], f4[::1], f4[::1], f8, f8")
def wrap(x: F32, y: F32, margin: F32, width: Scalar, height: Scalar) -> None:
    """Move particles that left the canvas by more than their ``margin`` (units) to the opposite edge."""
    width, height = f32(width), f32(height)
    for i in range(x.size):
        across, down = width + f32(2.0) * margin[i], height + f32(2.0) * margin[i]
        x[i] -= across * np.floor((x[i] + margin[i]) / across)
        y[i] -= down * np.floor((y[i] + margin[i]) / down)


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f8, f8, f8, f8")
def attract(x: F32, y: F32, vx: F32, vy: F32, to_x: Scalar, to_y: Scalar, amount: Scalar, softness: Scalar) -> None:
    """Accelerate towards a point; ``amount`` is strength (units/s²) × dt, ``softness`` the square of units."""
    to_x, to_y, amount, softness = f32(to_x), f32(to_y), f32(amount), f32(softness)
    for i in range(x.size):
        dx, dy = to_x - x[i], to_y - y[i]
        pull = amount / np.sqrt(dx * dx + dy * dy + softness)
        vx[i] += pull * dx
        vy[i] += pull * dy


@kernel("f4[::1], f4[::1], i8[::1], i8, i8, i8, i8, f8")
def jitter(vx: F32, vy: F32, birth: I64, frame: int, k0: int, k1: int, stream: int, step: Scalar) -> None:
    """Add uniform steps of ± ``step`` to velocities, drawn for each birth id and ``frame``."""
    step = f32(step)
    scale = f32(1.0 / 8388608.0)
    for i in range(vx.size):
        across, down, _, _ = philox(int(birth[i]) & _MASK, frame & _MASK, stream, 1, k0, k1)
        vx[i] += step * (f32(across >> 8) * scale - f32(1.0))
        vy[i] += step * (f32(down >> 8) * scale - f32(1.0))


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f8")
def grow(size: F32, rate: F32, low: F32, high: F32, dt: Scalar) -> None:
    """Sizes += rates × ``dt`` within ``low`` and ``high``, where rates turn round."""
    dt = f32(dt)
    for i in range(size.size):
        grown = size[i] + rate[i] * dt
        if (grown < low[i] and rate[i] < f32(0.0)) or (grown > high[i] and rate[i] > f32(0.0)):
            rate[i] = -rate[i]
        size[i] = min(max(grown, low[i]), high[i])


@inline_kernel
def _hash(ix: int, iy: int, iz: int, seed: int) -> Scalar:
    """A number in [-1, 1) for a lattice point, by integer mixing (the finaliser of MurmurHash3)."""
    # Python integers masked to 32 bits: uint32 would warn of overflow when the compiler is off.
    h = ((ix & _MASK) * 0x8DA6B343 ^ (iy & _MASK) * 0xD8163841 ^ (iz & _MASK) * 0xCB1AB31F ^ seed) & _MASK
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & _MASK
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & _MASK
    h = h ^ (h >> 16)
    return f32((h ^ 0x80000000) - 0x80000000) * f32(1.0 / 2147483648.0)


@inline_kernel
def _fade(t: Scalar) -> Scalar:
    return t * t * t * (t * (t * f32(6.0) - f32(15.0)) + f32(10.0))


@inline_kernel
def _slope(t: Scalar) -> Scalar:
    return f32(30.0) * t * t * (t * (t - f32(2.0)) + f32(1.0))


@kernel("f4[::1], f4[::1], f4[::1], f4[::1], f8, f8, f8, i8")
def swirl(x: F32, y: F32, vx: F32, vy: F32, scale: Scalar, z: Scalar, amount: Scalar, seed: int) -> None:
    """Add ``amount`` × the curl of value noise to velocities.

    The flow is (∂N/∂y, -∂N/∂x) of a smooth noise N with lattice ``scale`` that changes with ``z``, so it has no
    divergence: it moves particles without gathering them (Bridson et al., "Curl-noise for procedural fluid
    flow", 2007).
    """
    scale, z, amount = f32(scale), f32(z), f32(amount)
    iz = int(np.floor(z))
    w = _fade(f32(z - f32(iz)))
    inverse = f32(1.0) / scale
    for i in range(x.size):
        gx, gy = x[i] * inverse, y[i] * inverse
        ix, iy = int(np.floor(gx)), int(np.floor(gy))
        tx, ty = gx - f32(ix), gy - f32(iy)
        n00 = _hash(ix, iy, iz, seed) * (f32(1.0) - w) + _hash(ix, iy, iz + 1, seed) * w
        n10 = _hash(ix + 1, iy, iz, seed) * (f32(1.0) - w) + _hash(ix + 1, iy, iz + 1, seed) * w
        n01 = _hash(ix, iy + 1, iz, seed) * (f32(1.0) - w) + _hash(ix, iy + 1, iz + 1, seed) * w
        n11 = _hash(ix + 1, iy + 1, iz, seed) * (f32(1.0) - w) + _hash(ix + 1, iy + 1, iz + 1, seed) * w
        u, v = _fade(tx), _fade(ty)
        along_x = _slope(tx) * ((n10 - n00) * (f32(1.0) - v) + (n11 - n01) * v)
        along_y = _slope(ty) * ((n01 - n00) * (f32(1.0) - u) + (n11 - n10) * u)
        vx[i] += amount * along_y
        vy[i] -= amount * along_x
