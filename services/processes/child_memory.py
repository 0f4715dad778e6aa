"""The memory of a task's process: a limit of its own, and the kernel's choice where the machine runs out of it."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

_FIRST_TO_GO = "900"  # of 1000: workers, API and database are ended after all processes of tasks


class MemoryAllowance:
    """What this process may ask for beyond what it has now.

    The limit is RLIMIT_DATA: memory of its own that can be written to. Address space that libraries only reserve, as
    compilers and encoders do, counts for RLIMIT_AS alone, with which they would fail at once.
    """

    def __init__(self) -> None:
        self._at_start = _own_memory()
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)

    def grant(self, more: int | None) -> None:
        """Allow so many bytes more than there were at the start; None: any number."""
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = resource.RLIM_INFINITY if more is None else self._at_start + more
        if most != resource.RLIM_INFINITY:
            wanted = most if wanted == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that memory was refused."""
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _own_memory() -> int:
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmData:"):
                return 1024 * int(line.split()[1])
    return 0
