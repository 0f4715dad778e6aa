"""Shading: recompute the appearance of particles every frame."""

from __future__ import annotations

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    Color,
    ColorOverLife,
    FadeWithDistance,
    Lifetime,
    LightOverLife,
    Look,
    Position,
    Pulse,
    ScaleWithDistance,
    Size,
    SizeOverLife,
    Twinkle,
)
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.world import System

f32 = np.float32


def _share_of_life(life: Lifetime) -> F32:
    share: F32 = np.clip(life.age / life.span, 0, 1)
    return share


class LookSystem(System):
    """Resets Look to the particle's size and full light; the shading systems after it modify that."""

    phase = Phase.SHADE
    needs = (Look, Size)
    reads = (Size,)
    writes = (Look,)

    def process(self) -> None:
        for _, (look, size) in self.world.query(Look, Size):
            look.radius[:] = size.value
            look.light.fill(1)


class SizeOverLifeSystem(System):
    """Scales the radius by the particle's age."""

    phase = Phase.SHADE
    needs = (SizeOverLife, Look, Lifetime)
    reads = (Lifetime,)
    writes = (Look,)

    def process(self) -> None:
        for _, (over, look, life) in self.world.query(SizeOverLife, Look, Lifetime):
            look.radius *= over.curve(_share_of_life(life))


class LightOverLifeSystem(System):
    """Scales the light by the particle's age."""

    phase = Phase.SHADE
    needs = (LightOverLife, Look, Lifetime)
    reads = (Lifetime,)
    writes = (Look,)

    def process(self) -> None:
        for _, (over, look, life) in self.world.query(LightOverLife, Look, Lifetime):
            look.light *= over.curve(_share_of_life(life))


class ColorOverLifeSystem(System):
    """Sets the colour by the particle's age."""

    phase = Phase.SHADE
    needs = (ColorOverLife, Color, Lifetime)
    reads = (Lifetime,)
    writes = (Color,)

    def process(self) -> None:
        for _, (over, color, life) in self.world.query(ColorOverLife, Color, Lifetime):
            color.r[:], color.g[:], color.b[:] = over.gradient(_share_of_life(life)).T


class TwinkleSystem(System):
    """Modulates the light with a sine of the particle's Pulse."""

    phase = Phase.SHADE
    needs = (Twinkle, Look, Pulse)
    writes = (Look, Pulse)

    def process(self) -> None:
        dt = self.world.dt
        for _, (twinkle, look, pulse) in self.world.query(Twinkle, Look, Pulse):
            middle, swing = (twinkle.high + twinkle.low) / 2, (twinkle.high - twinkle.low) / 2
            kernels.shade.twinkle(look.light, pulse.phase, pulse.rate, dt * twinkle.pace, middle, swing)


class FadeWithDistanceSystem(System):
    """Dims particles with their distance from a point."""

    phase = Phase.SHADE
    needs = (FadeWithDistance, Position, Look)
    reads = (Position,)
    writes = (Look,)

    def process(self) -> None:
        for _, (fade, position, look) in self.world.query(FadeWithDistance, Position, Look):
            kernels.shade.fade_with_distance(look.light, position.x, position.y, fade.x, fade.y, fade.reach, fade.floor)


class ScaleWithDistanceSystem(System):
    """Scales radii with the distance from a point."""

    phase = Phase.SHADE
    needs = (ScaleWithDistance, Position, Look)
    reads = (Position,)
    writes = (Look,)

    def process(self) -> None:
        for _, (scale, position, look) in self.world.query(ScaleWithDistance, Position, Look):
            kernels.shade.scale_with_distance(
                look.radius, position.x, position.y, scale.x, scale.y, scale.reach, scale.near, scale.far
            )
