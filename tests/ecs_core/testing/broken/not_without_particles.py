"""Asks for the fastest of no particles."""

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


class Follow(System):
    """All are drawn along by the fastest."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            velocity.y += velocity.x.max() * np.float32(0.01 * self.world.dt)


BROKEN = ParticleType("not_without_particles", populate=populate, systems=(Follow,))
