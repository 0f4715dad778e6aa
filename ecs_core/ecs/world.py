"""World and System: a simulation in its own esper context, and the code that runs every frame.

esper's state is global, so every method that touches it takes a lock and switches to the world's context. Any number of
worlds can exist at once, in threads too, but only one of them is in a step at a time. Systems query a hundred times a
frame, so answers are kept until a component of theirs is replaced. They are sorted by entity: esper iterates over sets.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, ClassVar, TypeVar

import esper
import numpy as np
from numpy.typing import NDArray

from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.population_checks import check_population, with_floats
from ecs_core.ecs.resources import AudioFrame, Canvas, Clock
from ecs_core.ecs.rng import Generators, stream_of, uniform_by_birth
from ecs_core.ecs.schedule import FIRST_FROZEN, Phase, priority
from ecs_core.ecs.table import Column, Rows, Table
from ecs_core.errors import PluginError, StructuralChangeError
from ecs_core.heartbeat import beat
from ecs_core.raster.sprites import Sprites

_Kinds = tuple[type[Any], ...]
T = TypeVar("T")
R = TypeVar("R")

_numbers = itertools.count(1)
_ENTERED = nullcontext()
_SLOWEST = 20  # moves a second: with fewer, a force would be strong enough in one of them to fling particles out
_esper = threading.RLock()  # esper's context is a global of the process
_SIMULATING, _DRAWING = range(Phase.SENSE, Phase.EXTRACT), range(Phase.EXTRACT, Phase.EXTRACT + 1)
_MOVING = range(Phase.FORCE, Phase.SHADE)
_BEFORE_MOVING, _AFTER_MOVING = range(Phase.SENSE, Phase.FORCE), range(Phase.SHADE, Phase.EXTRACT)


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """All columns of a world before a frame is simulated: enough to resume there in any process, bit for bit.

    ``populations`` are their rows, by name.
    """

    frame: int
    populations: Mapping[str, Rows]


class System(esper.Processor):
    """Code that runs every frame for all entities with certain components.

    Subclasses set ``phase``, declare the columns they read and write, and implement ``process``, which finds its
    entities with ``self.world.query(...)``. A system has no state: everything is in the world.

    ``needs`` are components without which it has nothing to do: where no population has all of them, it is skipped.

    ``random_key`` names the system's random draws; the default is the module and name of the class. To rename or move a
    class without changing its frames, set it to the old ones, such as "motes_embers.Flicker".
    """

    phase: ClassVar[Phase]
    needs: ClassVar[tuple[type[Any], ...]] = ()
    reads: ClassVar[tuple[type[Column], ...]] = ()
    writes: ClassVar[tuple[type[Column], ...]] = ()
    random_key: ClassVar[str] = ""
    world: World

    def process(self) -> None:
        """Process one frame."""
        raise NotImplementedError(f"{type(self).__name__} has no process()")


class World:
    """The simulation of a scene: populations, resources and systems. Use as a context manager."""

    def __init__(self, *, seed: int, fps: Fraction, canvas: Canvas, timeline: FeatureTimeline) -> None:
        self.seed, self.fps, self.dt = seed, fps, float(1 / fps)
        self.timeline = timeline
        self.frame = 0  # the next frame to simulate
        self._rate = fps.as_integer_ratio()
        self._moves = math.ceil(_SLOWEST / fps)  # in a frame
        self.move_dt = self.dt / self._moves
        self.move = 0  # the current one, counted from frame 0
        self._name = f"motes-{next(_numbers)}"
        self._resources: dict[type, Any] = {Canvas: canvas}
        self._replaced: dict[tuple[int, type[Any]], Any] = {}  # what a step replaced, restored before the next one
        self._inserted: dict[type, Any] = {}
        self._added = 0
        self._stepping = 0  # id of the thread running step(), or 0
        self._systems: list[System] = []
        self._schedules: dict[range, list[tuple[System, bool]]] = {}  # by phases, as _with_work gives them
        self._frozen: bool | None = None  # whether rows are, None where that is not known of all tables
        self._drawn: list[Sprites] | None = None  # while systems draw
        self._spent: dict[str, int] | None = None
        self._draws: dict[tuple[str, object], int] = {}
        self._generators = Generators()
        self._tables: list[Table] = []
        self._names: dict[int, str] = {}  # of populations
        self._fields: dict[type[Any], tuple[str, ...]] = {}  # of components that were changed
        self._components: dict[int, dict[type[Any], Any]] = {}  # of each entity, as esper has them
        self._queries: dict[tuple[_Kinds, _Kinds], list[tuple[int, tuple[Any, ...]]]] = {}
        self._derived: dict[tuple[int, Callable[..., Any]], tuple[object, Any]] = {}

    @contextmanager
    def _switched(self) -> Iterator[None]:
        with _esper:
            esper.switch_world(self._name)
            yield

    def _context(self) -> AbstractContextManager[None]:
        # Within a step the context is set already.
        return _ENTERED if self._is_stepping() else self._switched()

    # --- resources ---

    def insert(self, resource: object) -> None:
        """Set the resource of its type: for good outside a step, within one until the next one begins.

        State that outlasts a frame is in columns alone; otherwise a resumed simulation would differ.
        """
        kind = type(resource)
        if self._is_stepping():
            self._inserted.setdefault(kind, self._resources.get(kind))
        self._resources[kind] = resource

    def get(self, kind: type[T]) -> T:
        """The resource of a type; KeyError if there is none."""
        resource: T = self._resources[kind]
        return resource

    def has(self, kind: type[Any]) -> bool:
        """Whether there is a resource of a type."""
        return kind in self._resources

    # --- populations ---

    def populate(
        self, archetype: Sequence[type[Column]], components: Sequence[object] = (), *, name: str | None = None
    ) -> int:
        """Create a population whose particles have the columns of ``archetype``; returns its entity.

        A component given as a class is a tag and is instantiated without arguments. Random draws depend on the name: a
        population with a name stays as it is where others are added before it. The default counts those before it.

        Raises:
            PluginError: a column or component has the wrong type or an invalid value, or another population has the
                name.
            StructuralChangeError: a step is in progress: a snapshot has the populations of the beginning.
        """
        if self._is_stepping():
            raise StructuralChangeError("populations can be created only when a scene is set up, not within a step")
        check_population(archetype, components)
        taken = self._names.values()
        if name is None:
            name = next(each for each in map(str, itertools.count(len(taken))) if each not in taken)
        if type(name) is not str or not name:  # plugins may give anything
            raise PluginError(f"a population's name must be a text that is not empty, not {name!r}")
        if name in taken:
            raise PluginError(f"two populations are named {name!r}; each needs a name of its own")
        columns = [column() for column in archetype]
        others = [component() if isinstance(component, type) else with_floats(component) for component in components]
        table = Table(columns)
        every = (table, *columns, *others)
        with self._context():
            entity: int = esper.create_entity(*every)
        self._components[entity] = {type(component): component for component in every}
        self._tables.append(table)
        self._frozen = None
        self._names[entity] = name
        self._queries.clear()
        self._schedules = {}
        return entity

    def add_column(self, entity: int, kind: type[Column]) -> None:
        """Give a population one more column, before its first frame; its rows have the initial values."""
        if self._is_stepping():
            raise StructuralChangeError("columns can be added only when a scene is set up, not within a step")
        column = kind()
        self._components[entity][Table].add(column)
        self._set(entity, kind, column)

    def query(self, *kinds: type[Any], optional: _Kinds = ()) -> list[tuple[int, tuple[Any, ...]]]:
        """Entities with all the given components, in order, and those components.

        They are followed by the ``optional`` ones, or None for what the entity lacks.
        """
        found = self._queries.get((kinds, optional))
        if found is None:
            having = [(entity, own) for entity, own in self._components.items() if all(kind in own for kind in kinds)]
            found = [(entity, (*(own[kind] for kind in kinds), *map(own.get, optional))) for entity, own in having]
            self._queries[kinds, optional] = found
        return found

    def name(self, entity: int) -> str:
        """The name of a population; KeyError if there is none of this entity."""
        return self._names[entity]

    @property
    def tables(self) -> list[Table]:
        """The tables of all populations, in order."""
        return list(self._tables)

    def component(self, entity: int, kind: type[T]) -> T | None:
        """The component of a type of an entity, or None."""
        found: T | None = self._components[entity].get(kind)
        return found

    def components(self, entity: int) -> tuple[Any, ...]:
        """All components of an entity, in the order in which they were added."""
        return tuple(self._components[entity].values())

    def replace(self, entity: int, component: object) -> None:
        """Add a component to an entity, replacing one of the same type.

        For good outside a step, within one until the next one begins: state that outlasts a frame is in columns alone,
        so that a simulation can be cut anywhere.
        """
        kind = type(component)
        if self._is_stepping() and (entity, kind) not in self._replaced:
            self._replaced[entity, kind] = self._components[entity].get(kind)
        self._set(entity, kind, component)

    def change(self, entity: int, kind: type[Any], **values: Any) -> None:
        """Replace a component by one with other values, as with :func:`dataclasses.replace` but faster.

        ``__post_init__`` does not run.

        Raises:
            TypeError: the component has no such field.
        """
        before = self._components[entity][kind]
        names = self._fields.get(kind)
        if names is None:
            names = self._fields[kind] = tuple(each.name for each in fields(kind))
        if unknown := values.keys() - names:
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}; it has: {', '.join(names)}")
        changed = object.__new__(kind)
        for name in names:
            object.__setattr__(changed, name, values[name] if name in values else getattr(before, name))
        self.replace(entity, changed)

    def _set(self, entity: int, kind: type[Any], component: object | None) -> None:
        """Give an entity a component, or take it away."""
        if component is None or kind not in self._components[entity]:
            self._schedules = {}
        with self._context():
            if component is None:
                esper.remove_component(entity, kind)
                del self._components[entity][kind]
            else:
                esper.add_component(entity, component)
                self._components[entity][kind] = component
        for key in [key for key in self._queries if kind in key[0] or kind in key[1]]:
            del self._queries[key]

    def derived(self, entity: int, component: T, compute: Callable[[World, int, T], R]) -> R:
        """``compute(world, entity, component)``, computed again only for another component.

        For what follows from a component and the song alone.
        """
        known = self._derived.get((entity, compute))
        if known is None or known[0] is not component:
            known = self._derived[entity, compute] = component, compute(self, entity, component)
        value: R = known[1]
        return value

    # --- time ---

    def add(self, system: System) -> None:
        """Add a system; it runs in its phase, after those added before it."""
        self._add(system, priority(system.phase, self._added))
        self._added += 1

    def _add(self, system: System, rank: int) -> None:
        system.world = self
        with self._context():
            esper.add_processor(system, priority=rank)
        self._systems = sorted((*self._systems, system), key=lambda each: -each.priority)
        self._schedules = {}

    def step(self, *, drawn: list[Sprites] | None = None) -> None:
        """Simulate frame ``self.frame``, and add what its systems draw to ``drawn``, in order and in units."""
        self._draws.clear()
        self._generators.begin()
        with _esper:
            if esper.current_world != self._name:
                esper.switch_world(self._name)
            if self._replaced or self._inserted:
                self._undo_replacements()
            self._resources[Clock] = Clock(self.frame, self._time_of(self.frame), self.dt, self.fps)
            self._resources[AudioFrame] = AudioFrame(self.frame, self.timeline)
            self._stepping = threading.get_ident()
            self._drawn = drawn
            try:
                self._process()
                if drawn is not None:
                    self._run(_DRAWING)
                self._freeze(True)
            finally:
                self._stepping, self._drawn = 0, None
        self.frame += 1

    def draw(self, sprites: Sprites) -> None:
        """Draw sprites, in units, after what was drawn before; columns may be given as they are.

        Raises:
            StructuralChangeError: nothing is drawn now: call this from systems of the phase EXTRACT.
            PluginError: the columns differ in length.
        """
        if self._drawn is None or not self._is_stepping():
            raise StructuralChangeError("sprites can be drawn only by systems of the phase EXTRACT")
        self._drawn.append(sprites.checked())

    def _time_of(self, frame: int) -> float:
        """Its time in seconds: frame / fps, rounded once."""
        frames, seconds = self._rate
        return frame * seconds / frames

    def _undo_replacements(self) -> None:
        """Restore what the last step replaced."""
        for (entity, kind), before in self._replaced.items():
            self._set(entity, kind, before)
        self._replaced.clear()
        for kind, before in self._inserted.items():
            if before is None:
                del self._resources[kind]
            else:
                self._resources[kind] = before
        self._inserted.clear()

    def _is_stepping(self) -> bool:
        return self._stepping == threading.get_ident()

    def _process(self) -> None:
        self.move = self.frame * self._moves
        if self._moves == 1:
            self._run(_SIMULATING)
            return
        self._run(_BEFORE_MOVING)
        clock, audio = self.get(Clock), self.get(AudioFrame)
        self.dt = self.move_dt
        try:
            for move in range(self._moves):
                self.move = self.frame * self._moves + move
                before_the_last = (self._moves - 1 - move) * self.dt
                self._resources[Clock] = replace(clock, t=clock.t - before_the_last, dt=self.dt)
                self._resources[AudioFrame] = replace(audio, again=move > 0)
                self._run(_MOVING)
        finally:
            self.dt, self._resources[Clock], self._resources[AudioFrame] = clock.dt, clock, audio
        self._run(_AFTER_MOVING)

    def _run(self, phases: range) -> None:
        schedule, done, known = self._with_work(phases), 0, self._schedules
        while done < len(schedule):
            system, must_be_frozen = schedule[done]
            if self._frozen is not must_be_frozen:
                self._freeze(must_be_frozen)
            if self._spent is None:
                system.process()
            else:
                began = time.thread_time_ns()
                system.process()
                name = type(system).__name__
                self._spent[name] = self._spent.get(name, 0) + time.thread_time_ns() - began
            done += 1
            beat()
            if self._schedules is not known:  # components have come or gone just now
                schedule, known = self._with_work(phases), self._schedules
                done = sum(each.priority >= system.priority for each, _ in schedule)

    def _with_work(self, phases: range) -> list[tuple[System, bool]]:
        """The systems of these phases that have something to do, and whether rows are frozen meanwhile."""
        found = self._schedules.get(phases)
        if found is None:
            found = self._schedules[phases] = [
                (system, not Phase.REAP <= system.phase < FIRST_FROZEN)
                for system in self._systems
                if system.phase in phases and (not system.needs or self.query(*system.needs))
            ]
        return found

    def _freeze(self, frozen: bool) -> None:
        self._frozen = frozen
        for table in self._tables:
            table.frozen = frozen

    def measure(self) -> None:
        """Start measuring the CPU time of each system, which does not depend on what else the machine does."""
        self._spent = {}

    def timings(self) -> dict[str, int]:
        """Nanoseconds per system since :meth:`measure`."""
        return dict(self._spent or {})

    def rng(self, system: System, entity: int = 0, *, nth: int | None = None) -> np.random.Generator:
        """A random generator for ``system`` and ``entity`` in this frame.

        Each call in a frame returns another generator, as draws are numbered. With ``nth`` it belongs to the n-th of
        something, such as the kicks of a song (``AudioFrame.before``), and is the same at any frame rate.
        """
        key = (_random_key(system), self._names.get(entity, entity))
        if nth is not None:
            return self._generators.generator(self.seed, stream_of(*key, "nth"), nth)
        draw = self._draws.get(key, 0)
        self._draws[key] = draw + 1
        return self._generators.generator(self.seed, stream_of(*key, draw), self.frame)

    def traits(self, system: System, entity: int, table: Table) -> NDArray[np.float32]:
        """A number in [0, 1) per row, (rows,) float32, that a particle keeps for life."""
        return uniform_by_birth(self.seed, stream_of(_random_key(system), self._names.get(entity, entity)), table.birth)

    @property
    def systems(self) -> tuple[System, ...]:
        """All systems, in running order."""
        return tuple(self._systems)

    # --- state ---

    def snapshot(self) -> Snapshot:
        """The state before frame ``self.frame``."""
        return Snapshot(self.frame, {self.name(entity): table.snapshot() for entity, (table,) in self.query(Table)})

    def restore(self, snapshot: Snapshot) -> None:
        """Resume from a snapshot of a world that was set up like this one.

        Raises:
            ValueError: it was not: it has other populations.
        """
        self.frame = snapshot.frame
        with self._switched():
            self._undo_replacements()
        tables = {self.name(entity): table for entity, (table,) in self.query(Table)}
        if tables.keys() != snapshot.populations.keys():
            raise ValueError(f"the snapshot has the populations {[*snapshot.populations]}, not {[*tables]}")
        for name, table in tables.items():
            table.restore(snapshot.populations[name])

    def close(self) -> None:
        """Delete the esper context."""
        with self._context():
            esper.switch_world("default")
            esper.delete_world(self._name)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def _random_key(system: System) -> str:
    """The name of a system's random draws."""
    return system.random_key or f"{type(system).__module__}.{type(system).__qualname__}"
