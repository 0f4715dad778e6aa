"""Systems that only orbits has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecs_core import (
    F32,
    Brightness,
    Clock,
    Color,
    ColorBy,
    Column,
    Look,
    Phase,
    Position,
    Speed,
    Sprites,
    System,
    Table,
    World,
)
from plugins.orbits.geometry import Drum, Family, Strokes, places

_STEP = 0.09  # radians of an orbit that are drawn as one straight line
_FINEST, _COARSEST = 48, 4  # lines of a tail
_GUIDE, _GUIDE_RADIUS = 96, 0.9  # lines of a guide, and half their width in units
_GLOWS = ((2.6, 0.9), (0.15, 1.7), (0.03, 3.0), (0.011, 5.2), (0.005, 9.0), (0.0025, 18.0))  # light, size: the sun
_NEAR = 4.0  # how much brighter what is near is: its scale to this power


class Orbit(Column):
    """A body's orbit: radius in units, angle in radians, radians a second, and what is added to the tilt and turn of
    its family, degrees; and the scale at which it is seen.
    """

    radius: F32
    angle: F32
    rate: F32
    tilt: F32
    turn: F32
    scale: F32


@dataclass(frozen=True)
class Band:
    """Where and how fast a family goes round: ``rings`` orbits from ``inner`` to ``outer`` units, round which bodies
    scatter; ``pace`` is radians a second halfway, negative counter-clockwise.
    """

    bindable: ClassVar[tuple[str, ...]] = ()

    inner: float
    outer: float
    rings: int
    scatter: float
    pace: float

    @property
    def orbits(self) -> NDArray[np.float64]:
        """The radii of the orbits, units."""
        return self.inner + (self.outer - self.inner) * (np.arange(self.rings) + 0.5) / self.rings


@dataclass(frozen=True)
class Tail:
    """The tail of a body: its length in ``seconds``; its ``light`` and ``width`` as shares of the body's.

    Both shrink along it, its width by ``taper``, a share.
    """

    bindable: ClassVar[tuple[str, ...]] = ("light",)
    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({"light": (0.0, 100.0)})

    seconds: float
    light: float = 0.24
    width: float = 0.6
    taper: float = 0.8


@dataclass(frozen=True)
class Sun:
    """The light in the centre: ``x`` and ``y`` in units, its ``size`` (units), colour and ``light``."""

    bindable: ClassVar[tuple[str, ...]] = ("size", "light")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = MappingProxyType({"size": (0.1, 2000.0), "light": (0.0, 1e3)})

    x: float
    y: float
    colour: tuple[float, float, float]
    size: float = 15.0
    light: float = 1.0


def seconds_of(world: World) -> float:
    """The second of the song."""
    return float(world.timeline.start) + world.get(Clock).t


def _strokes(world: World, entity: int, drum: Drum) -> Strokes:
    return Strokes.of(world.timeline, drum.event)


def _advance(world: World, entity: int, drum: Drum, seconds: ArrayLike) -> NDArray[np.float64]:
    """How far bodies have gone: seconds of the song, and those by which strokes have set them ahead; any shape."""
    return np.asarray(seconds, np.float64) + drum.push * world.derived(entity, drum, _strokes).pushed(seconds)


def _turned(orbit: Orbit, advanced: NDArray[np.float64] | float) -> F32:
    """The angles of bodies, radians, when they have gone on for so many seconds at their rates."""
    angles: F32 = np.mod(orbit.angle + orbit.rate.astype(np.float64) * advanced, math.tau).astype(np.float32)
    return angles


class Place(System):
    """Gives new bodies their orbits."""

    phase = Phase.EMIT
    needs = (Band, Orbit)
    writes = (Orbit,)

    def process(self) -> None:
        if self.world.frame != 0:
            return
        for entity, (table, band, orbit) in self.world.query(Table, Band, Orbit):
            n = len(table)
            angle, away, pace, tilt, turn = self.world.rng(self, entity).uniform(0.0, 1.0, (5, n))
            apart = (band.outer - band.inner) / band.rings
            radii = band.orbits[np.arange(n) % band.rings] + apart * band.scatter * (away - 0.5)
            orbit.radius[:] = radii
            orbit.angle[:] = math.tau * angle
            middle = (band.inner + band.outer) / 2
            orbit.rate[:] = band.pace * (middle / radii) ** 1.5 * (1 + 0.12 * band.scatter * (pace - 0.5))
            orbit.tilt[:] = 14 * band.scatter * (tilt - 0.5)
            orbit.turn[:] = 10 * band.scatter * (turn - 0.5)


class Revolve(System):
    """Moves bodies along their orbits."""

    phase = Phase.MOVE
    needs = (Family, Drum, Orbit, Position)
    writes = (Position, Orbit)

    def process(self) -> None:
        world, seconds = self.world, seconds_of(self.world)
        kinds = (Family, Drum, Orbit, Position)
        for entity, (family, drum, orbit, position, speed) in world.query(*kinds, optional=(Speed,)):
            before, now = _advance(world, entity, drum, [seconds - world.dt, seconds])
            orbit.angle[:] = _turned(orbit, (now - before) * (1.0 if speed is None else speed.factor))
            x, y, scale = places(family, seconds, orbit.radius, orbit.angle, orbit.tilt, orbit.turn)
            position.x[:], position.y[:], orbit.scale[:] = x, y, scale


class Depth(System):
    """Makes bodies that are near larger and brighter."""

    phase = Phase.SHADE
    needs = (Orbit, Look)
    reads = (Orbit,)
    writes = (Look,)

    def process(self) -> None:
        for _, (orbit, look) in self.world.query(Orbit, Look):
            look.radius *= orbit.scale
            look.light *= orbit.scale ** np.float32(_NEAR)


class Pace(System):
    """Colours bodies by how fast they go round, as they have no Velocity: fast just after a stroke of their drum."""

    phase = Phase.SHADE
    needs = (ColorBy, Drum, Orbit, Brightness, Color)
    reads = (Orbit, Brightness)
    writes = (Color,)

    def process(self) -> None:
        world, seconds = self.world, seconds_of(self.world)
        kinds = (ColorBy, Drum, Orbit, Brightness, Color)
        for entity, (color_by, drum, orbit, brightness, color, speed) in world.query(*kinds, optional=(Speed,)):
            if color_by.by != "speed":
                continue
            before, now = _advance(world, entity, drum, [seconds - world.dt, seconds])
            factor = np.float32((now - before) / world.dt * (1.0 if speed is None else speed.factor))
            square = (orbit.radius * orbit.rate * factor) ** 2
            usual = np.float32(color_by.usual**2)
            colours = color_by.palette(1 - usual / (square + usual)) * brightness.value[:, None]
            color.r[:], color.g[:], color.b[:] = colours.T


class Guides(System):
    """Draws faint lines along the orbits that a family shares."""

    phase = Phase.EXTRACT
    needs = (Family, Band, Color)
    reads = (Color,)

    def process(self) -> None:
        world, seconds = self.world, seconds_of(self.world)
        for _, (table, family, band, color) in world.query(Table, Family, Band, Color):
            if not (len(table) and family.guide):
                continue
            angle = np.linspace(0, math.tau, _GUIDE + 1, dtype=np.float32)[:, None]
            nothing = np.zeros(1, np.float32)
            x, y, scale = places(family, seconds, band.orbits.astype(np.float32), angle, nothing, nothing)
            light = np.float32(family.guide) * scale[:-1].ravel() ** np.float32(2 * _NEAR)
            red, green, blue = (np.float32(channel.mean()) * light for channel in (color.r, color.g, color.b))
            _draw_lines(world, x, y, np.full_like(light, _GUIDE_RADIUS), (red, green, blue))


class Arcs(System):
    """Draws the tails of bodies: the parts of their orbits where they have just been."""

    phase = Phase.EXTRACT
    needs = (Family, Drum, Orbit, Tail, Look, Color)
    reads = (Orbit, Look, Color)

    def process(self) -> None:
        world, seconds = self.world, seconds_of(self.world)
        kinds = (Table, Family, Drum, Orbit, Tail, Look, Color)
        for entity, (table, family, drum, orbit, tail, look, color, speed) in world.query(*kinds, optional=(Speed,)):
            if not len(table) or not tail.light:
                continue
            factor = 1.0 if speed is None else speed.factor
            now, then = _advance(world, entity, drum, [seconds, seconds - tail.seconds])
            turns = float(np.abs(orbit.rate).max()) * abs(factor) * (now - then)
            lines = int(np.clip(np.ceil(turns / _STEP), _COARSEST, _FINEST))
            share = np.linspace(0, 1, lines + 1)[:, None]
            ago = now - _advance(world, entity, drum, seconds - tail.seconds * share)
            angle = _turned(orbit, -factor * ago)
            x, y, scale = places(family, seconds, orbit.radius, angle, orbit.tilt, orbit.turn)
            width = (tail.width * (1 - tail.taper * share) * look.radius).astype(np.float32)
            left = (1 - share[:-1]).astype(np.float32)
            fade = ((1 - share[1:]) / (1 - share[:-1])).astype(np.float32) ** 2
            near = (scale[:-1] / scale[0]) ** np.float32(_NEAR)
            light = np.float32(tail.light) * left * left * near * look.light
            _draw_lines(
                world,
                x,
                y,
                width[:-1].ravel(),
                ((color.r * light).ravel(), (color.g * light).ravel(), (color.b * light).ravel()),
                taper=(width[1:] / np.maximum(width[:-1], np.float32(1e-6))).ravel(),
                fade=np.broadcast_to(fade, light.shape).ravel(),
            )


class Sunlight(System):
    """Draws the sun: a bright core, and glows round it, each wider and fainter."""

    phase = Phase.EXTRACT
    needs = (Sun,)

    def process(self) -> None:
        for _, (sun,) in self.world.query(Sun):
            light, size = (np.array(each, np.float32) for each in zip(*_GLOWS, strict=True))
            red, green, blue = (np.float32(channel * sun.light) * light for channel in sun.colour)
            x, y = np.full_like(size, sun.x), np.full_like(size, sun.y)
            none, round_ = np.zeros_like(size), np.zeros(len(size), np.uint8)
            self.world.draw(Sprites(x, y, size * np.float32(sun.size), red, green, blue, none, round_))


def _draw_lines(
    world: World,
    x: F32,
    y: F32,
    radius: F32,
    colour: tuple[F32, F32, F32],
    *,
    taper: F32 | None = None,
    fade: F32 | None = None,
) -> None:
    """Draw lines from each row of points, (rows, n), to the next one; all else is ((rows - 1) × n,)."""
    red, green, blue = colour
    dx, dy = np.diff(x, axis=0).ravel(), np.diff(y, axis=0).ravel()
    none, round_ = np.zeros_like(dx), np.zeros(len(dx), np.uint8)
    world.draw(
        Sprites(
            x[:-1].ravel(), y[:-1].ravel(), radius, red, green, blue, none, round_,
            dx=dx, dy=dy, taper=taper, fade=fade,
        )
    )  # fmt: skip
