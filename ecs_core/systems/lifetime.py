"""Removes particles that are older than their lifespan or out of bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.ecs.components import Bounds, Lifetime, Position
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System


class LifetimeSystem(System):
    """Removes all dead particles in one compaction per frame."""

    phase = Phase.REAP
    reads = (Lifetime, Position)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for entity, (table,) in self.world.query(Table):
            dead: NDArray[np.bool_] = np.zeros(len(table), np.bool_)
            life = self.world.component(entity, Lifetime)
            if life is not None:
                dead |= life.age >= life.span
            bounds = self.world.component(entity, Bounds)
            position = self.world.component(entity, Position)
            if bounds is not None and position is not None:
                margin = np.float32(bounds.margin)
                right, bottom = np.float32(canvas.width) + margin, np.float32(canvas.height) + margin
                dead |= (position.x < -margin) | (position.x > right) | (position.y < -margin) | (position.y > bottom)
            table.remove(dead)
