"""Components: the columns that particles have, and what an emitter can be told.

Units: the canvas is 1080 units high whatever the output's size; speeds are units a second, rates per second, so that a
scene looks the same at any size and frame rate. Emitter components are frozen; a binding replaces them with copies.

``bindable`` names the fields that a user's bindings may move, where that is not every number; ``limits`` says between
what values bindings of any kind keep a field, where that is not ± ``FAR``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, Self

from ecs_core.arrays import F32
from ecs_core.ecs.table import Column
from ecs_core.ecs.values import Curve, Draw, Gradient, Range

FRAME = 30.0  # settings speak of frames at 30 a second
FAR = 1e9  # what no binding moves a number beyond, so that none becomes infinite

Limits = Mapping[str, tuple[float, float]]
_LIGHT = (0.0, 1e4)  # less than none cannot be shown; more is as white
_RADIUS = (0.0, 1e4)  # units: nine pictures high
_KEPT = (0.0, 1.0)

# --- columns -----------------------------------------------------------------------------------------------------


class Position(Column):
    """Where a particle is, units, y down."""

    x: F32
    y: F32


class Velocity(Column):
    """How fast it moves, units/s."""

    x: F32
    y: F32


class Lifetime(Column, span=math.inf):
    """How old it is and how old it may become, s; a ``span`` of infinity, as at birth, never ends."""

    age: F32
    span: F32


class Size(Column, value=2.0):
    """Its radius at rest, units."""

    limits = MappingProxyType({"value": _RADIUS})

    value: F32


class Color(Column, r=1.0, g=1.0, b=1.0):
    """Its light at rest: linear red, green, blue, 0 upward, 1 about diffuse white."""

    limits = MappingProxyType({"r": _LIGHT, "g": _LIGHT, "b": _LIGHT})

    r: F32
    g: F32
    b: F32


class Pulse(Column):
    """Where it is in its pulse, in turns, 0–1, and how many turns a second it makes at rest (see Twinkle)."""

    phase: F32
    rate: F32


class Growth(Column, high=math.inf):
    """How fast its Size changes, units/s, and the radii between which it swings."""

    rate: F32
    low: F32
    high: F32


class Look(Column):
    """What is seen of it this frame, computed afresh in SHADE: radius in units, light as a factor on its colour."""

    limits = MappingProxyType({"radius": _RADIUS, "light": _LIGHT})

    radius: F32
    light: F32


# --- motion ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gravity:
    """A constant acceleration, units/s²."""

    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Drag:
    """Velocity shrinks by exp(-rate · t); ``rate`` 1/s, >= 0."""

    limits: ClassVar[Limits] = MappingProxyType({"rate": (0.0, FAR)})

    rate: float = 0.0

    @classmethod
    def keeping(cls, share: float) -> Self:
        """The drag that leaves ``share``, over 0 and up to 1, of the velocity after 1/30 s."""
        return cls(rate=-FRAME * math.log(share))


@dataclass(frozen=True, slots=True)
class Jitter:
    """A random walk of the velocity: steps of up to ± ``strength`` · √dt units/s, evenly drawn, in x and in y.

    With the root, particles wander as far at any frame rate.
    """

    strength: float = 0.0

    @classmethod
    def of(cls, per_frame: float) -> Self:
        """The jitter of ± ``per_frame`` px a frame, thirty times a second."""
        return cls(strength=per_frame * FRAME * math.sqrt(FRAME))


@dataclass(frozen=True, slots=True)
class Attraction:
    """Acceleration towards a point, units/s²; negative pushes away. ``softness`` (units) rounds off the centre."""

    bindable: ClassVar[tuple[str, ...]] = ("strength",)

    x: float
    y: float
    strength: float
    softness: float = 20.0


@dataclass(frozen=True, slots=True)
class Turbulence:
    """A divergence-free flow that stirs particles: ``strength`` units/s², eddies of ``scale`` units, ``speed`` 1/s.

    Bind ``strength`` to the song, not ``speed`` or ``scale``: time and place are multiples of them, and would jump.
    """

    bindable: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = 0.0
    scale: float = 200.0
    speed: float = 0.2


@dataclass(frozen=True, slots=True)
class Speed:
    """A factor on how far particles move, without changing their velocity."""

    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Walls:
    """What the edges of the canvas do: "reflect" (losing 1 - ``restitution`` of the speed) or "wrap"."""

    limits: ClassVar[Limits] = MappingProxyType({"restitution": _KEPT})

    mode: Literal["reflect", "wrap"] = "reflect"
    restitution: float = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Particles farther than ``margin`` units outside the canvas die."""

    bindable: ClassVar[tuple[str, ...]] = ()

    margin: float = 50.0


