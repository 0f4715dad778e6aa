"""The populations of petals: a sun, and petals in three distances, the far ones pale, the near ones out of focus."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ecs_core import FRAME as F
from ecs_core import (
    Binding,
    Brightness,
    Burst,
    Canvas,
    Color,
    Gradient,
    Look,
    Position,
    Range,
    Reactive,
    Size,
    Sprite,
    Tumble,
    Turbulence,
    Turn,
    Velocity,
    Walls,
    World,
    light_shown_as,
)
from plugins.petals.settings import PetalsSettings
from plugins.petals.systems import Flight

WIND, FALL = 1.3 * F, 2.2 * F  # units/s


def populate(world: World, settings: PetalsSettings) -> None:
    """Four populations, from the back to the front."""
    near = round(0.06 * settings.particle_count)
    middle = round(0.32 * settings.particle_count)
    if settings.sun > 0:
        _sun(world, settings)
    far: dict[str, Any] = {
        "count": settings.particle_count - middle - near, "size": Range(8, 18, tail=1.4), "light": Range(0.08, 0.24),
    }  # fmt: skip
    _petals(world, settings, "far", far, near=0.55, blur=0.1)
    _petals(
        world, settings, "middle", {"count": middle, "size": Range(18, 40, tail=1.8), "light": Range(1, 1)}, near=1.0
    )
    close: dict[str, Any] = {"count": near, "size": Range(70, 130, tail=1.3), "light": Range(0.3, 0.6)}
    _petals(world, settings, "near", close, near=2.0, blur=0.4)


def _sun(world: World, settings: PetalsSettings) -> None:
    canvas = world.get(Canvas)
    x, y = settings.centre(canvas)
    radius = settings.sun * min(canvas.width, canvas.height) / 2
    world.populate(
        (Position, Size, Color, Look, Brightness),
        (
            Burst(
                x, y, count=1, size=Range(radius, radius), light=Range(0.75, 0.75), palette=_shown([settings.sun_color])
            ),
            Sprite(texture="sun", blend="over"),
            Reactive((Binding("level", Look, "radius", gain=0.07, attack=0.02, release=0.5),)),
        ),
        name="sun",
    )


def _petals(
    world: World, settings: PetalsSettings, name: str, kind: dict[str, Any], *, near: float, blur: float = 0.0
) -> None:  # fmt: skip
    canvas = world.get(Canvas)
    x, y = settings.centre(canvas)
    texture = settings.texture or "petal"
    tumble = Tumble.like(texture)
    flight = Flight(
        wind=settings.speed_x * F or WIND,
        fall=settings.speed_y * F or FALL,
        x=x,
        y=y,
        reach=0.5 * min(canvas.width, canvas.height),
        near=near,
        tumble={"note": 0.0, "flake": 0.3}.get(texture, 1.0),
    )
    kind = kind | {"size": kind["size"] * settings.texture_scale}
    gust, whirl = 2.2 * settings.gusts, settings.whirl
    world.populate(
        (Position, Velocity, Size, Color, Look, Brightness, Turn),
        (
            Burst(
                canvas.width / 2, canvas.height / 2, shape="area", width=1.1 * canvas.width, height=1.1 * canvas.height,
                speed=Range(0, 0), drift_x=Range(near * flight.wind, near * flight.wind),
                drift_y=Range(near * flight.fall, near * flight.fall), palette=_shown(settings.particle_colors), **kind,
            ),
            flight,
            replace(tumble, shade=0.3),
            Turbulence(strength=70.0 * near, scale=360.0, speed=0.25),
            Walls("wrap"),
            Sprite(blend="over", texture=texture, blur=blur),
            Reactive(
                (
                    Binding("kicks", Flight, "gust", "add", gain=gust, attack=0.05, release=0.6),
                    Binding("onset", Flight, "gust", "add", gain=0.25 * gust, attack=0.05, release=0.4),
                    Binding("drops", Flight, "whirl", "add", gain=whirl, attack=0.3, release=2.5),
                    Binding("sections", Flight, "whirl", "add", gain=0.35 * whirl, attack=0.5, release=1.5),
                    Binding("level", Look, "radius", gain=0.12, release=0.25),
                )
            ),
        ),
        name=name,
    )  # fmt: skip


def _shown(colours: Sequence[Sequence[float]]) -> Gradient:
    """Colours as they are to be seen, 0–255, as light of sprites that cover."""
    light = light_shown_as(np.divide(colours, 255))
    return Gradient(tuple((float(r), float(g), float(b)) for r, g, b in light))
