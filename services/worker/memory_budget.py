"""The memory that a worker's tasks may take together, and what of it is taken."""

from __future__ import annotations

import asyncio
import contextlib

_SLACK = 400_000_000  # bytes, such as of the stacks of threads


class MemoryBudget:
    """So many bytes, ``total``, of which tasks take some while they run."""

    def __init__(self, total: int) -> None:
        self._total, self._taken, self._left = total, 0, 0
        self._more = asyncio.Event()

    @property
    def free(self) -> int:
        """Bytes that nobody has taken."""
        return max(0, self._total - self._taken)

    @property
    def most(self) -> int:
        """Bytes that are free where no task runs: all but those of processes that cannot be killed."""
        return max(0, self._total - self._left)

    async def wait_for_more(self, seconds: float) -> None:
        """Wait until some are given back, at most so many seconds."""
        self._more.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()

    def take(self, size: int) -> Held:
        """Take so many bytes, until they are released."""
        self._taken += size
        return Held(self, size)

    def _give_back(self, size: int) -> None:
        self._taken -= size
        self._more.set()

    def _leave(self, size: int) -> None:
        self._left += size


class Held:
    """Bytes that a task has taken."""

    def __init__(self, budget: MemoryBudget, size: int) -> None:
        self._budget, self.size = budget, size

    def release(self, *, after: asyncio.Future[None] | None = None) -> None:
        """Give them back, once; ``after``: when that is done, as of a process that cannot be killed."""
        if after is not None:
            later, self.size = Held(self._budget, self.size), 0
            self._budget._leave(later.size)
            after.add_done_callback(lambda done: later._end())
            return
        self._budget._give_back(self.size)
        self.size = 0

    def _end(self) -> None:
        self._budget._leave(-self.size)
        self.release()


def memory_limit_of(estimate: int) -> int:
    """Bytes beyond what it has at its start that the process of a task may ask for, where so many are expected.

    Twice as many, and some: memory that is asked for is not all used, and an estimate may be too low.
    """
    return 2 * estimate + _SLACK
