"""What a process does, as the kernel tells it: how much processor time it has had, and whether it waits for more."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True)
class Activity:
    """Seconds of processor time that all threads of a process have had, and whether its first thread could use more."""

    cpu: float = 0.0
    is_ready: bool = False


def activity_of(pid: int) -> Activity:
    """The activity of a process; none if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return Activity()
    state, *values = text.rpartition(")")[2].split()  # its name may hold anything
    return Activity((int(values[10]) + int(values[11])) / _TICKS, state == "R")


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process has had; 0 if there is none of this pid."""
    return activity_of(pid).cpu
