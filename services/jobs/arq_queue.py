"""The task queue in Redis, by means of arq: tasks lie in its sorted set in the order of their turns.

The only module that knows arq. There is a queue for each renderer version. A task is put as ``{task}:{attempt}``, so
putting it twice has no effect, and its score is its turn, as a moment that is long past, since arq takes nothing that
lies ahead. Beside each queue lies a sorted set of what nobody has taken yet: a worker with a free slot waits for its
first entry without polling, and has arq start just that. As arq's job is to hand the id over, it ends at once. Results
are not kept, and arq never retries: leases in the database do that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Set
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

from arq import func
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, retry_key_prefix
from arq.worker import Worker as ArqWorker
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from services.jobs.dispatching import Dispatching
from services.jobs.turns import Offer
from services.observability import metrics

_log = logging.getLogger("motes.queue")
_QUEUE, _NEXT = "motes:tasks:", "motes:next:"  # followed by a renderer version: arq's queue, and what nobody has taken
_DUE, _DISPATCHER = "motes:due", "motes:dispatcher"  # calls of the dispatcher, and what it says of itself
_DAY = 24 * 3600
_FIRST = datetime(2001, 1, 1, tzinfo=UTC)  # the moment of turn 0; a turn is a second
_LAST_TURN = 7e8  # 22 years; what comes later is ordered by age alone
_HAND_OVER = 10  # seconds that arq gives the job of handing an id over
_SILENT_AFTER = 5000  # milliseconds after which a dispatcher that said nothing counts as gone
_WAIT = 20.0  # seconds that one command waits for a task
_LOOK_EVERY = 2.0  # seconds, more or less, between looks into the database while Redis is down
_TIMEOUT = 2.0  # seconds to wait for Redis
_MONITOR_TIMEOUT = 1.0  # seconds that a monitor waits for Redis
_BATCH_SIZE = 1000  # queued ids examined at a time
_DURATIONS_KEPT = 100  # durations per kind of task
_RETRY_DELAY = 2.0  # seconds until Redis is tried again
_WORKERS, _HEARTBEAT_TTL = "motes:workers", 15.0  # seconds that a heartbeat counts
# One command, as there are many workers. Redis's clock, as those of machines differ.
_HEARTBEAT = """
local now = redis.call('TIME')[1]
redis.call('ZADD', KEYS[1], now, ARGV[1])
local said = redis.call('GET', KEYS[2])
if not said and not redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then
    said = ARGV[3]
