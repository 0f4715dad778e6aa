"""The task queue in Redis, by means of arq. It only wakes workers, so nothing is lost with it.

The only module that knows arq. A task is enqueued as ``{task}:{attempt}``, so enqueuing it twice has no effect. Results
are not kept, and arq never retries: leases in the database do that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Set
from contextlib import asynccontextmanager
from statistics import fmean
from typing import Any

from arq import cron, func
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.worker import Worker as ArqWorker
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from services.observability import metrics

_log = logging.getLogger("motes.queue")
_QUEUE, _TICKS = "motes:tasks", "motes:ticks"
_DAY = 24 * 3600
_TIMEOUT = 2.0  # seconds to wait for Redis
_MONITOR_TIMEOUT = 1.0  # seconds that a monitor waits for Redis
_BATCH_SIZE = 1000  # queued ids examined at a time
_DURATIONS_KEPT = 100  # durations per kind of task
_RETRY_DELAY = 2.0  # seconds until Redis is tried again
_RESTART_DELAY = 0.5  # seconds until arq's worker is restarted
_WORKERS, _HEARTBEAT_TTL = "motes:workers", 15.0  # seconds that a heartbeat counts


def _serialize(value: Any) -> bytes:
    return json.dumps(value).encode()


def _durations_key(kind: str) -> str:
    return f"motes:took:{kind}"


class _Measured:
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Execute a command and measure its time."""
        began = time.perf_counter()
        try:
            return await super().execute_command(*args, **options)  # type: ignore[misc]  # of the class it is mixed into
        finally:
            metrics.REDIS.observe(time.perf_counter() - began)


class MeasuredRedis(_Measured, Redis):  # type: ignore[misc] # of its own base classes
    """A connection to Redis that measures its round trips."""


class _Pipeline(Pipeline):
    """A pipeline that a stopping worker may leave unfinished without a warning; Redis drops it with the connection."""

    def __del__(self, *_: Any) -> None:
        if self.connection is not None:
            self.connection._close()  # type: ignore[no-untyped-call]  # Redis has none else


class _MeasuredArqRedis(_Measured, ArqRedis):  # type: ignore[misc] # likewise
    """The same for arq."""

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _Pipeline:
        """A transaction."""
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class RedisMonitor:
    """Questions to a queue in Redis that give up soon if Redis is down."""

    def __init__(self, redis: MeasuredRedis) -> None:
        self._redis = redis

    @staticmethod
    @asynccontextmanager
    async def open(url: str) -> AsyncIterator[RedisMonitor]:
        """Connect to the Redis at ``url``, as soon as it is there."""
        redis = MeasuredRedis.from_url(url, socket_timeout=_MONITOR_TIMEOUT, socket_connect_timeout=_MONITOR_TIMEOUT)
        try:
            yield RedisMonitor(redis)
        finally:
            await redis.aclose()

    async def is_up(self) -> bool:
        """Whether Redis responds."""
        with contextlib.suppress(RedisError, OSError):
            return bool(await self._redis.ping())
        return False

    async def workers(self) -> int | None:
        """Number of workers with a recent heartbeat; None if Redis is down."""
        with contextlib.suppress(RedisError, OSError):
            at, _ = await self._redis.execute_command("TIME")  # Redis's clock, as those of machines differ
            return int(await self._redis.execute_command("ZCOUNT", _WORKERS, int(at) - _HEARTBEAT_TTL, "+inf"))
        return None

    async def mean_durations(self, kinds: Collection[str]) -> dict[str, float]:
        """Mean seconds of recent tasks by kind; unknown kinds are absent."""
        found: dict[str, float] = {}
        with contextlib.suppress(RedisError, OSError):
            for kind in kinds:
                took = await self._redis.execute_command("LRANGE", _durations_key(kind), 0, -1)
                if took:
                    found[kind] = fmean(map(float, took))
        return found


