"""The population of constellation: stars with places on a globe, and the camera that looks at it."""

import math
from typing import Any

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

_DUST = 2  # motes of dust for each star


def populate(world: World, settings: ConstellationSettings) -> None:
    """Stars that are joined by lines, the dust between them, and the camera."""
    x, y = settings.centre(world.get(Canvas))
    world.insert(settings)
    born: dict[str, Any] = {"x": x, "y": y, "speed": Range(0, 0), "palette": settings.palette}
    globe = Globe(x, y, settings.radius, math.radians(settings.spin), settings.wander, pulse=settings.pulse)
    breath = 0.1 * settings.outer_movement_strength
    heard = (
        Binding("bass", Globe, "breath", op="add", gain=breath, attack=0.05, release=0.35),
        Binding("short_term", Look, "light", gain=0.5, attack=0.2, release=0.6),
    )
    columns = (Position, Velocity, Depth, Home, Size, Color, Look, Pulse)
    world.populate(
        columns,
        (
            Burst(
                **born,
                count=_DUST * settings.particle_count,
                size=Range(0.7, 1.5),
                light=Range(0.1, 0.6, tail=2.0),
                pulse=Range(0.2, 0.7),
            ),
            globe,
            Twinkle(low=0.3, high=1.0),
            Sprite("glow"),
            Reactive(heard),
        ),
        name="dust",
    )
    world.populate(
        columns,
        (
            Burst(
                **born,
                count=settings.particle_count,
                size=Pareto(1.3, 9.0, 1.4),
                light=Range(0.35, 2.0, tail=1.6),
                pulse=Range(0.5, 1.6),
            ),
            globe,
            Links(reach=settings.reach, most=settings.links, light=0.3, width=0.6),
            Twinkle(low=0.7, high=1.0),
            Skirt(light=0.06, speck=1.6, star=3.4),
            Sprite("glow"),
            Reactive(
                (
                    *heard,
                    Binding("bass", Links, "reach", gain=0.35, attack=0.05, release=0.4),
                    Binding("high", Twinkle, "high", gain=1.6, attack=0.02, release=0.15),
                    Binding("high", Twinkle, "pace", gain=1.5, attack=0.05, release=0.3),
                )
            ),
        ),
        name="stars",
    )
    camera = Camera(perspective=1400.0, focus=60.0, aperture=30.0, fog=0.9, tilt=10.0, drift=14.0)
    world.populate((), (camera,), name="camera")
