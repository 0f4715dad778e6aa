"""Draws on the hash of a text, which is another one in every process."""

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


class Blow(System):
    """Wind whose strength is said to be fixed."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x += np.float32(hash("wind") % 1_000_003 / 20_000 * self.world.dt)


BROKEN = ParticleType("text_hash", populate=populate, systems=(Blow,))
