"""Extraction: particles become sprites, in frames that are seen."""

from __future__ import annotations

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import Color, Hue, Look, Position, Skirt, Sprite
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System
from ecs_core.raster.colour import turn_hue
from ecs_core.raster.sprites import Sprites

f32 = np.float32
_SKIRT = Skirt()


class SpriteSystem(System):
    """Draws populations that have a Sprite, one after another."""

    phase = Phase.EXTRACT
    needs = (Position, Look, Color, Sprite)
    reads = (Position, Look, Color)

    def process(self) -> None:
        world = self.world
        seen = world.query(Table, Position, Look, Color, Sprite)
        count = sum(len(table) for _, (table, *_) in seen)
        for entity, (table, position, look, color, sprite) in seen:
            if not len(table):
                continue
            red, green, blue = color.r, color.g, color.b
            hue = world.component(entity, Hue)
            if hue is not None and hue.shift % 1:
                red, green, blue = turn_hue(red, green, blue, hue.shift)
            skirt = world.component(entity, Skirt) or _SKIRT
            crowd = f32(max(1.0, count / skirt.crowd) ** 0.5)
            reach = (look.radius / crowd - f32(skirt.speck)) / f32(skirt.star - skirt.speck)
            light = red * look.light, green * look.light, blue * look.light
            cover = None
            if sprite.blend == "over":
                light, cover = _covering(*light)
            world.draw(
                Sprites(
                    position.x,
                    position.y,
                    look.radius,
                    *light,
                    f32(skirt.light) * np.clip(reach, 0, 1),
                    np.full(len(table), sprite.shape == "disc", np.uint8),
                    cover,
                )
            )


def _covering(red: F32, green: F32, blue: F32) -> tuple[tuple[F32, F32, F32], F32]:
    """Light as colour and cover: before black it is shown as it would be as light, and less of it covers less."""
    toe = kernels.cover.TOE
    most = np.maximum(np.maximum(red, green), blue)
    whole = np.maximum(most, f32(1e-6))
    cover: F32 = np.minimum(most / (most + toe) * (1 + toe), f32(1))
    scale = np.maximum(f32(1), 1 / whole)
    return (red * scale, green * scale, blue * scale), cover
