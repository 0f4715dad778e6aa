"""Components: the columns of particles, and the parameters of populations.

Units: the shorter side of the canvas is 1080 units long at any output size; speeds are in units per second and rates
per second, so a scene looks the same at any size and frame rate. Parameter components are frozen; bindings replace them
with changed copies.

``bindable`` names the fields that a user's bindings may change (default: every number). ``limits`` gives the range that
bindings clamp a field to (default: ± ``FAR``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ecs_core.arrays import F32
from ecs_core.ecs.table import Column
from ecs_core.ecs.values import Curve, Draw, Gradient, Range
from ecs_core.raster.sprites import Blend
from ecs_core.raster.textures import Texture

FRAME = 30.0  # "per frame" in settings means at 30 frames per second
FAR = 1e9  # bindings clamp values to ±FAR, so none becomes infinite

Limits = Mapping[str, tuple[float, float]]
_LIGHT = (0.0, 1e4)  # negative light cannot be shown; beyond this everything is white
_RADIUS = (0.0, 1e4)  # units: nine canvas heights
_KEPT = (0.0, 1.0)

# --- columns -----------------------------------------------------------------------------------------------------


class Position(Column):
    """Position in units; y points down."""

    x: F32
    y: F32


class Velocity(Column):
    """Velocity in units/s."""

    x: F32
    y: F32


class Lifetime(Column, span=math.inf):
    """Age and lifespan in seconds; the default ``span`` is infinite."""

    age: F32
    span: F32


class Size(Column, value=2.0):
    """Radius at rest, in units."""

    limits = MappingProxyType({"value": _RADIUS})

    value: F32


class Color(Column, r=1.0, g=1.0, b=1.0):
    """Light at rest: linear red, green and blue, >= 0; 1 is about diffuse white."""

    limits = MappingProxyType({"r": _LIGHT, "g": _LIGHT, "b": _LIGHT})

    r: F32
    g: F32
    b: F32


class Pulse(Column):
    """Phase of the pulse, 0–1, and its rate in cycles per second (see Twinkle)."""

    phase: F32
    rate: F32


class Growth(Column, high=math.inf):
    """Rate of change of Size in units/s; it reverses at the radii ``low`` and ``high``."""

    rate: F32
    low: F32
    high: F32


class Look(Column):
    """Appearance in this frame, recomputed in SHADE: radius in units, light as a factor on Color."""

    limits = MappingProxyType({"radius": _RADIUS, "light": _LIGHT})

    radius: F32
    light: F32


class Brightness(Column, value=1.0):
    """The light that a particle was born with, apart from its colour: how much a particle that covers hides."""

    value: F32


class Turn(Column, angle=-1.0):
    """How a picture is turned: its angle, clockwise, and its spin; and how far it has turned over, and its rate.

    In turns and turns per second. ``angle`` is negative until the particle has been drawn for the first time (see
    Tumble); a picture that has turned over by a quarter is seen from its edge, by half from behind.
    """

    angle: F32
    spin: F32
    flip: F32
    flip_rate: F32


TRAIL_POINTS = 12  # of a trail


class TrailPoints(Column):
    """Where a particle was, at even times of the song and in the last frame.

    ``x0`` and ``y0`` are the newest place; ``known`` is the number of places. A particle that wraps takes its places
    along; ``wrapped_x`` and ``wrapped_y`` are how far (units): there its trail is seen, too.

    A particle that dies leaves its trail behind: its row stays until that has faded. ``gone`` is the time since its
    death in seconds, 0 while it lives. Such a row is no particle any more (see ``alive``).
    """

    known: F32
    x: F32
    y: F32
    gone: F32

    fields = (
        *(f"x{k}" for k in range(TRAIL_POINTS)),
        *(f"y{k}" for k in range(TRAIL_POINTS)),
        "known",
        "x",
        "y",
        "wrapped_x",
        "wrapped_y",
        "gone",
    )


def alive(path: TrailPoints | None) -> NDArray[np.bool_] | None:
    """Which rows are particles, (rows,); the others are trails of dead ones. None if all of them are."""
    if path is None or not path.gone.any():
        return None
    living: NDArray[np.bool_] = path.gone == 0
    return living


def count_of(rows: int, path: TrailPoints | None) -> int:
    """How many of the ``rows`` of a table are particles."""
    living = alive(path)
    return rows if living is None else int(np.count_nonzero(living))


# --- motion ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gravity:
    """A constant acceleration, units/s²; ``z`` is that of particles that have Depth, away from the viewer."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


