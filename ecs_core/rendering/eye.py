"""Eye: the camera of a scene as it is in a frame, as it was before, and what it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from ecs_core.ecs.components import Camera
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.world import World
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.projection import through
from ecs_core.rendering.view import View
from ecs_core.systems.audio_reaction import Reactive, driven_at

f32 = np.float32
_OF_SPACE = ("orbit", "angle", "tilt", "pivot", "perspective", "focus", "aperture", "fog")


@dataclass(frozen=True, slots=True)
class _Placed:
    """A camera in a world, as it is in the frame that was simulated last, and which of its numbers are bound."""

    world: World
    entity: int
    camera: Camera
    bound: frozenset[str]

    @staticmethod
    def of(world: World) -> _Placed | None:
        found = next(((entity, camera) for entity, (camera,) in world.query(Camera)), None)
        if found is None:
            return None
        reactive = world.component(found[0], Reactive)
        bindings = () if reactive is None else reactive.bindings
        return _Placed(world, *found, frozenset(binding.field for binding in bindings if binding.target is Camera))

    def at(self, frame: float) -> Camera:
        """The camera at an earlier frame, or between two: bound numbers are then those between."""
        if not self.bound:
            return self.camera
        first = math.floor(frame)
        one, other = (driven_at(self.world, self.entity, self.camera, max(0, each)) for each in (first, first + 1))
        share = frame - first
        values = {
            each.name: (1 - share) * getattr(one, each.name) + share * getattr(other, each.name)
            for each in fields(Camera)
        }
        return Camera(**values)


class Eye:
    """The camera of a scene in the frame that was simulated last, and at any time before it, for one of its worlds.

    It is that of the ``scene``'s main world; of space, it has the numbers of the world's own camera where the scene's
    has none but the usual ones. Where the scene has no camera, it is the world's own.
    """

    def __init__(self, world: World, scene: World | None = None) -> None:
        own = _Placed.of(world)
        self._main = own if scene is None or scene is world else _Placed.of(scene) or own
        self._own = None if self._main is own else own
        self._world = world
        self.camera: Camera | None = None if self._main is None else self._with_own(self._main.camera, None)
        self._frame = max(0, world.frame - 1)

    @property
    def may_move(self) -> bool:
        """Whether the view changes from frame to frame."""
        camera, main, own = self.camera, self._main, self._own
        if camera is None or main is None:
            return False
        of_own = frozenset() if own is None else own.bound & frozenset(_OF_SPACE)
        return bool(main.bound or of_own or camera.drift or camera.shake or camera.orbit)

    def _with_own(self, camera: Camera, frame: float | None) -> Camera:
        """The scene's camera with the own numbers of space, at an earlier frame or in the last one."""
        if self._own is None or self._main is None:
            return camera
        own, usual = self._own.camera if frame is None else self._own.at(frame), Camera()
        left = [
            name for name in _OF_SPACE if name not in self._main.bound and getattr(camera, name) == getattr(usual, name)
        ]
        return replace(camera, **{name: getattr(own, name) for name in left})

    def view(self, canvas: Canvas) -> View | None:
        """What the camera sees in the frame that was simulated last; None for the whole canvas, as it is."""
        camera = self.camera or Camera()
        return None if camera == Camera() else View.of(camera, canvas, self._frame * float(1 / self._world.fps))

    def seen(self, sprites: Sprites, canvas: Canvas) -> Sprites:
        """Sprites as the camera sees them, in units of the picture's canvas."""
        camera = self.camera or Camera()
        if camera == Camera() and sprites.z is None and sprites.open is None:
            return sprites
        t = self._frame * float(1 / self._world.fps)

        def before(seconds: float) -> View:
            return View.of(self._earlier(seconds), canvas, t - seconds)

        view = View.of(camera, canvas, t)
        seen = through(sprites, view, before)
        if seen.texture is None or not view.roll:
            return seen
        angle = f32(view.roll / 360)
        return replace(seen, angle=angle + (np.zeros_like(seen.x) if seen.angle is None else seen.angle))

    def _earlier(self, seconds: float) -> Camera:
        """The camera some seconds ago."""
        if self._main is None:
            return Camera()
        frame = self._frame - seconds * float(self._world.fps)
        return self._with_own(self._main.at(frame), frame)
