"""Flakes: small sharp ones at many depths, and a few large ones far out of focus."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecs_core import (
    F32,
    AudioFrame,
    Bounds,
    Canvas,
    Color,
    Column,
    Drag,
    Look,
    Phase,
    Position,
    Size,
    Speed,
    Sprite,
    System,
    Table,
    Turbulence,
    Velocity,
    World,
    linear_from_srgb,
)
from plugins.snow.settings import SnowSettings

FRAME = 30.0  # the settings speak of frames at 30 a second
OUT_OF_FOCUS = 16  # one flake in so many
HEART = 130.0  # units: flakes leave from within this distance of the centre


class Glint(Column):
    """Where a flake is in its twinkling, in turns, and how many turns a second it makes at rest."""

    phase: F32
    rate: F32


@dataclass(frozen=True)
class Flakes:
    """A population of flakes: how many, from where, which sizes (units of radius), how bright, and how fast.

    ``speed`` is units/s for the smallest and the largest; ``reach`` the distance at which they have faded.
    """

    settings: SnowSettings
    count: int
    x: float
    y: float
    size: tuple[float, float]
    tail: float
    light: tuple[float, float]
    speed: tuple[float, float]
    reach: float
    palette: F32


def populate(world: World, settings: SnowSettings) -> None:
    """Two populations: flakes in focus, and discs out of it."""
    canvas = world.get(Canvas)
    x, y = settings.x_position * canvas.width, settings.y_position * canvas.height
    reach = float(np.hypot(canvas.width, canvas.height)) / 2
    palette = linear_from_srgb(np.divide(settings.particle_colors, 255))
    blurred = settings.particle_count // OUT_OF_FOCUS
    sharp = settings.particle_count - blurred
    slow, fast = 0.5 * FRAME, 2.0 * FRAME
    kinds: tuple[tuple[Flakes, Literal["disc", "glow"]], ...] = (
        (Flakes(settings, blurred, x, y, (10, 34), 2.0, (0.020, 0.055), (fast, 1.8 * fast), reach, palette), "disc"),
        (Flakes(settings, sharp, x, y, (1, 4), 1.8, (1.1, 4.2), (slow, fast), reach, palette), "glow"),
    )
    for flakes, shape in kinds:
        world.populate(
            (Position, Velocity, Size, Color, Look, Glint),
            (
                flakes,
                Speed(factor=1.0),
                Drag(rate=-FRAME * float(np.log(0.999))),
                Turbulence(strength=2.5, scale=320.0, speed=0.15),
                Bounds(margin=40.0),
                Sprite(shape=shape),
            ),
        )


def _level(world: World, settings: SnowSettings) -> float:
    """The bass as this type hears it: loud passages amplified, 0–1."""
    return settings.enhanced_mode(world.get(AudioFrame).bass)


class EmitFlakes(System):
    """Keeps the number of flakes up, sends more while the bass is high, and lets all fall faster then."""

    phase = Phase.EMIT
    reads = (Velocity,)
    writes = (Position, Velocity, Size, Color, Glint)

    def process(self) -> None:
        query = self.world.query(Table, Flakes, Speed, Position, Velocity, Size, Color, Glint)
        for entity, (table, flakes, _, position, velocity, size, color, glint) in query:
            settings: SnowSettings = flakes.settings
            level = _level(self.world, settings)
            high = level > settings.bass_threshold
            rng = self.world.rng(self, entity)
            self.world.replace(entity, Speed(factor=1.0 + level / 2 if high else 1.0))
            n = flakes.count - len(table)
            if high and settings.particle_count:
                mean = float(np.hypot(velocity.x, velocity.y).mean()) / FRAME if len(table) else 0.0
                rate = (0.5 + 3.0 * level) * (1.0 + min(2.0, mean / 2.0)) * flakes.count / settings.particle_count
                wanted = int(rate * FRAME * self.world.dt + rng.uniform())  # a fraction becomes a chance
                n = max(n, min(wanted, 2 * flakes.count - len(table)))
            if n <= 0:
                continue
            new = table.spawn(n)
            launch(flakes, rng, new, position, velocity, size, n)
            if self.world.frame == 0:  # as if it had snowed for a while
                _spread(flakes, self.world.get(Canvas), rng, new, position, velocity, n)
            glint.phase[new] = rng.uniform(0.0, 1.0, n)
            glint.rate[new] = rng.uniform(0.3, 1.2, n)
            light = rng.uniform(flakes.light[0], flakes.light[1], n)
            picked = flakes.palette[rng.integers(0, len(flakes.palette), n)] * light[:, None]
            color.r[new], color.g[new], color.b[new] = picked.T


def launch(
    flakes: Flakes,
    rng: np.random.Generator,
    rows: slice,
    position: Position,
    velocity: Velocity,
    size: Size,
    n: int,
) -> None:
    """Let the ``n`` rows leave the centre, the large ones, being near, faster than the small."""
    settings = flakes.settings
    nearness = rng.uniform(0.0, 1.0, n) ** flakes.tail
    size.value[rows] = flakes.size[0] + (flakes.size[1] - flakes.size[0]) * nearness
    speed = flakes.speed[0] + (flakes.speed[1] - flakes.speed[0]) * (0.7 * nearness + 0.3 * rng.uniform(0.0, 1.0, n))
    angle = rng.uniform(0.0, 2 * np.pi, n)
    start = HEART * np.sqrt(rng.uniform(0.0, 1.0, n))
    position.x[rows] = flakes.x + np.cos(angle) * start
    position.y[rows] = flakes.y + np.sin(angle) * start
    velocity.x[rows] = np.cos(angle) * speed + settings.speed_x * FRAME
    velocity.y[rows] = np.sin(angle) * speed + settings.speed_y * FRAME


def _spread(
    flakes: Flakes,
    canvas: Canvas,
    rng: np.random.Generator,
    rows: slice,
    position: Position,
    velocity: Velocity,
    n: int,
) -> None:
    """Move newly launched rows along their way, anywhere up to the edge of the frame."""
    speed = np.hypot(velocity.x[rows], velocity.y[rows]) + 1e-6
    way_x, way_y = velocity.x[rows] / speed, velocity.y[rows] / speed
    # How far it is to the edge of the frame in that direction.
    to_x = np.where(way_x > 0, canvas.width - flakes.x, flakes.x) / (np.abs(way_x) + 1e-6)
    to_y = np.where(way_y > 0, canvas.height - flakes.y, flakes.y) / (np.abs(way_y) + 1e-6)
    way = rng.uniform(0.0, 1.0, n) ** 0.7 * np.minimum(to_x, to_y)
    position.x[rows] += way_x * way
    position.y[rows] += way_y * way


class ThrowBack(System):
    """At an onset with high bass some flakes, those far out and fast rather, jump back to the centre."""

    phase = Phase.EMIT
    writes = (Position, Velocity)

    def process(self) -> None:
        audio = self.world.get(AudioFrame)
        if not audio.count("onsets"):
            return
        for entity, (flakes, position, velocity) in self.world.query(Flakes, Position, Velocity):
            settings: SnowSettings = flakes.settings
            level = _level(self.world, settings)
            if level <= settings.bass_threshold:
                continue
            rng = self.world.rng(self, entity)
            speed = np.hypot(velocity.x, velocity.y)
            chance = (level - settings.bass_threshold) * 0.3 * (1.0 + speed / FRAME / 5.0)
            distance = np.hypot(position.x - np.float32(flakes.x), position.y - np.float32(flakes.y))
            # The farther out the likelier: or a song full of kicks would keep all of them at the centre.
            chance *= np.minimum(1, distance / np.float32(flakes.reach)) ** 2
            jumping = rng.uniform(0.0, 1.0, len(speed)) < chance
            start = HEART * rng.uniform(0.0, 1.0, len(speed)).astype(np.float32) / (speed + np.float32(1e-6))
            position.x[jumping] = flakes.x + (velocity.x * start)[jumping]
            position.y[jumping] = flakes.y + (velocity.y * start)[jumping]


class TwinkleFlakes(System):
    """Flakes twinkle between 0.6 and 1, faster with the bass, and fade with distance from the centre."""

    phase = Phase.SHADE
    reads = (Position,)
    writes = (Look, Glint)

    def process(self) -> None:
        dt = self.world.dt
        for _, (flakes, position, look, glint) in self.world.query(Flakes, Position, Look, Glint):
            level = _level(self.world, flakes.settings)
            glint.phase += glint.rate * np.float32(dt * (1.0 + 3.0 * level))
            glint.phase -= np.floor(glint.phase)
            twinkle = np.float32(0.8) + np.float32(0.2) * np.sin(glint.phase * np.float32(2 * np.pi))
            distance = np.hypot(position.x - np.float32(flakes.x), position.y - np.float32(flakes.y))
            fade = np.maximum(np.float32(0.1), 1 - distance / np.float32(1.15 * flakes.reach))
            look.light *= twinkle * fade * np.float32(0.85 + 0.9 * level)
            # As if seen in perspective: what has come outward has come nearer.
            near = np.float32(0.65) + np.float32(0.75) * np.minimum(1, distance / np.float32(flakes.reach))
            look.radius *= near * np.float32(1.0 + 0.2 * level)
