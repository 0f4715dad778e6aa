"""Turns velocities by a matrix product, which sums in another order on each make of processor."""

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


class Turn(System):
    """Round and round."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        c, s = np.cos(self.world.dt), np.sin(self.world.dt)
        for _, (velocity,) in self.world.query(Velocity):
            turned = np.array([[c, -s], [s, c]]) @ np.stack([velocity.x, velocity.y])
            velocity.x[:], velocity.y[:] = turned


BROKEN = ParticleType("matrix_product", populate=populate, systems=(Turn,))
