"""Run a particle type as renders do, and record the state of every frame."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.table import Column, Rows, Table
from ecs_core.ecs.world import Snapshot, World
from ecs_core.errors import MotesError
from ecs_core.plugin_api import ParticleType
from ecs_core.plugin_api.layers import MAIN
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.simulation import SceneSnapshot, Simulation
from ecs_core.scene.settings import Settings
from ecs_core.systems import BUILT_IN
from ecs_core.testing.songs import Song
from ecs_core.testing.surroundings import elsewhere

_DARK = 1e-3  # linear light below this is not seen
_OWN, _PYTHON = Path(__file__).parents[1], Path(traceback.__file__).parent
_LIBRARIES = {"esper", "numba", "numpy", "pydantic", "scipy"}


class TypeFailedError(Exception):
    """The type raised an exception: ``what`` and where, and ``when`` (in which frame)."""

    def __init__(self, what: str, when: str) -> None:
        super().__init__(f"{what} ({when})")
        self.what, self.when = what, when


@dataclass(frozen=True, eq=False, slots=True)
class Population:
    """A population: its name, rows, the names of their fields ("Position.x"), and those that are infinite at birth."""

    name: str
    fields: tuple[str, ...]
    endless: tuple[str, ...]
    rows: Rows

    def __len__(self) -> int:
        return self.rows.birth.size

    def column(self, field: str) -> np.ndarray[tuple[int], np.dtype[np.float32]] | None:
        """The values of a field, (rows,), or None if there is no such field."""
        return self.rows.values[self.fields.index(field)] if field in self.fields else None


@dataclass(frozen=True, eq=False, slots=True)
class State:
    """The state after ``frame`` was simulated, and the number of particles ``seen`` in the picture.

    ``drawn`` is what systems have drawn, in units; ``own`` is the part of it that systems of the type have drawn, which
    does not follow from columns.
    """

    frame: int
    populations: tuple[Population, ...]
    seen: int
    drawn: Sprites
    own: Sprites

    @property
    def count(self) -> int:
        """Number of particles."""
        return sum(map(len, self.populations))

    @property
    def snapshot(self) -> SceneSnapshot:
        """The snapshot that a renderer would resume from."""
        populations = {population.name: population.rows for population in self.populations}
        return SceneSnapshot(self.frame + 1, {MAIN: Snapshot(self.frame + 1, populations)})


@contextmanager
def staged(particle_type: ParticleType, settings: Settings, song: Song) -> Iterator[Simulation]:
    """A new simulation with a song as long as ``settings.duration``.

    Raises:
        TypeFailedError: the type raised, now or within the block.
    """
    timeline = with_levels(song(settings.rate, settings.frames(Fraction(0))), settings)
    when = "while it was set up"
    try:
        # Warnings of numpy are not looked at: the values are.
        with (
            elsewhere(_packages(particle_type)),
            np.errstate(all="ignore"),
            Simulation(particle_type, settings, timeline) as stage,
        ):
            try:
                yield stage
            except Exception:
                when = f"in frame {stage.world.frame}"
                raise
    except Exception as error:
        raise TypeFailedError(_described(error), f"{when}, {settings.fps} fps, song: {song.__name__}") from error


def _packages(particle_type: ParticleType) -> set[str]:
    """The packages of a type's code."""
    code = (particle_type.populate, *particle_type.systems)
    return {each.__module__.partition(".")[0] for each in code if each is not None} - {"ecs_core"}


def simulate(
    particle_type: ParticleType,
    settings: Settings,
    song: Song,
    *,
    start: State | None = None,
    keep: Container[int] | None = None,
    watch: Callable[[State], bool] = lambda state: True,
    drawings: bool = True,
) -> list[State]:
    """The states of the frames in ``keep``, or of all, to the end of ``settings.duration`` or until ``watch`` is false.

    Runs in a fresh stage, from the beginning or from what was the state after ``start``. Without ``drawings`` states do
    not have what was drawn, which takes memory.

    Raises:
        TypeFailedError: the type raised.
    """
    states: list[State] = []
    with staged(particle_type, settings, song) as simulation:
        if start is not None:
            simulation.restore(start.snapshot)
        drawn, own = _record_drawings(simulation.world) if drawings else ([], [])
        for frame in range(simulation.world.frame, settings.frames(Fraction(0))):
            if keep is not None and frame not in keep:
                simulation.world.step()
                continue
            drawn.clear()
            own.clear()
            seen = _seen(simulation.frame(), settings)
            states.append(State(frame, _populations(simulation.world), seen, Sprites.join(drawn), Sprites.join(own)))
            if not watch(states[-1]):
                break
    return states


def _record_drawings(world: World) -> tuple[list[Sprites], list[Sprites]]:
    """Lists to which is added what systems draw from now on, and what those that are not built in do."""
    drawn: list[Sprites] = []
    own: list[Sprites] = []
    draw = world.draw

    def record(sprites: Sprites) -> None:
        drawn.append(sprites.checked().where(np.arange(len(sprites))))  # a copy: columns change
        draw(sprites)

    def recorded(process: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            before = len(drawn)
            process()
            own.extend(drawn[before:])

        return run

    world.draw = record  # type: ignore[method-assign]
    for system in world.systems:
        if system.phase is Phase.EXTRACT and type(system) not in BUILT_IN:
            system.process = recorded(system.process)  # type: ignore[method-assign]
    return drawn, own


def _populations(world: World) -> tuple[Population, ...]:
    found = []
    snapshot = world.snapshot()
    for entity, _ in world.query(Table):
        name = world.name(entity)
        columns = [component for component in world.components(entity) if isinstance(component, Column)]
        fields = {
            f"{type(column).__name__}.{name}": column.at_birth.get(name, 0.0)
            for column in columns
            for name in column.fields
        }
        endless = tuple(name for name, at_birth in fields.items() if np.isinf(at_birth))
        found.append(Population(name, tuple(fields), endless, snapshot.populations[name]))
    return tuple(found)


def _seen(sprites: Sprites, settings: Settings) -> int:
    """Number of sprites in the picture that add light or cover something."""
    reach = sprites.radius
    across = (sprites.x > -reach) & (sprites.x < settings.width + reach)
    down = (sprites.y > -reach) & (sprites.y < settings.height + reach)
    bright = np.maximum(np.maximum(sprites.red, sprites.green), sprites.blue) > _DARK
    if sprites.cover is not None:
        bright |= sprites.cover > 0
    return int(np.count_nonzero(across & down & bright))


def _described(error: Exception) -> str:
    """The exception in one line, with its place in the plugin."""
    if isinstance(error, MotesError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # what the type raised itself
    places = traceback.extract_tb(error.__traceback__)
    theirs = [place for place in places if _is_plugin(place.filename)]
    where = ""
    if theirs:
        place = theirs[-1]
        where = f" at {Path(place.filename).name}:{place.lineno}, in {place.name}: {place.line}"
    return f"raises {type(error).__name__}: {' '.join(str(error).split())}{where}"


def _is_plugin(filename: str) -> bool:
    path = Path(filename)
    if filename.startswith("<") or _OWN in path.parents or _LIBRARIES & set(path.parts):
        return False
    return _PYTHON not in path.parents or "site-packages" in path.parts
