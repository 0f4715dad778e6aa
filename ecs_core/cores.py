"""The cores that this process may use."""

from __future__ import annotations

import os


def available_cores() -> int:
    """Number of cores that this process may run on: fewer than the machine has under taskset or in a container."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
