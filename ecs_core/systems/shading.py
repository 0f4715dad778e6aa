"""Shading: recompute the appearance of particles every frame."""

from __future__ import annotations

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    Brightness,
    Color,
    ColorBy,
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
    Speed,
    Twinkle,
    Velocity,
)
from ecs_core.ecs.resources import AudioFrame, Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System, World

f32 = np.float32
_BANDS = ("sub", "bass", "low_mid", "mid", "high", "air")  # of the song, low to high
# Which of them so many colours stand for: those that music is mostly made of come first.
_CHOSEN = {1: (1,), 2: (1, 4), 3: (1, 3, 4), 4: (1, 2, 3, 4), 5: (1, 2, 3, 4, 5)}
_UNHEARD, _HEARD = 0.35, 1.5  # light of a particle whose band is silent, and what its band adds


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


class ColorBySystem(System):
    """Sets the colour by speed, height or band; colours by birth are given at birth."""

    phase = Phase.SHADE
    needs = (ColorBy, Color, Brightness, Look)
    reads = (Brightness, Position, Velocity, Depth)
    writes = (Color, Look)

    def process(self) -> None:
        world = self.world
        kinds = (Table, ColorBy, Color, Brightness, Look)
        for entity, (table, color_by, color, brightness, look) in world.query(*kinds):
            colours = world.derived(entity, color_by, _colours)
            light, shown = brightness.value, (color.r, color.g, color.b)
            position, velocity = world.component(entity, Position), world.component(entity, Velocity)
            if color_by.by == "height" and position is not None:
                height = f32(1) - position.y * f32(1 / world.get(Canvas).height)
                kernels.shade.paint(height, light, colours, *shown)
            elif color_by.by == "speed" and velocity is not None:
                kernels.shade.paint(self._fast(entity, color_by, velocity), light, colours, *shown)
            elif color_by.by == "band":
                factors = self._heard(entity, color_by, len(colours))
                kernels.shade.paint_in_turn(table.birth, light, colours, factors, *shown, look.light)

    def _fast(self, entity: int, color_by: ColorBy, velocity: Velocity) -> F32:
        """How fast particles are, (rows,) float32: 0 is at rest, 0.5 the usual speed, 1 infinite."""
        square = velocity.x * velocity.x + velocity.y * velocity.y
        depth, pace = self.world.component(entity, Depth), self.world.component(entity, Speed)
        if depth is not None:
            square += depth.vz * depth.vz
        usual = f32((color_by.usual / max(1e-6, 1.0 if pace is None else abs(pace.factor))) ** 2)
        return f32(1) - usual / (square + usual)

    def _heard(self, entity: int, color_by: ColorBy, colours: int) -> F32:
        """Factors on the light of so many bands, (colours,) float32."""
        if not self.world.derived(entity, color_by, _is_heard):
            return np.ones(colours, np.float32)
        audio = self.world.get(AudioFrame)
        return np.array([_UNHEARD + _HEARD * audio[band] for band in bands_of(colours)], np.float32)


def bands_of(colours: int) -> list[str]:
    """The bands of the song that so many colours stand for, one each, low to high."""
    chosen = _CHOSEN.get(colours, [at * len(_BANDS) // colours for at in range(colours)])
    return [_BANDS[at] for at in chosen]


def _colours(world: World, entity: int, color_by: ColorBy) -> F32:
    return np.array(color_by.palette.colours, np.float32)


def _is_heard(world: World, entity: int, color_by: ColorBy) -> bool:
    """Whether there is a song: without one particles are as bright as always."""
    return any(bool(world.timeline.features[band].any()) for band in _BANDS)


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
