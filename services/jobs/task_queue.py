"""The task queue as the API and workers see it, whether Redis or a local pipe wakes the workers.

A queue only says that something is ready. The database knows what is ready and in which order; what a queue loses is
enqueued again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Set
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class TaskQueue(Protocol):
    """What workers need, and what the API needs to wake them."""

    async def enqueue(self, task: str, attempt: int) -> bool:
        """Wake a worker for a ready task; False if that is not possible now."""
        ...

    async def record_duration(self, kind: str, seconds: float) -> None:
        """Record the duration of a task; the last hundred are kept."""
        ...

    async def remove_finished(self, unfinished: Callable[[Collection[str]], Awaitable[Set[tuple[str, int]]]]) -> None:
        """Remove finished tasks; ``unfinished`` returns those that are still to be done, with their attempts."""
        ...

    async def heartbeat(self, worker: str) -> None:
        """Send a worker's heartbeat; call it every few seconds."""
        ...

    async def unregister(self, worker: str) -> None:
        """Remove a worker that stops; a dead one is forgotten after its last heartbeat."""
        ...

    async def consume(self, work: Callable[[], Awaitable[Any]], *, size: int) -> None:
        """Call ``work`` for every message, ``size`` at a time. Never returns."""
        ...

    async def run_periodically(self, do: Callable[[], Awaitable[Any]], *, every: int) -> None:
        """Call ``do`` every so many seconds in one worker, or in several if it copes with that. Never returns.

        ``every`` divides a minute, or is whole minutes that divide an hour.
        """
        ...


class QueueMonitor(Protocol):
    """Questions to a queue."""

    async def is_up(self) -> bool:
        """Whether workers can be woken."""
        ...

    async def workers(self) -> int | None:
        """Number of workers with a recent heartbeat; None if unknown."""
        ...

    async def mean_durations(self, kinds: Collection[str]) -> dict[str, float]:
        """Mean seconds of recent tasks by kind; unknown kinds are absent."""
        ...


def is_local(url: str) -> bool:
    """Whether ``MOTES_REDIS_URL`` names a local folder instead of Redis."""
    return url.startswith("local:")


def open_queue(url: str) -> AbstractAsyncContextManager[TaskQueue]:
    """The queue that ``MOTES_REDIS_URL`` names. The Redis client is only loaded if it is needed."""
    if is_local(url):
        from services.jobs.local_queue import LocalQueue

        return LocalQueue.open(url)
    from services.jobs.arq_queue import Queue

    return Queue.open(url)


def open_monitor(url: str) -> AbstractAsyncContextManager[QueueMonitor]:
    """The monitor of that queue."""
    if is_local(url):
        from services.jobs.local_queue import LocalQueue

        return LocalQueue.open(url)
    from services.jobs.arq_queue import RedisMonitor

    return RedisMonitor.open(url)
