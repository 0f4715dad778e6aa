"""Audio reaction: bindings that let any feature of the song move any parameter of a system or any column.

The course of a binding over the whole song is worked out once, from the timeline alone; a frame only looks its value
up. So nothing is remembered from frame to frame, and a resumed simulation reacts as an uninterrupted one does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np

from ecs_core.arrays import F32
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.components import FAR, Color, Lifetime, Look, Position, Size, Velocity
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Column
from ecs_core.ecs.values import Curve, Pareto, Range
from ecs_core.ecs.world import System
from ecs_core.errors import SceneError
from ecs_core.systems.envelope import Grid, envelope, follow, grid_of, held, quantised

_STEEPEST = np.float32(20)  # e^20 in a frame leads from a billionth to all that is allowed


@dataclass(frozen=True, slots=True)
class Binding:
    """Lets a feature, or the events of a kind, move a parameter.

    A feature's value, 0–1, goes through the gate (0 below ``threshold``), the ``curve``, and the follower (rising
    within ``attack``, falling within ``release`` seconds, time constants); times ``gain`` it is the binding's value v.
    Of an event it is its strength that goes through gate and curve; it is seen at its exact time, by an envelope that
    does not depend on the frame rate (see ``ecs_core/systems/envelope.py``). ``look_ahead`` is by how many seconds the
    parameter is ahead of the song; ``quantise`` moves events to the nearest bar, beat or part of one, and lets a
    feature change at these alone.
    ``op``: "multiply" makes the parameter base × (1 + v), "add" base + v, "set" v. ``target`` is a component type and
    ``field`` a number of it, or a Range or Pareto, both ends of which move. Columns other than Look last, so they
    change a second: "multiply" e^v-fold, "add" by v; "set" is at once. What comes of it stays within the ``limits``
    that the target declares.
    """

    source: str
    target: type[Any]
    field: str
    op: Literal["multiply", "add", "set"] = "multiply"
    gain: float = 1.0
    threshold: float = 0.0
    curve: Curve = Curve()
    attack: float = 0.0
    release: float = 0.0
    look_ahead: float = 0.0
    quantise: Grid | None = None

    def course(self, timeline: FeatureTimeline) -> F32:
        """The binding's value at every frame, (frames,) float32.

        Raises:
            SceneError: the timeline has no such feature and no such event.
        """
        grid = np.zeros(0)
        if self.quantise is not None:
            beats, downbeats = (timeline.events.get(name, grid) for name in ("beats", "downbeats"))
            grid = grid_of(beats, downbeats, self.quantise)
        times = np.arange(timeline.frames) / float(timeline.fps)
        event = timeline.event_of(self.source)
        if event is not None:
            events, strong = timeline.events.get(event, np.zeros(0)), timeline.strengths.get(event)
            heights = np.ones(len(events)) if strong is None else strong.astype(np.float64)
            loud = heights >= self.threshold
            events, heights = quantised(events[loud], self.curve(heights[loud]).astype(np.float64), grid)
            ahead = times + self.look_ahead
            value = envelope(ahead, events, heights, attack=self.attack, release=self.release)
            return (self.gain * value).astype(np.float32)
        if self.source not in timeline.features:
            raise SceneError(f"binding source {self.source!r}: {no_source(timeline)}")
        # By whole frames, so that no peak is lost between two.
        shifted = np.arange(timeline.frames) + round(self.look_ahead * timeline.fps)
        heard = timeline.features[self.source][np.clip(shifted, 0, max(0, timeline.frames - 1))]
        if self.quantise is not None:
            heard = held(heard, times + self.look_ahead, grid)
        wanted = np.where(heard >= self.threshold, self.curve(heard), 0.0)
        dt = float(1 / timeline.fps)
        return (self.gain * follow(wanted, self.attack / dt, self.release / dt)).astype(np.float32)


def no_source(timeline: FeatureTimeline) -> str:
    """That a timeline has nothing of a name, and what it has."""
    features, events = (", ".join(sorted(names)) for names in (timeline.features, timeline.events))
    return f"no such feature; there are: {features}; and events: {events}"


@dataclass(frozen=True)
class Reactive:
    """The bindings of a population, and the components they start from (noted when a scene is set up)."""

    bindings: tuple[Binding, ...]
    base: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        for binding in self.bindings:
            check_target(binding.target, binding.field)
            for component in self.base:
                if type(component) is binding.target and not isinstance(
                    getattr(component, binding.field), int | float | Range | Pareto
                ):
                    raise SceneError(f"binding target {binding.target.__name__}.{binding.field}: not a number")

    def __hash__(self) -> int:
        return id(self)


def check_target(target: type[Any], field: str) -> None:
    """Raise SceneError where a component has no such field."""
    known = list(target.fields) if issubclass(target, Column) else []
    if is_dataclass(target):
        known = [each.name for each in fields(target)]
    if field not in known:
        raise SceneError(f"binding target {target.__name__}.{field}: no such field; there are: {', '.join(known)}")


# What was worked out lives as long as the song it was worked out from.
_worked_out: WeakKeyDictionary[FeatureTimeline, dict[Reactive, tuple[F32, ...]]] = WeakKeyDictionary()


def _courses(reactive: Reactive, timeline: FeatureTimeline) -> tuple[F32, ...]:
    known = _worked_out.setdefault(timeline, {})
    if reactive not in known:
        known[reactive] = tuple(binding.course(timeline) for binding in reactive.bindings)
    return known[reactive]


def _apply(op: str, base: Any, value: Any) -> Any:
    if op == "multiply":
        return base * (1 + value)
    if op == "add":
        return base + value
    return Range(value, value) if isinstance(base, Range | Pareto) else value


def _within(low: float, high: float, value: Any) -> Any:
    if isinstance(value, Range | Pareto):
        return replace(value, low=_within(low, high, value.low), high=_within(low, high, value.high))
    return min(max(value, low), high)


def _limits(target: type[Any], field: str) -> tuple[float, float]:
    found: tuple[float, float] = getattr(target, "limits", {}).get(field, (-FAR, FAR))
    return found


def _change(binding: Binding, values: F32, value: Any) -> None:
    values[:] = np.clip(_apply(binding.op, values, value), *_limits(binding.target, binding.field))


class ReactiveComponentsSystem(System):
    """Bindings of emitter components: each frame a copy of the base component with the bound fields moved."""

    phase = Phase.SENSE

    def process(self) -> None:
        for entity, (reactive,) in self.world.query(Reactive):
            courses = _courses(reactive, self.world.timeline)
            changes: dict[type[Any], dict[str, Any]] = {}
            for binding, course in zip(reactive.bindings, courses, strict=True):
                if issubclass(binding.target, Column):
                    continue
                base = self._base(entity, reactive, binding.target)
                fields_so_far = changes.setdefault(binding.target, {})
                before = fields_so_far.get(binding.field, getattr(base, binding.field))
                moved = _apply(binding.op, before, float(course[self.world.frame]))
                fields_so_far[binding.field] = _within(-FAR, FAR, moved)
            for kind, values in changes.items():
                base = self._base(entity, reactive, kind)
                for name, value in values.items():
                    values[name] = _within(*_limits(kind, name), value)
                    if isinstance(getattr(base, name), int):  # a number of particles stays a whole one
                        values[name] = round(values[name])
                self.world.replace(entity, replace(base, **values))

    def _base(self, entity: int, reactive: Reactive, kind: type[Any]) -> Any:
        for component in reactive.base:
            if type(component) is kind:
                return component
        raise SceneError(f"binding target {kind.__name__}: the population has none; give it one to move")


class ReactiveColumnsSystem(System):
    """Bindings of columns that last, such as velocity: they change by the binding's value a second."""

    phase = Phase.FORCE
    writes = (Position, Velocity, Lifetime, Size, Color)

    def process(self) -> None:
        for entity, (reactive,) in self.world.query(Reactive):
            for binding, course in zip(reactive.bindings, _courses(reactive, self.world.timeline), strict=True):
                if not issubclass(binding.target, Column) or binding.target is Look:
                    continue
                column = self.world.component(entity, binding.target)
                if column is not None:
                    values = getattr(column, binding.field)
                    value = course[self.world.frame]
                    change = value if binding.op == "set" else value * np.float32(self.world.dt)
                    if binding.op == "multiply":  # exact, so that growth and decay are alike at any frame rate
                        change = np.expm1(np.minimum(change, _STEEPEST))
                    _change(binding, values, change)


class ReactiveLookSystem(System):
    """Bindings of Look: what is seen this frame."""

    phase = Phase.SHADE
    writes = (Look,)

    def process(self) -> None:
        for _, (reactive, look) in self.world.query(Reactive, Look):
            for binding, course in zip(reactive.bindings, _courses(reactive, self.world.timeline), strict=True):
                if binding.target is Look:
                    _change(binding, getattr(look, binding.field), course[self.world.frame])
