"""Motion: accelerations in FORCE, and one pass in MOVE that moves particles, applies drag and walls, and ages them."""

from __future__ import annotations

import math

import numpy as np

from ecs_core import kernels
from ecs_core.ecs.components import (
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
    Turbulence,
    Velocity,
    Walls,
)
from ecs_core.ecs.resources import Canvas, Clock
from ecs_core.ecs.rng import kernel_key, stream_of
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System

f32 = np.float32
_LEAST_REACH = f32(20.0)  # units; the smallest light reaches a few pixels


class GravitySystem(System):
    """Applies a constant acceleration."""

    phase = Phase.FORCE
    needs = (Gravity, Velocity)
    writes = (Velocity,)

    def process(self) -> None:
        for _, (gravity, velocity) in self.world.query(Gravity, Velocity):
            velocity.x += f32(gravity.x * self.world.dt)
            velocity.y += f32(gravity.y * self.world.dt)


class AttractionSystem(System):
    """Accelerates particles towards a point; softened near it, so that none is flung out."""

    phase = Phase.FORCE
    needs = (Attraction, Position, Velocity)
    reads = (Position,)
    writes = (Velocity,)

    def process(self) -> None:
        for _, (attraction, position, velocity) in self.world.query(Attraction, Position, Velocity):
            kernels.motion.attract(
                position.x, position.y, velocity.x, velocity.y, f32(attraction.x), f32(attraction.y),
                f32(attraction.strength * self.world.dt), f32(attraction.softness**2),
            )  # fmt: skip


class TurbulenceSystem(System):
    """Applies curl noise that changes slowly with time."""

    phase = Phase.FORCE
    needs = (Turbulence, Position, Velocity)
    reads = (Position,)
    writes = (Velocity,)

    def process(self) -> None:
        seed = stream_of(self.world.seed, "Swirl") & 0x7FFFFFFF
        for _, (flow, position, velocity) in self.world.query(Turbulence, Position, Velocity):
            if not flow.strength:
                continue
            z = f32(self.world.get(Clock).t * flow.speed)
            amount = f32(flow.strength * self.world.dt)
            kernels.motion.swirl(position.x, position.y, velocity.x, velocity.y, f32(flow.scale), z, amount, seed)


class JitterSystem(System):
    """Adds a random walk to each velocity."""

    phase = Phase.FORCE
    needs = (Jitter, Velocity, Table)
    random_key = "Shake"
    writes = (Velocity,)

    def process(self) -> None:
        world = self.world
        for entity, (jitter, velocity, table) in world.query(Jitter, Velocity, Table):
            if jitter.strength:
                step = f32(jitter.strength * math.sqrt(world.dt))
                key = kernel_key(world.seed, stream_of(self.random_key, world.name(entity)))
                kernels.motion.jitter(velocity.x, velocity.y, table.birth, world.move, *key, step)


class GrowthSystem(System):
    """Changes sizes, reversing at their limits."""

    phase = Phase.MOVE
    needs = (Size, Growth)
    writes = (Size, Growth)

    def process(self) -> None:
        for _, (size, growth) in self.world.query(Size, Growth):
            kernels.motion.grow(size.value, growth.rate, growth.low, growth.high, f32(self.world.dt))


class MotionSystem(System):
    """Integrates positions, applies drag and walls, and ages particles."""

    phase = Phase.MOVE
    writes = (Position, Velocity, Lifetime)

    def process(self) -> None:
        world, canvas = self.world, self.world.get(Canvas)
        dt = world.dt
        for entity, (position, velocity) in world.query(Position, Velocity):
            x, y, vx, vy = position.x, position.y, velocity.x, velocity.y
            drag = world.component(entity, Drag)
            speed = world.component(entity, Speed)
            life = world.component(entity, Lifetime)
            walls = world.component(entity, Walls)
            rate = 0.0 if drag is None else drag.rate
            keep = f32(math.exp(-rate * dt))
            # The integral of the decaying velocity: v × dt would make drag weaker at low frame rates.
            step = f32((-math.expm1(-rate * dt) / rate if rate else dt) * (1.0 if speed is None else speed.factor))
            width, height = f32(canvas.width), f32(canvas.height)
            if walls is not None and walls.mode == "reflect":
                age = np.zeros_like(x) if life is None else life.age
                bounce = f32(walls.restitution)
                kernels.motion.advance_reflecting(x, y, vx, vy, age, step, keep, f32(dt), width, height, bounce)
                continue
            if life is None:
                kernels.motion.advance(x, y, vx, vy, step, keep)
            else:
                kernels.motion.advance_aging(x, y, vx, vy, life.age, step, keep, f32(dt))
            if walls is not None and world.component(entity, Look) is None:
                kernels.motion.wrap(x, y, np.zeros_like(x), width, height, f32(0), f32(0))
        for entity, (life,) in world.query(Lifetime):  # what does not move ages, too
            if world.component(entity, Velocity) is None or world.component(entity, Position) is None:
                life.age += f32(dt)


class WrapSystem(System):
    """Moves particles that have left the picture with all of their light to the opposite edge.

    It goes by the radii of the last picture: moved any earlier, a particle would vanish at one edge, or pop up at the
    other. What is not drawn wraps in MOVE.
    """

    phase = Phase.REAP
    needs = (Walls, Position, Look)
    reads = (Look,)
    writes = (Position,)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for entity, (walls, position, look) in self.world.query(Walls, Position, Look):
            if walls.mode == "wrap":
                sprite = self.world.component(entity, Sprite)
                is_disc = sprite is not None and sprite.shape == "disc"
                reach = f32(1) if is_disc else kernels.raster.SKIRT_REACH
                kernels.motion.wrap(
                    position.x, position.y, look.radius, f32(canvas.width), f32(canvas.height), reach, _LEAST_REACH
                )
