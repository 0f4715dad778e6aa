"""Claims of a worker's slots: what fits into the memory that it has left, and room for what never would fit.

A large task stays offered while smaller ones pass it. Where one is next that would fit into this worker alone, and has
been passed for ``_PATIENCE`` seconds, the worker claims nothing more until there is room for it, or somebody else has
taken it. One worker at a time waits (it holds a lease in the database), so that all others go on meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.database.engine import Sessions
from services.database.leases import acquire, release
from services.jobs.tasks import Claim, Offered, Tasks
from services.worker.memory_budget import Held, MemoryBudget

_PATIENCE = 20.0  # seconds that a task is passed before a worker waits for room
_LEASE, _LEASE_SECONDS = "room", 15.0
_LOOK_EVERY = 1.0  # seconds between looks whether the task is still there


class Claims:
    """Claims tasks, one at a time, and holds the memory that they are expected to take."""

    def __init__(
        self,
        sessions: Sessions,
        tasks: Tasks,
        *,
        worker: str,
        memory: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions, self._tasks, self._worker, self._clock = sessions, tasks, worker, clock
        self._memory = MemoryBudget(memory)
        self._claiming = asyncio.Lock()  # otherwise two slots would count on the same bytes
        self._passed: tuple[str, float] | None = None  # a task that has no room here, and since when

    async def claim(self, offered: tuple[str, int] | None = None) -> tuple[Claim, Held] | None:
        """Claim a task that fits, the one that is ``offered`` if possible; see ``Tasks.claim``."""
        async with self._claiming:
            large = await self._passed_for_long()
            if large is not None and await self._wait_for_room(large):
                offered = large.task, large.attempt
            claim = await self._tasks.claim(self._worker, offered, memory=self._memory.free)
            return None if claim is None else (claim, self._memory.take(claim.memory))

    async def _passed_for_long(self) -> Offered | None:
        """The next task, if it has had no room here for long, and would have if nothing else ran."""
        if self._memory.free == self._memory.most:
            return None  # everything has room that ever will
        first = await self._tasks.next_offered(memory=self._memory.most)
        if first is None or first.memory <= self._memory.free:
            return None
        if self._passed is None or self._passed[0] != first.task:
            self._passed = first.task, self._clock()
        return first if self._clock() - self._passed[1] > _PATIENCE else None

    async def _wait_for_room(self, large: Offered) -> bool:
        """Wait until there is room for a task; False if somebody else has it, or another worker waits for room."""
        if not await self._may_wait():
            return False
        try:
            while large.memory > self._memory.free:
                await self._memory.wait_for_more(_LOOK_EVERY)
                is_there = large.memory <= self._memory.most and await self._tasks.is_offered(large)
                if not is_there or not await self._may_wait():
                    return False
            return True
        finally:
            await release(self._sessions, _LEASE, holder=self._worker)

    async def _may_wait(self) -> bool:
        held = await acquire(self._sessions, _LEASE, holder=self._worker, seconds=_LEASE_SECONDS)
        return held is not None
