"""Systems of portrait: particles take their places once, and from then on a spring brings them home."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from ecs_core import (
    F32,
    AudioFrame,
    Brightness,
    Canvas,
    Clock,
    Color,
    Column,
    Phase,
    Position,
    Pulse,
    Size,
    Speed,
    System,
    Table,
    Velocity,
)
from plugins.portrait.likeness import likeness
from plugins.portrait.settings import PortraitSettings

f32 = np.float32
BREATH = 5.0  # seconds of a breath
Limits = Mapping[str, tuple[float, float]]


class Home(Column):
    """Where a particle belongs, and how far from there it is, in units."""

    x: F32
    y: F32
    away_x: F32
    away_y: F32


@dataclass(frozen=True)
class Crowd:
    """How many particles there are, how many times as large and bright as usual, and whether they are so ``evenly``."""

    bindable: ClassVar[tuple[str, ...]] = ()

    count: int
    size: float = 1.0
    light: float = 1.0
    evenly: bool = False


@dataclass(frozen=True)
class Spring:
    """Pulls particles home: an oscillator of ``rate`` (rad/s) and ``damping``, which would not swing at 1."""

    limits: ClassVar[Limits] = MappingProxyType({"rate": (0.05, 100.0), "damping": (0.0, 0.99)})

    rate: float = 6.0
    damping: float = 0.7


@dataclass(frozen=True)
class Scatter:
    """What throws particles, in spreads of the shape, which is how far its homes are from their middle: a kick those
    within about ``reach`` of a place in it, at up to ``kick`` a second; a drop all of them, at up to ``drop``.
    """

    limits: ClassVar[Limits] = MappingProxyType({"kick": (0.0, 1e3), "drop": (0.0, 1e3), "reach": (0.01, 1e3)})

    kick: float = 16.0
    drop: float = 18.0
    reach: float = 0.5


@dataclass(frozen=True)
class Breath:
    """Swaying by ``sway`` units and swelling by the share ``swell``: all of it in silence, none where it is loud."""

    limits: ClassVar[Limits] = MappingProxyType({"sway": (0.0, 1e3), "swell": (0.0, 1.0)})

    sway: float = 2.2
    swell: float = 0.012


class Settle(System):
    """Puts all particles at home, once. So the homes are in each snapshot, and are found in one process alone."""

    phase = Phase.EMIT
    random_key = "portrait.Settle"
    needs = (Home,)
    writes = (Home, Position, Size, Color, Pulse)

    def process(self) -> None:
        world = self.world
        if world.frame != 0:
            return
        settings, canvas = world.get(PortraitSettings), world.get(Canvas)
        for entity, (crowd, table, home, position, size, color, pulse, bright) in world.query(
            Crowd, Table, Home, Position, Size, Color, Pulse, optional=(Brightness,)
        ):
            found = likeness(settings, canvas, crowd.count, world.rng(self, entity))
            new = table.spawn(len(found.x))
            home.x[new], home.y[new] = position.x[new], position.y[new] = found.x, found.y
            size.value[new] = found.size * f32(crowd.size)
            light = (np.ones_like(found.light) if crowd.evenly else found.light) * f32(crowd.light)
            color.r[new], color.g[new], color.b[new] = (found.color * light[:, None]).T
            pulse.phase[new], pulse.rate[new] = found.phase, found.rate
            if bright is not None:
                bright.value[new] = light


class Return(System):
    """Moves particles by the exact solution of the damped oscillator; kicks and drops of the song push them."""

    phase = Phase.MOVE
    random_key = "portrait.Return"
    needs = (Home,)
    writes = (Home, Position, Velocity)

    def process(self) -> None:
        world, canvas = self.world, self.world.get(Canvas)
        t, quiet = world.get(Clock).t, 1 - min(1.0, world.get(AudioFrame)["short_term"])
        x, y = (f32(middle) for middle in world.get(PortraitSettings).centre(canvas))
        for entity, (table, home, position, velocity, spring, scatter, breath, speed) in world.query(
            Table, Home, Position, Velocity, Spring, Scatter, Breath, optional=(Speed,)
        ):
            if not len(table):
                continue
            factor = 1.0 if speed is None else max(0.0, speed.factor)
            stay, throw, pull, keep = (f32(each) for each in oscillated(spring, world.dt * factor))
            pushes = list(self._pushes(entity, home, scatter))
            for axis in "xy":
                away, v = getattr(home, f"away_{axis}"), getattr(velocity, axis)
                before = away.copy()
                away[:] = stay * before + throw * v
                v[:] = pull * before + keep * v
            for push_x, push_y, since in pushes:
                _, throw, _, keep = (f32(each) for each in oscillated(spring, since * factor))
                home.away_x += throw * push_x
                home.away_y += throw * push_y
                velocity.x += keep * push_x
                velocity.y += keep * push_y
            swell = f32(1 + quiet * breath.swell * math.sin(2 * math.pi * t / BREATH))
            traits = world.traits(self, entity, table)
            pace = f32(0.10) + f32(0.16) * ((traits * f32(64)) % f32(1))
            turn = f32(2 * math.pi) * (traits + pace * f32(t))
            sway = f32(quiet * breath.sway)
            position.x[:] = x + swell * (home.x - x) + home.away_x + sway * np.sin(turn)
            position.y[:] = y + swell * (home.y - y) + home.away_y + sway * np.cos(turn)

    def _pushes(self, entity: int, home: Home, scatter: Scatter) -> Iterator[tuple[F32, F32, float]]:
        """What each kick and drop of this move adds to the velocities, (n,) each, and how long before its end."""
        world, audio = self.world, self.world.get(AudioFrame)
        begin, moves = audio.timeline.time(audio.frame), round(1 / (float(world.fps) * world.dt))  # of the frame
        move = world.move % moves
        for event in ("kicks", "drops"):
            times = audio.timeline.events.get(event)
            if times is None:
                continue
            first, strong = audio.before(event), audio.timeline.strengths.get(event)
            for number in range(first, first + audio.timeline.count(event, audio.frame)):
                since_begin = float(times[number]) - begin
                if min(int(max(since_begin, 0.0) / world.dt), moves - 1) != move:
                    continue
                rng = world.rng(self, entity, nth=2 * number + (event == "drops"))
                strength = 1.0 if strong is None else 0.4 + 0.6 * float(strong[number])
                if event == "drops":
                    push = _dropped(rng, home, scatter)
                else:  # golden steps: kicks that follow each other are far apart, of haze and shape at the same place
                    place = (0.618034 * number + (world.seed % 997) / 997) % 1
                    push = _kicked(rng, home, scatter, place=place, strength=strength)
                yield *push, min(max(0.0, (move + 1) * world.dt - since_begin), world.dt)


def _kicked(
    rng: np.random.Generator, home: Home, scatter: Scatter, *, place: float, strength: float
) -> tuple[F32, F32]:
    """Away from the home that lies at the share ``place`` of all, which follow each other through the shape, and from
    the middle: what is thrown outward leaves the rest alone.
    """
    at = int(place * len(home.x))
    out_x, out_y, spread = _from_middle(home)
    reach = scatter.reach * spread
    x, y = home.x + home.away_x - home.x[at], home.y + home.away_y - home.y[at]
    near = np.exp((x * x + y * y) * f32(-0.5 / reach**2))
    out = f32(1.2 * reach) / (np.hypot(out_x, out_y) + f32(0.5 * reach))
    speed = f32(scatter.kick * strength * spread) * near
    return _thrown(rng, x + out * out_x, y + out * out_y, speed, turn=0.6)


def _dropped(rng: np.random.Generator, home: Home, scatter: Scatter) -> tuple[F32, F32]:
    """Away from the middle."""
    x, y, spread = _from_middle(home)
    return _thrown(rng, x, y, np.full(len(x), scatter.drop * spread, f32), turn=1.1)


def _from_middle(home: Home) -> tuple[F32, F32, float]:
    """Where the homes are, from the middle of all of them, and how far that is in the mean (root of the squares, at
    least 1); units.
    """
    x, y = (each - f32(each.mean(dtype=np.float64)) for each in (home.x, home.y))
    return x, y, max(1.0, float(np.mean(x * x + y * y, dtype=np.float64)) ** 0.5)


def _thrown(rng: np.random.Generator, x: F32, y: F32, speed: F32, *, turn: float) -> tuple[F32, F32]:
    """Velocities along (x, y), turned by up to ``turn`` radians; few particles have all of the ``speed``."""
    share, angle = rng.uniform(0.0, 1.0, (2, len(x))).astype(f32)
    speed = speed * (f32(0.05) + f32(0.95) * share**4) / (np.hypot(x, y) + f32(20))
    angle = (angle - f32(0.5)) * f32(2 * turn)
    c, s = np.cos(angle), np.sin(angle)
    return speed * (c * x - s * y), speed * (s * x + c * y)


def oscillated(spring: Spring, seconds: float) -> tuple[float, float, float, float]:
    """The exact solution after so many seconds: distance = a · distance + b · velocity, velocity = c · distance +
    d · velocity; returns (a, b, c, d).
    """
    decay, pull = spring.damping * spring.rate, spring.rate**2
    swing = spring.rate * math.sqrt(1 - spring.damping**2)
    fading = math.exp(-decay * seconds)
    c, s = fading * math.cos(swing * seconds), fading * math.sin(swing * seconds) / swing
    return c + decay * s, s, -pull * s, c - decay * s
