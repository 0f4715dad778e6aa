"""Projection: sprites and lines in units, in space or on the canvas, as a view shows them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32, I64
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.view import NEAREST, View
from ecs_core.systems.extraction import smeared, streaked
from ecs_core.systems.space import smooth

f32 = np.float32

_SPREAD = f32(0.51)  # square of a glow's radius that is as wide as a disc of radius 1
_FAINTEST = f32(1e-4)  # light that is not worth drawing
_GLOW = f32(0.6573)  # the light of a window, as a share of its reach squared
_DISC = f32(2.314)  # the light of a disc, as a share of its radius squared
_TAIL, _TAIL_LIGHT = 0.5, 0.04  # of a streak in space: radius and light at its end, as shares of those in front
_HEAD = f32(0.25)  # share of its light in front
_LONGEST = f32(4000.0)  # units that a streak may have


def through(sprites: Sprites, view: View, before: Callable[[float], View]) -> Sprites:
    """Sprites as a view shows them, in units of the picture's canvas.

    ``before`` gives the view of so many seconds ago, for streaks.
    """
    if sprites.open is not None:
        moving = sprites.open > 0
        still = replace(sprites, open=None)
        if not moving.all():
            shot = through(sprites.where(moving), view, before) if moving.any() else None
            lists = [through(still.where(~moving), view, before), *(() if shot is None else (shot,))]
            return Sprites.join(lists)
        return _exposed(sprites, view, before)
    if sprites.z is not None:
        return _in_space(sprites, view)
    x, y, _ = view.place(sprites.x, sprites.y, None)
    dx, dy = sprites.dx, sprites.dy
    if dx is not None and dy is not None:
        c, s = view.zoomed
        dx, dy = c * dx - s * dy, s * dx + c * dy
    return replace(sprites, x=x, y=y, radius=sprites.radius * f32(view.camera.zoom), dx=dx, dy=dy, dz=None)


def _exposed(sprites: Sprites, view: View, before: Callable[[float], View]) -> Sprites:
    """Sprites that have moved while the shutter was open, or the camera has."""
    assert sprites.open is not None
    nothing = np.zeros(len(sprites), np.float32)
    dx, dy = (nothing if d is None else d for d in (sprites.dx, sprites.dy))
    pictures = nothing > 0 if sprites.texture is None else sprites.texture > 0
    if pictures.any() and not pictures.all():
        return Sprites.join([_exposed(sprites.where(some), view, before) for some in (pictures, ~pictures)])
    z, dz = sprites.z, nothing if sprites.dz is None else sprites.dz
    x, y, scale = view.place(sprites.x, sprites.y, z)
    way_x, way_y, scale_before = np.empty_like(x), np.empty_like(y), np.empty_like(x)
    for seconds in np.unique(sprites.open):
        those, earlier = sprites.open == seconds, before(float(seconds))
        back_z = None if z is None else (z - dz)[those]
        from_x, from_y, scale_before[those] = earlier.place((sprites.x - dx)[those], (sprites.y - dy)[those], back_z)
        way_x[those], way_y[those] = x[those] - from_x, y[those] - from_y
    length = np.hypot(way_x, way_y)
    shorter = np.minimum(f32(1), _LONGEST / np.maximum(length, f32(1)))
    way_x, way_y = way_x * shorter, way_y * shorter
    round_ones = replace(sprites, dx=None, dy=None, dz=None, open=None)
    grown: F32 = np.clip(scale_before / np.maximum(scale, f32(1e-6)), f32(0.1), f32(10))
    if z is None:
        flat = through(round_ones, view, before)
        return smeared(flat, way_x, way_y, before=grown) if pictures.any() else streaked(flat, way_x, way_y)
    glows, discs, kept = _focused(round_ones, view, way=length * shorter)
    if pictures.any():
        back_x, back_y = way_x[kept], way_y[kept]
        behind = replace(glows, x=glows.x - f32(0.5) * back_x, y=glows.y - f32(0.5) * back_y)
        return _in_order([smeared(behind, back_x, back_y, before=grown[kept])])
    return _in_order([*_comets(glows, way_x[kept], way_y[kept]), *discs])


def _comets(glows: Sprites, way_x: F32, way_y: F32) -> list[Sprites]:
    """Streaks in space: a tail back to where a glow was, and a head where it is, with as much light as it had.

    Short ones are even.
    """
    half = f32(0.5)
    streaks = streaked(replace(glows, x=glows.x - half * way_x, y=glows.y - half * way_y), way_x, way_y)
    if streaks.dx is None or streaks.dy is None:
        return [streaks]
    long = _longness(streaks.dx, streaks.dy, streaks.radius)
    a, b = f32(1 - math.sqrt(_TAIL_LIGHT)) * long, f32(1 - _TAIL) * long  # what the root and the radius lose
    root: F32 = 1 - a
    # The integral of (1 - a s)² (1 - b s) over s from 0 to 1: the light of a tail, as a share of that of an even one.
    kept = 1 - a + a * a / f32(3) - b / f32(2) + f32(2 / 3) * a * b - f32(0.25) * a * a * b
    light = ((1 - _HEAD * long) / kept).astype(np.float32)
    tails = replace(
        dimmed(streaks, light),
        x=streaks.x + streaks.dx,
        y=streaks.y + streaks.dy,
        dx=-streaks.dx,
        dy=-streaks.dy,
        taper=1 - b,
        fade=root * root,
    )
    share = _HEAD * _longness(way_x, way_y, glows.radius)
    return [tails, dimmed(glows, share).where(share > 0)]


def _longness(dx: F32, dy: F32, radius: F32) -> F32:
    """From 0 for what is round to 1 for a long streak."""
    reach = kernels.raster.CORE_REACH * np.maximum(radius, f32(1e-6))
    longness: F32 = np.asarray((np.hypot(dx, dy) / reach - f32(0.25)) * f32(0.2), np.float32)
    return smooth(longness)


def _in_space(sprites: Sprites, view: View) -> Sprites:
    """Sprites and lines that have depth."""
    dx, dy, dz = (np.zeros_like(sprites.x) if d is None else d for d in (sprites.dx, sprites.dy, sprites.dz))
    long = (dx != 0) | (dy != 0) | (dz != 0)
    lines = _lines_in_space(replace(sprites, dx=dx, dy=dy, dz=dz).where(long), view) if long.any() else None
    if lines is not None and long.all():
        return lines
    glows, discs, _ = _focused(replace(sprites, dx=None, dy=None, dz=None).where(~long), view)
    seen = _in_order([glows, *discs])
    return seen if lines is None else Sprites.join([lines, seen])


def _in_order(lists: Sequence[Sprites]) -> Sprites:
    """Lists, with the distances as ``z``, as one without them: the farthest first if any cover; light just adds up."""
    seen = Sprites.join(lists)
    if seen.z is not None and seen.cover is not None and seen.cover.any():
        seen = seen.where(np.argsort(-seen.z, kind="stable"))
    return replace(seen, z=None)


def _lines_in_space(lines: Sprites, view: View) -> Sprites:
    """Lines, each end where it is seen, with the width and the light that it has there."""
    assert lines.dx is not None
    assert lines.dy is not None
    assert lines.dz is not None
    assert lines.z is not None
    x, y, scale, away = view.projected(lines.x, lines.y, lines.z)
    to_x, to_y, to_scale, to_away = view.projected(lines.x + lines.dx, lines.y + lines.dy, lines.z + lines.dz)
    taper, fade = (np.ones_like(x) if share is None else share for share in (lines.taper, lines.fade))
    radius, light = _widened(lines.radius * scale, view.air(away), view.blur(away))
    to_radius, to_light = _widened(lines.radius * taper * to_scale, view.air(to_away) * fade, view.blur(to_away))
    # They begin at the brighter end: light is given there, and at the other as a share of it.
    back = to_light > light
    brighter, other = np.where(back, to_light, light), np.where(back, light, to_light)
    wide, narrow = np.where(back, to_radius, radius), np.where(back, radius, to_radius)
    dx, dy = to_x - x, to_y - y
    least = f32(1e-6)
    seen = replace(
        dimmed(lines, brighter),
        x=np.where(back, to_x, x), y=np.where(back, to_y, y), radius=wide, dx=np.where(back, -dx, dx),
        dy=np.where(back, -dy, dy), z=None, dz=None, taper=(narrow / np.maximum(wide, least)).astype(np.float32),
        fade=(other / np.maximum(brighter, least)).astype(np.float32),
    )  # fmt: skip
    nearest = f32(NEAREST * view.camera.perspective)
    return seen.where((away > nearest) & (to_away > nearest) & (brighter > least))


def _widened(radius: F32, light: F32, blur: F32 | None) -> tuple[F32, F32]:
    """Radius and light of a line that is out of focus: as much wider as it is fainter."""
    if blur is None:
        return radius, light
    wide: F32 = np.sqrt(radius * radius + _SPREAD * blur * blur)
    return wide, (light * radius / np.maximum(wide, f32(1e-6))).astype(np.float32)


def _focused(sprites: Sprites, view: View, way: F32 | None = None) -> tuple[Sprites, tuple[Sprites, ...], I64]:
    """Round sprites in space: those that are seen as glows, or discs that were drawn as such; and as discs those out
    of focus; and which of the sprites the first are.

    Between both, a sprite is drawn as a share of each. One that moves ``way`` units, farther than it is wide, stays a
    glow, for its streak.
    """
    assert sprites.z is not None
    x, y, scale, away = view.projected(sprites.x, sprites.y, sprites.z)
    air, blur = view.air(away), view.blur(away)
    radius = sprites.radius * scale
    seen = replace(sprites, x=x, y=y, radius=radius, z=away)
    there = (away > f32(NEAREST * view.camera.perspective)) & (air > 0)
    if blur is None:
        return dimmed(seen, air).where(there), (), np.flatnonzero(there)
    pictures = np.zeros(len(sprites), bool) if sprites.texture is None else sprites.texture > 0  # these stay sharp
    is_disc = (sprites.disc > 0) | pictures
    square, blurred = radius * radius, blur * blur
    glow_square = square + np.where(pictures, f32(0), np.where(is_disc, f32(1), _SPREAD)) * blurred
    disc_square = blurred + f32(1.96) * square
    out = smooth((blur / np.maximum(radius, f32(1)) - f32(0.9)) / f32(1.2))
    if way is not None:
        wide: F32 = np.sqrt(np.maximum(disc_square, f32(1e-6)))
        out = out * (f32(1) - smooth(way / wide))
    out = np.where(is_disc, f32(0), out)
    glows = dimmed(replace(seen, radius=np.sqrt(glow_square)), air * (1 - out) * square / glow_square)
    # All the light of a glow, with its skirt, in a disc.
    core, skirt = kernels.raster.CORE_REACH, kernels.raster.SKIRT_REACH
    of_glow = _GLOW * (core * core + sprites.skirt * (skirt * skirt))
    spread = np.asarray(of_glow / _DISC * square / np.maximum(disc_square, f32(1e-6)), np.float32)
    discs = replace(
        dimmed(replace(seen, skirt=np.zeros_like(sprites.skirt)), air * out * spread),
        radius=np.sqrt(disc_square), disc=np.ones_like(sprites.disc),
    )  # fmt: skip
    as_glow = np.flatnonzero(there & (out < 1))
    return glows.where(as_glow), (discs.where(there & (out > 0) & _visible(discs)),), as_glow


def _visible(sprites: Sprites) -> NDArray[np.bool_]:
    """Which sprites are bright enough to be seen at all."""
    bright = np.maximum(np.maximum(sprites.red, sprites.green), sprites.blue) > _FAINTEST
    return bright if sprites.cover is None else bright | (sprites.cover > _FAINTEST)


def dimmed(sprites: Sprites, light: F32) -> Sprites:
    """Sprites with a share of their ``light``, (n,) or (1,).

    What covers is seen less by covering less, with the same colour.
    """
    cover, skirt = None, sprites.skirt
    if sprites.cover is not None:
        cover = np.clip(sprites.cover, 0, 1) * light
        covers = cover > 0
        skirt = np.where(covers, skirt * light, skirt)
        light = np.where(covers, f32(1), light)
    return replace(
        sprites,
        red=sprites.red * light,
        green=sprites.green * light,
        blue=sprites.blue * light,
        skirt=skirt,
        cover=cover,
    )
