"""Systems that only flow has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecs_core import (
    F32,
    Canvas,
    Clock,
    Color,
    Column,
    Gradient,
    Lifetime,
    Look,
    Phase,
    Position,
    Speed,
    System,
    Table,
    Trail,
    TrailPoints,
    Velocity,
    World,
)
from plugins.flow.field import MARGIN, Flow, Moment, Snares, moment, periods

_POINTS = sum(name.startswith("x") for name in TrailPoints.fields) - 1  # of a trail
_WEARS_OFF = 0.4  # seconds: after so long a push that is not of the flow has fallen to 1/e


class Ribbon(Column, light=-1.0):
    """The light that a ribbon is born with, without its colour, -1 until it is first seen; and the velocity that the
    flow gave it last, units/s.
    """

    light: F32
    x: F32
    y: F32


@dataclass(frozen=True)
class Paints:
    """Colours, which lie side by side in the flow.

    They run along its lines and once across the picture. A ribbon's colour may be that of a place ``mix`` colours away.
    """

    bindable: ClassVar[tuple[str, ...]] = ()

    palette: Gradient
    mix: float = 0.8


def _snares(world: World, entity: int, table: Table | None) -> Snares:
    return Snares.of(world.timeline)


class InFlow(System):
    """A system that knows the flow."""

    random_key = "plugins.flow"

    def flow_at(self, entity: int, flow: Flow, t: float) -> Moment:
        """The flow at a time of the video, seconds."""
        seconds = float(self.world.timeline.start) + t
        drawn = self.world.rng(self, entity, nth=0).uniform(0.0, 1.0, (3, len(flow.waves)))
        table = self.world.component(entity, Table)
        return moment(flow, drawn, seconds, self.world.derived(entity, table, _snares).turned(seconds))


class WrapAround(System):
    """Moves ribbons that are beyond the margin to the opposite one, where the flow is the same."""

    phase = Phase.REAP
    needs = (Flow, Position)
    writes = (Position,)

    def process(self) -> None:
        wide, high = periods(self.world.get(Canvas))
        for _, (_, position) in self.world.query(Flow, Position):
            position.x -= _whole(position.x, wide)
            position.y -= _whole(position.y, high)


def _whole(place: F32, period: float) -> F32:
    """The whole periods that a place is beyond the margin, units."""
    beyond: F32 = np.float32(period) * np.floor((place + np.float32(MARGIN)) / np.float32(period))
    return beyond


class BeginInMidstream(InFlow):
    """Gives the first ribbons ages and trails, as if they had flowed for a while."""

    phase = Phase.EMIT
    needs = (Flow, Position)
    writes = (Lifetime, TrailPoints)

    def process(self) -> None:
        world = self.world
        if world.frame != 0:
            return
        kinds = (Table, Flow, Position, Lifetime)
        for entity, (table, flow, position, life, trail, path) in world.query(*kinds, optional=(Trail, TrailPoints)):
            life.age[:] = world.traits(self, entity, table) * life.span
            if trail is None or path is None:
                continue
            step, now = trail.seconds / (_POINTS - 1), world.get(Clock).t
            path.x[:], path.y[:] = position.x, position.y
            path.known[:] = np.minimum(np.floor(life.age / np.float32(step)), _POINTS)
            x, y = position.x.copy(), position.y.copy()
            for point in range(_POINTS):
                here = self.flow_at(entity, flow, now - (point + 0.5) * step)
                vx, vy = here.velocity(x, y)
                half = np.float32(step / 2)
                vx, vy = here.velocity(x - half * vx, y - half * vy)
                x -= np.float32(step) * vx
                y -= np.float32(step) * vy
                getattr(path, f"x{point}")[:], getattr(path, f"y{point}")[:] = x, y


class Paint(InFlow):
    """Gives ribbons the colours of the places where they are."""

    phase = Phase.SHADE
    needs = (Flow, Paints, Ribbon)
    reads = (Position,)
    writes = (Color, Ribbon)

    def process(self) -> None:
        world, canvas = self.world, self.world.get(Canvas)
        kinds = (Table, Flow, Paints, Ribbon, Position, Color)
        for entity, (table, flow, paints, ribbon, position, color) in world.query(*kinds):
            new = ribbon.light < 0
            ribbon.light[new] = color.r[new]
            x, y = position.x, position.y
            height = self.flow_at(entity, flow, world.get(Clock).t).stream(x, y)
            across = x / np.float32(canvas.width) + np.float32(0.5) * y / np.float32(canvas.height)
            mixed = np.float32(paints.mix) * (world.traits(self, entity, table) - np.float32(0.5))
            colours = np.asarray(paints.palette.colours, np.float32)
            n = len(colours)
            at = np.mod(n * (across + np.float32(0.16) * height) + mixed, np.float32(n))
            first = np.minimum(at.astype(np.int64), n - 1)
            share = np.clip(2 * (at - first) - np.float32(0.5), 0, 1)  # pure for half of the way
            for channel, one in zip((color.r, color.g, color.b), colours.T, strict=True):
                channel[:] = ribbon.light * (one[first] * (1 - share) + one[(first + 1) % n] * share)


class Follow(InFlow):
    """Gives ribbons the velocity that takes them along the flow; what else moves them, such as gravity, wears off."""

    phase = Phase.FORCE
    needs = (Flow, Ribbon, Position, Velocity)
    reads = (Position,)
    writes = (Velocity, Ribbon)

    def process(self) -> None:
        dt, t = self.world.dt, self.world.get(Clock).t
        kept = np.float32(math.exp(-dt / _WEARS_OFF))
        kinds = (Flow, Ribbon, Position, Velocity)
        for entity, (flow, ribbon, position, velocity, speed) in self.world.query(*kinds, optional=(Speed,)):
            # The velocity halfway: with that of the beginning, ribbons would leave each eddy in a spiral.
            half = np.float32(0.5 * dt * (1.0 if speed is None else speed.factor))
            here = self.flow_at(entity, flow, t - 0.5 * dt)
            vx, vy = here.velocity(position.x, position.y)
            vx, vy = here.velocity(position.x + half * vx, position.y + half * vy)
            velocity.x[:] = vx + kept * (velocity.x - ribbon.x)
            velocity.y[:] = vy + kept * (velocity.y - ribbon.y)
            ribbon.x[:], ribbon.y[:] = vx, vy


class DimOutside(System):
    """Fades ribbons in the margin, as their trails vanish when they are moved to the opposite one."""

    phase = Phase.SHADE
    needs = (Flow, Position, Look)
    reads = (Position,)
    writes = (Look,)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for _, (_, position, look) in self.world.query(Flow, Position, Look):
            beyond = np.maximum(
                np.maximum(-position.x, position.x - np.float32(canvas.width)),
                np.maximum(-position.y, position.y - np.float32(canvas.height)),
            )
            look.light *= np.clip(1 - beyond / np.float32(0.9 * MARGIN), 0, 1)
