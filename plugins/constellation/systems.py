"""Systems that only constellation has."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from ecs_core import F32, AudioFrame, Clock, Color, Column, Depth, Look, Phase, Position, Speed, System, Table, Velocity
from plugins.constellation.settings import ConstellationSettings

f32 = np.float32


@dataclass(frozen=True)
class Globe:
    """The globe's middle and ``radius`` (units), its ``spin`` (radians/s), how far stars ``wander`` (units), how much
    larger a ``breath`` makes it, and how bright a kick's ``pulse`` is.
    """

    bindable: ClassVar[tuple[str, ...]] = ("radius", "spin", "breath", "pulse")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType(
        {"radius": (1.0, 1e4), "breath": (-0.9, 10.0), "pulse": (0.0, 100.0)}
    )

    x: float
    y: float
    radius: float
    spin: float
    wander: float
    breath: float = 0.0
    pulse: float = 1.0


class Home(Column):
    """The place of a star, as shares of the globe's radius, and how far it has turned (radians)."""

    x: F32
    y: F32
    z: F32
    turned: F32


class PlaceOnGlobe(System):
    """Gives the stars their places when they are born: most near the surface, some inside, a few outside."""

    phase = Phase.EMIT
    writes = (Home, Color)

    def process(self) -> None:
        if self.world.frame != 0:
            return
        settings = self.world.get(ConstellationSettings)
        for entity, (table, home, color) in self.world.query(Table, Home, Color):
            n = len(table)
            u, v, depth, stray = self.world.rng(self, entity).uniform(0.0, 1.0, (4, n))
            up, around = 2 * u - 1, 2 * np.pi * v
            away = np.where(
                stray < 0.78, 0.86 + 0.2 * depth, np.where(stray < 0.93, 0.35 + 0.5 * depth, 1.1 + 0.3 * depth**2)
            )
            flat = np.sqrt(1 - up * up)
            home.x[:], home.y[:], home.z[:] = away * flat * np.cos(around), away * up, away * flat * np.sin(around)
            if settings.color_by is not None:
                continue
            light = np.maximum(np.maximum(color.r, color.g), color.b)
            shown = settings.palette(0.5 + 0.5 * np.clip(home.y, -1, 1))
            brightest = np.maximum(shown.max(axis=1), f32(1e-6))
            color.r[:], color.g[:], color.b[:] = (shown / brightest[:, None] * light[:, None]).T


class TurnGlobe(System):
    """Turns the globe, its poles slower than its equator, so that stars pass by each other."""

    phase = Phase.MOVE
    reads = (Home,)
    writes = (Home, Position, Depth, Velocity)

    def process(self) -> None:
        world, dt = self.world, self.world.dt
        t = world.get(Clock).t
        kinds = (Table, Globe, Home, Position, Depth, Velocity)
        for entity, (table, globe, home, position, depth, velocity, speed) in world.query(*kinds, optional=(Speed,)):
            factor = 1.0 if speed is None else speed.factor
            phase = f32(2 * np.pi) * world.traits(self, entity, table)
            way = f32(globe.spin * factor * dt) * (f32(1.15) - f32(0.45) * np.minimum(home.y * home.y, f32(1)))
            before = _places(globe, home, phase, t - dt)
            home.turned += way
            now = _places(globe, home, phase, t)
            # Velocity as it is between the beats: a breath comes and goes within a frame.
            places, velocities = (position.x, position.y, depth.z), (velocity.x, velocity.y, depth.vz)
            seconds = f32(dt * (factor if abs(factor) >= 1e-3 else 1e-3))
            for place, v, was, to in zip(places, velocities, before, now, strict=True):
                v[:] = (to - was) / seconds
                place[:] = to


class SendLight(System):
    """Lets each kick send a wave of light through the globe, from a place of its own."""

    phase = Phase.SHADE
    reads = (Position, Depth)
    writes = (Look,)

    def process(self) -> None:
        world = self.world
        kicks = [
            (*world.rng(self, nth=nth).uniform(-1.0, 1.0, 2), since, strength)
            for nth, since, strength in world.get(AudioFrame).recent("kicks", 1.6)
        ]
        for _, (globe, home, look) in world.query(Globe, Home, Look):
            for u, v, since, strength in kicks:
                flat, around = np.sqrt(1 - u * u), np.pi * v
                away = np.sqrt(
                    (home.x - f32(flat * np.cos(around))) ** 2
                    + (home.y - f32(u)) ** 2
                    + (home.z - f32(flat * np.sin(around))) ** 2
                )
                front, fades = f32(2.0 * since), f32(np.exp(-2.2 * since))
                wave = np.exp(-(((away - front) / f32(0.22)) ** 2))
                look.light *= 1 + f32(5.0 * globe.pulse * strength) * fades * wave
                look.radius *= 1 + f32(0.5 * min(globe.pulse, 2.0) * strength) * fades * wave


def _places(globe: Globe, home: Home, phase: F32, t: float) -> tuple[F32, F32, F32]:
    """Where stars are in space: turned, and each straying a little in its own time."""
    c, s = np.cos(home.turned), np.sin(home.turned)
    size, stray = f32(globe.radius * (1 + globe.breath)), f32(globe.wander)
    return (
        f32(globe.x) + size * (c * home.x + s * home.z) + stray * np.sin(f32(0.37 * t) + 3 * phase),
        f32(globe.y) + size * home.y + stray * np.sin(f32(0.29 * t) + 5 * phase),
        size * (c * home.z - s * home.x) + stray * np.sin(f32(0.33 * t) + 7 * phase),
    )
