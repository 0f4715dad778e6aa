"""Trails: the places where particles were, as lines."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32, Scalar
from ecs_core.kernels.jit import kernel

f32 = np.float32

# Units: points nearer than this to a straight line are left out. With more, light would jump from frame to frame.
_STRAIGHT = f32(0.15)
_SHORTEST = f32(0.25)  # units


@kernel("f4[:, ::1], i8, i8, i8, i8, f4[::1], f4[::1], f4[::1], f8, f8, f4[:, ::1], f4[:, ::1]")
def trace(
    values: F32, rows: int, x: int, y: int, first: int, known: F32, radius: F32, gone: F32, since: Scalar,
    taper: Scalar, out: F32, points: F32,
) -> int:  # fmt: skip
    """Write the trails of ``rows`` particles as lines into ``out``, and return their number.

    ``values`` is a table's (fields, rows); ``x`` and ``y`` are its rows of the heads, and from ``first`` on those of
    the places before them: n times x, the newest first, then n times y. ``known`` (rows,) says how many of those there
    are; ``gone`` (rows,) is the time since a particle died where its head is, as a share of the trail's, or 0.
    ``since`` is the share of a step that has passed since the newest place. ``out`` is (9, rows × n): x and y, dx and
    dy, radius (units), light as a share of the head's, what radius and light are at the other end (shares of here), and
    the particle. ``points`` is scratch of (2, n + 1).
    """
    since, taper = f32(since), f32(taper)
    n = out.shape[1] // max(rows, 1)
    per_step = f32(1.0) / f32(n - 1)
    count = 0
    px, py = points[0], points[1]
    for i in range(rows):
        last = min(int(known[i]), n)
        if last == 0 or radius[i] <= f32(0.0):
            continue
        px[0], py[0] = values[x, i], values[y, i]
        for k in range(last):
            px[k + 1], py[k + 1] = values[first + k, i], values[first + n + k, i]
        if last == n:  # the last part leaves evenly, so that the end glides
            px[n] = px[n - 1] + (px[n] - px[n - 1]) * (f32(1.0) - since)
            py[n] = py[n - 1] + (py[n] - py[n - 1]) * (f32(1.0) - since)
        begin, share = 0, gone[i]
        if share > f32(0.0):  # what a dead particle left behind begins where it died
            while begin < last and (f32(begin) + since) * per_step <= share:
                begin += 1
            px[begin], py[begin] = px[0], py[0]
        while begin < last:
            end = begin + 1
            while end < last:
                dx, dy = px[end + 1] - px[begin], py[end + 1] - py[begin]
                length = np.sqrt(dx * dx + dy * dy)
                far = False
                for k in range(begin + 1, end + 1):
                    ox, oy = px[k] - px[begin], py[k] - py[begin]
                    along = (ox * dx + oy * dy) / max(length, f32(1e-6))
                    across = abs(ox * dy - oy * dx) / max(length, f32(1e-6))
                    if across > _STRAIGHT or along < -_STRAIGHT or along > length + _STRAIGHT:
                        far = True
                        break
                if far:
                    break
                end += 1
            ahead = min((f32(end) - f32(1.0) + since) * per_step, f32(1.0))
            dx, dy = px[end] - px[begin], py[end] - py[begin]
            if abs(dx) + abs(dy) > _SHORTEST:
                here, there = f32(1.0) - taper * share, f32(1.0) - taper * ahead
                out[0, count], out[1, count], out[2, count], out[3, count] = px[begin], py[begin], dx, dy
                out[4, count] = radius[i] * here
                begins, ends = f32(1.0) - share, f32(1.0) - ahead  # the root of the light, as lines want it
                out[5, count] = begins * begins
                out[6, count] = there / here
                out[7, count] = (ends / max(begins, f32(1e-6))) ** 2
                out[8, count] = f32(i)
                count += 1
            begin, share = end, ahead
    return count
