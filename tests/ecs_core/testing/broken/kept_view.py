"""Keeps a view of a column from the first frame."""

import math

import numpy as np

from ecs_core import (
    Bounds,
    Canvas,
    Clock,
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

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            if not hasattr(self, "speeds"):
                self.speeds = velocity.x
            self.speeds += np.float32(20.0 * math.sin(self.world.get(Clock).t) * self.world.dt)


BROKEN = ParticleType("kept_view", populate=populate, systems=(Sway,))
