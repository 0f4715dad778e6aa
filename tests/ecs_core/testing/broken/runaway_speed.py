"""Speeds grow by what they are."""

import math

import numpy as np

from ecs_core import (
    Canvas,
    Color,
    Look,
    ParticleType,
    Phase,
    Position,
    Settings,
    Size,
    Sprite,
    System,
    Upkeep,
    Velocity,
    Walls,
    World,
)


def populate(world: World, settings: Settings) -> None:
    """Sparks all over the canvas."""
    canvas = world.get(Canvas)
    everywhere = {"x": canvas.width / 2, "y": canvas.height / 2, "width": canvas.width, "height": canvas.height}
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (Upkeep(**everywhere, shape="area", count=settings.particle_count), Walls(), Sprite()),
    )


class Hurry(System):
    """Faster and faster."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x *= np.float32(math.exp(0.5 * self.world.dt))


BROKEN = ParticleType("runaway_speed", populate=populate, systems=(Hurry,))
