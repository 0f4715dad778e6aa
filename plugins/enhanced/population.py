"""The population of enhanced: sparks born on a ring, moved by the bass, and reborn at the centre when they leave."""

from typing import Any

from ecs_core import FRAME as F
from ecs_core import (
    Attraction,
    Binding,
    Bounds,
    Burst,
    Canvas,
    Color,
    Curve,
    Drag,
    Growth,
    Jitter,
    Look,
    Pareto,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Sprite,
    Trail,
    Twinkle,
    Upkeep,
    Velocity,
    Walls,
    World,
)
from plugins.enhanced.settings import EnhancedSettings


def populate(world: World, settings: EnhancedSettings) -> None:
    """One population of sparks."""
    x, y = settings.centre(world.get(Canvas))
    drift_x, drift_y = settings.drift
    spark: dict[str, Any] = {
        "x": x,
        "y": y,
        "size": Pareto(0.9, 10.0),  # many small, few large
        "growth": settings.growth,
        "sizes": (0.5, 10.0),
        "light": Range(0.5, 3.1, tail=2.5),
        "light_by_size": 0.42,
        "pulse": Range(0.25, 0.8),
        "palette": settings.palette,
        "count": settings.particle_count,
    }
    # They orbit slowly, so that in silence they form a whirl instead of collapsing to a point.
    ring: dict[str, Any] = {
        "shape": "ring",
        "inner": 200.0,
        "outer": 400.0,
        "speed": Range(0, 0),
        "orbit": Range(50, 120),
    }
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse, Growth),
        (
            Burst(**spark, **ring, drift_x=drift_x, drift_y=drift_y),
            Upkeep(**spark, speed=Range(1 * F, 3 * F), orbit=Range(20, 48)),
            Attraction(x, y, strength=_pull(settings), softness=90.0),
            Jitter.of(0.25),  # keeps the whirl going: drag alone would collapse it in a quiet minute
            Drag.keeping(0.995),
            Walls("reflect") if settings.bounce else Bounds(margin=20.0),
            Twinkle(low=0.33, high=0.75),
            *((Trail(settings.trail, light=0.8, taper=0.6),) if settings.trail else ()),
            Sprite("glow"),
            Reactive(_reactions(settings)),
        ),
    )


def _pull(settings: EnhancedSettings) -> float:
    """Inward acceleration in silence, units/s²."""
    return settings.inner_movement_strength * 0.06 * F * F


def _reactions(settings: EnhancedSettings) -> tuple[Binding, ...]:
    high = settings.bass_threshold
    pull, push = _pull(settings), settings.outer_movement_strength * 0.15 * F * F
    return (
        # The acceleration is pull · (1 - level) below the threshold, and -push · level above it.
        Binding("level", Attraction, "strength", op="add", gain=-pull),
        Binding("level", Attraction, "strength", op="add", threshold=high, curve=Curve(((0, -pull), (1, -push)))),
        Binding("level", Jitter, "strength", op="add", threshold=high, gain=Jitter.of(0.5).strength),
        Binding("level", Twinkle, "pace", gain=2.0),
        Binding("level", Look, "light", gain=2.0),
        Binding("level", Look, "radius", gain=0.35),
        Binding("beats", Look, "light", gain=0.2, release=0.2),
    )
