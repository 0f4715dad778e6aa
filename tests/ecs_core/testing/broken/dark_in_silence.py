"""As bright as the bass: black where there is none."""

import numpy as np

from ecs_core import (
    AudioFrame,
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


class Shine(System):
    """Light with the bass."""

    phase = Phase.SHADE
    writes = (Look,)

    def process(self) -> None:
        bass = np.float32(self.world.get(AudioFrame).bass)
        for _, (look,) in self.world.query(Look):
            look.light *= bass


BROKEN = ParticleType("dark_in_silence", populate=populate, systems=(Shine,))
