"""The task queue as the API, the dispatcher and workers see it, whether Redis or local pipes carry it.

The dispatcher (``services.jobs.dispatcher``) puts ready tasks into it in the order of their turns, and workers take
them. The database stays the truth: what a queue loses the dispatcher puts again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Set
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.jobs.dispatching import Dispatching
from services.jobs.turns import Offer


class TaskQueue(Protocol):
    """What workers and the dispatcher need, and what the API needs to call the dispatcher."""

    async def call(self) -> None:
        """Call the dispatcher, as tasks have become ready. If it does not hear, it looks by itself a little later."""
        ...

    async def called(self, seconds: float) -> None:
        """Wait until the dispatcher is called, at most so many seconds."""
        ...

    async def put(self, offer: Offer) -> bool:
        """Put a ready task into the queue; no effect if it is there. False if that is not possible now."""
        ...

    async def take(self, versions: Collection[str]) -> tuple[str, int] | None:
        """Wait for the next task of these renderer versions; returns its id and attempt.

        None if it is not known which is next, and the database should be asked.
        """
        ...

    def carries_tasks(self) -> bool:
        """Whether tasks travel through it now; otherwise workers look for more in the database."""
        ...

    async def record_duration(self, kind: str, seconds: float) -> None:
        """Record the duration of a task; the last hundred are kept."""
        ...

    async def remove_finished(self, unfinished: Callable[[Collection[str]], Awaitable[Set[tuple[str, int]]]]) -> None:
        """Remove finished tasks; ``unfinished`` returns those that are still to be done, with their attempts."""
        ...

    async def heartbeat(self, worker: str) -> Dispatching | None:
        """Send a worker's heartbeat; returns what the dispatcher said in the last seconds, None if it was silent."""
        ...

    async def announce(self, dispatching: Dispatching | None) -> None:
        """Say who dispatches, every few seconds; None: nobody does any more."""
        ...

    async def unregister(self, worker: str) -> None:
        """Remove a worker that stops; a dead one is forgotten after its last heartbeat."""
        ...


class QueueMonitor(Protocol):
    """Questions to a queue."""

    async def is_up(self) -> bool:
        """Whether the queue carries tasks."""
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
