"""The queue: carries the ids of ready tasks through Redis, by arq. Nothing is lost with it.

The only module that knows arq. A task is enqueued as ``{task}:{attempt}``, so that twice is once; results are not kept;
arq never tries again by itself, as leases in the database do that.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool, func
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker as ArqWorker
from redis.exceptions import RedisError

_log = logging.getLogger("motes.queue")
_QUEUE = "motes:tasks"
_DAY = 24 * 3600


def _serialize(value: Any) -> bytes:
    return json.dumps(value).encode()


class Queue:
    """A connection to the queue."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    @staticmethod
    @asynccontextmanager
    async def open(url: str) -> AsyncIterator[Queue]:
        """Connect to the Redis at ``url``."""
        settings = RedisSettings.from_dsn(url)
        settings.conn_retries = 30
        redis = await create_pool(
            settings, job_serializer=_serialize, job_deserializer=json.loads, default_queue_name=_QUEUE
        )
        try:
            yield Queue(redis)
        finally:
            await redis.aclose()

    async def put(self, task: str, attempt: int) -> bool:
        """Wake a worker, as the task is ready; False where Redis is down."""
        try:
            await self._redis.enqueue_job(
                "work", task, attempt, _job_id=f"{task}:{attempt}", _queue_name=_QUEUE, _expires=_DAY * 7
            )
        except (RedisError, OSError) as error:
            _log.warning("the queue does not answer, will try again: %s", error)
            return False
        return True

    async def consume(self, work: Callable[[], Awaitable[None]], *, size: int) -> None:
        """Call ``work`` for each task that was queued, ``size`` at a time, for ever.

        It takes the task whose turn it is, which may be another one.
        """

        async def called(context: Any, task: str, attempt: int) -> None:
            await work()

        while True:
            worker = ArqWorker(
                functions=[func(called, name="work", max_tries=1, keep_result=0, timeout=_DAY)],  # type: ignore[arg-type]
                queue_name=_QUEUE,
                redis_pool=self._redis,
                max_jobs=size,
                poll_delay=0.05,
                handle_signals=False,
                health_check_interval=60,
                job_serializer=_serialize,
                job_deserializer=json.loads,
            )
            try:
                await worker.async_run()
            except (RedisError, OSError) as error:
                _log.warning("the queue does not answer, will try again: %s", error)
                await asyncio.sleep(0.5)
            finally:
                await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
