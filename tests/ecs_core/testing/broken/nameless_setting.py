"""Has a setting from which no form can be drawn."""

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


def populate(world: World, settings: "NamelessSettings") -> None:
    """Sparks all over the canvas."""
    canvas = world.get(Canvas)
    everywhere = {"x": canvas.width / 2, "y": canvas.height / 2, "width": canvas.width, "height": canvas.height}
    world.populate(
        (Position, Velocity, Size, Color, Look),
        (
            Upkeep(**everywhere, shape="area", count=settings.particle_count),
            Bounds(),
            Drag(settings.strength),
            Sprite(),
        ),
    )


class NamelessSettings(Settings):
    """One number more."""

    strength: float = 1.0


class Nothing(System):
    """Does nothing."""

    phase = Phase.FORCE

    def process(self) -> None:
        return


BROKEN = ParticleType("nameless_setting", settings=NamelessSettings, populate=populate, systems=(Nothing,))
