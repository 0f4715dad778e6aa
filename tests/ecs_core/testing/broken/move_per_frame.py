"""Moves by a constant per frame: twice as fast at 60 frames a second."""

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


class Rise(System):
    """Up."""

    phase = Phase.MOVE
    writes = (Position,)

    def process(self) -> None:
        for _, (position,) in self.world.query(Position):
            position.y -= 3


BROKEN = ParticleType("move_per_frame", populate=populate, systems=(Rise,))