class Queue:
    """A connection to the queue."""

    def __init__(self, redis: _MeasuredArqRedis) -> None:
        self._redis, self._warned, self._not_before = redis, False, 0.0

    @staticmethod
    @asynccontextmanager
    async def open(url: str) -> AsyncIterator[Queue]:
        """Connect to the Redis at ``url``, as soon as it is there."""
        pool: Any = ConnectionPool.from_url(url, socket_connect_timeout=_TIMEOUT)
        redis = _MeasuredArqRedis(
            pool, job_serializer=_serialize, job_deserializer=json.loads, default_queue_name=_QUEUE
        )
        try:
            yield Queue(redis)
        finally:
            await redis.aclose()
            await pool.aclose()

    async def enqueue(self, task: str, attempt: int) -> bool:
        """Wake a worker for a ready task; False if Redis is down."""
        if self._is_down():
            return False
        async with self._request():
            began = time.perf_counter()
            await self._redis.enqueue_job(
                "work", task, attempt, _job_id=f"{task}:{attempt}", _queue_name=_QUEUE, _expires=_DAY * 7
            )
            metrics.REDIS.observe(time.perf_counter() - began)
            self._warned = False
            return True
        return False

    async def record_duration(self, kind: str, seconds: float) -> None:
        """Record the duration of a task, unless Redis is down."""
        if self._is_down():
            return
        async with self._request():
            await self._redis.execute_command("LPUSH", _durations_key(kind), seconds)
            await self._redis.execute_command("LTRIM", _durations_key(kind), 0, _DURATIONS_KEPT - 1)

    async def remove_finished(self, unfinished: Callable[[Collection[str]], Awaitable[Set[tuple[str, int]]]]) -> None:
        """Remove finished tasks; those of killed workers would otherwise stay for a day.

        ``unfinished`` returns those of the given tasks that are still to be done, with their attempts.
        """
        if self._is_down():
            return
        queued: list[str] = []
        async with self._request():
            queued = [each.decode() for each in await self._redis.execute_command("ZRANGE", _QUEUE, 0, _BATCH_SIZE - 1)]
        left = await unfinished([each.rpartition(":")[0] for each in queued])
        over = [each for each in queued if (each.rpartition(":")[0], int(each.rpartition(":")[2])) not in left]
        if over:
            async with self._request():
                prefixes = (job_key_prefix, in_progress_key_prefix, retry_key_prefix)
                await self._redis.execute_command("ZREM", _QUEUE, *over)
                await self._redis.execute_command("DEL", *(prefix + each for prefix in prefixes for each in over))

    async def heartbeat(self, worker: str) -> None:
        """Send a worker's heartbeat; call it every few seconds."""
        if self._is_down():
            return
        async with self._request():
            at, _ = await self._redis.execute_command("TIME")
            await self._redis.execute_command("ZADD", _WORKERS, at, worker)
            await self._redis.execute_command("ZREMRANGEBYSCORE", _WORKERS, "-inf", int(at) - _HEARTBEAT_TTL)

    async def unregister(self, worker: str) -> None:
        """Remove a worker that stops; a dead one is forgotten after its last heartbeat."""
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(_TIMEOUT):
                await self._redis.execute_command("ZREM", _WORKERS, worker)

    def _is_down(self) -> bool:
        """Whether Redis did not respond a moment ago; then it is not tried yet."""
        return time.monotonic() < self._not_before

    @asynccontextmanager
    async def _request(self) -> AsyncIterator[None]:
        """Talk to Redis; on failure log a warning and skip the rest of the context."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                yield
        except (RedisError, OSError) as error:  # includes TimeoutError
            self._warn_once(error)
            self._not_before = time.monotonic() + _RETRY_DELAY

    def _warn_once(self, error: Exception) -> None:
        """Warn once until Redis works again."""
        if not self._warned:
            _log.warning("Redis does not respond; workers poll the database: %r", error)
        self._warned = True

    async def consume(self, work: Callable[[], Awaitable[Any]], *, size: int) -> None:
        """Call ``work`` for every message, ``size`` at a time. Never returns."""

        async def called(context: Any, task: str, attempt: int) -> None:
            await work()

        task = func(called, name="work", max_tries=1, keep_result=0, timeout=_DAY)  # type: ignore[arg-type]  # arq wants what takes any arguments
        await self._run(functions=[task], queue_name=_QUEUE, max_jobs=size, poll_delay=0.05)

    async def run_periodically(self, do: Callable[[], Awaitable[Any]], *, every: int) -> None:
        """Call ``do`` every so many seconds, in one of the waiting processes at a time. Never returns.

        ``every`` divides a minute, or is whole minutes that divide an hour. Nothing is called while Redis is down.
        """

        async def tick(context: Any) -> None:
            await do()

        seconds = set(range(0, 60, every)) if every < 60 else {0}
        minutes = set(range(0, 60, every // 60)) if every >= 60 else None
        # A tick is remembered long enough that no slow clock repeats it.
        job = cron(tick, name="retention", minute=minutes, second=seconds, unique=True, timeout=_DAY, keep_result=120)  # type: ignore[arg-type]  # likewise
        # A separate queue, as the workers of the other may be busy for hours.
        await self._run(cron_jobs=[job], queue_name=_TICKS, max_jobs=1, poll_delay=0.5)

    async def _run(self, **options: Any) -> None:
        """Run arq's worker; restart it when it ends, as it does while Redis is down."""
        while True:
            worker = ArqWorker(
                redis_pool=self._redis,
                handle_signals=False,
                health_check_interval=60,
                job_serializer=_serialize,
                job_deserializer=json.loads,
                **options,
            )
            try:
                await worker.async_run()
            except (RedisError, OSError) as error:
                self._warn_once(error)
                await asyncio.sleep(_RESTART_DELAY)
            finally:
                await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
