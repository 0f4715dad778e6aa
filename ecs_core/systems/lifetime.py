"""Removes particles that are older than their lifespan or out of bounds, with their trails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.ecs.components import TRAIL_POINTS, Bounds, Lifetime, Position, TrailPoints
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System

_NONE = np.zeros(0, np.float32)


class LifetimeSystem(System):
    """Removes all dead particles in one compaction per frame."""

    phase = Phase.REAP
    reads = (Lifetime, Position, TrailPoints)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        optional = (Lifetime, Bounds, Position, TrailPoints)
        for _, (table, life, bounds, position, path) in self.world.query(Table, optional=optional):
            is_bounded = bounds is not None and position is not None
            if len(table) == 0 or (life is None and not is_bounded):
                continue
            age, span = (_NONE, _NONE) if life is None else (life.age, life.span)
            x, y = (position.x, position.y) if is_bounded else (_NONE, _NONE)
            margin = 0.0 if bounds is None else bounds.margin
            right, bottom = canvas.width + margin, canvas.height + margin
            dead: NDArray[np.bool_] = np.empty(len(table), np.bool_)
            if not kernels.lifetime.mark_dead(age, span, x, y, margin, right, bottom, dead):
                continue
            if path is not None and bounds is not None:
                _spare_tails(table, dead, life, (-margin, right, bottom))
            table.remove(dead)


def _spare_tails(
    table: Table, dead: NDArray[np.bool_], life: Lifetime | None, bounds: tuple[float, float, float]
) -> None:
    """Let particles that left the bounds live while the end of their trail is within; otherwise it would vanish."""
    low, right, bottom = (np.float32(bound) for bound in bounds)
    rows = np.flatnonzero(dead)
    if life is not None:
        rows = rows[life.age[rows] < life.span[rows]]
    known = table.values[table.row_of(TrailPoints, "known"), rows].astype(np.int64)
    at = table.row_of(TrailPoints, "x0") + np.maximum(known - 1, 0)
    x, y = table.values[at, rows], table.values[at + TRAIL_POINTS, rows]
    dead[rows[(known > 0) & (x >= low) & (x <= right) & (y >= low) & (y <= bottom)]] = False
