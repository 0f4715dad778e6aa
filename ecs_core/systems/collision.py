"""Collisions between the particles of a population, as discs, or as balls in space."""

from __future__ import annotations

import math

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import Collide, Position, Size, TrailPoints, Velocity, Walls, alive
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth
from ecs_core.ecs.world import System

_MOST_CELLS = 1 << 20


class CollideSystem(System):
    """Pushes overlapping discs apart and exchanges momentum."""

    phase = Phase.COLLIDE
    needs = (Collide, Position, Velocity, Size)
    reads = (Size,)
    writes = (Position, Velocity, Depth)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        kinds, optional = (Collide, Position, Velocity, Size), (Depth, TrailPoints)
        for entity, (collide, position, velocity, size, depth, path) in self.world.query(*kinds, optional=optional):
            columns = [position.x, position.y, velocity.x, velocity.y]
            if depth is not None:
                columns += [depth.z, depth.vz]
            living = alive(path)
            if living is None:
                self._collide(entity, collide, size.value, columns, canvas)
                continue
            those = [column[living] for column in columns]
            self._collide(entity, collide, size.value[living], those, canvas)
            for column, collided in zip(columns, those, strict=True):
                column[living] = collided

    def _collide(self, entity: int, collide: Collide, radius: F32, columns_of: list[F32], canvas: Canvas) -> None:
        """Let particles collide: places and velocities, x and y, and z if they have depth, are changed in place."""
        x, y, vx, vy, *deep = columns_of
        if len(x) < 2:
            return
        cell = cell_size(float(radius.max()), canvas)
        columns, rows = max(3, int(canvas.width / cell) + 1), max(3, int(canvas.height / cell) + 1)
        starts, order = np.empty(columns * rows + 1, np.int32), np.empty(len(x), np.int32)
        kernels.collision.sort_into_cells(x, y, np.float32(cell), columns, rows, starts, order, np.empty_like(order))
        grid = columns, rows, starts, order, np.float32(collide.restitution)
        discs = np.empty((len(x), kernels.collision.DISC), np.float32)
        if deep:
            kernels.collision.collide_in_space(x, y, deep[0], vx, vy, deep[1], radius, *grid, discs)
        else:
            kernels.collision.collide(x, y, vx, vy, radius, *grid, discs)
        walls = self.world.component(entity, Walls)
        if walls is not None and walls.mode == "reflect":  # do not push particles through a wall
            np.clip(x, 0, np.float32(canvas.width), out=x)
            np.clip(y, 0, np.float32(canvas.height), out=y)


def cell_size(largest: float, canvas: Canvas) -> float:
    """Side of a grid cell in units: the width of two of the largest discs, with at most a million cells."""
    finest = math.sqrt(canvas.width * canvas.height / _MOST_CELLS)
    return max(2.0 * largest, finest, 1e-3)
