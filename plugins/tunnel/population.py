"""The population of tunnel: stars round the way of the viewer, and the camera that flies along it."""

import math

from ecs_core import (
    Binding,
    Burst,
    Camera,
    Canvas,
    Color,
    Depth,
    Look,
    Pareto,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Skirt,
    Speed,
    Sprite,
    Twinkle,
    Velocity,
    Volume,
    World,
)
from plugins.tunnel.settings import TunnelSettings
from plugins.tunnel.systems import Tunnel, Wall

DISTANCE = 900.0  # of the viewer before the canvas, units


def populate(world: World, settings: TunnelSettings) -> None:
    """One population of stars."""
    x, y = settings.centre(world.get(Canvas))
    world.insert(settings)
    pace = settings.pace
    world.populate(
        (Position, Velocity, Depth, Wall, Size, Color, Look, Pulse),
        (
            Burst(
                x,
                y,
                count=settings.particle_count,
                size=Pareto(1.2, 9.0, 1.5),
                speed=Range(0, 0),
                light=Range(1.0, 5.6, tail=1.9),
                pulse=Range(0.3, 1.2),
                palette=settings.palette,
            ),
            Volume(near=20.0 - DISTANCE, far=4600.0, speed=Range(-1150.0, -650.0), fade=120.0),
            Tunnel(x, y, settings.radius, settings.bend, math.radians(settings.roll), DISTANCE),
            Speed(0.22 * pace),
            Twinkle(low=0.75, high=1.1),
            Skirt(light=0.05, speck=1.6, star=4.0),
            Sprite("glow", shutter=settings.shutter / 30),
            Reactive(
                (
                    Binding("short_term", Speed, "factor", op="add", gain=0.75 * pace, attack=0.3, release=0.8),
                    Binding("tempo", Speed, "factor", gain=0.8, attack=0.5, release=0.5),
                    Binding("beat", Speed, "factor", gain=0.45, attack=0.03, release=0.22),
                    Binding(
                        "drop", Speed, "factor", gain=5.0 * settings.outer_movement_strength, attack=0.12, release=2.2
                    ),
                    Binding("drop", Sprite, "shutter", gain=1.5, attack=0.1, release=1.6),
                    Binding("bass", Look, "light", gain=0.7, release=0.2),
                    Binding("drop", Look, "light", gain=2.2, attack=0.1, release=1.6),  # streaks spread it
                    Binding("high", Twinkle, "high", gain=0.8, release=0.15),
                )
            ),
        ),
    )
    world.populate((), (Camera(perspective=DISTANCE, focus=500.0, aperture=11.0, fog=0.62, drift=10.0),), name="camera")
