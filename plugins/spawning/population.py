"""The population of continuous_spawning: sparks emitted at a rate that follows the music, up to max_particles."""

from ecs_core import FRAME as F
from ecs_core import (
    Binding,
    Bounds,
    Canvas,
    Color,
    Drag,
    Emission,
    FadeWithDistance,
    Growth,
    Lifetime,
    Look,
    Pareto,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Speed,
    Sprite,
    Trail,
    Turbulence,
    Twinkle,
    Velocity,
    World,
)
from plugins.spawning.settings import ContinuousSpawningSettings


def populate(world: World, settings: ContinuousSpawningSettings) -> None:
    """One population of sparks."""
    canvas = world.get(Canvas)
    x, y = settings.spawn_center_x * canvas.width, settings.spawn_center_y * canvas.height
    drift_x, drift_y = (drift if set_by_user else Range(0, 0) for drift, set_by_user in _drifts(settings))
    per_level = settings.max_particles / 1000 * F  # particles/s
    world.populate(
        (Position, Velocity, Size, Color, Look, Lifetime, Pulse, Growth),
        (
            Emission(
                x=x,
                y=y,
                shape="area",
                width=settings.spawn_area_width * canvas.width,
                height=settings.spawn_area_height * canvas.height,
                rate=settings.steady_spawn_rate * per_level,
                limit=settings.max_particles,
                speed=Range(1.5 * F, 5 * F, tail=1.5),
                drift_x=drift_x,
                drift_y=drift_y,
                span=Range(1000 / F, 1000 / F),
                size=Pareto(0.8, 8.0, 1.6),
                growth=settings.growth,
                sizes=(0.5, 10.0),
                light=Range(0.7, 3.2, tail=2),
                light_by_size=0.3,
                palette=settings.palette,
            ),
            Turbulence(strength=30.0, scale=300.0, speed=0.25),
            Speed(),
            Drag.keeping(0.998),
            Bounds(margin=50.0),
            FadeWithDistance(x, y, reach=0.5 * (canvas.width**2 + canvas.height**2) ** 0.5, floor=0.1),
            Twinkle(low=0.65, high=1.0),
            *((Trail(settings.trail, taper=0.5),) if settings.trail else ()),
            Sprite("glow"),
            Reactive(_reactions(settings.bass_threshold, per_level)),
        ),
    )


def _drifts(settings: ContinuousSpawningSettings) -> tuple[tuple[Range, bool], tuple[Range, bool]]:
    drift_x, drift_y = settings.drift
    return (drift_x, bool(settings.speed_x)), (drift_y, bool(settings.speed_y))


def _reactions(high: float, per_level: float) -> tuple[Binding, ...]:
    return (
        # 3 · level, and 12 · level above the threshold.
        Binding("level", Emission, "rate", op="add", gain=3 * per_level),
        Binding("level", Emission, "rate", op="add", threshold=high, gain=9 * per_level),
        Binding("level", Emission, "speed", gain=0.9),
        Binding("level", Emission, "size", gain=0.7),
        Binding("level", Emission, "light", gain=1.0),
        Binding("level", Speed, "factor", threshold=high, gain=0.6),
        Binding("level", Look, "light", gain=0.5),
        Binding("drops", Emission, "rate", op="add", gain=20 * per_level, release=0.6),
    )
