"""The populations of orbits: a family of bodies for each drum, and the sun."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ecs_core import (
    Binding,
    Brightness,
    Burst,
    Canvas,
    Color,
    ColorBy,
    Gradient,
    Look,
    Position,
    Pulse,
    Range,
    Reactive,
    Size,
    Sprite,
    Twinkle,
    World,
)
from plugins.orbits.geometry import Drum, Family
from plugins.orbits.settings import OrbitsSettings
from plugins.orbits.systems import Band, Orbit, Sun, Tail

RGB = tuple[float, float, float]  # linear light


@dataclass(frozen=True)
class Kind:
    """What makes a family: its drum, its share of all bodies, and how far out, fast, large and bright they are."""

    name: str
    event: str
    share: float
    inner: float
    outer: float
    pace: float
    size: Range
    light: Range
    flare: float
    swell: float
    tilt: float


KINDS = (
    Kind("kick", "kicks", 0.1, 105, 225, 0.75, Range(4.0, 9.0, 1.6), Range(1.3, 2.6), 1.8, 0.17, -8.0),
    Kind("snare", "snares", 0.3, 285, 415, -0.5, Range(2.2, 5.0, 2.2), Range(1.1, 2.8), 1.8, 0.11, 0.0),
    Kind("hat", "hats", 0.6, 480, 640, 0.36, Range(1.1, 3.4, 3.0), Range(0.9, 3.0, 1.5), 1.1, 0.03, 4.0),
)
OTHERS = (1, 2, 1)  # the colours that families have a little of
DUST, MOST_DUST = 0.5, 400  # distant stars, for each body and in all
USUAL = 240  # bodies
USUAL_PLANES = 26.0  # degrees between the families' orbits
LARGEST = 1.2  # times their usual size: orbits in pictures with room for them
OPEN = 1.32  # times their size: orbits in loud parts, with room for what is near
FIRST_TURN = -14.0  # degrees: of the outermost orbits


def populate(world: World, settings: OrbitsSettings) -> None:
    """A population for each family, one of distant stars, and one without particles, which has the sun."""
    canvas = world.get(Canvas)
    x, y = settings.centre(canvas)
    families = tuple(_family(at, x, y, canvas, settings) for at in range(len(KINDS)))
    fits = min(LARGEST, *(_room(family, kind, canvas) for family, kind in zip(families, KINDS, strict=True)))
    colours = settings.palette.colours
    push = settings.outer_movement_strength
    left = settings.particle_count
    for at, (kind, family) in enumerate(zip(KINDS, families, strict=True)):
        count = left if kind is KINDS[-1] else min(left, round(kind.share * settings.particle_count))
        left -= count
        crowd = max(1.0, count / (kind.share * USUAL)) ** -0.45  # many would melt into one bright ring
        of_family = _tints(colours[at % len(colours)], colours[OTHERS[at] % len(colours)])
        by_speed = settings.color_by == "speed" and len(set(colours)) > 1
        band = Band(kind.inner * fits, kind.outer * fits, settings.rings, settings.scatter, kind.pace * settings.pace)
        world.populate(
            (Position, Size, Color, Look, Pulse, Orbit, *((Brightness,) if by_speed else ())),
            (
                Burst(
                    x,
                    y,
                    count=count,
                    size=kind.size * crowd,
                    light=kind.light * crowd,
                    pulse=Range(0.15, 0.5),
                    palette=settings.palette if settings.color_by else of_family,
                ),
                *((ColorBy("speed", settings.palette, usual=settings.usual_speed),) if by_speed else ()),
                family,
                band,
                Drum(kind.event, push=1.1 * push),
                *((Tail(settings.trail),) if settings.trail else ()),
                Twinkle(low=0.8, high=1.0),
                Sprite("glow"),
                Reactive(_reactions(kind, push)),
            ),
            name=kind.name,
        )
    world.populate(
        (Position, Size, Color, Look, Pulse),
        (
            Burst(
                canvas.width / 2,
                canvas.height / 2,
                count=round(min(MOST_DUST, DUST * settings.particle_count)),
                shape="area",
                width=canvas.width,
                height=canvas.height,
                size=Range(0.8, 2.0, 3.0),
                light=Range(0.05, 1.0, 4.0),
                pulse=Range(0.05, 0.25),
                palette=settings.palette if settings.color_by else _tints(colours[-1], (0.8, 0.85, 1.0)),
            ),
            Twinkle(low=0.3, high=1.0),
            Sprite("glow"),
        ),
        name="dust",
    )
    if settings.particle_count:
        beats = (
            Binding("level", Sun, "size", gain=0.35, attack=0.02, release=0.25),
            Binding("momentary", Sun, "light", gain=0.8, attack=0.3, release=0.8),
            Binding("kicks", Sun, "light", gain=0.6, release=0.25),
        )
        world.populate((), (Sun(x, y, colours[-1], size=15.0 * fits), Reactive(beats)), name="sun")


def _family(at: int, x: float, y: float, canvas: Canvas, settings: OrbitsSettings) -> Family:
    """How the orbits of a family lie: long ones along the longer side of the picture."""
    apart = min(1.0, settings.planes / USUAL_PLANES)
    upright = 90.0 if canvas.height > canvas.width else 0.0
    return Family(
        x,
        y,
        tilt=max(0.0, min(88.0, settings.tilt + apart * KINDS[at].tilt)) if settings.tilt else 0.0,
        turn=upright + FIRST_TURN + settings.planes * (1, 2, 0)[at],
        drift=0.3 + apart * (0.6, -1.0, 0.2)[at],
        guide=0.06 * settings.guides,
    )


def _room(family: Family, kind: Kind, canvas: Canvas) -> float:
    """How many times as large the orbits of a family could be in the picture, when they are open."""
    turn, tilt = math.radians(family.turn), math.radians(family.tilt)
    long = OPEN * (1 + kind.swell) * kind.outer
    short = long * math.cos(0.86 * tilt)
    across = math.hypot(long * math.cos(turn), short * math.sin(turn))
    down = math.hypot(long * math.sin(turn), short * math.cos(turn))
    return min(canvas.width / 2 / across, canvas.height / 2 / down)


def _tints(colour: RGB, other: RGB) -> Gradient:
    """Colours that are like the first one, some with a little of the other."""

    def mixed(share: float) -> RGB:
        r, g, b = ((1 - share) * one + share * another for one, another in zip(colour, other, strict=True))
        return r, g, b

    return Gradient((colour, mixed(0.12), mixed(0.3)))


def _reactions(kind: Kind, push: float) -> tuple[Binding, ...]:
    return (
        Binding(kind.event, Look, "light", gain=kind.flare, release=0.3),
        Binding(kind.event, Look, "radius", gain=0.7, release=0.35),
        Binding(kind.event, Family, "swell", op="add", gain=0.5 * push * kind.swell, attack=0.07, release=0.4),
        Binding(kind.event, Family, "guide", gain=2.5, release=0.4),
        Binding("short_term", Family, "open", op="add", gain=1.0, attack=0.6, release=1.5),
        Binding("momentary", Look, "light", gain=0.4, attack=0.3, release=0.8),
    )