@dataclass(frozen=True, slots=True)
class Drag:
    """Velocity decays as exp(-rate · t); ``rate`` in 1/s, >= 0."""

    limits: ClassVar[Limits] = MappingProxyType({"rate": (0.0, FAR)})

    rate: float = 0.0

    @classmethod
    def keeping(cls, share: float) -> Self:
        """The drag that keeps ``share`` (0 < share <= 1) of the velocity after 1/30 s."""
        return cls(rate=-FRAME * math.log(share))


@dataclass(frozen=True, slots=True)
class Jitter:
    """Random walk of the velocity: uniform steps of ± ``strength`` · √dt units/s in x, in y, and in depth with Depth.

    The square root makes particles wander equally far at any frame rate.
    """

    strength: float = 0.0

    @classmethod
    def of(cls, per_frame: float) -> Self:
        """Jitter of ± ``per_frame`` px per frame, at 30 frames per second."""
        return cls(strength=per_frame * FRAME * math.sqrt(FRAME))


@dataclass(frozen=True, slots=True)
class Attraction:
    """Acceleration towards a point in units/s²; negative repels. ``softness`` (units) limits the force near it.

    The point is in space for particles that have Depth.
    """

    bindable: ClassVar[tuple[str, ...]] = ("strength",)

    x: float
    y: float
    strength: float
    softness: float = 20.0
    z: float = 0.0


@dataclass(frozen=True, slots=True)
class Turbulence:
    """Divergence-free flow: ``strength`` in units/s², eddies of ``scale`` units, changing at ``speed`` (1/s).

    Particles that have Depth are stirred in it, too.

    Only ``strength`` can be bound: time and position are multiplied by ``speed`` and ``scale``, so the flow would jump.
    """

    bindable: ClassVar[tuple[str, ...]] = ("strength",)

    strength: float = 0.0
    scale: float = 200.0
    speed: float = 0.2


@dataclass(frozen=True, slots=True)
class Speed:
    """Factor on the distance particles travel; their velocity does not change."""

    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Walls:
    """Behaviour at the edges of the canvas: "reflect", keeping ``restitution`` of the speed, or "wrap".

    Particles that wrap leave the picture with all of their light before they come in on the other side.
    """

    limits: ClassVar[Limits] = MappingProxyType({"restitution": _KEPT})

    mode: Literal["reflect", "wrap"] = "reflect"
    restitution: float = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Particles more than ``margin`` units outside the canvas die; farther out, if their light would still be seen."""

    bindable: ClassVar[tuple[str, ...]] = ()

    margin: float = 50.0


@dataclass(frozen=True, slots=True)
class Collide:
    """Particles collide as discs of equal mass, keeping ``restitution`` (0–1) of the closing speed.

    Those that have Depth collide as balls in space.
    """

    limits: ClassVar[Limits] = MappingProxyType({"restitution": _KEPT})

    restitution: float = 1.0


# --- birth -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Birth:
    """Initial values of new particles. Use a subclass: Burst, Emission or Upkeep say when and how many are born.

    Particles are born at a "point", in an "area" of ``width × height`` or on a "ring" from ``inner`` to ``outer``,
    centred on (``x``, ``y``); all in units. They leave at ``speed`` in ``direction`` ± ``spread`` (radians), or away
    from the centre if ``direction`` is None. ``speed_with_size`` (0–1) is how much of the speed follows from size,
    large particles being fast. ``orbit`` adds a clockwise speed at right angles, ``drift_x`` and ``drift_y`` a common
    velocity, all in units/s. ``growth`` (units/s) makes the size swing between ``swing`` times its first value, within
    ``sizes`` (units). Each unit of radius adds ``light_by_size`` to ``light``.
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
    """``count`` particles at once, at ``at`` seconds."""

    bindable: ClassVar[tuple[str, ...]] = ()

    count: int
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission(Birth):
    """``rate`` particles per second and ``per_event`` at each ``event`` of the song (such as "beats"), while fewer than
    ``limit`` are alive.
    """

    bindable: ClassVar[tuple[str, ...]] = (*Birth.bindable, "rate", "per_event")
    limits: ClassVar[Limits] = MappingProxyType({**Birth.limits, "rate": (0.0, FAR), "per_event": (0, FAR)})

    rate: float = 0.0
    event: str | None = None
    per_event: int = 0
    limit: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep(Birth):
    """Keeps ``count`` particles alive: each one that dies is replaced."""

    count: int


