"""Turns green into red by as much in every frame."""

import numpy as np

from ecs_core import (
    Burst,
    Canvas,
    Color,
    Look,
    ParticleType,
    Phase,
    Position,
    Settings,
    Size,
    Sprite,
    System,
    Velocity,
    Walls,
    World,
)


def populate(world: World, settings: Settings) -> None:
    """Sparks all over the canvas."""
    canvas = world.get(Canvas)
    everywhere = {"x": canvas.width / 2, "y": canvas.height / 2, "width": canvas.width, "height": canvas.height}
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (Burst(**everywhere, shape="area", count=settings.particle_count), Walls(), Sprite()),
    )


class Redden(System):
    """Redder and redder, and as bright."""

    phase = Phase.FORCE
    writes = (Color,)

    def process(self) -> None:
        for _, (color,) in self.world.query(Color):
            much = np.minimum(np.float32(0.01), color.g)
            color.r += much
            color.g -= much


BROKEN = ParticleType("hue_per_frame", populate=populate, systems=(Redden,))
