"""Eye: the camera of a scene as it is in a frame, as it was before, and what it sees."""

from __future__ import annotations

import math
from dataclasses import fields, replace

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

        view = View.of(camera, canvas, t)
        seen = through(sprites, view, before)
        if seen.texture is None or not view.roll:
            return seen
        angle = f32(view.roll / 360)
        return replace(seen, angle=angle + (np.zeros_like(seen.x) if seen.angle is None else seen.angle))

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
