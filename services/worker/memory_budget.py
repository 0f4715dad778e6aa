"""The memory that a worker's tasks may take together, and what of it is taken."""

from __future__ import annotations

import asyncio

_SLACK = 400_000_000  # bytes, such as of the stacks of threads


class MemoryBudget:
    """So many bytes, ``total``. Tasks are claimed one at a time, under ``claiming``, by what is ``free``."""

    def __init__(self, total: int) -> None:
        self.total, self._taken = total, 0
        self.claiming = asyncio.Lock()  # otherwise two slots would count on the same bytes

    @property
    def free(self) -> int:
        """Bytes that nobody has taken; all of them are free where no task runs."""
        return max(0, self.total - self._taken)

    def take(self, size: int) -> Held:
        """Take so many bytes, until they are released."""
        self._taken += size
        return Held(self, size)

    def _give_back(self, size: int) -> None:
        self._taken -= size


class Held:
    """Bytes that a task has taken."""

    def __init__(self, budget: MemoryBudget, size: int) -> None:
        self._budget, self.size = budget, size

    def release(self, *, after: asyncio.Future[None] | None = None) -> None:
        """Give them back, once; ``after``: when that is done, as of a process that cannot be killed."""
        if after is not None:
            later, self.size = Held(self._budget, self.size), 0
            after.add_done_callback(lambda done: later.release())
            return
        self._budget._give_back(self.size)
        self.size = 0


def memory_limit_of(estimate: int) -> int:
    """Bytes beyond what it has at its start that the process of a task may ask for, where so many are expected.

    Twice as many, and some: memory that is asked for is not all used, and an estimate may be too low.
    """
    return 2 * estimate + _SLACK
