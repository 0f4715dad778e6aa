"""What the camera sees: sprites in units are moved, turned and, where they have depth, projected.

All of it follows from the camera's numbers and the time, so a frame is the same wherever a simulation was cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ecs_core import kernels
from ecs_core.arrays import F32, I64
from ecs_core.ecs.components import Camera
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.world import World
from ecs_core.raster.sprites import Sprites
from ecs_core.systems.audio_reaction import Reactive, driven_at
from ecs_core.systems.extraction import streaked

f32 = np.float32

# Shares, rates (1/s) and phases (turns) of the waves that wandering and trembling are made of, across and down.
_DRIFT = (
    ((0.60, 0.03127, 0.00), (0.30, 0.06713, 0.37), (0.10, 0.14911, 0.71)),
    ((0.60, 0.04139, 0.25), (0.40, 0.08293, 0.57)),
)
_SHAKE = (((0.50, 6.1, 0.00), (0.30, 8.9, 0.31), (0.20, 11.3, 0.77)), ((0.55, 7.3, 0.43), (0.45, 10.1, 0.11)))
_DRIFT_ROLL, _SHAKE_ROLL = 1 / 60, 1 / 30  # degrees per unit
_NEAREST, _NEAR = 0.03, 0.25  # shares of the viewer's distance: what is nearer is not seen, or fades
_BRIGHTEST = 2.0  # of what is near, in fog
_SPREAD = f32(0.51)  # square of a glow's radius that is as wide as a disc of radius 1
_FAINTEST = f32(1e-4)  # light that is not worth drawing
_GLOW = f32(0.6573)  # the light of a window, as a share of its reach squared
_DISC = f32(2.314)  # the light of a disc, as a share of its radius squared
_OF_SPACE = ("orbit", "angle", "tilt", "pivot", "perspective", "focus", "aperture", "fog")
_TAIL, _TAIL_LIGHT = 0.5, 0.04  # of a streak in space: radius and light at its end, as shares of those in front
_HEAD = f32(0.25)  # share of its light in front
_LONGEST = f32(4000.0)  # units that a streak may have


@dataclass(frozen=True, slots=True)
class View:
    """The camera at one moment, looking at a canvas: what is turned by how much, in units."""

    camera: Camera
    canvas: Canvas
    x: float
    y: float
    roll: float  # degrees
    turn: float  # degrees

    @staticmethod
    def of(camera: Camera, canvas: Canvas, t: float) -> View:
        """The view at ``t`` seconds of the video."""
        (drift_x, drift_y), (shake_x, shake_y) = (
            (_waves(across, t), _waves(down, t)) if extent else (0.0, 0.0)
            for (across, down), extent in ((_DRIFT, camera.drift), (_SHAKE, camera.shake))
        )
        return View(
            camera,
            canvas,
            camera.x * canvas.width + (camera.drift * drift_x + camera.shake * shake_x),
            camera.y * canvas.height + (camera.drift * drift_y + camera.shake * shake_y),
            camera.roll + (_DRIFT_ROLL * camera.drift * drift_y + _SHAKE_ROLL * camera.shake * shake_y),
            camera.angle + camera.orbit * t,
        )

    def flat(self, along: F32, across: F32) -> tuple[F32, F32]:
        """Places from the middle of what is seen, zoomed and turned, as places on the canvas of the picture."""
        c, s = self.zoomed
        return f32(self.canvas.width / 2) + c * along - s * across, f32(self.canvas.height / 2) + s * along + c * across

    @property
    def zoomed(self) -> tuple[np.float32, np.float32]:
        """Cosine and sine of the roll, times the zoom."""
        zoom, roll = self.camera.zoom, math.radians(self.roll)
        return f32(zoom * math.cos(roll)), f32(zoom * math.sin(roll))

    def projected(self, x: F32, y: F32, z: F32) -> tuple[F32, F32, F32, F32]:
        """Places in space on the picture, how much larger things are there, and their distance from the viewer."""
        camera, middle_x, middle_y = self.camera, f32(self.canvas.width / 2), f32(self.canvas.height / 2)
        turn, tilt, pivot = math.radians(self.turn), math.radians(self.camera.tilt), f32(camera.pivot)
        px, py, pz = x - middle_x, y - middle_y, z - pivot
        c, s = f32(math.cos(turn)), f32(math.sin(turn))
        px, pz = c * px + s * pz, c * pz - s * px
        c, s = f32(math.cos(tilt)), f32(math.sin(tilt))
        py, pz = c * py - s * pz, s * py + c * pz
        distance = f32(camera.perspective)
        away = pz + pivot + distance
        scale = distance / np.maximum(away, f32(_NEAREST) * distance)
        seen_x, seen_y = self.flat((px + middle_x - f32(self.x)) * scale, (py + middle_y - f32(self.y)) * scale)
        return seen_x, seen_y, scale * f32(camera.zoom), away

    def place(self, x: F32, y: F32, z: F32 | None) -> tuple[F32, F32]:
        """Where on the canvas of the picture something is seen, in space or on the canvas."""
        if z is None:
            return self.flat(x - f32(self.x), y - f32(self.y))
        return self.projected(x, y, z)[:2]

    def air(self, away: F32) -> F32:
        """The share of light that is seen at a distance: fog, and what comes too near fades."""
        distance = f32(self.camera.perspective)
        seen = _smooth((away / distance - f32(_NEAREST)) / f32(_NEAR - _NEAREST))
        if self.camera.fog:
            seen = seen * np.minimum(np.exp(f32(self.camera.fog / 1000) * (distance - away)), f32(_BRIGHTEST))
        return seen

    def blur(self, away: F32) -> F32 | None:
        """The radii (units) of the discs that points at a distance are spread to; None if all is in focus."""
        camera = self.camera
        if not camera.aperture:
            return None
        sharp = max(camera.perspective + camera.focus, _NEAREST * camera.perspective)
        lens = f32(camera.aperture * camera.zoom)
        nearest = f32(_NEAREST * camera.perspective)
        radii: F32 = lens * np.abs(away - f32(sharp)) / np.maximum(away, nearest)
        return radii


class Eye:
    """The camera of a scene in the frame that was simulated last, and at any time before it, for one of its worlds.

    It is that of the ``scene``'s main world; of space, it has the numbers of the world's own camera where the scene's
    has none but the usual ones. Where the scene has no camera, it is the world's own.
    """

    def __init__(self, world: World, scene: World | None = None) -> None:
        found, own = (_camera_of(each) for each in (scene or world, world))
        if found is None:
            scene, found, own = None, own, None
        self._world = scene or world
        self._entity: int = 0 if found is None else found[0]
        self._own: Camera | None = None if own is None or self._world is world else own[1]
        self._found: Camera | None = None if found is None else found[1]
        reactive = None if found is None else self._world.component(self._entity, Reactive)
        bindings = () if reactive is None else reactive.bindings
        self._bound = {binding.field for binding in bindings if binding.target is Camera}
        self.camera: Camera | None = None if found is None else self._with_own(found[1])
        self._frame = max(0, world.frame - 1)

    @property
    def may_move(self) -> bool:
        """Whether the view changes from frame to frame."""
        camera = self.camera
        if camera is None:
            return False
        return bool(self._bound or camera.drift or camera.shake or camera.orbit)

    def _with_own(self, camera: Camera) -> Camera:
        own = self._own
        if own is None:
            return camera
        usual = Camera()
        left = [name for name in _OF_SPACE if name not in self._bound and getattr(camera, name) == getattr(usual, name)]
        return replace(camera, **{name: getattr(own, name) for name in left})

    def seen(self, sprites: Sprites, canvas: Canvas) -> Sprites:
        """Sprites as the camera sees them, in units of the picture's canvas."""
        camera = self.camera or Camera()
        if camera == Camera() and sprites.z is None and sprites.open is None:
            return sprites
        t = self._frame * float(1 / self._world.fps)

        def before(seconds: float) -> View:
            return View.of(self._earlier(camera, seconds), canvas, t - seconds)

        return through(sprites, View.of(camera, canvas, t), before)

    def _earlier(self, camera: Camera, seconds: float) -> Camera:
        """The camera some seconds ago: between two frames, bound numbers are those between."""
        if self._found is None:
            return camera
        frame = self._frame - seconds * float(self._world.fps)
        first = math.floor(frame)
        one, other = (driven_at(self._world, self._entity, self._found, max(0, at)) for at in (first, first + 1))
        if one is self._found:
            return camera
        share = frame - first
        values = {
            each.name: (1 - share) * getattr(one, each.name) + share * getattr(other, each.name)
            for each in fields(Camera)
        }
        return self._with_own(Camera(**values))


