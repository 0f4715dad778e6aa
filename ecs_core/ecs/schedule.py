"""Phases: in which order the systems of a frame run, and when rows may change.

``SENSE → REAP → EMIT │ rows frozen │ FORCE → MOVE → COLLIDE → SHADE → EXTRACT``. Within a phase, systems run in the
order in which they were added. Below 20 frames a second, FORCE to COLLIDE run several times in a frame, each for a part
of its time. EXTRACT runs only for frames that are seen, so it must not change columns.
"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """The part of a frame in which a system runs."""

    SENSE = 0  # read the clock and the song, set parameters
    REAP = 1  # remove rows
    EMIT = 2  # add rows
    FORCE = 3  # change velocities
    MOVE = 4  # change positions, age
    COLLIDE = 5  # push apart
    SHADE = 6  # compute appearance
    EXTRACT = 7  # draw what is seen


FIRST_FROZEN = Phase.FORCE


def priority(phase: Phase, added: int) -> int:
    """Esper runs high priorities first: earlier phases, then earlier additions."""
    return -(int(phase) * 10_000 + added)
