"""Spawning: births at a rate, in a burst, or at events of the song, from a point, an area or a ring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.components import Color, Emission, Lifetime, Position, Size, Velocity
from ecs_core.resources import AudioFrame
from ecs_core.schedule import Phase, System
from ecs_core.table import Table

F64 = NDArray[np.float64]


class Emit(System):
    """Emission: as many as are due this frame, never more than the limit."""

    phase = Phase.EMIT
    writes = (Position, Velocity, Lifetime, Size, Color)

    def process(self) -> None:
        world, audio = self.world, self.world.get(AudioFrame)
        for entity, (table, emission) in world.query(Table, Emission):
            rng = world.rng(self, entity)
            # The fraction of a particle becomes a chance, so that nothing needs to be carried over to the next frame.
            due = int(emission.rate * world.dt + rng.uniform())
            if world.frame == 0:
                due += emission.burst
            if emission.event is not None:
                due += emission.per_event * audio.count(emission.event)
            n = min(due, emission.limit - len(table))
            if n > 0:
                self._fill(entity, emission, table.spawn(n), rng, n)

    def _fill(self, entity: int, emission: Emission, new: slice, rng: np.random.Generator, n: int) -> None:
        world = self.world
        dx, dy = _offsets(emission, rng, n)
        if emission.direction is None:
            away = np.hypot(dx, dy)
            angle = np.where(away > 1e-6, np.arctan2(dy, dx), rng.uniform(0, 2 * np.pi, n))
        else:
            angle = emission.direction + rng.uniform(-emission.spread, emission.spread, n)
        speed = emission.speed.draw(rng, n)
        if (position := world.component(entity, Position)) is not None:
            position.x[new], position.y[new] = emission.x + dx, emission.y + dy
        if (velocity := world.component(entity, Velocity)) is not None:
            velocity.x[new], velocity.y[new] = np.cos(angle) * speed, np.sin(angle) * speed
        if (life := world.component(entity, Lifetime)) is not None:
            life.span[new] = emission.span.draw(rng, n)
        if (size := world.component(entity, Size)) is not None:
            size.value[new] = emission.size.draw(rng, n)
        if (color := world.component(entity, Color)) is not None:
            picked = emission.palette.pick(rng, n) * emission.light.draw(rng, n)[:, None]
            color.r[new], color.g[new], color.b[new] = picked.T


def _offsets(emission: Emission, rng: np.random.Generator, n: int) -> tuple[F64, F64]:
    """Where particles are born, relative to the emission's centre, units; evenly over its shape."""
    if emission.shape == "area":
        return (rng.uniform(-0.5, 0.5, n) * emission.width, rng.uniform(-0.5, 0.5, n) * emission.height)
    if emission.shape == "ring":
        distance = np.sqrt(rng.uniform(emission.inner**2, emission.outer**2, n))
        angle = rng.uniform(0, 2 * np.pi, n)
        return distance * np.cos(angle), distance * np.sin(angle)
    return np.zeros(n), np.zeros(n)
