"""Adds up time in a variable of the module: the next render of the process begins with it."""

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


passed = {"time": 0.0}


class Sway(System):
    """Wind to and fro."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        passed["time"] += self.world.dt
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x += np.float32(20.0 * math.sin(passed["time"]) * self.world.dt)


BROKEN = ParticleType("state_in_module", populate=populate, systems=(Sway,))
