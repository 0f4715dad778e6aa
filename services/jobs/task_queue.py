"""The queue of tasks as the API and workers see it: whichever wakes them, Redis or a pipe of this machine.

A queue only says that something is ready. What is ready, and whose turn it is, the database knows; whatever a queue
loses is announced again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Set
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class TaskQueue(Protocol):
    """What workers need, and the API to wake them."""

    async def enqueue(self, task: str, attempt: int) -> bool:
        """Wake a worker, as the task is ready; False where that cannot be done at the moment."""
        ...

    async def record_duration(self, kind: str, seconds: float) -> None:
        """A task of this kind took so long; the last hundred are kept, for whoever estimates."""
        ...

    async def remove_finished(self, unfinished: Callable[[Collection[str]], Awaitable[Set[tuple[str, int]]]]) -> None:
        """Forget what is over; ``unfinished`` tells which of some tasks are not, with their attempts."""
        ...

    async def heartbeat(self, worker: str) -> None:
        """A sign of life of a worker; to be given every few seconds."""
        ...

    async def unregister(self, worker: str) -> None:
        """A worker stops; who dies without a word is forgotten a little later."""
        ...

    async def consume(self, work: Callable[[], Awaitable[Any]], *, size: int) -> None:
        """Call ``work``, which does what there is, when something was enqueued; ``size`` at a time, for ever."""
        ...

    async def run_periodically(self, do: Callable[[], Awaitable[Any]], *, every: int) -> None:
        """Call ``do`` every so many seconds, for ever, in some worker, or in several: then it sees to it itself that it
        happens once. ``every`` divides a minute, or is minutes that divide an hour.
        """
        ...


class QueueMonitor(Protocol):
    """What can be asked of a queue."""

    async def is_up(self) -> bool:
        """Whether workers can be woken."""
        ...

    async def workers(self) -> int | None:
        """How many gave a sign of life lately; None where that is not known."""
        ...

    async def mean_durations(self, kinds: Collection[str]) -> dict[str, float]:
        """How many seconds a task of each kind took lately; nothing of a kind that nothing is known of."""
        ...


def is_local(url: str) -> bool:
    """Whether ``MOTES_REDIS_URL`` names no Redis but a folder of this machine."""
    return url.startswith("local:")


def open_queue(url: str) -> AbstractAsyncContextManager[TaskQueue]:
    """The queue that ``MOTES_REDIS_URL`` names. What it takes to speak with Redis is loaded where there is one."""
    if is_local(url):
        from services.jobs.local_queue import LocalQueue

        return LocalQueue.open(url)
    from services.jobs.arq_queue import Queue

    return Queue.open(url)


def open_monitor(url: str) -> AbstractAsyncContextManager[QueueMonitor]:
    """Whom to ask about that queue."""
    if is_local(url):
        from services.jobs.local_queue import LocalQueue

        return LocalQueue.open(url)
    from services.jobs.arq_queue import RedisMonitor

    return RedisMonitor.open(url)
