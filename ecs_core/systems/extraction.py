"""Extraction: particles become sprites, in frames that are seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    Brightness,
    Color,
    Hue,
    Look,
    Position,
    Skirt,
    Speed,
    Sprite,
    Tumble,
    Turn,
    Velocity,
)
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth, MovingCamera
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import System
from ecs_core.raster.colour import turn_hue
from ecs_core.raster.sprites import Sprites
from ecs_core.raster.textures import texture_numbers

f32 = np.float32
_SKIRT, _TUMBLE = Skirt(), Tumble()
_THINNEST = f32(0.07)  # share of a picture's width that is left of one seen from its edge


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
            brightness = world.component(entity, Brightness)
            red, green, blue = turned(color, world.component(entity, Hue))
            skirt = world.component(entity, Skirt) or _SKIRT
            crowd = f32(max(1.0, count / skirt.crowd) ** 0.5)
            reach = (look.radius / crowd - f32(skirt.speck)) / f32(skirt.star - skirt.speck)
            light = red * look.light, green * look.light, blue * look.light
            skirts = f32(skirt.light) * np.clip(reach, 0, 1)
            cover = None
            if sprite.blend == "over":
                light, cover, given = _covering(*light, None if brightness is None else brightness.value * look.light)
                skirts /= given
            sprites = Sprites(
                position.x,
                position.y,
                look.radius,
                *light,
                skirts,
                np.full(len(table), sprite.shape == "disc", np.uint8),
                cover,
            )
            depth = world.component(entity, Depth)
            if depth is not None:
                sprites = replace(sprites, z=depth.z)
            if sprite.texture is not None:
                world.draw(self._with_pictures(entity, table, sprite, sprites))
                continue
            velocity = world.component(entity, Velocity)
            if sprite.shutter and sprite.shape == "glow" and velocity is not None:
                speed = world.component(entity, Speed)
                open_for = sprite.shutter * (1.0 if speed is None else speed.factor)
                dx, dy = velocity.x * f32(open_for), velocity.y * f32(open_for)
                if depth is None and not world.has(MovingCamera):
                    sprites = streaked(sprites, dx, dy)
                else:  # its streak is that on the screen, which the camera knows
                    dz = None if depth is None else depth.vz * f32(open_for)
                    shutter = np.full(len(table), sprite.shutter, np.float32)
                    sprites = replace(sprites, dx=dx, dy=dy, dz=dz, open=shutter)
            world.draw(sprites)

    def _with_pictures(self, entity: int, table: Table, sprite: Sprite, sprites: Sprites) -> Sprites:
        """Sprites with their pictures, turned as the particles are."""
        world = self.world
        assert sprite.texture is not None
        numbers = texture_numbers(sprite.texture, blur=sprite.blur)
        which = 0 if len(numbers) == 1 else (world.traits(self, entity, table) * f32(len(numbers))).astype(np.int64)
        pictures = replace(
            sprites,
            radius=sprites.radius * f32(sprite.scale),
            skirt=np.zeros_like(sprites.skirt),
            texture=np.broadcast_to(numbers[which], len(table)),
        )
        turn, tumble = world.component(entity, Turn), world.component(entity, Tumble)
        if turn is None:
            return pictures
        facing = np.cos(turn.flip * f32(2 * np.pi))
        dim = f32(1) - f32(0.5 * (_TUMBLE if tumble is None else tumble).shade) * (1 - facing)
        # What is seen from its edge has a thickness.
        squeeze = np.where(facing < 0, np.minimum(facing, -_THINNEST), np.maximum(facing, _THINNEST))
        red, green, blue = (channel * dim for channel in (sprites.red, sprites.green, sprites.blue))
        return replace(pictures, red=red, green=green, blue=blue, angle=np.maximum(turn.angle, 0), squeeze=squeeze)


def turned(color: Color, hue: Hue | None) -> tuple[F32, F32, F32]:
    """The colours of a population with its hue turned; (rows,) float32 each."""
    if hue is None or not hue.shift % 1:
        return color.r, color.g, color.b
    return turn_hue(color.r, color.g, color.b, hue.shift)


def streaked(sprites: Sprites, dx: F32, dy: F32) -> Sprites:
    """Glows that move along (``dx``, ``dy``) while they are seen, with their light spread along it.

    Those that move less than a quarter of their reach stay round.
    """
    reach, way = kernels.raster.CORE_REACH * sprites.radius, np.hypot(dx, dy)
    long = way > f32(0.25) * reach
    still, cores = sprites.where(~long), sprites.where(long)
    dx, dy, way, reach = dx[long], dy[long], way[long], reach[long]
    wider = f32(kernels.raster.SKIRT_REACH / kernels.raster.CORE_REACH)
    has_skirt = cores.skirt > 0
    skirts = replace(cores, radius=cores.radius * wider).where(has_skirt)
    paths = [
        _path(cores, dx, dy, kernels.lines.INTEGRAL * reach / way),
        _path(
            skirts,
            dx[has_skirt],
            dy[has_skirt],
            (kernels.lines.INTEGRAL * wider * reach / way * cores.skirt)[has_skirt],
        ),
    ]
    return Sprites.join([still, *paths])


def _path(sprites: Sprites, dx: F32, dy: F32, dim: F32) -> Sprites:
    """Lines round where the sprites are, with as many times their light as ``dim``."""
    half = f32(0.5)
    return replace(
        sprites,
        x=sprites.x - half * dx,
        y=sprites.y - half * dy,
        dx=dx,
        dy=dy,
        red=sprites.red * dim,
        green=sprites.green * dim,
        blue=sprites.blue * dim,
        skirt=np.zeros_like(sprites.skirt),
    )


def _covering(red: F32, green: F32, blue: F32, brightness: F32 | None) -> tuple[tuple[F32, F32, F32], F32, F32]:
    """The colours of particles that cover, how much they cover, and how many times their light the colours are.

    A particle covers as much as a white one of its brightness, without regard to its colour, is shown of white: before
    black, its middle is about as bright as it is as light. Without ``brightness`` it is that of its brightest channel.
    """
    toe = f32(kernels.cover.TOE)
    bright = np.maximum(np.maximum(np.maximum(red, green), blue) if brightness is None else brightness, f32(0))
    cover: F32 = np.minimum(bright / (bright + toe) * (1 + toe), f32(1))
    scale = np.maximum(f32(1), 1 / np.maximum(bright, f32(1e-6)))
    return (red * scale, green * scale, blue * scale), cover, scale
