"""Draws light that is 0 / 0 where there is no sound."""

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
    Sprites,
    System,
    Upkeep,
    Velocity,
    World,
)


def star(x: float, y: float, radius: float = 20.0, light: float = 1.0) -> Sprites:
    """A single sprite."""
    place, values = np.array([[x], [y]]), np.array([[radius], [light], [light], [light], [0.0]])
    return Sprites(*place, *values, np.zeros(1, np.uint8))


def populate(world: World, settings: Settings) -> None:
    """Sparks all over the canvas."""
    canvas = world.get(Canvas)
    everywhere = {"x": canvas.width / 2, "y": canvas.height / 2, "width": canvas.width, "height": canvas.height}
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (Upkeep(**everywhere, shape="area", count=settings.particle_count), Bounds(), Drag(1.0), Sprite()),
    )


class Shine(System):
    """A star as bright as the bass is, of all that is heard."""

    phase = Phase.EXTRACT

    def process(self) -> None:
        audio = self.world.get(AudioFrame)
        self.world.draw(star(900.0, 500.0, light=float(np.float32(audio.bass) / np.float32(audio.rms))))


BROKEN = ParticleType("drawing_not_a_number", populate=populate, systems=(Shine,))
