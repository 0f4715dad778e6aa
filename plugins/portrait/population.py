"""The populations of portrait: loose sparks behind, and the particles of the shape in front."""

import math
from typing import Any

from ecs_core import (
    Binding,
    Brightness,
    Burst,
    Canvas,
    Color,
    ColorBy,
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

HAZE = 24  # one particle in so many is a large faint glow


def populate(world: World, settings: PortraitSettings) -> None:
    """Three populations: loose sparks, a haze of large faint glows in the shape, and the particles that show it."""
    world.insert(settings)
    sparks = round(settings.sparks * settings.particle_count)
    covers = settings.blend == "over"
    haze = 0 if covers else (settings.particle_count - sparks) // HAZE
    _add_sparks(world, settings, sparks)
    _add_shape(world, settings, "haze", Crowd(haze, size=1.6, light=0.024), Twinkle(low=0.8, high=1.1), moves=0.35)
    count = settings.particle_count - sparks - haze
    if covers:  # as paint: all of it, and no light around
        _add_shape(world, settings, "shape", Crowd(count, size=1.8, evenly=True), Twinkle(low=0.8, high=1.0))
    else:
        _add_shape(world, settings, "shape", Crowd(count), Twinkle(low=0.5, high=1.2))


def _add_shape(
    world: World, settings: PortraitSettings, name: str, crowd: Crowd, twinkle: Twinkle, moves: float = 1.0
) -> None:
    """Particles that take their places in the first frame; they are thrown ``moves`` times as far as usual."""
    thrown = moves * settings.scatter
    by: tuple[ColorBy, ...] = ()
    of_palette = len(set(settings.particle_colors)) > 1 and (settings.picture is None or settings.colors == "palette")
    if settings.color_by is not None and of_palette:
        by = (ColorBy(settings.color_by, settings.palette, usual=settings.usual_speed),)
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse, Home, *((Brightness,) if by else ())),
        (
            crowd,
            *by,
            Spring(rate=4.0 / settings.reform, damping=0.62),
            Scatter(kick=16 * thrown, drop=18 * thrown),
            Breath(sway=2.2 * settings.breath, swell=0.012 * settings.breath),
            Turbulence(strength=0.0, scale=300.0, speed=0.5),
            twinkle,
            Skirt(light=0.05, crowd=1_000_000),
            Sprite("glow", shutter=_shutter(settings)),
            Reactive(_reactions(settings)),
        ),
        name=name,
    )


def _add_sparks(world: World, settings: PortraitSettings, count: int) -> None:
    canvas = world.get(Canvas)
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
            Sprite("glow", shutter=_shutter(settings)),
            Reactive(
                (
                    Binding("level", Look, "light", gain=1.2),
                    Binding("drops", Turbulence, "strength", gain=40.0, release=1.5),
                )
            ),
        ),
        name="sparks",
    )


def _shutter(settings: PortraitSettings) -> float:
    """Seconds: what flies is a streak. Where particles cover, none is, as streaks would cover nothing."""
    return 0.0 if settings.blend == "over" else 0.022


def _reactions(settings: PortraitSettings) -> tuple[Binding, ...]:
    moves = (
        Binding("drops", Spring, "rate", gain=-0.7, release=1.1),  # what is blown apart takes its time
        Binding("drops", Turbulence, "strength", op="add", gain=2600.0 * settings.scatter, release=1.3),
        Binding("level", Look, "radius", gain=0.12),
    )
    if settings.blend == "over":  # more light would make colours pale
        return moves
    return (
        *moves,
        Binding("level", Look, "light", gain=0.5),
        Binding("kicks", Look, "light", gain=0.25, release=0.15),
    )
