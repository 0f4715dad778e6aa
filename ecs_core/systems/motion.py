"""Motion: accelerations in FORCE, and one pass in MOVE that moves particles, applies drag and walls, and ages them."""

from __future__ import annotations

import math

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    TRAIL_POINTS,
    Attraction,
    Drag,
    Gravity,
    Growth,
    Jitter,
    Lifetime,
    Look,
    Position,
    Size,
    Speed,
    Sprite,
    TrailPoints,
    Turbulence,
    Velocity,
    Walls,
    alive,
)
from ecs_core.ecs.resources import Canvas, Clock
from ecs_core.ecs.rng import kernel_key, stream_of
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System

f32 = np.float32
_DEEP = 0x2545F491  # the other flow of turbulence in space
_BLURRED = 2.0  # of a picture, in halves of a side, out of focus
_LEAST_REACH = 20.0  # units; the smallest light reaches a few pixels


class GravitySystem(System):
    """Applies a constant acceleration."""

    phase = Phase.FORCE
    needs = (Gravity, Velocity)
    writes = (Velocity, Depth)

    def process(self) -> None:
        for _, (gravity, velocity, depth) in self.world.query(Gravity, Velocity, optional=(Depth,)):
            velocity.x += f32(gravity.x * self.world.dt)
            velocity.y += f32(gravity.y * self.world.dt)
            if depth is not None and gravity.z:
                depth.vz += f32(gravity.z * self.world.dt)


class AttractionSystem(System):
    """Accelerates particles towards a point; softened near it, so that none is flung out."""

    phase = Phase.FORCE
    needs = (Attraction, Position, Velocity)
    reads = (Position,)
    writes = (Velocity,)

    def process(self) -> None:
        kinds = (Attraction, Position, Velocity)
        for _, (attraction, position, velocity, depth) in self.world.query(*kinds, optional=(Depth,)):
            if depth is not None:
                _attract_in_space(attraction, position, velocity, depth, attraction.strength * self.world.dt)
                continue
            kernels.motion.attract(
                position.x, position.y, velocity.x, velocity.y, attraction.x, attraction.y,
                attraction.strength * self.world.dt, attraction.softness**2,
            )  # fmt: skip


class TurbulenceSystem(System):
    """Applies curl noise that changes slowly with time."""

    phase = Phase.FORCE
    needs = (Turbulence, Position, Velocity)
    reads = (Position,)
    writes = (Velocity,)

    def process(self) -> None:
        seed = stream_of(self.world.seed, "Swirl") & 0x7FFFFFFF
        kinds = (Turbulence, Position, Velocity)
        for _, (flow, position, velocity, depth) in self.world.query(*kinds, optional=(Depth,)):
            if not flow.strength:
                continue
            z, amount = self.world.get(Clock).t * flow.speed, flow.strength * self.world.dt
            kernels.motion.swirl(position.x, position.y, velocity.x, velocity.y, flow.scale, z, amount, seed)
            if depth is not None:  # and round the vertical axis: the sum has no divergence either
                kernels.motion.swirl(position.x, depth.z, velocity.x, depth.vz, flow.scale, z, amount, seed ^ _DEEP)


def _attract_in_space(to: Attraction, position: Position, velocity: Velocity, depth: Depth, amount: float) -> None:
    """Accelerate towards a point in space, as ``kernels.motion.attract`` does on the canvas."""
    x, y, z = f32(to.x) - position.x, f32(to.y) - position.y, f32(to.z) - depth.z
    pull = f32(amount) / np.sqrt(x * x + y * y + z * z + f32(to.softness**2))
    velocity.x += pull * x
    velocity.y += pull * y
    depth.vz += pull * z


class JitterSystem(System):
    """Adds a random walk to each velocity."""

    phase = Phase.FORCE
    needs = (Jitter, Velocity, Table)
    random_key = "Shake"
    writes = (Velocity, Depth)

    def process(self) -> None:
        world = self.world
        for entity, (jitter, velocity, table, depth) in world.query(Jitter, Velocity, Table, optional=(Depth,)):
            if jitter.strength:
                step = jitter.strength * math.sqrt(world.dt)
                key = kernel_key(world.seed, stream_of(self.random_key, world.name(entity)))
                kernels.motion.jitter(velocity.x, velocity.y, table.birth, world.move, *key, step)
                if depth is not None:
                    key = kernel_key(world.seed, stream_of(self.random_key, world.name(entity), "depth"))
                    kernels.motion.jitter(depth.vz, np.zeros_like(depth.vz), table.birth, world.move, *key, step)


