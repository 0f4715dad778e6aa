"""Sparks: born on a ring, pushed and pulled by the bass, pulsing, reborn at the centre when they leave."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    Sprite,
    System,
    Table,
    Velocity,
    Walls,
    World,
    linear_from_srgb,
)
from plugins.enhanced.settings import EnhancedSettings

FRAME = 30.0  # the settings speak of frames at 30 a second
RING = (200.0, 400.0)  # units from the centre
ORBIT = (50.0, 120.0)  # units/s round it
HEART = 90.0  # units: within this the pull fades
SMALLEST, LARGEST = 0.5, 10.0  # radius, units


class Pulse(Column):
    """Where a spark is in its pulse, in turns, and how many turns a second it makes at rest."""

    phase: F32
    rate: F32


class Growth(Column):
    """How fast a spark's radius changes, units/s, and the radii between which it swings."""

    rate: F32
    low: F32
    high: F32


@dataclass(frozen=True)
class Sparks:
    """The settings of a population of sparks, in units and seconds; ``palette`` is (n, 3) linear light."""

    settings: EnhancedSettings
    x: float
    y: float
    palette: F32


def populate(world: World, settings: EnhancedSettings) -> None:
    """One population of sparks."""
    canvas = world.get(Canvas)
    palette = linear_from_srgb(np.divide(settings.particle_colors, 255))
    sparks = Sparks(settings, settings.x_position * canvas.width, settings.y_position * canvas.height, palette)
    edge = Walls(mode="reflect") if settings.bounce else Bounds(margin=20.0)
    world.populate(
        (Position, Velocity, Size, Color, Look, Pulse, Growth),
        (sparks, edge, Drag(rate=-FRAME * float(np.log(0.995))), Sprite(shape="glow")),
    )


def _level(world: World, settings: EnhancedSettings) -> float:
    """The bass as this type hears it: loud passages amplified, 0–1."""
    return settings.enhanced_mode(world.get(AudioFrame).bass)


class EmitSparks(System):
    """Keeps the number of sparks: on the ring at first, later at the centre."""

    phase = Phase.EMIT
    writes = (Position, Velocity, Size, Color, Pulse, Growth)

    def process(self) -> None:
        query = self.world.query(Table, Sparks, Position, Velocity, Size, Color, Pulse, Growth)
        for entity, (table, sparks, position, velocity, size, color, pulse, growth) in query:
            settings: EnhancedSettings = sparks.settings
            n = settings.particle_count - len(table)
            if n <= 0:
                continue
            rng = self.world.rng(self, entity)
            new = table.spawn(n)
            angle = rng.uniform(0, 2 * np.pi, n)
            across, down = np.cos(angle), np.sin(angle)
            if self.world.frame == 0:
                distance = rng.uniform(*RING, n)
                orbit = rng.uniform(*ORBIT, n)  # so that silence draws them into a whirl, not to a point
                drift_x = _drift(settings.speed_x, rng, n) - down * orbit
                drift_y = _drift(settings.speed_y, rng, n) + across * orbit
            else:
                distance = np.zeros(n)
                speed = rng.uniform(1.0, 3.0, n) * FRAME
                turn = rng.uniform(*ORBIT, n) * 0.4
                drift_x, drift_y = across * speed - down * turn, down * speed + across * turn
            position.x[new] = sparks.x + across * distance
            position.y[new] = sparks.y + down * distance
            velocity.x[new], velocity.y[new] = drift_x, drift_y
            # Many specks, few stars: a Pareto tail, cut at the largest size.
            radius = np.clip(0.72 * (1.0 - rng.uniform(0.0, 0.992, n)) ** -0.58, SMALLEST, LARGEST)
            size.value[new] = radius
            growth.low[new] = np.maximum(0.6 * radius, SMALLEST)
            growth.high[new] = np.minimum(1.5 * radius, LARGEST)
            change = np.full(n, settings.speed_z) if settings.speed_z else rng.uniform(-0.1, 0.1, n) * radius / LARGEST
            growth.rate[new] = change * FRAME
            pulse.phase[new] = rng.uniform(0.0, 1.0, n)
            pulse.rate[new] = rng.uniform(0.25, 0.8, n)
            light = 0.5 + 2.6 * rng.uniform(0.0, 1.0, n) ** 2.5 + 0.42 * radius
            picked = sparks.palette[rng.integers(0, len(sparks.palette), n)] * light[:, None]
            color.r[new], color.g[new], color.b[new] = picked.T


def _drift(setting: float, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """A speed in units/s from a setting in px a frame, where 0 means random."""
    return np.full(n, setting * FRAME) if setting else rng.uniform(-0.5, 0.5, n) * FRAME


class PushAndPull(System):
    """High bass pushes sparks away from the centre and shakes them; low bass pulls them in."""

    phase = Phase.FORCE
    reads = (Position,)
    writes = (Velocity,)

    def process(self) -> None:
        dt = self.world.dt
        for entity, (sparks, position, velocity) in self.world.query(Sparks, Position, Velocity):
            settings: EnhancedSettings = sparks.settings
            level = _level(self.world, settings)
            dx, dy = position.x - np.float32(sparks.x), position.y - np.float32(sparks.y)
            distance = np.sqrt(dx * dx + dy * dy + np.float32(1.0))
            inverse = 1 / (distance + np.float32(HEART))
            if level > settings.bass_threshold:
                pull = level * settings.outer_movement_strength * 0.15
                # A random walk: steps shrink with the root of the time step, so that any frame rate walks as far.
                shake = np.float32(level / 2 * FRAME * (dt * FRAME) ** 0.5)
                steps = self.world.rng(self, entity).uniform(-1.0, 1.0, (2, len(dx))).astype(np.float32) * shake
                velocity.x += steps[0]
                velocity.y += steps[1]
            else:
                pull = -settings.inner_movement_strength * (1.0 - level) * 0.06
            amount = np.float32(pull * FRAME * FRAME * dt)
            velocity.x += amount * dx * inverse
            velocity.y += amount * dy * inverse


class PulseSparks(System):
    """Sparks swing in size and pulse in light, faster and brighter with the bass."""

    phase = Phase.SHADE
    reads = (Size,)
    writes = (Look, Size, Pulse, Growth)

    def process(self) -> None:
        dt = self.world.dt
        for _, (sparks, size, look, pulse, growth) in self.world.query(Sparks, Size, Look, Pulse, Growth):
            level = _level(self.world, sparks.settings)
            size.value += growth.rate * np.float32(dt)
            turn = (size.value < growth.low) & (growth.rate < 0) | (size.value > growth.high) & (growth.rate > 0)
            growth.rate[turn] *= -1
            np.clip(size.value, SMALLEST, LARGEST, out=size.value)
            pulse.phase += pulse.rate * np.float32(dt * (1.0 + 2.0 * level))
            pulse.phase -= np.floor(pulse.phase)
            wave = np.sin(pulse.phase * np.float32(2 * np.pi))
            look.light *= (np.float32(0.72) + np.float32(0.28) * wave) * np.float32(0.75 + 1.5 * level)
            look.radius *= np.float32(1.0 + 0.35 * level)
