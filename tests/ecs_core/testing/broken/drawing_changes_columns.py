"""Moves particles when they are drawn: in frames that nobody sees they stay."""

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


class Slip(System):
    """To the right."""

    phase = Phase.EXTRACT
    writes = (Position,)

    def process(self) -> None:
        for _, (position,) in self.world.query(Position):
            position.x += np.float32(20.0 * self.world.dt)


BROKEN = ParticleType("drawing_changes_columns", populate=populate, systems=(Slip,))
