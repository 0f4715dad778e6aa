"""The population of constellation: stars with places on a globe, and the camera that looks at it."""

import math

from ecs_core import (
    Binding,
    Burst,
    Camera,
    Canvas,
    Color,
    Depth,
    Links,
    Look,
    Pareto,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Skirt,
    Sprite,
    Twinkle,
    Velocity,
    World,
)
from plugins.constellation.settings import ConstellationSettings
from plugins.constellation.systems import Globe, Home


def populate(world: World, settings: ConstellationSettings) -> None:
    """One population of stars."""
    x, y = settings.centre(world.get(Canvas))
    world.insert(settings)
    world.populate(
        (Position, Velocity, Depth, Home, Size, Color, Look, Pulse),
        (
            Burst(
                x,
                y,
                count=settings.particle_count,
                size=Pareto(1.3, 9.0, 1.4),
                speed=Range(0, 0),
                light=Range(0.35, 2.0, tail=1.6),
                pulse=Range(0.5, 1.6),
                palette=settings.palette,
            ),
            Globe(x, y, settings.radius, math.radians(settings.spin), settings.wander, pulse=settings.pulse),
            Links(reach=settings.reach, most=settings.links, light=0.30, width=0.6),
            Twinkle(low=0.7, high=1.0),
            Skirt(light=0.06, speck=1.6, star=3.4),
            Sprite("glow"),
            Reactive(
                (
                    Binding(
                        "bass",
                        Globe,
                        "breath",
                        op="add",
                        gain=0.10 * settings.outer_movement_strength,
                        attack=0.05,
                        release=0.35,
                    ),
                    Binding("bass", Links, "reach", gain=0.35, attack=0.05, release=0.4),
                    Binding("high", Twinkle, "high", gain=1.6, attack=0.02, release=0.15),
                    Binding("high", Twinkle, "pace", gain=1.5, attack=0.05, release=0.3),
                    Binding("short_term", Look, "light", gain=0.5, attack=0.2, release=0.6),
                )
            ),
        ),
    )
    world.populate(
        (), (Camera(perspective=1400.0, focus=60.0, aperture=23.0, fog=0.8, tilt=10.0, drift=14.0),), name="camera"
    )
