"""Waker: tells workers that there is work. Where Redis is down nobody waits for it: workers look by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from statistics import fmean

from redis.exceptions import RedisError

from services.jobs.arq_queue import MeasuredRedis, Queue, live_workers, task_durations
from services.jobs.tasks import TASK_KINDS, Tasks

_log = logging.getLogger("motes.api")
_TIMEOUT = 1.0  # seconds until Redis must have answered
_RETRY_DELAY = 1.0  # seconds until it is looked for again


class TaskNotifier:
    """A connection to the queue in the background. Use as an asynchronous context manager."""

    def __init__(self, redis_url: str, tasks: Tasks) -> None:
        self._url, self._tasks = redis_url, tasks
        self._redis = MeasuredRedis.from_url(redis_url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT)
        self._wanted = asyncio.Event()

    async def __aenter__(self) -> TaskNotifier:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._redis.aclose()

    def wake(self) -> None:
        """There is something to do."""
        self._wanted.set()

    async def redis_is_up(self) -> bool:
        """Whether Redis does."""
        with contextlib.suppress(RedisError, OSError):
            return bool(await self._redis.ping())
        return False

    async def workers(self) -> int | None:
        """How many are alive; None where Redis does not answer."""
        with contextlib.suppress(RedisError, OSError):
            return await live_workers(self._redis)
        return None

    async def mean_durations(self) -> dict[str, float]:
        """How many seconds a task of each kind took lately; nothing of a kind that nothing is known of."""
        with contextlib.suppress(RedisError, OSError):
            took = {kind: await task_durations(self._redis, kind) for kind in TASK_KINDS}
            return {kind: fmean(seconds) for kind, seconds in took.items() if seconds}
        return {}

    async def _run(self) -> None:
        while True:
            try:
                async with Queue.open(self._url) as queue:
                    while True:
                        await self._wanted.wait()
                        self._wanted.clear()
                        await self._put(queue)
            except Exception:
                _log.warning("workers cannot be told of work, and look for it themselves", exc_info=True)
                await asyncio.sleep(_RETRY_DELAY)

    async def _put(self, queue: Queue) -> None:
        if not await self.redis_is_up():  # what is noted as queued is not looked for by workers for a while
            return
        for task in await self._tasks.next_to_enqueue():
            if not await queue.enqueue(task.id, task.attempt):
                return