@dataclass(frozen=True, slots=True)
class EmitFrom:
    """Particles are born at those of another population, which ``source`` names, and not while it has none.

    Their place (the Birth's x, y and shape) is added to that of a particle that is drawn for each; besides their own
    velocity they have ``inherit`` (0–1) of its velocity, and with ``tinted`` their colour is multiplied by its. With
    ``per_particle`` an Emission's rate is that of each particle.
    """

    bindable: ClassVar[tuple[str, ...]] = ("inherit",)
    limits: ClassVar[Limits] = MappingProxyType({"inherit": _KEPT})

    source: str
    inherit: float = 0.0
    tinted: bool = False
    per_particle: bool = False


# --- shading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sprite:
    """Shape that particles are drawn with: a "glow" (bright core, faint skirt) or an out-of-focus "disc".

    While the ``shutter`` is open (seconds), a glow that moves draws its path, as long and as dim as it is fast.

    Their light adds up ("add"), or they cover what is behind them ("over"): a particle with a light of 1 or more hides
    all of it, a fainter one less. Light is that of the column Brightness times Look.light; without that column it is
    the brightest channel of the colour, so that dark colours hide little.

    With a ``texture`` they are drawn with that picture instead: one that Motes has ("flake", "leaf", "note", "petal",
    "smoke", "spark", "sun"), the Path of a PNG, or several, of which each particle has one for life. Its sides are 2 ×
    radius × ``scale`` long; ``blur`` (0–1) puts it out of focus. The column Turn turns it (see Tumble).
    """

    limits: ClassVar[Limits] = MappingProxyType({"shutter": (0.0, 1.0)})
    bindable: ClassVar[tuple[str, ...]] = ("shutter",)

    shape: Literal["glow", "disc"] = "glow"
    blend: Blend = "add"
    shutter: float = 0.0
    texture: Texture | tuple[Texture, ...] | None = None
    scale: float = 1.0
    blur: float = 0.0


@dataclass(frozen=True, slots=True)
class Tumble:
    """How the pictures of new particles are turned: ``angle`` and ``spin`` clockwise, and how fast they turn over.

    In turns and turns per second; needs the column Turn. Seen from behind, a picture has ``shade`` less of its light.
    """

    bindable: ClassVar[tuple[str, ...]] = ()

    spin: Draw = Range(-0.15, 0.15)
    flip: Draw = Range(0.0, 0.0)
    angle: Draw = Range(0.0, 1.0)
    shade: float = 0.2

    @classmethod
    def like(cls, texture: Texture) -> Self:
        """As a thing of that kind falls: leaves and petals turn over, notes stay upright."""
        if texture in ("leaf", "petal"):
            return cls(flip=Range(0.15, 0.55))
        if texture == "note":
            return cls(spin=Range(0.0, 0.0), angle=Range(-0.05, 0.05))
        return cls()


@dataclass(frozen=True, slots=True)
class Trail:
    """A tail of so many ``seconds`` behind each particle.

    Its light begins with ``light`` times the particle's and fades out; its width shrinks by ``taper``, a share of the
    particle's. The population needs the column TrailPoints.
    """

    limits: ClassVar[Limits] = MappingProxyType({"light": (0.0, 100.0), "taper": (0.0, 1.0)})
    bindable: ClassVar[tuple[str, ...]] = ("light", "taper")

    seconds: float = 0.5
    light: float = 0.4
    taper: float = 0.7


@dataclass(frozen=True, slots=True)
class Skirt:
    """The wide, faint glow round large particles, as round stars; every "glow" has this one unless it has another.

    Its light is ``light`` times the core's for radii from ``star`` (units) on, and 0 up to ``speck``: most particles
    are points, as skirts are the most expensive thing to draw. Where more than ``crowd`` particles are drawn, skirts
    would drown each other: both radii grow with the square root of their number.
    """

    limits: ClassVar[Limits] = MappingProxyType({"light": (0.0, 1.0)})
    bindable: ClassVar[tuple[str, ...]] = ("light",)

    light: float = 0.05
    speck: float = 1.3
    star: float = 2.6
    crowd: int = 1000


@dataclass(frozen=True, slots=True)
class SizeOverLife:
    """Factor on the radius, by age / lifespan (0–1)."""

    curve: Curve


