"""Spawning: at once, at a rate, at events of the song, or to replace the dead; from a point, an area or a ring."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32, I64
from ecs_core.ecs.components import (
    Birth,
    Brightness,
    Burst,
    Color,
    ColorBy,
    Emission,
    EmitFrom,
    Growth,
    Lifetime,
    Position,
    Pulse,
    Size,
    Speed,
    TrailPoints,
    Upkeep,
    Velocity,
    alive,
    count_of,
)
from ecs_core.ecs.resources import AudioFrame
from ecs_core.ecs.rng import kernel_key, stream_of, uniform_by_birth
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth, Volume
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Draw, Gradient, Range
from ecs_core.ecs.world import System, World
from ecs_core.errors import PluginError
from ecs_core.frame_times import first_frame_at

_MOMENTS = 512  # at which colours by birth differ, of a round
_COLUMNS = {kind.__name__: kind for kind in (Position, Velocity, Lifetime, Size, Growth, Pulse, Color, Brightness)}


class EmissionSystem(System):
    """Spawns the particles that Burst, Emission and Upkeep, in this order, call for in this frame.

    Those of a rate, and those that replace dead ones, are born throughout the frame. If all were born at its beginning,
    they would fly in shells, as many a second as there are frames.
    """

    phase = Phase.EMIT
    random_key = "Emit"
    writes = (Position, Velocity, Lifetime, Size, Color, Pulse, Growth, Depth)

    def process(self) -> None:
        world = self.world
        births = world.query(Table, optional=(Burst, Emission, Upkeep, EmitFrom))
        for entity, (table, burst, emission, upkeep, origin) in births:
            sources = 1 if origin is None else self._sources(entity, origin)
            if not sources:
                continue
            if burst is not None and world.frame == world.derived(entity, burst, _first_frame):
                self._bear(entity, table, burst, burst.count, during=0.0)
            if emission is not None:
                # Fractions of a particle are rounded at random, so nothing has to be carried over to the next frame.
                rate = emission.rate * (sources if origin is not None and origin.per_particle else 1)
                due = int(rate * world.dt + world.rng(self, entity).uniform())
                self._bear(entity, table, emission, min(due, emission.limit - _count(world, entity)), during=world.dt)
                if emission.event is not None:
                    due = emission.per_event * world.get(AudioFrame).count(emission.event)
                    self._bear(entity, table, emission, min(due, emission.limit - _count(world, entity)), during=0.0)
            if upkeep is not None:
                self._bear(entity, table, upkeep, upkeep.count - _count(world, entity), during=world.dt)

    def _bear(self, entity: int, table: Table, birth: Birth, n: int, *, during: float) -> None:
        """Spawn ``n`` particles within the first ``during`` seconds of the frame."""
        if n <= 0:
            return
        world, new = self.world, table.spawn(n)
        stream, until = stream_of(self.random_key, world.name(entity), "birth"), np.empty(n, np.float32)
        kernels.birth.bear(
            table.values, table.birth, new.start, new.stop, world.derived(entity, table, _rows_of_fields),
            _draws(birth), self._shape(entity, birth), self._palette(entity, birth), np.float32(during),
            *kernel_key(world.seed, stream), np.empty(kernels.birth.SCRATCH, np.float32), until,
        )  # fmt: skip
        volume = world.component(entity, Volume)
        if volume is not None:
            self._place_in_depth(entity, volume, table.birth[new], new, until)
        origin = world.component(entity, EmitFrom)
        if origin is not None:
            self._place_at_sources(entity, origin, table.birth[new], new, until)

    def _palette(self, entity: int, birth: Birth) -> F32:
        """The colours that new particles have one of: those of the moment, where they have their colours by birth."""
        world = self.world
        color_by = world.component(entity, ColorBy)
        if color_by is None or color_by.by != "birth":
            return _colours(birth.palette)
        there_and_back = _round(color_by.palette)
        if world.frame == 0:
            return there_and_back
        turns = world.timeline.time(world.frame) / color_by.seconds
        now = int((turns - math.floor(turns)) * _MOMENTS)
        return there_and_back[now : now + 1]

    def _sources(self, entity: int, origin: EmitFrom) -> int:
        """How many particles there are to be born at."""
        return _count(self.world, self.world.derived(entity, origin, source_of))

    def _place_at_sources(self, entity: int, origin: EmitFrom, birth: I64, new: slice, until: F32) -> None:
        """Move new particles to those of another population, which are drawn by birth ids.

        In the seconds ``until`` a particle is born the other one moves on.
        """
        world, source = self.world, self.world.derived(entity, origin, source_of)
        drawn = uniform_by_birth(world.seed, stream_of(self.random_key, world.name(entity), "source"), birth)
        of = (drawn * np.float32(self._sources(entity, origin))).astype(np.int64)
        living = alive(world.component(source, TrailPoints))
        if living is not None:
            of = np.flatnonzero(living)[of]
        place, there = world.component(entity, Position), world.component(source, Position)
        if place is None or there is None:
            return
        velocity, theirs = world.component(entity, Velocity), world.component(source, Velocity)
        # They inherit how fast the other one goes; with a pace of their own they would be faster or slower by that.
        theirs_pace, pace = _pace(world, source), _pace(world, entity)
        inherited = np.float32(origin.inherit) * theirs_pace / max(pace, np.float32(1e-6))
        ways: list[tuple[F32, F32, F32 | None, F32 | None]]
        if theirs is None:
            ways = [(place.x, there.x, None, None), (place.y, there.y, None, None)]
        else:
            own = (None, None) if velocity is None else (velocity.x, velocity.y)
            ways = [(place.x, there.x, own[0], theirs.x), (place.y, there.y, own[1], theirs.y)]
        depth, deep = world.component(entity, Depth), world.component(source, Depth)
        if depth is not None and deep is not None:
            if world.component(entity, Volume) is not None:
                depth.z[new] = -pace * until * depth.vz[new]  # drawn where there is no other to be born at
            ways.append((depth.z, deep.z, depth.vz, deep.vz))
        for here, at, ours, speed in ways:
            here[new] += at[of]
            if speed is None:
                continue
            share = np.float32(0) if ours is None else inherited
            here[new] += until * (theirs_pace - share * pace) * speed[of]
            if ours is not None:
                ours[new] += share * speed[of]
        color, tint = world.component(entity, Color), world.component(source, Color)
        if origin.tinted and color is not None and tint is not None:
            color.r[new] *= tint.r[of]
            color.g[new] *= tint.g[of]
            color.b[new] *= tint.b[of]

    def _place_in_depth(self, entity: int, volume: Volume, birth: I64, new: slice, until: F32) -> None:
        """Draw the depth of new particles, and their velocity in it, from their birth ids.

        They are there after the seconds ``until`` their birth.
        """
        world = self.world
        depth = world.component(entity, Depth)
        if depth is None:
            return
        name = world.name(entity)
        z, u = (uniform_by_birth(world.seed, stream_of(self.random_key, name, what), birth) for what in ("z", "vz"))
        depth.vz[new] = volume.speed.at(u)
        depth.z[new] = np.float32(volume.near) + np.float32(volume.far - volume.near) * z
        depth.z[new] -= _pace(world, entity) * until * depth.vz[new]

    def _shape(self, entity: int, birth: Birth) -> F32:
        """The numbers of a Birth, as the kernel wants them."""
        speed = self.world.component(entity, Speed)
        moves = self.world.component(entity, Velocity) is not None
        travelled = (1.0 if speed is None else speed.factor) if moves else 0.0
        direction = birth.direction
        return np.array(
            (
                kernels.birth.SHAPES[birth.shape], birth.x, birth.y, birth.width, birth.height, birth.inner,
                birth.outer, direction is not None, direction or 0.0, birth.spread, birth.speed_with_size, *birth.sizes,
                *birth.swing, birth.light_by_size, travelled,
            ),
            np.float32,
        )  # fmt: skip


def source_of(world: World, entity: int, origin: EmitFrom) -> int:
    """The entity of the population that particles are born at."""
    names = {world.name(other): other for other, _ in world.query(Table) if other != entity}
    if origin.source not in names:
        raise PluginError(
            f"EmitFrom.source = {origin.source!r}: must be the name of another population; there are: "
            f"{', '.join(map(repr, names)) or 'none'}"
        )
    return names[origin.source]


def _count(world: World, entity: int) -> int:
    """How many particles a population has; trails of dead ones are none."""
    table = world.component(entity, Table)
    assert table is not None
    return count_of(len(table), world.component(entity, TrailPoints))


def _pace(world: World, entity: int) -> np.float32:
    speed = world.component(entity, Speed)
    return np.float32(1.0 if speed is None else speed.factor)


def _draws(birth: Birth) -> F32:
    """What is drawn for each particle, as the kernel wants it."""
    drawn: tuple[Draw, ...] = (
        birth.size, birth.speed, birth.orbit, birth.drift_x, birth.drift_y, birth.span, birth.growth, birth.pulse,
        birth.light,
    )  # fmt: skip
    rows = [
        (0.0, draw.low, draw.high, draw.tail) if isinstance(draw, Range) else (1.0, draw.low, draw.high, draw.alpha)
        for draw in drawn
    ]
    return np.array(rows, np.float32)


@lru_cache(maxsize=64)
def _colours(palette: Gradient) -> F32:
    return np.ascontiguousarray(palette.colours, np.float32)


@lru_cache(maxsize=64)
def _round(palette: Gradient) -> F32:
    """The colours from the first to the last and back, (_MOMENTS, 3) float32."""
    return palette(1 - np.abs(1 - np.arange(_MOMENTS) * (2 / _MOMENTS)))


def _first_frame(world: World, entity: int, burst: Burst) -> int:
    return first_frame_at(burst.at, rate=world.fps)


def _rows_of_fields(world: World, entity: int, table: Table) -> I64:
    """The row of the table's values of each field that the kernel writes, -1 where there is none."""
    return np.array([table.row_of(_COLUMNS[kind], name) for kind, name in kernels.birth.FIELDS], np.int64)
