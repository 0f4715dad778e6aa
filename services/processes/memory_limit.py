"""How much memory this process and all beside it may take: that of its cgroups, or of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_SHARE, _OTHERS = 0.85, 400_000_000  # what tasks may have of it, after bytes for the API, workers and a fork server
_LEAST = 300_000_000  # bytes of a worker: enough for a video in HD


def memory_limit(*, groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that are there for everything: the least of all cgroups above this process, of either version, and of the
    machine's memory.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(groups, own)])


def worker_memory(workers: int) -> int:
    """Bytes that the tasks of one of so many workers on this machine may take."""
    return max(_LEAST, int(_SHARE * (memory_limit() - _OTHERS)) // max(1, workers))


def _limits(groups: Path, own: Path) -> Iterator[int]:
    with suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
            below = Path(path.lstrip("/"))
            for folder in (below, *below.parents):  # in a container its own group may be seen as the root
                with suppress(OSError, ValueError):  # no limit is "max"
                    yield int((root / folder / name).read_text())


def oom_kills(*, vmstat: Path = Path("/proc/vmstat")) -> int:
    """How many processes of this machine the kernel has ended so far for lack of memory."""
    with suppress(OSError):
        for line in vmstat.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0
