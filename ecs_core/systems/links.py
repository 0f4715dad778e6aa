"""Links: lines between near particles of a population."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    Color,
    Hue,
    Look,
    Position,
    Speed,
    Sprite,
    TrailPoints,
    Velocity,
    Walls,
    alive,
)
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth, Links
from ecs_core.ecs.world import System
from ecs_core.raster.sprites import Sprites
from ecs_core.systems.extraction import turned
from ecs_core.systems.motion import wrap_margins

f32 = np.float32
_MOST_CELLS = 1 << 16


class LinkLines(System):
    """Draws links, behind the particles. Where one end is dark, so is the link: none appears at once."""

    phase = Phase.EXTRACT
    needs = (Links, Position, Look, Color)
    reads = (Position, Look, Color)

    def process(self) -> None:
        world, canvas = self.world, self.world.get(Canvas)
        kinds = (Links, Position, Look, Color)
        for entity, (links, position, look, color, depth, hue) in world.query(*kinds, optional=(Depth, Hue)):
            living = alive(world.component(entity, TrailPoints))

            def of_living(values: F32, living: NDArray[np.bool_] | None = living) -> F32:
                return values if living is None else values[living]

            x, y = of_living(position.x), of_living(position.y)
            n, most = len(x), min(links.most, kernels.links.MOST)
            if n < 2 or most < 1 or links.reach <= 0 or links.light <= 0 or links.width <= 0:
                continue
            z = np.zeros(n, np.float32) if depth is None else of_living(depth.z)
            cell = max(links.reach, math.sqrt(canvas.width * canvas.height / _MOST_CELLS))
            columns, rows = max(3, int(canvas.width / cell) + 1), max(3, int(canvas.height / cell) + 1)
            starts, order = np.empty(columns * rows + 1, np.int32), np.empty(n, np.int32)
            kernels.collision.sort_into_cells(x, y, f32(cell), columns, rows, starts, order, np.empty_like(order))
            pairs, shares = np.empty((2, n * most), np.int32), np.empty(n * most, np.float32)
            near, squares = np.empty((n, most + 1), np.int32), np.empty((n, most + 1), np.float32)
            count = kernels.links.link(
                x, y, z, f32(links.reach), most, columns, rows, starts, order, pairs, shares, near, squares
            )
            if not count:
                continue
            a, b = pairs[0, :count], pairs[1, :count]
            # As bright as both ends are together, brighter towards the brighter one, and dark where one is.
            bright: F32 = np.maximum(of_living(self._light(entity, position, look)), f32(1e-6))
            one, other = bright[a], bright[b]
            light = f32(2 * links.light) * shares[:count] * np.sqrt(one * other) * one / (one + other)
            red, green, blue = (
                f32(0.5) * (shown[a] + shown[b]) * light for shown in map(of_living, turned(color, hue))
            )
            world.draw(
                Sprites(
                    x[a],
                    y[a],
                    np.full(count, links.width, np.float32),
                    red,
                    green,
                    blue,
                    np.zeros(count, np.float32),
                    np.zeros(count, np.uint8),
                    dx=x[b] - x[a],
                    dy=y[b] - y[a],
                    fade=other / one,
                    z=None if depth is None else z[a],
                    dz=None if depth is None else z[b] - z[a],
                )
            )

    def _light(self, entity: int, position: Position, look: Look) -> F32:
        """The light of particles; those that wrap lose it on their way out, as their links would vanish at once."""
        world, canvas = self.world, self.world.get(Canvas)
        walls = world.component(entity, Walls)
        if walls is None or walls.mode != "wrap":
            return look.light
        velocity, speed = world.component(entity, Velocity), world.component(entity, Speed)
        margins = wrap_margins(look, world.component(entity, Sprite), velocity, speed)
        x, y = position.x, position.y
        beyond = np.maximum(np.maximum(-x, x - f32(canvas.width)), np.maximum(-y, y - f32(canvas.height)))
        within = np.clip(1 - beyond / margins, f32(0), f32(1))
        left: F32 = look.light * within * within  # a link goes by the root of it
        return left
