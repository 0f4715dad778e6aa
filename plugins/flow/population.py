"""The population of flow: ribbons all over the picture, born and dying at any moment."""

from typing import Any

from ecs_core import (
    Binding,
    Burst,
    Canvas,
    Color,
    Curve,
    Gradient,
    Lifetime,
    LightOverLife,
    Look,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Speed,
    Sprite,
    Trail,
    TrailPoints,
    Twinkle,
    Upkeep,
    Velocity,
    World,
)
from plugins.flow.field import Flow, periods, waves_of
from plugins.flow.settings import FlowSettings
from plugins.flow.systems import Paints, Ribbon

WHITE = Gradient(((1.0, 1.0, 1.0),))


def populate(world: World, settings: FlowSettings) -> None:
    """One population of ribbons."""
    canvas = world.get(Canvas)
    wide, high = periods(canvas)
    width = settings.ribbon_width
    light = width**-0.8  # what is wide is drawn over more of the picture
    ribbon: dict[str, Any] = {
        "x": canvas.width / 2,
        "y": canvas.height / 2,
        "shape": "area",
        "width": wide,
        "height": high,
        "speed": Range(0, 0),
        "span": Range(4.0, 9.0),
        "size": Range(1.1, 3.4, tail=3.0) * width,
        "light": Range(0.35, 1.9, tail=2.0) * light,
        "pulse": Range(0.1, 0.4),
        "palette": settings.palette if settings.color_by else WHITE,  # for Paint to give them their colours
        "count": settings.particle_count,
    }
    tails = (Trail(seconds=settings.trail, light=0.5, taper=0.55),) if settings.trail else ()
    world.populate(
        (Position, Velocity, Lifetime, Size, Color, Look, Pulse, Ribbon, *((TrailPoints,) if tails else ())),
        (
            Burst(**ribbon),
            Upkeep(**ribbon),
            Flow(
                speed=150.0 * settings.pace,
                current=settings.current,
                heading=settings.heading,
                turn=settings.turn,
                change=0.22,
                waves=waves_of(canvas, eddies=settings.eddies),
            ),
            Speed(),
            *(() if settings.color_by else (Paints(settings.palette),)),
            LightOverLife(Curve(((0, 0), (0.18, 1), (0.75, 1), (1, 0)))),
            Twinkle(low=0.75, high=1.0),
            *tails,
            Sprite("glow"),
            Reactive(_reactions()),
        ),
        name="ribbons",
    )


def _reactions() -> tuple[Binding, ...]:
    return (
        Binding("level", Look, "radius", gain=0.8),
        Binding("level", Look, "light", gain=0.15),
        Binding("momentary", Look, "light", gain=0.6, attack=0.3, release=0.6),
        Binding("momentary", Flow, "speed", gain=0.4, attack=0.4, release=0.8),
        Binding("snares", Look, "light", gain=0.4, release=0.25),
        Binding("hats", Twinkle, "pace", gain=3.0, release=0.2),
    )
