"""The population of bouncing: a constant number of balls that never leave the picture."""

from ecs_core import FRAME as F
from ecs_core import (
    Binding,
    Burst,
    Canvas,
    Collide,
    Color,
    Curve,
    Drag,
    Growth,
    Jitter,
    Look,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Sprite,
    Trail,
    Twinkle,
    Velocity,
    Walls,
    World,
)
from plugins.bouncing.settings import BouncingSettings


def populate(world: World, settings: BouncingSettings) -> None:
    """One population of balls, spread over the picture."""
    canvas = world.get(Canvas)
    drift_x, drift_y = settings.drift
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse, Growth),
        (
            Burst(
                x=canvas.width / 2,
                y=canvas.height / 2,
                shape="area",
                width=canvas.width,
                height=canvas.height,
                speed=Range(0.5 * F, 2 * F),
                drift_x=drift_x,
                drift_y=drift_y,
                size=Range(2.5, 10.0, tail=1.4),
                growth=settings.growth,
                sizes=(0.5, 10.0),
                swing=(0.85, 1.0),
                light=Range(0.45, 1.5, tail=1.5),
                pulse=Range(0.3, 0.7),
                palette=settings.palette,
                count=settings.particle_count,
            ),
            *((Collide(restitution=0.98),) if settings.collide else ()),
            Jitter.of(0.1),
            Drag.keeping(0.995),
            Walls("reflect"),
            Twinkle(low=0.6, high=1.0),
            *((Trail(settings.trail, light=1.2, taper=0.0),) if settings.trail else ()),
            Sprite("glow"),
            Reactive(_reactions(settings.bass_threshold)),
        ),
    )


def _reactions(high: float) -> tuple[Binding, ...]:
    def kick(level: float) -> float:
        """Increase of the jitter with high bass: from ±0.1 px per frame to ±0.3 (1 + 2 level)."""
        return Jitter.of(0.3 * (1 + 2 * level) - 0.1).strength

    return (
        Binding("level", Jitter, "strength", op="add", threshold=high, curve=Curve(((0, kick(0)), (1, kick(1))))),
        Binding("kicks", Jitter, "strength", op="add", gain=kick(0.5), release=0.1),
        Binding("level", Look, "light", gain=1.4),
        Binding("level", Look, "radius", gain=0.25),
        Binding("level", Twinkle, "pace", gain=2.0),
    )