@dataclass(frozen=True, slots=True)
class Collide:
    """Particles bounce off each other as discs of equal mass; ``restitution`` 0–1 of the speed is kept."""

    limits: ClassVar[Limits] = MappingProxyType({"restitution": _KEPT})

    restitution: float = 1.0


# --- birth -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Birth:
    """Where particles begin, and as what; Burst, Emission and Upkeep say when and how many.

    From a "point", an "area" of ``width × height`` or a "ring" from ``inner`` to ``outer``, all round (``x``, ``y``),
    units. They leave in ``direction``, radians ± ``spread``, or away from the centre when None, at ``speed``, of which
    the share ``speed_with_size`` is decided by their size (large ones fast); across that, clockwise, at ``orbit``;
    and all at ``drift_x``, ``drift_y`` besides, units/s. ``growth``, units/s, swings their size between the factors
    ``swing`` of what it was; it never leaves ``sizes``, units. Each unit of radius adds ``light_by_size`` to ``light``.
    """

    bindable: ClassVar[tuple[str, ...]] = ("speed", "orbit", "spread", "size", "light")
    limits: ClassVar[Limits] = MappingProxyType({"spread": (0.0, math.pi), "size": _RADIUS, "light": _LIGHT})

    x: float
    y: float
    _: KW_ONLY
    shape: Literal["point", "area", "ring"] = "point"
    width: float = 0.0
    height: float = 0.0
    inner: float = 0.0
    outer: float = 0.0
    speed: Draw = Range(30.0, 60.0)
    speed_with_size: float = 0.0
    direction: float | None = None
    spread: float = 0.0
    orbit: Draw = Range(0.0, 0.0)
    drift_x: Draw = Range(0.0, 0.0)
    drift_y: Draw = Range(0.0, 0.0)
    span: Draw = Range(math.inf, math.inf)
    size: Draw = Range(1.0, 4.0)
    growth: Draw = Range(0.0, 0.0)
    swing: tuple[float, float] = (0.6, 1.5)
    sizes: tuple[float, float] = (0.0, math.inf)
    light: Draw = Range(1.0, 1.0)
    light_by_size: float = 0.0
    pulse: Draw = Range(0.3, 1.2)
    palette: Gradient = Gradient(((1.0, 1.0, 1.0),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst(Birth):
    """``count`` particles at once, ``at`` seconds."""

    bindable: ClassVar[tuple[str, ...]] = ()

    count: int
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission(Birth):
    """``rate`` a second and ``per_event`` at each ``event`` of the song (such as "beats"), while fewer than ``limit``
    are alive.
    """

    bindable: ClassVar[tuple[str, ...]] = (*Birth.bindable, "rate", "per_event")
    limits: ClassVar[Limits] = MappingProxyType({**Birth.limits, "rate": (0.0, FAR), "per_event": (0, FAR)})

    rate: float = 0.0
    event: str | None = None
    per_event: int = 0
    limit: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep(Birth):
    """Whoever is missing from ``count`` is born again."""

    count: int


# --- shading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sprite:
    """How particles are drawn: a "glow" (bright core, faint skirt) or a "disc" out of focus."""

    shape: Literal["glow", "disc"] = "glow"


@dataclass(frozen=True, slots=True)
class SizeOverLife:
    """Factor on the radius by share of life, 0–1."""

    curve: Curve


@dataclass(frozen=True, slots=True)
class LightOverLife:
    """Factor on the light by share of life, 0–1."""

    curve: Curve


@dataclass(frozen=True, slots=True)
class ColorOverLife:
    """Colour by share of life, 0–1."""

    gradient: Gradient


@dataclass(frozen=True, slots=True)
class Twinkle:
    """Light swings between ``low`` and ``high``, each particle at the rate of its Pulse, times ``pace``."""

    limits: ClassVar[Limits] = MappingProxyType({"low": _LIGHT, "high": _LIGHT})

    low: float = 0.6
    high: float = 1.0
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class Hue:
    """Colours are turned by ``shift`` round the colour circle: 0.5 to the opposite, 1 and 0 not at all."""

    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class FadeWithDistance:
    """Light falls from 1 at (``x``, ``y``) to ``floor`` at ``reach`` units from it."""

    bindable: ClassVar[tuple[str, ...]] = ("reach", "floor")
    limits: ClassVar[Limits] = MappingProxyType({"reach": (1.0, FAR), "floor": _KEPT})

    x: float
    y: float
    reach: float
    floor: float = 0.1
