"""TaskNotifier: wakes workers when a task is ready. If Redis is down, nobody waits: workers poll."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from services.jobs.task_queue import TaskQueue, open_monitor, open_queue
from services.jobs.tasks import TASK_KINDS, Tasks
from services.processes.loops import Loops

_log = logging.getLogger("motes.api")
_RETRY_DELAY = 1.0  # seconds until the queue is opened again


class TaskNotifier:
    """A connection to the queue in the background. Use as an asynchronous context manager."""

    def __init__(self, redis_url: str, tasks: Tasks, *, loops: Loops) -> None:
        self._url, self._tasks, self._loops = redis_url, tasks, loops
        self._wanted = asyncio.Event()
        self._held = AsyncExitStack()

    async def __aenter__(self) -> TaskNotifier:
        self._monitor = await self._held.enter_async_context(open_monitor(self._url))
        self._loops.start("notifying workers", self._run())
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._held.aclose()

    def wake(self) -> None:
        """Wake workers soon."""
        self._wanted.set()

    async def can_wake(self) -> bool:
        """Whether workers can be woken; False if Redis is down."""
        return await self._monitor.is_up()

    async def workers(self) -> int | None:
        """Number of live workers; None if Redis is down."""
        return await self._monitor.workers()

    async def mean_durations(self) -> dict[str, float]:
        """Mean seconds of recent tasks by kind; unknown kinds are absent."""
        return await self._monitor.mean_durations(TASK_KINDS)

    async def _run(self) -> None:
        while True:
            try:
                async with open_queue(self._url) as queue:
                    while True:
                        await self._wanted.wait()
                        self._wanted.clear()
                        await self._put(queue)
            except Exception:
                _log.warning("workers cannot be told of work, and look for it themselves", exc_info=True)
                await asyncio.sleep(_RETRY_DELAY)

    async def _put(self, queue: TaskQueue) -> None:
        if not await self.can_wake():  # workers would not poll for tasks that are marked as queued
            return
        for task in await self._tasks.next_to_enqueue():
            if not await queue.enqueue(task.id, task.attempt):
                return
