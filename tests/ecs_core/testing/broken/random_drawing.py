"""Draws at a place from the generator that all of numpy shares."""

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


class Blink(System):
    """A star anywhere."""

    phase = Phase.EXTRACT

    def process(self) -> None:
        self.world.draw(star(*np.random.uniform(0.0, 1000.0, 2)))  # noqa: NPY002 - the mistake


BROKEN = ParticleType("random_drawing", populate=populate, systems=(Blink,))
