"""Bears particles that never die."""

from ecs_core import (
    Canvas,
    Color,
    Emission,
    Look,
    ParticleType,
    Position,
    Settings,
    Size,
    Sprite,
    Velocity,
    Walls,
    World,
)


def populate(world: World, settings: Settings) -> None:
    """A fountain in the middle."""
    canvas = world.get(Canvas)
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (Emission(canvas.width / 2, canvas.height / 2, rate=300.0), Walls(), Sprite()),
    )


BROKEN = ParticleType("endless_growth", populate=populate)
