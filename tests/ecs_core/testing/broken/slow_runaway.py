"""Becomes faster by two hundredths a second."""

import numpy as np

from ecs_core import (
    Burst,
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
        (Burst(**everywhere, shape="area", count=settings.particle_count), Walls(), Sprite()),
    )


class Hurry(System):
    """Faster and faster."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x *= np.float32(np.exp(0.02 * self.world.dt))
            velocity.y *= np.float32(np.exp(0.02 * self.world.dt))


BROKEN = ParticleType("slow_runaway", populate=populate, systems=(Hurry,))
