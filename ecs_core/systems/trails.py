"""Trails: where particles were, as columns, and as lines behind them.

Places are kept at even times of the song rather than of frames, so that trails are alike at any frame rate, and as
columns, so that a simulation goes on from any snapshot.
"""

from __future__ import annotations

import numpy as np

from ecs_core import kernels
from ecs_core.ecs.components import TRAIL_POINTS, Color, Hue, Look, Position, Speed, Trail, TrailPoints, Velocity
from ecs_core.ecs.resources import Clock
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System, World
from ecs_core.raster.sprites import Sprites
from ecs_core.systems.extraction import turned

f32 = np.float32
_JUMP = f32(64.0)  # units: a particle that moves so much farther than its velocity would take it was put elsewhere
_FASTER = f32(4.0)  # times its velocity that a particle may move within a frame


class TrailSystem(System):
    """Keeps the places of particles that have a Trail; one that was put elsewhere leaves its trail behind."""

    phase = Phase.SHADE
    needs = (Trail, TrailPoints, Position, Velocity)
    reads = (Position, Velocity)
    writes = (TrailPoints,)

    def process(self) -> None:
        world, clock = self.world, self.world.get(Clock)
        now = clock.t
        kinds = (Table, Trail, TrailPoints, Position, Velocity)
        for entity, (table, trail, path, position, velocity, speed) in world.query(*kinds, optional=(Speed,)):
            factor = f32(1.0 if speed is None else speed.factor)
            vx, vy = velocity.x * factor, velocity.y * factor
            moved = np.hypot(position.x - path.x, position.y - path.y)
            jumped = moved > _JUMP + _FASTER * f32(clock.dt) * np.hypot(vx, vy)
            path.known[jumped] = 0
            path.x[:], path.y[:] = position.x, position.y
            step = trail.seconds / (TRAIL_POINTS - 1)
            first, last = _steps(now - clock.dt, step), _steps(now, step)
            _, _, at = world.derived(entity, table, _rows)
            xs, ys = (table.values[row : row + TRAIL_POINTS, : len(table)] for row in (at, at + TRAIL_POINTS))
            for tick in range(max(first, last - TRAIL_POINTS) + 1, last + 1):
                back = f32(now - tick * step)
                for places, here, v in ((xs, position.x, vx), (ys, position.y, vy)):
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
        for entity, (table, trail, path, look, color, hue) in world.query(*kinds, optional=(Hue,)):
            n = len(table)
            if not n:
                continue
            step = trail.seconds / (TRAIL_POINTS - 1)
            since = now / step - _steps(now, step)
            out = np.empty((9, n * TRAIL_POINTS), np.float32)
            rows = world.derived(entity, table, _rows)
            count = kernels.trails.trace(table.values, n, *rows, path.known, look.radius, since, trail.taper, out)
            lines, of = out[:, :count], out[8, :count].astype(np.int64)
            light = lines[5] * look.light[of] * f32(trail.light)
            red, green, blue = (channel[of] for channel in turned(color, hue))
            nothing = np.zeros(count, np.float32)
            world.draw(
                Sprites(
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
            )


def _steps(seconds: float, step: float) -> int:
    """How many whole steps of a trail the song has made."""
    return int(np.floor(seconds / step + 1e-9))


def _rows(world: World, entity: int, table: Table) -> tuple[int, int, int]:
    """The rows of the table's values that hold x and y, and the first of its trail points."""
    return table.row_of(Position, "x"), table.row_of(Position, "y"), table.row_of(TrailPoints, "x0")
