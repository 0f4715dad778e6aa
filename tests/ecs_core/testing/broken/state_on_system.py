"""Adds up time on the system: a run that is resumed begins at 0 again."""

import math

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


class Sway(System):
    """Wind to and fro."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def __init__(self) -> None:
        self.angle = 0.0

    def process(self) -> None:
        self.angle += self.world.dt
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x += np.float32(20.0 * math.sin(self.angle) * self.world.dt)


BROKEN = ParticleType("state_on_system", populate=populate, systems=(Sway,))
