"""Takes pixels for units."""

from ecs_core import (
    Bounds,
    Color,
    Drag,
    Look,
    ParticleType,
    Position,
    Settings,
    Size,
    Sprite,
    Upkeep,
    Velocity,
    World,
)


def populate(world: World, settings: Settings) -> None:
    """Sparks all over the picture."""
    everywhere = {"x": settings.width / 2, "y": settings.height / 2, "width": settings.width, "height": settings.height}
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (Upkeep(**everywhere, shape="area", count=settings.particle_count), Bounds(), Drag(1.0), Sprite()),
    )


BROKEN = ParticleType("pixels", populate=populate)
