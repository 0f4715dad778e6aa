"""Removes particles that are older than their lifespan or out of bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.ecs.components import Bounds, Lifetime, Position
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System

_NONE = np.zeros(0, np.float32)


class LifetimeSystem(System):
    """Removes all dead particles in one compaction per frame."""

    phase = Phase.REAP
    reads = (Lifetime, Position)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for entity, (table,) in self.world.query(Table):
            life = self.world.component(entity, Lifetime)
            bounds = self.world.component(entity, Bounds)
            position = None if bounds is None else self.world.component(entity, Position)
            if len(table) == 0 or (life is None and position is None):
                continue
            age, span = (_NONE, _NONE) if life is None else (life.age, life.span)
            x, y = (_NONE, _NONE) if position is None else (position.x, position.y)
            margin = np.float32(0.0 if bounds is None else bounds.margin)
            right, bottom = np.float32(canvas.width) + margin, np.float32(canvas.height) + margin
            dead: NDArray[np.bool_] = np.empty(len(table), np.bool_)
            if kernels.lifetime.mark_dead(age, span, x, y, margin, right, bottom, dead):
                table.remove(dead)
