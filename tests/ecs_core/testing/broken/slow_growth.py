"""Bears particles that never die, but few a second."""

from ecs_core import (
    Burst,
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
        (
            Burst(0.0, 0.0, count=200),
            Emission(canvas.width / 2, canvas.height / 2, rate=6.0, limit=1_000_000),
            Walls(),
            Sprite(),
        ),
    )


BROKEN = ParticleType("slow_growth", populate=populate)
