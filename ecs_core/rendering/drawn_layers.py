"""Layers other than particles, as a simulation draws them: where each is in a frame, and what of it is seen.

All of it follows from the frame's number, so it is the same wherever a video is cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Generic, TypeVar

import annotated_types
import numpy as np

from ecs_core.arrays import F32
from ecs_core.layers.backdrops import prepare_backdrop
from ecs_core.layers.kind import Drawer, Moment, Stage
from ecs_core.plugin_api.layers import DrawnLayer
from ecs_core.raster.marks import Mark, PlacedMark, Pose
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.view import View
from ecs_core.scene.backdrop_settings import AnyBackdrop
from ecs_core.scene.bindings import binding_of
from ecs_core.scene.layer_settings import DrawnSettings, PlacedLayer
from ecs_core.systems.audio_reaction import applied

_MOVES = 0.06  # how far a layer comes from, as a share of the shorter side
_GROWS = 0.2  # of its size
_FADING = ("fade", "rise", "fall", "grow")  # ways to enter and to leave; kinds have others, which they draw themselves
S = TypeVar("S", bound=DrawnSettings)
_DOWN = {"rise": 1, "fall": -1}  # where it comes from


class Course(Generic[S]):
    """What settings are in each frame in which they are seen."""

    def __init__(self, settings: S, stage: Stage) -> None:
        self.settings, self.stage = settings, stage
        self._driven = _driven(settings, stage)
        self._end = float(stage.timeline.frames / stage.fps) if settings.end is None else settings.end

    @property
    def driven(self) -> Collection[str]:
        """The names of what bindings move."""
        return self._driven.keys()

    def at(self, frame: int) -> tuple[S, Moment] | None:
        """The settings with the values that bindings give them in a frame, and its moment; None where unseen."""
        t = float(frame / self.stage.fps)
        if not self.settings.begin <= t < self._end:
            return None
        now = self._now(frame)
        entered = _share(t - now.begin, now.enter_seconds)
        staying = _share(self._end - t, now.leave_seconds)
        return now, Moment(frame, t, self.stage.timeline.time(frame), entered, staying)

    def _now(self, frame: int) -> S:
        if not self._driven:
            return self.settings
        values: dict[str, float] = {}
        for name, (low, high, courses) in self._driven.items():
            value = float(getattr(self.settings, name))
            for op, course in courses:
                value = applied(op, value, float(course[frame]))
            values[name] = min(max(value, low), high)
        return self.settings.model_copy(update=values)


class LayerDrawer:
    """Draws one layer in any frame.

    ``safe`` is the left, top, width and height of the safe area, pixels: such a layer is laid out in that.
    """

    def __init__(self, layer: DrawnLayer, stage: Stage, safe: tuple[int, int, int, int] | None = None) -> None:
        self._whole, self._stage, self._left, self._top = stage, stage, 0, 0
        if safe is not None and layer.settings.safe:
            self._left, self._top, width, height = safe
            self._stage = replace(stage, width=width, height=height)
        self._course, self._layer = Course(layer.settings, stage), layer

    @cached_property
    def _draw(self) -> Drawer:
        return self._layer.kind.prepare(self._layer.settings, self._stage)  # only where frames are drawn

    def marks(self, frame: int, view: View | None) -> Sequence[Mark | Sprites]:
        """What is drawn of the layer in a frame, in pixels, as ``view`` shows it."""
        seen = self._course.at(frame)
        if seen is None:
            return ()
        now, moment = seen
        pose = self._pose(now, moment.t, moment.entered, moment.staying)
        if view is not None and now.camera:
            pose = _seen(pose, view, self._whole)
        if pose.opacity <= 0 or pose.scale <= 0:
            return ()
        return self._draw(now, moment, pose)

    def _pose(self, now: PlacedLayer, t: float, entered: float, staying: float) -> Pose:
        stage = self._stage
        x, y = self._left + now.x * stage.width, self._top + now.y * stage.height
        if not {"x", "y"} & set(self._course.driven):  # pictures and letters are sharp where texels lie on pixels
            x, y = float(round(x)), float(round(y))
        turned = math.radians((now.rotation + now.spin * t) % 360)
        pose = Pose(x, y, now.scale, turned, now.opacity)
        for how, share, below in ((now.enter, _smooth(entered), 1), (now.leave, _smooth(staying), -1)):
            if share >= 1 or how not in _FADING:
                continue
            away = below * _DOWN.get(how, 0) * (1 - share) * _MOVES * stage.short
            larger = 1 - _GROWS * (1 - share) if how == "grow" else 1.0
            pose = replace(pose, opacity=pose.opacity * share, y=pose.y + away, scale=pose.scale * larger)
        return pose


class BackdropDrawer:
    """Draws the backdrop in any frame."""

    def __init__(self, settings: AnyBackdrop, stage: Stage) -> None:
        self._course = Course(settings, stage)

    @cached_property
    def _draw(self) -> Callable[[AnyBackdrop, Moment, float], Sequence[Mark]]:
        return prepare_backdrop(self._course.settings, self._course.stage)  # only where frames are drawn

    def marks(self, frame: int) -> Sequence[PlacedMark]:
        """What is drawn of it in a frame, before all else."""
        seen = self._course.at(frame)
        if seen is None:
            return ()
        now, moment = seen
        opacity = now.opacity
        for how, share in ((now.enter, moment.entered), (now.leave, moment.staying)):
            opacity *= _smooth(share) if how == "fade" else 1.0
        if opacity <= 0:
            return ()
        return [PlacedMark(0, mark, dark=not now.bloom) for mark in self._draw(now, moment, opacity)]


def _share(seconds: float, whole: float) -> float:
    return 1.0 if seconds >= whole else max(0.0, seconds / whole)


def _smooth(share: float) -> float:
    return share * share * (3 - 2 * share)


def _seen(pose: Pose, view: View, stage: Stage) -> Pose:
    """A pose as a view shows it."""
    scale = stage.height / view.canvas.height
    x, y, _ = view.place(np.array([pose.x / scale], np.float32), np.array([pose.y / scale], np.float32), None)
    return replace(
        pose,
        x=float(x[0]) * scale,
        y=float(y[0]) * scale,
        scale=pose.scale * view.camera.zoom,
        angle=pose.angle + math.radians(view.roll),
    )


def _driven(settings: DrawnSettings, stage: Stage) -> Mapping[str, tuple[float, float, list[tuple[str, F32]]]]:
    """What bindings move: its limits, and how, in every frame."""
    found: dict[str, tuple[float, float, list[tuple[str, F32]]]] = {}
    for wanted in settings.bindings:
        name = wanted.target
        binding = binding_of(wanted, (type(settings), name), getattr(settings, name))
        low, high = _limits(settings, name)
        found.setdefault(name, (low, high, []))[2].append((binding.op, binding.course(stage.timeline)))
    return found


def _limits(settings: DrawnSettings, name: str) -> tuple[float, float]:
    low, high = -1e9, 1e9
    for each in type(settings).model_fields[name].metadata:
        if isinstance(each, annotated_types.Ge):
            low = float(each.ge)  # type: ignore[arg-type]
        elif isinstance(each, annotated_types.Gt):
            low = float(np.nextafter(float(each.gt), 1e9))  # type: ignore[arg-type]
        elif isinstance(each, annotated_types.Le):
            high = float(each.le)  # type: ignore[arg-type]
    return low, high
