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
        for _, (table, life, bounds, position) in self.world.query(Table, optional=(Lifetime, Bounds, Position)):
            is_bounded = bounds is not None and position is not None
            if len(table) == 0 or (life is None and not is_bounded):
                continue
            age, span = (_NONE, _NONE) if life is None else (life.age, life.span)
            x, y = (position.x, position.y) if is_bounded else (_NONE, _NONE)
            margin = 0.0 if bounds is None else bounds.margin
            right, bottom = canvas.width + margin, canvas.height + margin
            dead: NDArray[np.bool_] = np.empty(len(table), np.bool_)
            if kernels.lifetime.mark_dead(age, span, x, y, margin, right, bottom, dead):
                table.remove(dead)
