"""The population of no_music: lights that orbit the centre, stirred by turbulence, and wrap around the edges."""

from ecs_core import FRAME as F
from ecs_core import (
    Attraction,
    Burst,
    Canvas,
    Color,
    Drag,
    Growth,
    Look,
    Pareto,
    Position,
    Pulse,
    Range,
    Size,
    Sprite,
    Trail,
    Turbulence,
    Twinkle,
    Velocity,
    Walls,
    World,
)
from plugins.no_music.settings import NoMusicSettings


def populate(world: World, settings: NoMusicSettings) -> None:
    """One population of lights on a ring."""
    x, y = settings.centre(world.get(Canvas))
    drift_x, drift_y = settings.drift
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse, Growth),
        (
            Burst(
                x=x,
                y=y,
                shape="ring",
                inner=200.0,
                outer=400.0,
                speed=Range(0, 0),
                orbit=Range(90, 170),
                drift_x=drift_x,
                drift_y=drift_y,
                size=Pareto(1.1, 10.0, 1.5),
                growth=settings.growth,
                sizes=(0.5, 10.0),
                light=Range(0.6, 3.2, tail=2.5),
                light_by_size=0.4,
                pulse=Range(0.15, 0.5),
                palette=settings.palette,
                count=settings.particle_count,
            ),
            Attraction(x, y, strength=settings.inner_movement_strength * 0.06 * F * F, softness=90.0),
            Turbulence(strength=95.0, scale=240.0, speed=0.2),
            Drag.keeping(0.995),
            Walls("wrap"),
            Twinkle(low=0.4, high=1.0),
            *((Trail(settings.trail, light=0.5, taper=0.75),) if settings.trail else ()),
            Sprite("glow"),
        ),
    )
