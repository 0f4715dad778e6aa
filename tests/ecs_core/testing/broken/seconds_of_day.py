"""Takes whole seconds from the wall."""

import time

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
    """Wind every minute."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x += np.float32((time.time_ns() // 10**9 % 60 + time.localtime().tm_min) * self.world.dt)


BROKEN = ParticleType("seconds_of_day", populate=populate, systems=(Blow,))
