"""Draws the wind in frame 0 and keeps it in the module: who resumes has none, or another scene's."""

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


wind: dict[str, float] = {}


class Blow(System):
    """Wind that is another with each seed."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        if self.world.frame == 0:
            wind["strength"] = self.world.rng(self).uniform(-20.0, 20.0)
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x += np.float32(wind["strength"] * self.world.dt)


BROKEN = ParticleType("cache_in_module", populate=populate, systems=(Blow,))
