"""Dust: the smaller particles that those of a scene leave behind, where its settings ask for them."""

from __future__ import annotations

from dataclasses import dataclass

from ecs_core.ecs.components import (
    Color,
    Drag,
    Emission,
    EmitFrom,
    Gravity,
    Lifetime,
    LightOverLife,
    Look,
    Position,
    Size,
    Skirt,
    Sprite,
    Velocity,
)
from ecs_core.ecs.space import Depth
from ecs_core.ecs.values import Curve, Gradient, Range
from ecs_core.ecs.world import World


@dataclass(frozen=True, slots=True)
class Dust:
    """Marks a population of dust, which a scene's bindings leave alone: they are meant for what it comes from."""


MOST = 50_000  # of a population; more take seconds a frame
_FADING = Curve(((0.0, 1.0), (0.4, 0.7), (1.0, 0.0)))


def add_dust(world: World, rate: float) -> None:
    """Let all particles that move leave ``rate`` smaller ones a second behind, in their colours.

    They keep a third of the velocity, slow down, fall a little, and are gone within a second.
    """
    moving = world.query(Position, Velocity, Color, Sprite, optional=(Depth,))
    for entity, (_, _, _, sprite, depth) in moving:
        world.populate(
            (Position, Velocity, Lifetime, Size, Color, Look, *(() if depth is None else (Depth,))),
            (
                Dust(),
                Emission(
                    x=0.0,
                    y=0.0,
                    rate=rate,
                    limit=MOST,
                    size=Range(0.6, 2.2, tail=2.0),
                    speed=Range(4.0, 70.0, tail=2.0),
                    span=Range(0.25, 1.0),
                    light=Range(0.4, 1.6, tail=1.5),
                    palette=Gradient(((1.0, 1.0, 1.0),)),
                ),
                EmitFrom(world.name(entity), inherit=0.3, tinted=True, per_particle=True),
                Drag(1.5),
                Gravity(y=40.0),
                LightOverLife(_FADING),
                Skirt(light=0.0),
                Sprite("glow", blend=sprite.blend),
            ),
            name=f"{world.name(entity)}.dust",
        )
