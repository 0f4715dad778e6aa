"""Is well for ten seconds."""

import numpy as np

from ecs_core import (
    Burst,
    Canvas,
    Clock,
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


class Tire(System):
    """What is left of ten seconds."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x[:9] += np.float32(0 * np.sqrt(10 - self.world.get(Clock).t))


BROKEN = ParticleType("late_not_a_number", populate=populate, systems=(Tire,))
