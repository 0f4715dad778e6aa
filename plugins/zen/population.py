"""The populations of zen: lights and, behind them, out-of-focus discs; both drift and are reborn anywhere."""

from typing import Any

from ecs_core import (
    Bounds,
    Burst,
    Canvas,
    Color,
    Drag,
    Growth,
    Jitter,
    Look,
    Pareto,
    Position,
    Pulse,
    Range,
    Size,
    Skirt,
    Sprite,
    Turbulence,
    Twinkle,
    Upkeep,
    Velocity,
    Walls,
    World,
)
from plugins.zen.settings import ZenSettings

DISCS = 6  # one light in 6 is a disc
MOST_DISCS = 120  # more would look like fog and dominate the drawing time


def populate(world: World, settings: ZenSettings) -> None:
    """Two populations: discs behind, lights in front."""
    discs = min(MOST_DISCS, settings.particle_count // DISCS)
    disc: dict[str, Any] = {"count": discs, "size": Range(26, 90, tail=1.6), "light": Range(0.032, 0.15)}
    light: dict[str, Any] = {
        "count": settings.particle_count - discs,
        "size": Pareto(1.2, 9.0, 1.6),
        "sizes": (0.5, 10.0),
        "light": Range(1.2, 5.0, tail=2),
    }
    _add(world, settings, "discs", disc, Sprite("disc"))
    _add(world, settings, "lights", light, Sprite("glow"))


def _add(world: World, settings: ZenSettings, name: str, kind: dict[str, Any], sprite: Sprite) -> None:
    canvas = world.get(Canvas)
    x, y = settings.centre(canvas)
    drift_x, drift_y = settings.drift
    one: dict[str, Any] = kind | {
        "growth": settings.growth,
        "swing": (0.8, 1.25),
        "pulse": Range(0.06, 0.2),
        "palette": settings.palette,
        "speed": Range(0, 0),
        "drift_x": drift_x,
        "drift_y": drift_y,
    }
    anywhere: dict[str, Any] = {
        "x": canvas.width / 2,
        "y": canvas.height / 2,
        "width": canvas.width,
        "height": canvas.height,
    }
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse, Growth),
        (
            Burst(**one, x=x, y=y, shape="ring", inner=200.0, outer=400.0),
            Upkeep(**one, **anywhere, shape="area"),
            Jitter.of(0.05),
            Turbulence(strength=5.0, scale=420.0, speed=0.06),
            Drag.keeping(0.998),
            Walls("reflect") if settings.bounce else Bounds(margin=20.0),
            Twinkle(low=0.3, high=1.0),
            sprite,
            Skirt(light=0.14, star=4.0),
        ),
        name=name,
    )