end
return said
"""
_CANDIDATE, _CANDIDATE_FOR = "motes:candidate", 2000  # who alone may try to dispatch while nobody does, milliseconds


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

    async def wait_for_first(self, *sets: str, seconds: float) -> tuple[bytes, bytes] | None:
        """Take the first entry of the first of these sorted sets that has one; None: none had within the seconds."""
        async with asyncio.timeout(seconds + _TIMEOUT):
            # not measured, as it waits
            found: Any = await ArqRedis.execute_command(self, "BZPOPMIN", *sets, seconds)  # type: ignore[no-untyped-call]
        return None if found is None else (found[0], found[1])

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
        self._readers: dict[str, _Reader] = {}  # by version
        self._versions: set[str] = set()  # of tasks that were put

    @staticmethod
    @asynccontextmanager
    async def open(url: str) -> AsyncIterator[Queue]:
        """Connect to the Redis at ``url``, as soon as it is there."""
        pool: Any = ConnectionPool.from_url(url, socket_connect_timeout=_TIMEOUT)
        redis = _MeasuredArqRedis(pool, job_serializer=_serialize, job_deserializer=json.loads)
        try:
            yield Queue(redis)
        finally:
            await redis.aclose()
            await pool.aclose()

    async def call(self) -> None:
        """Call the dispatcher; several calls before it hears are one."""
        if not self._is_down():
            async with self._request():
                await self._redis.execute_command("ZADD", _DUE, 0, "look")

    async def called(self, seconds: float) -> None:
        """Wait until the dispatcher is called, at most so many seconds."""
        began = time.monotonic()
        if not self._is_down():
            try:
                await self._redis.wait_for_first(_DUE, seconds=seconds)
                return
            except (RedisError, OSError) as error:
                self._failed(error)
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))

    async def put(self, offer: Offer) -> bool:
        """Put a ready task into the queue of its version; False if Redis is down."""
        if self._is_down():
            return False
        name, turn = f"{offer.task}:{offer.attempt}", min(offer.turn, _LAST_TURN)
        async with self._request():
            if offer.again:  # whoever took it before has vanished with it, or it still lies there
                await self._forget(offer.version, [name])
            began = time.perf_counter()
            await self._redis.enqueue_job(
                *("hand_over", offer.task, offer.attempt),
                _job_id=name,
                _queue_name=_QUEUE + offer.version,
                _defer_until=_FIRST + timedelta(seconds=turn),
                _expires=_DAY * 7,
            )
            metrics.REDIS.observe(time.perf_counter() - began)
            await self._redis.execute_command("ZADD", _NEXT + offer.version, turn, name)
            self._versions.add(offer.version)
            self._warned = False
            return True
        return False

    async def take(self, versions: Collection[str]) -> tuple[str, int] | None:
        """Wait for the next task of these renderer versions; None after a while if Redis is down."""
        names = list(versions)
        while not self._is_down():
            secrets.SystemRandom().shuffle(names)  # Redis looks in this order, and none must always be the first
            try:
                found = await self._redis.wait_for_first(*(_NEXT + each for each in names), seconds=_WAIT)
                if found is not None:
                    version = found[0].decode().removeprefix(_NEXT)
                    async with asyncio.timeout(_TIMEOUT):
                        taken = await self._reader(version).take(found[1])
                    self._warned = False
                    if taken is not None:
                        return taken
            except (RedisError, OSError) as error:
                self._failed(error)
        await asyncio.sleep(_LOOK_EVERY * secrets.SystemRandom().uniform(0.5, 1.5))
        return None

    def _reader(self, version: str) -> _Reader:
        if version not in self._readers:
            self._readers[version] = _Reader(self._redis, version)
        return self._readers[version]

    def carries_tasks(self) -> bool:
        """Whether Redis responds, as far as is known."""
        return not self._is_down()

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
        for version in list(self._versions):  # while we wait, tasks of others may be put
            queued: list[str] = []
            async with self._request():
                first = await self._redis.execute_command("ZRANGE", _QUEUE + version, 0, _BATCH_SIZE - 1)
                queued = [each.decode() for each in first]
            if not queued:
                continue
            left = await unfinished([each.rpartition(":")[0] for each in queued])
            over = [each for each in queued if (each.rpartition(":")[0], int(each.rpartition(":")[2])) not in left]
            if over:
                async with self._request():
                    await self._forget(version, over)

    async def _forget(self, version: str, tasks: Collection[str]) -> None:
        """Remove tasks from the queue, and what arq knows of them."""
        prefixes = (job_key_prefix, in_progress_key_prefix, retry_key_prefix)
        await self._redis.execute_command("ZREM", _NEXT + version, *tasks)
        await self._redis.execute_command("ZREM", _QUEUE + version, *tasks)
        await self._redis.execute_command("DEL", *(prefix + each for prefix in prefixes for each in tasks))

    async def heartbeat(self, worker: str) -> Dispatching | None:
        """Send a worker's heartbeat; returns what the dispatcher said in the last seconds, None if it was silent."""
        if not self._is_down():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                async with self._request():
                    keys, values = (3, _WORKERS, _DISPATCHER, _CANDIDATE), (worker, _CANDIDATE_FOR)
                    soon = Dispatching("", None).to_text()
                    said = await self._redis.execute_command("EVAL", _HEARTBEAT, *keys, *values, soon)
                    return None if said is None else Dispatching.from_text(said)
        return None

    async def announce(self, dispatching: Dispatching | None) -> None:
        """Say who dispatches, every few seconds; None: nobody does any more."""
        if self._is_down():
            return
        async with self._request():
            if dispatching is None:
                await self._redis.execute_command("DEL", _DISPATCHER)
            else:
                await self._redis.execute_command("SET", _DISPATCHER, dispatching.to_text(), "PX", _SILENT_AFTER)
                at, _ = await self._redis.execute_command("TIME")
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
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Leave Redis alone for a while; warn once until it works again."""
        if not self._warned:
            _log.warning("Redis does not respond; workers look into the database: %r", error)
        self._warned = True
        self._not_before = time.monotonic() + _RETRY_DELAY


class _Reader:
    """Takes tasks of a version from arq's queue."""

    def __init__(self, redis: _MeasuredArqRedis, version: str) -> None:
        self._taken: tuple[str, int] | None = None

        async def hand_over(context: Any, task: str, attempt: int) -> None:
            self._taken = task, attempt

        self._arq = ArqWorker(
            functions=[func(hand_over, name="hand_over", max_tries=1, keep_result=0, timeout=_HAND_OVER)],  # type: ignore[arg-type]  # arq wants what takes any arguments
            queue_name=_QUEUE + version,
            redis_pool=redis,
            handle_signals=False,
            max_jobs=1,
            job_serializer=_serialize,
            job_deserializer=json.loads,
        )

    async def take(self, name: bytes) -> tuple[str, int] | None:
        """Take the task of this name; None if it is gone, or taken by somebody else. One call at a time.

        Raises:
            RedisError, OSError: Redis does not respond.
        """
        self._taken = None
        await self._arq.start_jobs([name])
        for task in [self._arq.tasks.pop(key) for key in list(self._arq.tasks)]:
            await task
        return self._taken