@dataclass(frozen=True, slots=True)
class LightOverLife:
    """Factor on the light, by age / lifespan (0–1)."""

    curve: Curve


@dataclass(frozen=True, slots=True)
class ColorOverLife:
    """Colour, by age / lifespan (0–1)."""

    gradient: Gradient


@dataclass(frozen=True, slots=True)
class ColorBy:
    """Colours between those of the ``palette``, from the first to the last, for what a particle does or is.

    By "speed", slow particles have the first colour, those of the ``usual`` speed (units/s) the middle one, and fast
    ones the last. By "height" the colours follow each other from the bottom of the canvas to its top. By "band" each
    particle keeps one of them and listens to one of the song's bands, the first colour to the lowest, as bright as that
    is loud. For these the population needs the column Brightness.

    By "birth" particles keep the colour of the moment at which a Birth brings them forth: in ``seconds`` of the song it
    goes from the first to the last and back. Those of the first frame have the colours of all moments.
    """

    bindable: ClassVar[tuple[str, ...]] = ()

    by: Literal["birth", "speed", "height", "band"]
    palette: Gradient
    usual: float = 150.0
    seconds: float = 8.0


@dataclass(frozen=True, slots=True)
class Twinkle:
    """Light oscillates between ``low`` and ``high``, at the rate of the particle's Pulse times ``pace``."""

    limits: ClassVar[Limits] = MappingProxyType({"low": _LIGHT, "high": _LIGHT})

    low: float = 0.6
    high: float = 1.0
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class Hue:
    """Rotates hues by ``shift`` turns: 0.5 gives the complementary colour, 0 and 1 change nothing."""

    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class FadeWithDistance:
    """Light falls from 1 at (``x``, ``y``) to ``floor`` at a distance of ``reach`` units."""

    bindable: ClassVar[tuple[str, ...]] = ("reach", "floor")
    limits: ClassVar[Limits] = MappingProxyType({"reach": (1.0, FAR), "floor": _KEPT})

    x: float
    y: float
    reach: float
    floor: float = 0.1


@dataclass(frozen=True, slots=True)
class ScaleWithDistance:
    """Radius is scaled by ``near`` at (``x``, ``y``), changing evenly to ``far`` at ``reach`` units and beyond."""

    bindable: ClassVar[tuple[str, ...]] = ("near", "far")
    limits: ClassVar[Limits] = MappingProxyType({"near": (0.0, 1e3), "far": (0.0, 1e3)})

    x: float
    y: float
    reach: float
    near: float = 1.0
    far: float = 1.0


# --- camera ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Camera:
    """What is seen of the canvas: ``x`` and ``y`` (shares of its size) lie in the middle of the picture, ``zoom`` times
    as large, turned clockwise by ``roll`` degrees. One that bindings move depends on the frame and the song alone.

    ``drift`` (units) is how far the view wanders slowly, ``shake`` (units) how far it trembles. The rest concerns
    particles that have Depth: the viewer is ``perspective`` units before the canvas; space is turned about the vertical
    axis through the middle at the depth ``pivot`` (units), by ``angle`` degrees and ``orbit`` degrees/s, and leans by
    ``tilt`` degrees, so that it is seen from above. What is not at the depth ``focus`` (units) is blurred: far away to
    discs of the radius ``aperture`` (units). Light falls by a factor of e in 1000 / ``fog`` units of depth.
    """

    limits: ClassVar[Limits] = MappingProxyType(
        {
            "zoom": (0.05, 20.0),
            "drift": (0.0, 1e4),
            "shake": (0.0, 1e4),
            "perspective": (50.0, 1e5),
            "focus": (-1e5, 1e5),
            "aperture": (0.0, 1e3),
            "fog": (0.0, 100.0),
        }
    )
    # Time is multiplied by ``orbit``: one that changed would make the view jump. Bindings turn it by ``angle``.
    bindable: ClassVar[tuple[str, ...]] = (
        *("x", "y", "zoom", "roll", "drift", "shake", "angle", "tilt", "pivot", "perspective", "focus", "aperture"),
        "fog",
    )

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0
    roll: float = 0.0
    drift: float = 0.0
    shake: float = 0.0
    orbit: float = 0.0
    angle: float = 0.0
    tilt: float = 0.0
    pivot: float = 0.0
    perspective: float = 1000.0
    focus: float = 0.0
    aperture: float = 0.0
    fog: float = 0.0
