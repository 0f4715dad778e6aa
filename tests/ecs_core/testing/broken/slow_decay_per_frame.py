"""Slows down by a constant factor per frame that is hardly seen at 30 frames a second."""

from ecs_core import (
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
    Upkeep,
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
        (Upkeep(**everywhere, shape="area", count=settings.particle_count), Walls(), Sprite()),
    )


class Slow(System):
    """Slower and slower."""

    phase = Phase.FORCE
    writes = (Velocity,)

    def process(self) -> None:
        for _, (velocity,) in self.world.query(Velocity):
            velocity.x *= 0.999
            velocity.y *= 0.999


BROKEN = ParticleType("slow_decay_per_frame", populate=populate, systems=(Slow,))
