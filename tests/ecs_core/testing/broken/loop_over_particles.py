"""Works on one particle after the other."""

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


class Steer(System):
    """Towards the middle."""

    phase = Phase.FORCE
    reads = (Position,)
    writes = (Velocity,)

    def process(self) -> None:
        canvas = self.world.get(Canvas)
        middle = np.array([canvas.width / 2, canvas.height / 2])
        for _, (position, velocity) in self.world.query(Position, Velocity):
            for row in range(len(position.x)):
                way = middle - np.array([position.x[row], position.y[row]])
                push = 10.0 * self.world.dt * way / (np.linalg.norm(way) + 1.0)
                velocity.x[row] += push[0]
                velocity.y[row] += push[1]


BROKEN = ParticleType("loop_over_particles", populate=populate, systems=(Steer,))
