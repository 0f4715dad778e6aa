"""The populations of snow: small sharp flakes at many depths, and a few large ones out of focus."""

from typing import Any

from ecs_core import FRAME as F
from ecs_core import (
    Binding,
    Bounds,
    Burst,
    Canvas,
    Color,
    Curve,
    Drag,
    Emission,
    FadeWithDistance,
    Look,
    Position,
    Pulse,
    Range,
    Reactive,
    ScaleWithDistance,
    Size,
    Speed,
    Sprite,
    Trail,
    Turbulence,
    Twinkle,
    Upkeep,
    Velocity,
    World,
)
from plugins.snow.settings import SnowSettings
from plugins.snow.systems import Source

OUT_OF_FOCUS = 16  # one flake in 16 is out of focus
HEART = 130.0  # units: flakes start within this distance of the centre


def populate(world: World, settings: SnowSettings) -> None:
    """Two populations: out-of-focus discs behind, sharp flakes in front."""
    blurred = settings.particle_count // OUT_OF_FOCUS
    large: dict[str, Any] = {
        "size": Range(10, 34, tail=2),
        "light": Range(0.017, 0.047),
        "speed": Range(2 * F, 3.6 * F),
    }
    small: dict[str, Any] = {"size": Range(1, 4, tail=1.8), "light": Range(0.95, 3.6), "speed": Range(0.5 * F, 2 * F)}
    _add(world, settings, "blurred", blurred, large, Sprite("disc"))
    _add(world, settings, "sharp", settings.particle_count - blurred, small, Sprite("glow"))


def _add(world: World, settings: SnowSettings, name: str, count: int, kind: dict[str, Any], sprite: Sprite) -> None:
    canvas = world.get(Canvas)
    x, y = settings.centre(canvas)
    reach = (canvas.width**2 + canvas.height**2) ** 0.5 / 2
    drift_x, drift_y = (Range(speed * F, speed * F) for speed in (settings.speed_x, settings.speed_y))
    # Large flakes are near, so they move faster.
    flake: dict[str, Any] = kind | {
        "speed_with_size": 0.7,
        "drift_x": drift_x,
        "drift_y": drift_y,
        "palette": settings.palette,
        "x": x,
        "y": y,
    }
    heart: dict[str, Any] = {"shape": "ring", "inner": 0.0, "outer": HEART}
    share = count / max(1, settings.particle_count)
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse),
        (
            Source(x, y, HEART, reach, settings.bass_threshold),
            Burst(**flake, **heart, count=count),
            Emission(**flake, **heart, limit=2 * count),
            Upkeep(**flake, **heart, count=count),
            Speed(),
            Drag.keeping(0.999),
            Turbulence(strength=2.5, scale=320.0, speed=0.15),
            Bounds(margin=40.0),
            Twinkle(low=0.6, high=1.0),
            FadeWithDistance(x, y, reach=1.15 * reach, floor=0.1),
            ScaleWithDistance(x, y, reach, near=0.65, far=1.4),  # flakes at the edge have come nearer
            *((Trail(settings.trail, light=0.4, taper=0.8),) if settings.trail and sprite.shape == "glow" else ()),
            sprite,
            Reactive(_reactions(settings.bass_threshold, share)),
        ),
        name=name,
    )


def _reactions(high: float, share: float) -> tuple[Binding, ...]:
    more = Curve(((0, 0.5 * F * share), (1, 3.5 * F * share)))  # flakes/s
    return (
        Binding("level", Emission, "rate", op="add", threshold=high, curve=more),
        Binding("level", Speed, "factor", threshold=high, gain=0.5),
        Binding("level", Twinkle, "pace", gain=3.0),
        Binding("level", Look, "light", gain=1.06),
        Binding("level", Look, "radius", gain=0.2),
        Binding("sections", Speed, "factor", gain=0.4, attack=0.5, release=2.0),  # faster when a section begins
    )
