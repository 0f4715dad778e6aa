"""Tumbling: pictures that spin and turn over."""

from __future__ import annotations

import numpy as np

from ecs_core.arrays import F32
from ecs_core.ecs.components import Tumble, Turn
from ecs_core.ecs.rng import stream_of, uniform_by_birth
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Draw, Range
from ecs_core.ecs.world import System

f32 = np.float32
_STILL = Tumble(Range(0, 0), Range(0, 0), Range(0, 0))


class TumbleSystem(System):
    """Advances what spins and turns over; particles that are new begin as their Tumble says."""

    phase = Phase.MOVE
    needs = (Turn,)
    random_key = "Tumble"
    writes = (Turn,)

    def process(self) -> None:
        world = self.world
        dt = f32(world.dt)
        for entity, (table, turn, tumble) in world.query(Table, Turn, optional=(Tumble,)):
            new = turn.angle < 0  # columns begin so; later it is 0–1
            if new.any():
                self._begin(entity, table, turn, tumble or _STILL, new)
            turn.angle += turn.spin * dt
            turn.flip += turn.flip_rate * dt
            turn.angle -= np.floor(turn.angle)
            turn.flip -= np.floor(turn.flip)

    def _begin(self, entity: int, table: Table, turn: Turn, tumble: Tumble, new: np.ndarray) -> None:
        birth, world = table.birth[new], self.world

        def drawn(draw: Draw, what: str) -> F32:
            return draw.at(uniform_by_birth(world.seed, stream_of(self.random_key, world.name(entity), what), birth))

        turn.angle[new] = drawn(tumble.angle, "angle") % 1
        turn.spin[new] += drawn(tumble.spin, "spin")
        rate = drawn(tumble.flip, "flip rate")
        turn.flip[new] = np.where(rate != 0, drawn(Range(0, 1), "flip"), turn.flip[new])
        turn.flip_rate[new] += rate
