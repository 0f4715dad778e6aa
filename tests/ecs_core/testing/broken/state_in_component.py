"""Changes a component in place, which no snapshot holds."""

import math
from dataclasses import dataclass

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
        (Upkeep(**everywhere, shape="area", count=settings.particle_count), Bounds(), Drag(1.0), Sprite(), Angle()),
    )


@dataclass
class Angle:
    """Where the wind blows, radians."""

    value: float = 0.0


class Sway(System):
    """Wind to and fro."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (angle, velocity) in self.world.query(Angle, Velocity):
            angle.value += self.world.dt
            velocity.x += np.float32(20.0 * math.sin(angle.value) * self.world.dt)


BROKEN = ParticleType("state_in_component", populate=populate, systems=(Sway,))
