"""Spawning: at once, at a rate, at events of the song, or to replace the dead; from a point, an area or a ring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F64
from ecs_core.ecs.components import (
    Birth,
    Burst,
    Color,
    Emission,
    Growth,
    Lifetime,
    Position,
    Pulse,
    Size,
    Upkeep,
    Velocity,
)
from ecs_core.ecs.resources import AudioFrame
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System
from ecs_core.frame_times import first_frame_at


class EmissionSystem(System):
    """Spawns the particles that Burst, Emission and Upkeep, in this order, call for in this frame."""

    phase = Phase.EMIT
    random_key = "Emit"
    writes = (Position, Velocity, Lifetime, Size, Color, Pulse, Growth)

    def process(self) -> None:
        world = self.world
        for entity, (table,) in world.query(Table):
            burst = world.component(entity, Burst)
            if burst is not None and world.frame == first_frame_at(burst.at, rate=world.fps):
                self._bear(entity, table, burst, burst.count)
            emission = world.component(entity, Emission)
            if emission is not None:
                # Fractions of a particle are rounded at random, so nothing has to be carried over to the next frame.
                due = int(emission.rate * world.dt + world.rng(self, entity).uniform())
                if emission.event is not None:
                    due += emission.per_event * world.get(AudioFrame).count(emission.event)
                self._bear(entity, table, emission, min(due, emission.limit - len(table)))
            upkeep = world.component(entity, Upkeep)
            if upkeep is not None:
                self._bear(entity, table, upkeep, upkeep.count - len(table))

    def _bear(self, entity: int, table: Table, birth: Birth, n: int) -> None:
        if n <= 0:
            return
        world, rng, new = self.world, self.world.rng(self, entity), table.spawn(n)
        smallest, largest = (np.float32(size) for size in birth.sizes)
        radius = np.clip(birth.size.draw(rng, n), smallest, largest)
        dx, dy = _offsets(birth, rng, n)
        if birth.direction is None:
            away = np.hypot(dx, dy)
            angle = np.where(away > 1e-6, np.arctan2(dy, dx), rng.uniform(0, 2 * np.pi, n))
        else:
            angle = birth.direction + rng.uniform(-birth.spread, birth.spread, n)
        across, down = np.cos(angle), np.sin(angle)
        if (position := world.component(entity, Position)) is not None:
            position.x[new], position.y[new] = birth.x + dx, birth.y + dy
        if (velocity := world.component(entity, Velocity)) is not None:
            speed, orbit = _speeds(birth, rng, radius), birth.orbit.draw(rng, n)
            velocity.x[new] = across * speed - down * orbit + birth.drift_x.draw(rng, n)
            velocity.y[new] = down * speed + across * orbit + birth.drift_y.draw(rng, n)
        if (life := world.component(entity, Lifetime)) is not None:
            life.span[new] = birth.span.draw(rng, n)
        if (size := world.component(entity, Size)) is not None:
            size.value[new] = radius
        if (growth := world.component(entity, Growth)) is not None:
            growth.rate[new] = birth.growth.draw(rng, n)
            growth.low[new] = np.maximum(birth.swing[0] * radius, smallest)
            growth.high[new] = np.minimum(birth.swing[1] * radius, largest)
        if (pulse := world.component(entity, Pulse)) is not None:
            pulse.phase[new], pulse.rate[new] = rng.uniform(0.0, 1.0, n), birth.pulse.draw(rng, n)
        if (color := world.component(entity, Color)) is not None:
            light = birth.light.draw(rng, n) + np.float32(birth.light_by_size) * radius
            color.r[new], color.g[new], color.b[new] = (birth.palette.pick(rng, n) * light[:, None]).T


def _speeds(birth: Birth, rng: np.random.Generator, radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speeds drawn from ``birth.speed``, blended with speeds that follow from size."""
    speed = birth.speed.draw(rng, len(radius))
    if not birth.speed_with_size:
        return speed
    low, high = birth.size.low, birth.size.high
    share = (radius - np.float32(low)) / np.float32(max(high - low, 1e-6))
    by_size = np.float32(birth.speed.low) + np.float32(birth.speed.high - birth.speed.low) * share
    return (1 - np.float32(birth.speed_with_size)) * speed + np.float32(birth.speed_with_size) * by_size


def _offsets(birth: Birth, rng: np.random.Generator, n: int) -> tuple[F64, F64]:
    """Positions relative to the birth's centre in units, uniform over its shape."""
    if birth.shape == "area":
        return (rng.uniform(-0.5, 0.5, n) * birth.width, rng.uniform(-0.5, 0.5, n) * birth.height)
    if birth.shape == "ring":
        distance = np.sqrt(rng.uniform(birth.inner**2, birth.outer**2, n))
        angle = rng.uniform(0, 2 * np.pi, n)
        return distance * np.cos(angle), distance * np.sin(angle)
    return np.zeros(n), np.zeros(n)
