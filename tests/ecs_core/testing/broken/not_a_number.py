"""Divides by a distance that is 0 where a particle is born."""

import numpy as np

from ecs_core import (
    Bounds,
    Canvas,
    Color,
    Drag,
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
    World,
)


def populate(world: World, settings: Settings) -> None:
    """Sparks all over the canvas."""
    canvas = world.get(Canvas)
    everywhere = {"x": canvas.width / 2, "y": canvas.height / 2, "width": canvas.width, "height": canvas.height}
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (Upkeep(**everywhere, shape="area", count=settings.particle_count), Bounds(), Drag(1.0), Sprite()),
    )


class Shun(System):
    """Away from the middle of the canvas."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        for _, (position, velocity) in self.world.query(Position, Velocity):
            position.x[:1] = canvas.width / 2
            position.y[:1] = canvas.height / 2
            x, y = position.x - np.float32(canvas.width / 2), position.y - np.float32(canvas.height / 2)
            velocity.x += x / np.hypot(x, y)


BROKEN = ParticleType("not_a_number", populate=populate, systems=(Shun,))
