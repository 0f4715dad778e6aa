"""Phases and systems: in which order a frame happens, and when rows may change.

``SENSE → REAP → EMIT │ rows frozen │ FORCE → MOVE → COLLIDE → SHADE → EXTRACT``. Within a phase, systems run in the
order in which they were added.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

import esper

from ecs_core.ecs.table import Column

if TYPE_CHECKING:
    from ecs_core.ecs.world import World


class Phase(IntEnum):
    """When in a frame a system runs."""

    SENSE = 0  # look at the clock and the song, set parameters
    REAP = 1  # remove rows
    EMIT = 2  # add rows
    FORCE = 3  # change velocities
    MOVE = 4  # change positions, age
    COLLIDE = 5  # push apart
    SHADE = 6  # work out what is seen
    EXTRACT = 7  # hand it to whoever looks


FIRST_FROZEN = Phase.FORCE


class System(esper.Processor):
    """Something that happens every frame to all entities that have certain components.

    Subclasses set ``phase``, declare the columns they read and write, and implement ``process``, which finds its
    entities with ``self.world.query(...)``. A system has no state of its own: everything is in the world.

    ``random_key`` names the system's random draws; empty, the class's name does. A class that is renamed keeps its
    draws, and so its frames, by setting it to the old name.
    """

    phase: ClassVar[Phase]
    reads: ClassVar[tuple[type[Column], ...]] = ()
    writes: ClassVar[tuple[type[Column], ...]] = ()
    random_key: ClassVar[str] = ""
    world: World

    def process(self) -> None:
        """Do this frame's work."""
        raise NotImplementedError(f"{type(self).__name__} has no process()")


def priority(phase: Phase, added: int) -> int:
    """Esper runs high priorities first: earlier phases, then earlier additions."""
    return -(int(phase) * 10_000 + added)
