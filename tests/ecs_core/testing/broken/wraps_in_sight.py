"""Moves particles to the opposite edge when their middle has passed one."""

import numpy as np

from ecs_core import (
    Burst,
    Canvas,
    Color,
    Look,
    ParticleType,
    Phase,
    Position,
    Range,
    Settings,
    Size,
    Sprite,
    System,
    Velocity,
    World,
)


def populate(world: World, settings: Settings) -> None:
    """Large balls all over the canvas."""
    canvas = world.get(Canvas)
    everywhere = {"x": canvas.width / 2, "y": canvas.height / 2, "width": canvas.width, "height": canvas.height}
    ball = Burst(
        **everywhere, shape="area", count=settings.particle_count, size=Range(20.0, 40.0), speed=Range(60.0, 120.0)
    )
    world.populate((Position, Velocity, Size, Color, Look), (ball, Sprite()))


class Wrap(System):
    """From edge to edge."""

    phase = Phase.REAP
    writes = (Position,)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for _, (position,) in self.world.query(Position):
            position.x[:] = np.mod(position.x, np.float32(canvas.width))
            position.y[:] = np.mod(position.y, np.float32(canvas.height))


BROKEN = ParticleType("wraps_in_sight", populate=populate, systems=(Wrap,))
