"""Audio reaction: bindings that let any feature of the song drive any parameter or column.

A binding's values over the whole song are computed once from the timeline; a frame only looks its value up. So a
resumed simulation reacts exactly like an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32, F64
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.components import FAR, Color, Lifetime, Look, Position, Size, Velocity
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Column
from ecs_core.ecs.values import Curve, Pareto, Range
from ecs_core.ecs.world import System, World
from ecs_core.errors import SceneError
from ecs_core.systems.envelope import Grid, envelope, follow, grid_of, held, quantised

T = TypeVar("T")

_CHUNK = 1024  # frames whose values are computed together
_STEEPEST = np.float32(20)  # e^20 per frame: enough to cross the whole allowed range at once


@dataclass(frozen=True, slots=True)
class Binding:
    """Lets a feature, or events of a kind, drive a parameter.

    A feature's value (0–1) passes a gate (0 below ``threshold``), the ``curve`` and a follower with the time constants
    ``attack`` and ``release`` in seconds; multiplied by ``gain`` it is the binding's value v. For events, the strength
    passes gate and curve, and an envelope shows it at its exact time, at any frame rate (see
    ``ecs_core/systems/envelope.py``). ``look_ahead`` shifts the parameter ahead of the song, in seconds. ``quantise``
    moves events to the nearest bar, beat or part of a beat, and lets features change only there.

    ``op`` "multiply" sets the parameter to base × (1 + v), "add" to base + v, "set" to v. ``target`` is a component
    type and ``field`` one of its numbers, or a Range or Pareto, whose both ends change. Columns other than Look keep
    their values between frames, so they change per second: "multiply" by a factor of e^v, "add" by v; "set" applies at
    once. Results are clamped to the ``limits`` of the target.
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

        It is what it would be if the video had begun with the song: a follower has risen or fallen already, and a part
        of a bar is held at the mean of the bar.

        Raises:
            SceneError: the timeline has no such feature and no such event.
        """
        grid = np.zeros(0)
        if self.quantise is not None:
            beats, downbeats = (timeline.events.get(name, grid) for name in ("beats", "downbeats"))
            grid = grid_of(beats, downbeats, self.quantise)
        lead = timeline.lead_frames
        frames = np.arange(-lead, timeline.frames, dtype=np.float64) + float(timeline.start * timeline.fps)
        times: F64 = frames / float(timeline.fps)
        event = timeline.event_of(self.source)
        if event is not None:
            events, strong = timeline.events.get(event, np.zeros(0)), timeline.strengths.get(event)
            heights = np.ones(len(events)) if strong is None else strong.astype(np.float64)
            loud = heights >= self.threshold
            events, heights = quantised(events[loud], self.curve(heights[loud]).astype(np.float64), grid)
            ahead = times + self.look_ahead
            value = envelope(ahead, events, heights, attack=self.attack, release=self.release)
            return (self.gain * value)[lead:].astype(np.float32)
        if self.source not in timeline.features:
            raise SceneError(f"binding source {self.source!r}: {no_source(timeline)}")
        # Shift by whole frames, so that no peak is lost between two.
        heard = timeline.features[self.source]
        if lead:
            before = timeline.lead.get(self.source, np.zeros(lead, np.float32))
            heard = np.concatenate([before, heard])
        shifted = np.arange(len(heard)) + round(self.look_ahead * timeline.fps)
        heard = heard[np.clip(shifted, 0, max(0, len(heard) - 1))]
        if self.quantise is not None:
            heard = held(heard, times + self.look_ahead, grid)
        wanted = np.where(heard >= self.threshold, self.curve(heard), 0.0)
        dt = float(1 / timeline.fps)
        followed = follow(wanted, self.attack / dt, self.release / dt)[lead:]
        return (self.gain * followed).astype(np.float32)


def no_source(timeline: FeatureTimeline) -> str:
    """The message for an unknown source: the features and events of the timeline."""
    features, events = (", ".join(sorted(names)) for names in (timeline.features, timeline.events))
    return f"no such feature; there are: {features}; and events: {events}"


@dataclass(frozen=True, eq=False)
class Reactive:
    """The bindings of a population, and the base components that they modify (recorded when a scene is set up)."""

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


def check_target(target: type[Any], field: str) -> None:
    """Raise SceneError if a component has no such field."""
    known = list(target.fields) if issubclass(target, Column) else []
    if is_dataclass(target):
        known = [each.name for each in fields(target)]
    if field not in known:
        raise SceneError(f"binding target {target.__name__}.{field}: no such field; there are: {', '.join(known)}")


def _courses(world: World, entity: int, reactive: Reactive) -> tuple[F32, ...]:
    """The values of the bindings at every frame, (frames,) float32 each."""
    return tuple(binding.course(world.timeline) for binding in reactive.bindings)


def applied(op: str, base: Any, value: Any) -> Any:
    """What a binding makes of a number, given its value."""
    if op == "multiply":
        return base * (1 + value)
    if op == "add":
        return base + value
    return value


def _limits(target: type[Any], field: str) -> tuple[float, float]:
    found: tuple[float, float] = getattr(target, "limits", {}).get(field, (-FAR, FAR))
    return found


class _DrivenField:
    """A field of a parameter component that bindings drive: its value in every frame."""

    def __init__(self, kind: type[Any], name: str, base: Any, driven: Sequence[tuple[str, F32]]) -> None:
        self.name, self._base, self._driven = name, base, driven
        self._limits = _limits(kind, name)
        self._distribution: Callable[[float, float], Range | Pareto] | None = None
        if isinstance(base, Range):
            is_set = any(op == "set" for op, _ in driven)  # then it forgets how it was distributed
            self._distribution = partial(Range, tail=1.0 if is_set else base.tail)
        elif isinstance(base, Pareto):
            is_set = any(op == "set" for op, _ in driven)
            self._distribution = Range if is_set else partial(Pareto, alpha=base.alpha)
        self._first = self._stop = 0  # the frames whose values are at hand
        self._values: list[list[float]] = []

    def value(self, frame: int) -> Any:
        """The value in a frame."""
        if not self._first <= frame < self._stop:
            self._first = frame - frame % _CHUNK
            self._stop = self._first + _CHUNK
            ends = (self._base,) if self._distribution is None else (self._base.low, self._base.high)
            self._values = [self._of_chunk(end) for end in ends]
        at = frame - self._first
        if self._distribution is not None:
            return self._distribution(self._values[0][at], self._values[1][at])
        value = self._values[0][at]
        return round(value) if isinstance(self._base, int) else value  # counts stay whole numbers

    def _of_chunk(self, base: float) -> list[float]:
        part = slice(self._first, self._stop)
        values: F64 = np.full(len(self._driven[0][1][part]), base, np.float64)
        for op, course in self._driven:
            values = np.clip(applied(op, values, course[part].astype(np.float64)), -FAR, FAR)
        chunk: list[float] = np.clip(values, *self._limits).tolist()
        return chunk


def _driven_components(world: World, entity: int, reactive: Reactive) -> list[tuple[Any, list[_DrivenField]]]:
    """Copies of the parameter components that bindings drive, to be changed in place, and their driven fields."""
    courses = world.derived(entity, reactive, _courses)
    driven: dict[type[Any], dict[str, list[tuple[str, F32]]]] = {}
    for binding, course in zip(reactive.bindings, courses, strict=True):
        if not issubclass(binding.target, Column):
            driven.setdefault(binding.target, {}).setdefault(binding.field, []).append((binding.op, course))
    found = []
    for kind, by_field in driven.items():
        base = next((component for component in reactive.base if type(component) is kind), None)
        if base is None:
            raise SceneError(f"binding target {kind.__name__}: the population has none; give it one to move")
        fields_of = [_DrivenField(kind, name, getattr(base, name), ops) for name, ops in by_field.items()]
        found.append((copy(base), fields_of))
    return found


def install_driven_components(world: World) -> None:
    """Replace the components that bindings drive by their copies, once, instead of in every frame."""
    for entity, (reactive,) in world.query(Reactive):
        for driven, _ in world.derived(entity, reactive, _driven_components):
            world.replace(entity, driven)


def driven_at(world: World, entity: int, component: T, frame: int) -> T:
    """A component with the values that its bindings give it in a frame; itself if there are none."""
    reactive = world.component(entity, Reactive)
    driven = () if reactive is None else world.derived(entity, reactive, _driven_components)
    for copied, driven_fields in driven:
        if type(copied) is type(component):
            found = copy(component)
            for each in driven_fields:
                object.__setattr__(found, each.name, each.value(frame))
            return found
    return component


class ReactiveComponentsSystem(System):
    """Applies bindings of parameter components: a copy of the base component has other values in each frame."""

    phase = Phase.SENSE
    needs = (Reactive,)

    def process(self) -> None:
        world = self.world
        for entity, (reactive,) in world.query(Reactive):
            for driven, driven_fields in world.derived(entity, reactive, _driven_components):
                for each in driven_fields:
                    object.__setattr__(driven, each.name, each.value(world.frame))  # it is frozen for everybody else
                if world.component(entity, type(driven)) is not driven:
                    world.replace(entity, driven)


@dataclass(frozen=True, slots=True)
class _DrivenColumn:
    """A field of a column that a binding drives, and by how much in every frame, (frames,) float32."""

    kind: type[Column]
    field: str
    op: int
    amounts: F32
    low: np.float32
    high: np.float32

    def drive(self, column: Column, frame: int) -> None:
        """Change the values of all particles."""
        kernels.shade.drive(getattr(column, self.field), self.op, self.amounts[frame], self.low, self.high)


def _driven_columns(world: World, entity: int, reactive: Reactive) -> tuple[list[_DrivenColumn], list[_DrivenColumn]]:
    """What drives columns that keep their values, and what drives Look."""
    kept: list[_DrivenColumn] = []
    look: list[_DrivenColumn] = []
    for binding, course in zip(reactive.bindings, world.derived(entity, reactive, _courses), strict=True):
        if not issubclass(binding.target, Column) or world.component(entity, binding.target) is None:
            continue
        amounts = course
        if binding.target is not Look and binding.op != "set":
            amounts = course * np.float32(world.move_dt)
            if binding.op == "multiply":  # exact, so that growth is the same at any frame rate
                amounts = np.expm1(np.minimum(amounts, _STEEPEST))
        low, high = _limits(binding.target, binding.field)
        driven = _DrivenColumn(
            binding.target, binding.field, kernels.shade.OPS[binding.op], amounts, np.float32(low), np.float32(high)
        )
        (look if binding.target is Look else kept).append(driven)
    return kept, look


class ReactiveColumnsSystem(System):
    """Applies bindings of columns that keep their values, such as Velocity; v is a change per second."""

    phase = Phase.FORCE
    needs = (Reactive,)
    writes = (Position, Velocity, Lifetime, Size, Color)

    def process(self) -> None:
        world = self.world
        for entity, (reactive,) in world.query(Reactive):
            for driven in world.derived(entity, reactive, _driven_columns)[0]:
                column = world.component(entity, driven.kind)
                if column is not None:
                    driven.drive(column, world.frame)


class ReactiveLookSystem(System):
    """Applies bindings of Look, the appearance in this frame."""

    phase = Phase.SHADE
    needs = (Reactive, Look)
    writes = (Look,)

    def process(self) -> None:
        world = self.world
        for entity, (reactive, look) in world.query(Reactive, Look):
            for driven in world.derived(entity, reactive, _driven_columns)[1]:
                driven.drive(look, world.frame)