class GrowthSystem(System):
    """Changes sizes, reversing at their limits."""

    phase = Phase.MOVE
    needs = (Size, Growth)
    writes = (Size, Growth)

    def process(self) -> None:
        for _, (size, growth) in self.world.query(Size, Growth):
            kernels.motion.grow(size.value, growth.rate, growth.low, growth.high, self.world.dt)


class MotionSystem(System):
    """Integrates positions, applies drag and walls, and ages particles."""

    phase = Phase.MOVE
    writes = (Position, Velocity, Lifetime)

    def process(self) -> None:
        world, canvas = self.world, self.world.get(Canvas)
        dt = world.dt
        moving = world.query(Position, Velocity, optional=(Drag, Speed, Lifetime, Walls, Look))
        for _, (position, velocity, drag, speed, life, walls, look) in moving:
            x, y, vx, vy = position.x, position.y, velocity.x, velocity.y
            rate = 0.0 if drag is None else drag.rate
            keep = math.exp(-rate * dt)
            # The integral of the decaying velocity: v × dt would make drag weaker at low frame rates.
            step = (-math.expm1(-rate * dt) / rate if rate else dt) * (1.0 if speed is None else speed.factor)
            if walls is not None and walls.mode == "reflect":
                age = np.zeros_like(x) if life is None else life.age
                kernels.motion.advance_reflecting(
                    x, y, vx, vy, age, step, keep, dt, canvas.width, canvas.height, walls.restitution
                )
                continue
            if life is None:
                kernels.motion.advance(x, y, vx, vy, step, keep)
            else:
                kernels.motion.advance_aging(x, y, vx, vy, life.age, step, keep, dt)
            if walls is not None and look is None:
                kernels.motion.wrap(x, y, np.zeros_like(x), canvas.width, canvas.height)
        for _, (life, position, velocity) in world.query(Lifetime, optional=(Position, Velocity)):
            if position is None or velocity is None:  # what does not move ages, too
                life.age += f32(dt)


class WrapSystem(System):
    """Moves particles that have left the picture with all of their light to the opposite edge.

    It goes by the radii of the last picture: moved any earlier, a particle would vanish at one edge, or pop up at the
    other. What is not drawn wraps in MOVE.
    """

    phase = Phase.REAP
    needs = (Walls, Position, Look)
    reads = (Look, Velocity)
    writes = (Position, TrailPoints)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        kinds, optional = (Table, Walls, Position, Look), (Sprite, TrailPoints, Velocity, Speed)
        for _, (table, walls, position, look, sprite, path, velocity, speed) in self.world.query(
            *kinds, optional=optional
        ):
            if walls.mode != "wrap":
                continue
            margins = wrap_margins(look, sprite, velocity, speed)
            before = position.x.copy(), position.y.copy()
            kernels.motion.wrap(position.x, position.y, margins, canvas.width, canvas.height)
            living = alive(path)
            if living is not None:
                np.copyto(position.x, before[0], where=~living)
                np.copyto(position.y, before[1], where=~living)
            if path is not None:
                _take_trails_along(table, position.x - before[0], position.y - before[1])


def wrap_margins(look: Look, sprite: Sprite | None, velocity: Velocity | None, speed: Speed | None) -> F32:
    """How far from the canvas particles are when they wrap, units: none of their light is seen any more."""
    reach, open_for = kernels.raster.SKIRT_REACH, 0.0
    if sprite is not None and sprite.texture is not None:
        reach = f32(_BLURRED * sprite.scale)
    elif sprite is not None and sprite.shape == "disc":
        reach = f32(1)
    if sprite is not None and (sprite.texture is not None or sprite.shape == "glow"):
        open_for = sprite.shutter * (1.0 if speed is None else abs(speed.factor))
    margins: F32 = np.maximum(reach * look.radius, f32(_LEAST_REACH))
    if open_for and velocity is not None:  # half of a streak
        margins += f32(0.5 * open_for) * np.hypot(velocity.x, velocity.y)
    return margins


def _take_trails_along(table: Table, dx: F32, dy: F32) -> None:
    """Move the trails of particles that have wrapped by as much as those."""
    rows = np.flatnonzero((dx != 0) | (dy != 0))
    for axis, moved in (("x", dx[rows]), ("y", dy[rows])):
        first, last, wrapped = (table.row_of(TrailPoints, name) for name in (f"{axis}0", axis, f"wrapped_{axis}"))
        table.values[first : first + TRAIL_POINTS, rows] += moved
        table.values[last, rows] += moved
        table.values[wrapped, rows] = moved