def _camera_of(world: World) -> tuple[int, Camera] | None:
    return next(((entity, camera) for entity, (camera,) in world.query(Camera)), None)


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
    x, y = view.place(sprites.x, sprites.y, None)
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
    z, dz = sprites.z, nothing if sprites.dz is None else sprites.dz
    x, y = view.place(sprites.x, sprites.y, z)
    way_x, way_y = np.empty_like(x), np.empty_like(y)
    for seconds in np.unique(sprites.open):
        those, earlier = sprites.open == seconds, before(float(seconds))
        back_z = None if z is None else (z - dz)[those]
        from_x, from_y = earlier.place((sprites.x - dx)[those], (sprites.y - dy)[those], back_z)
        way_x[those], way_y[those] = x[those] - from_x, y[those] - from_y
    length = np.hypot(way_x, way_y)
    shorter = np.minimum(f32(1), _LONGEST / np.maximum(length, f32(1)))
    way_x, way_y = way_x * shorter, way_y * shorter
    round_ones = replace(sprites, dx=None, dy=None, dz=None, open=None)
    if z is None:
        return streaked(through(round_ones, view, before), way_x, way_y)
    glows, discs, kept = _focused(round_ones, view, way=length * shorter)
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
    return _smooth((np.hypot(dx, dy) / reach - f32(0.25)) * f32(0.2))


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
    nearest = f32(_NEAREST * view.camera.perspective)
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
    there = (away > f32(_NEAREST * view.camera.perspective)) & (air > 0)
    if blur is None:
        return dimmed(seen, air).where(there), (), np.flatnonzero(there)
    is_disc = sprites.disc > 0
    square, blurred = radius * radius, blur * blur
    glow_square = square + np.where(is_disc, f32(1), _SPREAD) * blurred
    disc_square = blurred + f32(1.96) * square
    out = _smooth((blur / np.maximum(radius, f32(1)) - f32(0.9)) / f32(1.2))
    if way is not None:
        wide: F32 = np.sqrt(np.maximum(disc_square, f32(1e-6)))
        out = out * (f32(1) - _smooth(way / wide))
    out = np.where(is_disc, f32(0), out)
    glows = dimmed(replace(seen, radius=np.sqrt(glow_square)), air * (1 - out) * square / glow_square)
    # All the light of a glow, with its skirt, in a disc.
    core, skirt = kernels.raster.CORE_REACH, kernels.raster.SKIRT_REACH
    of_glow = _GLOW * (core * core + sprites.skirt * (skirt * skirt))
    spread = of_glow / _DISC * square / np.maximum(disc_square, f32(1e-6))
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


def _smooth(share: F32) -> F32:
    """From 0 at 0 to 1 at 1, level at both."""
    s = np.clip(share, f32(0), f32(1))
    smooth: F32 = s * s * (f32(3) - 2 * s)
    return smooth


def _waves(waves: tuple[tuple[float, float, float], ...], t: float) -> float:
    return sum(share * math.sin(math.tau * (rate * t + phase)) for share, rate, phase in waves)
