"""Pulls before FORCE, once a frame, however long that is."""

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


class Pull(System):
    """Towards the middle."""

    phase = Phase.EMIT
    writes = (Velocity,)

    def process(self) -> None:
        canvas, pull = self.world.get(Canvas), np.float32(4.0 * self.world.dt)
        for _, (position, velocity) in self.world.query(Position, Velocity):
            velocity.x -= pull * (position.x - np.float32(canvas.width / 2))
            velocity.y -= pull * (position.y - np.float32(canvas.height / 2))


BROKEN = ParticleType("spring_per_frame", populate=populate, systems=(Pull,))
