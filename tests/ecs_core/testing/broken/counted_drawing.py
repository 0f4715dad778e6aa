"""Counts frames in a resource, which no snapshot holds, and draws by that."""

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
    world.insert(Count())


@dataclass
class Count:
    """What has passed."""

    seconds: float = 0.0


class Tick(System):
    """A star that goes round."""

    phase = Phase.EXTRACT

    def process(self) -> None:
        count = self.world.get(Count)
        count.seconds += self.world.dt
        self.world.draw(star(900.0 + 100.0 * np.sin(count.seconds), 500.0))


BROKEN = ParticleType("counted_drawing", populate=populate, systems=(Tick,))
