"""Components: the columns that particles have, and what an emitter can be told.

Units: the canvas is 1080 units high whatever the output's size; speeds are units a second, rates per second, so that a
scene looks the same at any size and frame rate. Emitter components are frozen; a binding replaces them with copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecs_core.table import F32, Column
from ecs_core.values import Curve, Gradient, Range

# --- columns -----------------------------------------------------------------------------------------------------


class Position(Column):
    """Where a particle is, units, y down."""

    x: F32
    y: F32


class Velocity(Column):
    """How fast it moves, units/s."""

    x: F32
    y: F32


class Lifetime(Column):
    """How old it is and how old it may become, s; a ``span`` of infinity never ends."""

    age: F32
    span: F32


class Size(Column):
    """Its radius at rest, units."""

    value: F32


class Color(Column):
    """Its light at rest: linear red, green, blue, 0 upward, 1 about diffuse white."""

    r: F32
    g: F32
    b: F32


class Look(Column):
    """What is seen of it this frame, computed afresh in SHADE: radius in units, light as a factor on its colour."""

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

    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Attraction:
    """Acceleration towards a point, units/s²; negative pushes away. ``softness`` (units) rounds off the centre."""

    x: float
    y: float
    strength: float
    softness: float = 20.0


@dataclass(frozen=True, slots=True)
class Turbulence:
    """A divergence-free flow that stirs particles: ``strength`` units/s², eddies of ``scale`` units, ``speed`` 1/s.

    Bind ``strength`` to the song, not ``speed`` or ``scale``: time and place are multiples of them, and would jump.
    """

    strength: float
    scale: float = 200.0
    speed: float = 0.2


@dataclass(frozen=True, slots=True)
class Speed:
    """A factor on how far particles move, without changing their velocity."""

    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Walls:
    """What the edges of the canvas do: "reflect" (losing 1 - ``restitution`` of the speed) or "wrap"."""

    mode: Literal["reflect", "wrap"] = "reflect"
    restitution: float = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Particles farther than ``margin`` units outside the canvas die."""

    margin: float = 50.0


@dataclass(frozen=True, slots=True)
class Collide:
    """Particles bounce off each other as discs of equal mass; ``restitution`` 0–1 of the speed is kept."""

    restitution: float = 1.0


# --- birth -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emission:
    """How particles are born.

    ``rate`` a second, ``burst`` at frame 0, ``per_event`` at each ``event`` of the song (such as "beats"); never more
    than ``limit`` alive. From a "point", an "area" of ``width × height`` or a "ring" from ``inner`` to ``outer``,
    all round (``x``, ``y``), units; leaving in ``direction`` radians ± ``spread``, or away from the centre when None.
    """

    x: float
    y: float
    rate: float = 0.0
    burst: int = 0
    event: str | None = None
    per_event: int = 0
    limit: int = 100_000
    shape: Literal["point", "area", "ring"] = "point"
    width: float = 0.0
    height: float = 0.0
    inner: float = 0.0
    outer: float = 0.0
    speed: Range = Range(30.0, 60.0)
    direction: float | None = None
    spread: float = 0.0
    span: Range = Range(float("inf"), float("inf"))
    size: Range = Range(1.0, 4.0)
    light: Range = Range(1.0, 1.0)
    palette: Gradient = Gradient(((1.0, 1.0, 1.0),))


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
    """Light swings between ``low`` and ``high``, each particle at its own pace about ``rate`` times a second.

    Bind ``low`` or ``high`` to the song, not ``rate``: the phase is a multiple of it, and would jump.
    """

    low: float = 0.6
    high: float = 1.0
    rate: float = 0.7


@dataclass(frozen=True, slots=True)
class FadeWithDistance:
    """Light falls from 1 at (``x``, ``y``) to ``floor`` at ``reach`` units from it."""

    x: float
    y: float
    reach: float
    floor: float = 0.1
