"""Extraction: particles become sprites, in frames that are seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

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
    TrailPoints,
    Tumble,
    Turn,
    Velocity,
    alive,
    count_of,
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
_NEXT, _FARTHEST = f32(1.25), f32(4)  # units from one copy of a picture to the next; and when there are many of them
_MANY = 32  # copies: each adds so little that they may lie farther apart
_FINE = f32(1 / 16)  # share of a picture's extent along its way that they may then be apart
_MOST_COPIES, _MOST_IN_ALL = 128, 200_000  # of a picture, and of those of a population
_SOLID = f32(0.7)  # share of a picture's side that is not empty
_DENSEST = f32(0.98)  # copies that let nothing through would each hide what is behind
_THINNEST = f32(0.07)  # share of a picture's width that is left of one seen from its edge


class SpriteSystem(System):
    """Draws populations that have a Sprite, one after another."""

    phase = Phase.EXTRACT
    needs = (Position, Look, Color, Sprite)
    reads = (Position, Look, Color)

    def process(self) -> None:
        world = self.world
        seen = world.query(Table, Position, Look, Color, Sprite)
        count = sum(count_of(len(table), world.component(entity, TrailPoints)) for entity, (table, *_) in seen)
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
                sprites = self._with_pictures(entity, table, sprite, sprites)
            world.draw(self._exposed(entity, sprite, sprites, alive(world.component(entity, TrailPoints))))

    def _exposed(self, entity: int, sprite: Sprite, sprites: Sprites, living: NDArray[np.bool_] | None) -> Sprites:
        """The sprites of particles that are ``living`` (rows,), spread along their way while the shutter is open."""
        world = self.world
        velocity, depth = world.component(entity, Velocity), world.component(entity, Depth)
        camera_moves = world.has(MovingCamera)
        shown = sprites if living is None else sprites.where(living)
        blurs = sprite.shutter and (sprite.texture is not None or sprite.shape == "glow")
        if not blurs or (velocity is None and not camera_moves):
            return shown
        speed = world.component(entity, Speed)
        open_for = f32(sprite.shutter * (1.0 if speed is None else speed.factor))
        nothing = np.zeros(len(shown), np.float32)

        def way(v: F32) -> F32:
            gone: F32 = (v if living is None else v[living]) * open_for
            return gone

        dx, dy = (nothing, nothing) if velocity is None else (way(velocity.x), way(velocity.y))
        if depth is None and not camera_moves:
            return streaked(shown, dx, dy) if sprite.texture is None else smeared(shown, dx, dy)
        # Its streak is that on the screen, which the camera knows.
        dz = None if depth is None else way(depth.vz)
        return replace(shown, dx=dx, dy=dy, dz=dz, open=np.full(len(shown), sprite.shutter, np.float32))

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


def smeared(sprites: Sprites, dx: F32, dy: F32, *, before: F32 | None = None) -> Sprites:
    """Pictures that move along (``dx``, ``dy``) while they are seen: fainter copies along it, with as much light.

    They lie round where the picture is, each drawn after the one behind it. ``before`` is how many times as large as at
    its end the picture is at the beginning of its way, (n,). Those that move hardly at all stay as they are.
    """
    side = 2 * sprites.radius
    way = np.fmin(np.fmax(np.hypot(dx, dy), f32(0)), f32(1e5))
    apart = np.clip(_FINE * _extent(sprites, dx, dy, way), _NEXT, _FARTHEST)
    wanted = np.minimum(way / _NEXT, np.maximum(way / apart, f32(_MANY)))
    counts = np.ceil(wanted).clip(1, _MOST_COPIES).astype(np.int64)
    total = int(counts.sum())
    if total == len(sprites):
        return sprites
    if total > _MOST_IN_ALL:
        counts = np.maximum(counts * _MOST_IN_ALL // total, 1)
    of = np.repeat(np.arange(len(sprites)), counts)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    n = counts[of].astype(np.float32)
    along = np.where(n > 1, (nth.astype(np.float32) + f32(0.5)) / n - f32(0.5), f32(0))
    copies = sprites.where(of)
    light, cover = 1 / n, None
    if copies.cover is not None:
        # Where as many copies lie on each other as there can be, they cover as much as the picture does in the mean.
        overlap = np.minimum(_SOLID * side / np.maximum(way, f32(1e-6)), f32(1))[of]
        most = np.minimum(copies.cover, _DENSEST) * overlap
        cover = np.where(n > 1, 1 - (1 - most) ** (1 / np.maximum(n * overlap, f32(1))), copies.cover)
        light = np.where(copies.cover > 0, f32(1), light)
    moved = n > 1
    return replace(
        copies,
        x=copies.x + np.where(moved, along * dx[of], f32(0)),
        y=copies.y + np.where(moved, along * dy[of], f32(0)),
        radius=copies.radius if before is None else copies.radius * (1 + (f32(0.5) - along) * (before[of] - 1)),
        red=copies.red * light,
        green=copies.green * light,
        blue=copies.blue * light,
        cover=cover,
    )


def _extent(sprites: Sprites, dx: F32, dy: F32, way: F32) -> F32:
    """How long pictures are along their way, units: those that are seen from their edge may be thin."""
    extent: F32 = 2 * sprites.radius
    if sprites.squeeze is None:
        return extent
    angle = f32(2 * np.pi) * (np.zeros_like(way) if sprites.angle is None else sprites.angle)
    across = (dx * np.cos(angle) + dy * np.sin(angle)) / np.maximum(way, f32(1e-6))
    narrow = across * across * (1 - sprites.squeeze * sprites.squeeze)
    extent = extent * np.sqrt(np.clip(1 - narrow, f32(0), f32(1)))
    return extent


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
