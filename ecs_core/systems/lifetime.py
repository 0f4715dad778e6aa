"""Removes particles that are older than their lifespan or out of bounds, and their trails when those have faded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    Bounds,
    Lifetime,
    Look,
    Position,
    Speed,
    Sprite,
    Trail,
    TrailPoints,
    Velocity,
)
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth, TrailDepths
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System
from ecs_core.systems.motion import wrap_margins

f32 = np.float32
_NONE = np.zeros(0, np.float32)
_JUST_NOW = f32(1e-6)  # seconds: more than 0, which means that a particle lives


class LifetimeSystem(System):
    """Removes all dead particles in one compaction per frame. What is bounded dies where it is not seen any more."""

    phase = Phase.REAP
    reads = (Lifetime, Look)
    writes = (Position, TrailPoints, TrailDepths)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        optional = (Lifetime, Bounds, Position, Velocity, Trail, TrailPoints)
        for entity, (table, life, bounds, position, velocity, trail, path) in self.world.query(
            Table, optional=optional
        ):
            is_bounded = bounds is not None and position is not None
            if len(table) == 0 or (life is None and not is_bounded):
                continue
            age, span = (_NONE, _NONE) if life is None else (life.age, life.span)
            x, y = (position.x, position.y) if is_bounded else (_NONE, _NONE)
            margin = _NONE if bounds is None or position is None else self._margins(entity, bounds, len(table))
            dead: NDArray[np.bool_] = np.empty(len(table), np.bool_)
            count = kernels.lifetime.mark_dead(age, span, x, y, margin, canvas.width, canvas.height, dead)
            if trail is not None and path is not None and velocity is not None:  # as TrailSystem needs them
                dead |= path.gone > 0
                count = self._leave_trails(entity, dead, trail, path)
            if not count:
                continue
            table.remove(dead)

    def _margins(self, entity: int, bounds: Bounds, n: int) -> F32:
        """How far outside of the canvas particles die, (n,) units: no light of the last frame reaches in from there."""
        component = self.world.component
        look = component(entity, Look)
        if look is None:
            return np.full(n, bounds.margin, np.float32)
        seen = wrap_margins(look, component(entity, Sprite), component(entity, Velocity), component(entity, Speed))
        margins: F32 = np.maximum(seen, f32(bounds.margin))
        return margins

    def _leave_trails(self, entity: int, dead: NDArray[np.bool_], trail: Trail, path: TrailPoints) -> int:
        """Spare rows whose trails are still seen, and return how many are not; particles that have died just now leave
        theirs.
        """
        component = self.world.component
        look = component(entity, Look)
        fading = dead & (path.known > 0) & (path.gone < f32(trail.seconds))
        if look is not None:
            fading &= (look.radius > 0) & (look.light > 0)
        dead &= ~fading
        new = np.flatnonzero(fading & (path.gone == 0))
        if len(new):
            self._stop(entity, new, path)
        return int(np.count_nonzero(dead))

    def _stop(self, entity: int, new: NDArray[np.intp], path: TrailPoints) -> None:
        """Put particles back to where they were at the moment of their death, where their trails end from now on."""
        component = self.world.component
        life, position, velocity = component(entity, Lifetime), component(entity, Position), component(entity, Velocity)
        since = np.zeros(len(new), np.float32)
        if life is not None:
            since = np.clip(life.age[new] - life.span[new], f32(0), f32(self.world.dt))
        path.gone[new] = since + _JUST_NOW
        if position is None or velocity is None:
            return
        speed = component(entity, Speed)
        back = since * f32(1.0 if speed is None else speed.factor)
        ways = [(position.x, path.x, velocity.x), (position.y, path.y, velocity.y)]
        depth, deep = component(entity, Depth), component(entity, TrailDepths)
        if depth is not None and deep is not None:
            ways.append((depth.z, deep.z, depth.vz))
        for here, kept, v in ways:
            here[new] -= back * v[new]
            kept[new] = here[new]
