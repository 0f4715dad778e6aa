"""The populations of portrait: loose sparks behind, and the particles of the shape in front."""

import math
from typing import Any

from ecs_core import (
    Binding,
    Burst,
    Canvas,
    Color,
    Drag,
    Look,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Skirt,
    Sprite,
    Turbulence,
    Twinkle,
    Velocity,
    Walls,
    World,
)
from plugins.portrait.settings import PortraitSettings
from plugins.portrait.systems import Breath, Crowd, Home, Scatter, Spring

SHUTTER = 0.022  # seconds: what flies is a streak
LIGHT = 1.5  # of the shape, beside what its particles draw


def populate(world: World, settings: PortraitSettings) -> None:
    """Two populations: the sparks, and the shape, whose particles take their places in the first frame."""
    world.insert(settings)
    canvas = world.get(Canvas)
    sparks = round(settings.sparks * settings.particle_count)
    _add_sparks(world, settings, canvas, sparks)
    wide = settings.fill * canvas.width
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse, Home),
        (
            Crowd(settings.particle_count - sparks),
            Spring(rate=4.0 / settings.reform, damping=0.62),
            Scatter(kick=5200 * settings.scatter, drop=9000 * settings.scatter, reach=0.16 * wide),
            Breath(sway=2.2 * settings.breath, swell=0.012 * settings.breath),
            Turbulence(strength=0.0, scale=300.0, speed=0.5),
            Twinkle(low=0.55, high=1.15),
            Skirt(light=0.05, crowd=1_000_000),
            Sprite("glow", shutter=SHUTTER),
            Reactive(_reactions(settings)),
        ),
        name="shape",
    )


def _add_sparks(world: World, settings: PortraitSettings, canvas: Canvas, count: int) -> None:
    spark: dict[str, Any] = {"size": Range(1.0, 3.2, tail=2.5), "light": Range(0.1, 1.3, tail=2.2)}
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse),
        (
            Burst(
                canvas.width / 2,
                canvas.height / 2,
                shape="area",
                width=canvas.width,
                height=canvas.height,
                speed=Range(2.0, 16.0),
                direction=-math.pi / 2,
                spread=1.2,
                palette=settings.palette,
                count=count,
                **spark,
            ),
            Drag(rate=0.15),
            Turbulence(strength=14.0, scale=260.0, speed=0.2),
            Walls("wrap"),
            Twinkle(low=0.25, high=1.0),
            Sprite("glow", shutter=SHUTTER),
            Reactive(
                (
                    Binding("level", Look, "light", gain=1.2),
                    Binding("drops", Turbulence, "strength", gain=40.0, release=1.5),
                )
            ),
        ),
        name="sparks",
    )


def _reactions(settings: PortraitSettings) -> tuple[Binding, ...]:
    return (
        Binding("drops", Spring, "rate", gain=-0.7, release=1.1),  # what is blown apart takes its time
        Binding("drops", Turbulence, "strength", op="add", gain=2600.0 * settings.scatter, release=1.3),
        Binding("level", Look, "light", gain=0.5),
        Binding("level", Look, "radius", gain=0.12),
        Binding("kicks", Look, "light", gain=0.25, release=0.15),
    )
