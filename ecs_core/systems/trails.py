"""Trails: where particles were, as columns, and as lines behind them.

Places are kept at even times of the song rather than of frames, so that trails are alike at any frame rate, and as
columns, so that a simulation goes on from any snapshot.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    TRAIL_POINTS,
    Color,
    Hue,
    Look,
    Position,
    Speed,
    Trail,
    TrailPoints,
    Velocity,
    alive,
)
from ecs_core.ecs.resources import Canvas, Clock
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth, TrailDepths
from ecs_core.ecs.table import Column, Table
from ecs_core.ecs.world import System, World
from ecs_core.raster.sprites import Sprites
from ecs_core.systems.extraction import turned

f32 = np.float32
_JUMP = f32(64.0)  # units: a particle that moves so much farther than its velocity would take it was put elsewhere
_HEADS: tuple[tuple[type[Column], str], ...] = ((TrailPoints, "known"), (Look, "radius"), (Look, "light"))
_FASTER = f32(4.0)  # times its velocity that a particle may move within a frame


class TrailSystem(System):
    """Keeps the places of particles that have a Trail; one that was put elsewhere begins a new one.

    What has died stays where its trail ends, whatever else would move it.
    """

    phase = Phase.SHADE
    needs = (Trail, TrailPoints, Position, Velocity)
    reads = (Velocity,)
    writes = (Position, Depth, TrailPoints, TrailDepths)

    def process(self) -> None:
        world, clock = self.world, self.world.get(Clock)
        now = clock.t
        kinds = (Table, Trail, TrailPoints, Position, Velocity)
        in_space = (Speed, Depth, TrailDepths)
        for entity, (table, trail, path, position, velocity, speed, depth, deep) in world.query(
            *kinds, optional=in_space
        ):
            factor = f32(1.0 if speed is None else speed.factor)
            _, _, first_x = world.derived(entity, table, _rows)

            def kept(row: int, table: Table = table) -> F32:
                """The places of all rows along an axis, the newest first."""
                return table.values[row : row + TRAIL_POINTS, : len(table)]

            axes = [
                (position.x, path.x, velocity.x * factor, kept(first_x)),
                (position.y, path.y, velocity.y * factor, kept(first_x + TRAIL_POINTS)),
            ]
            if depth is not None and deep is not None:
                axes.append((depth.z, deep.z, depth.vz * factor, kept(table.row_of(TrailDepths, "z0"))))
            living = alive(path)
            if living is not None:
                path.gone[~living] += f32(clock.dt)
                for here, before, v, _ in axes:
                    here[~living], v[~living] = before[~living], 0
            (x, last_x, vx, _), (y, last_y, vy, _), *in_depth = axes
            jumped = np.hypot(x - last_x, y - last_y) > _JUMP + _FASTER * f32(clock.dt) * np.hypot(vx, vy)
            for z, last_z, vz, _ in in_depth:
                jumped |= np.abs(z - last_z) > _JUMP + _FASTER * f32(clock.dt) * np.abs(vz)
            path.known[jumped] = 0
            for here, before, _, _ in axes:
                before[:] = here
            step = trail.seconds / (TRAIL_POINTS - 1)
            first, last = _steps(now - clock.dt, step), _steps(now, step)
            for tick in range(max(first, last - TRAIL_POINTS) + 1, last + 1):
                back = f32(now - tick * step)
                for here, _, v, places in axes:
                    places[1:] = places[:-1].copy()
                    places[0] = here - v * back
                np.minimum(path.known + 1, TRAIL_POINTS, out=path.known)


class TrailLines(System):
    """Draws trails, behind the particles."""

    phase = Phase.EXTRACT
    needs = (Trail, TrailPoints, Position, Look, Color)
    reads = (TrailPoints, Position, Look, Color)

    def process(self) -> None:
        world = self.world
        now = world.get(Clock).t
        kinds = (Table, Trail, TrailPoints, Look, Color)
        in_space = (Hue, Depth, TrailDepths)
        for entity, (table, trail, path, look, color, hue, depth, deep) in world.query(*kinds, optional=in_space):
            n = len(table)
            if not n:
                continue
            step = trail.seconds / (TRAIL_POINTS - 1)
            since = now / step - _steps(now, step)
            if depth is not None and deep is not None:
                _draw_in_space(world, table, trail, since, _gone(path, trail), turned(color, hue))
                continue
            out = np.empty((9, n * TRAIL_POINTS), np.float32)
            rows = world.derived(entity, table, _rows)
            points = np.empty((2, TRAIL_POINTS + 1), np.float32)
            count = kernels.trails.trace(
                table.values, n, *rows, path.known, look.radius, _gone(path, trail), since, trail.taper, out, points
            )
            lines, of = out[:, :count], out[8, :count].astype(np.int64)
            light = lines[5] * look.light[of] * f32(trail.light)
            red, green, blue = (channel[of] for channel in turned(color, hue))
            nothing = np.zeros(count, np.float32)
            trails = Sprites(
                lines[0],
                lines[1],
                lines[4],
                red * light,
                green * light,
                blue * light,
                nothing,
                np.zeros(count, np.uint8),
                None,
                lines[2],
                lines[3],
                lines[6],
                lines[7],
            )
            world.draw(trails)
            left_behind = _left_behind(trails, path.wrapped_x[of], path.wrapped_y[of], world.get(Canvas))
            if len(left_behind):
                world.draw(left_behind)


def _left_behind(trails: Sprites, wrapped_x: F32, wrapped_y: F32, canvas: Canvas) -> Sprites:
    """What is still to be seen of trails where their particles have left the picture, before they wrapped."""
    assert trails.dx is not None
    assert trails.dy is not None
    seen = (wrapped_x != 0) | (wrapped_y != 0)
    if not seen.any():
        return trails.where(seen)
    reach = kernels.raster.CORE_REACH * trails.radius
    x, y = trails.x - wrapped_x, trails.y - wrapped_y
    for begin, way, end in ((x, trails.dx, canvas.width), (y, trails.dy, canvas.height)):
        seen &= (np.minimum(begin, begin + way) - reach < f32(end)) & (np.maximum(begin, begin + way) + reach > 0)
    return replace(trails, x=x, y=y).where(seen)


def _draw_in_space(
    world: World, table: Table, trail: Trail, since: float, gone: F32, colours: tuple[F32, F32, F32]
) -> None:
    """Draw the trails of particles that have depth: a line from each place to the one before it."""
    n, last = len(table), TRAIL_POINTS - 1

    def places(here: type[Column], field: str, kind: type[Column]) -> F32:
        """Where heads are, and before that, (places + 1, rows)."""
        rows = table.row_of(here, field), table.row_of(kind, f"{field}0")
        path = np.concatenate([table.values[rows[0], :n][None], table.values[rows[1] : rows[1] + TRAIL_POINTS, :n]])
        path[-1] = path[-2] + (path[-1] - path[-2]) * f32(1 - since)  # the last part leaves evenly
        return path

    x, y = (places(Position, field, TrailPoints) for field in ("x", "y"))
    z = places(Depth, "z", TrailDepths)
    known, radius, light = (table.values[table.row_of(*field), :n] for field in _HEADS)
    # What has passed at each place, as a share of the trail; 0 at the head.
    passed = np.minimum((np.arange(TRAIL_POINTS + 1) - f32(1) + f32(since)) / last, 1).astype(np.float32)[:, None]
    passed[0] = 0
    before_death = (passed > gone) | (gone == 0)  # of the dead: the places where they were alive
    for path in (x, y, z):
        np.copyto(path, path[0], where=~before_death)
    passed = np.maximum(passed, gone)
    left, there = 1 - passed, 1 - f32(trail.taper) * passed
    steps, of = np.nonzero(
        (np.arange(TRAIL_POINTS)[:, None] < known) & (radius > 0) & (left[:-1] > 0) & before_death[1:]
    )
    bright = (left[steps, of] ** 2) * light[of] * f32(trail.light)
    world.draw(
        Sprites(
            x[steps, of],
            y[steps, of],
            radius[of] * there[steps, of],
            colours[0][of] * bright,
            colours[1][of] * bright,
            colours[2][of] * bright,
            np.zeros(len(of), np.float32),
            np.zeros(len(of), np.uint8),
            dx=x[steps + 1, of] - x[steps, of],
            dy=y[steps + 1, of] - y[steps, of],
            taper=there[steps + 1, of] / np.maximum(there[steps, of], f32(1e-6)),
            fade=(left[steps + 1, of] / left[steps, of]) ** 2,
            z=z[steps, of],
            dz=z[steps + 1, of] - z[steps, of],
        )
    )


def _gone(path: TrailPoints, trail: Trail) -> F32:
    """The share of its trail that has passed since a particle's death, (rows,): 0 while it lives."""
    gone: F32 = np.minimum(path.gone / f32(trail.seconds), f32(1))
    return gone


def _steps(seconds: float, step: float) -> int:
    """How many whole steps of a trail the song has made."""
    return int(np.floor(seconds / step + 1e-9))


def _rows(world: World, entity: int, table: Table) -> tuple[int, int, int]:
    """The rows of the table's values that hold x and y, and the first of its trail points."""
    return table.row_of(Position, "x"), table.row_of(Position, "y"), table.row_of(TrailPoints, "x0")
