"""Collisions between the particles of a population, as discs."""

from __future__ import annotations

import math

import numpy as np

from ecs_core import kernels
from ecs_core.ecs.components import Collide, Position, Size, Velocity, Walls
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.world import System

_MOST_CELLS = 1 << 20


class CollideSystem(System):
    """Pushes overlapping discs apart and exchanges momentum."""

    phase = Phase.COLLIDE
    needs = (Collide, Position, Velocity, Size)
    reads = (Size,)
    writes = (Position, Velocity)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for entity, (collide, position, velocity, size) in self.world.query(Collide, Position, Velocity, Size):
            if len(position.x) < 2:
                continue
            cell = cell_size(float(size.value.max()), canvas)
            columns, rows = max(3, int(canvas.width / cell) + 1), max(3, int(canvas.height / cell) + 1)
            starts, order = np.empty(columns * rows + 1, np.int32), np.empty(len(position.x), np.int32)
            x, y = position.x, position.y
            kernels.collision.sort_into_cells(
                x, y, np.float32(cell), columns, rows, starts, order, np.empty_like(order)
            )
            kernels.collision.collide(
                x, y, velocity.x, velocity.y, size.value, columns, rows, starts, order, np.float32(collide.restitution),
                np.empty((len(x), kernels.collision.DISC), np.float32),
            )  # fmt: skip
            walls = self.world.component(entity, Walls)
            if walls is not None and walls.mode == "reflect":  # do not push particles through a wall
                np.clip(x, 0, np.float32(canvas.width), out=x)
                np.clip(y, 0, np.float32(canvas.height), out=y)


def cell_size(largest: float, canvas: Canvas) -> float:
    """Side of a grid cell in units: the width of two of the largest discs, with at most a million cells."""
    finest = math.sqrt(canvas.width * canvas.height / _MOST_CELLS)
    return max(2.0 * largest, finest, 1e-3)
