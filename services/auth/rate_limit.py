"""Rates: how many requests a minute, over all processes of the API.

A sliding window: of any sixty seconds none has more requests than the limit. The times of those that passed are a list
in Redis, changed by one script, which nothing can come between. Each process keeps a list of its own as well, of what
passed there: about whom that refuses Redis is not asked, and where it is gone or forgot everything, that list counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

from services.auth.limits import QuotaError
from services.jobs.arq_queue import MeasuredRedis

_log = logging.getLogger("motes.api")
NAME = "requests_per_minute"
WINDOW = 60  # seconds
_TIMEOUT = 1.0  # seconds until Redis must have answered
_RETRY_DELAY = 1.0  # seconds until it is asked again
_CONNECTIONS = 16
_MAX_WINDOWS = 10_000  # lists of a process, until those are thrown away in which nothing is

# Redis's own clock, in milliseconds, as those of several machines differ; tests pass a time. Returns whether the
# request passes, how many have, and in how many milliseconds the oldest of them leaves the window.
_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(ARGV[3]) or clock[1] * 1000 + math.floor(clock[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = redis.call('LINDEX', KEYS[1], -1)
while oldest and tonumber(oldest) <= now - window do
    redis.call('RPOP', KEYS[1])
    oldest = redis.call('LINDEX', KEYS[1], -1)
end
local used = redis.call('LLEN', KEYS[1])
local passes = 0
if used < limit then
    redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
    redis.call('PEXPIRE', KEYS[1], window)
    passes, used = 1, used + 1
end
return {passes, used, tonumber(oldest or now) + window - now}
"""


@dataclass(frozen=True)
class RateStatus:
    """How a caller stands after a request: of ``limit`` requests so many are left, more of them in some seconds."""

    limit: float
    left: int
    seconds: float


class RateLimiter:
    """The requests of everybody. Use as an asynchronous context manager.

    ``clock`` returns seconds, for tests; without it this process and Redis count by clocks of their own.
    """

    def __init__(self, redis_url: str, *, clock: Callable[[], float] | None = None) -> None:
        # Who waits for one of a few connections is still faster than hundreds of new ones.
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
        )
        self._redis = MeasuredRedis.from_pool(pool)
        self._script = self._redis.register_script(_SCRIPT)
        self._clock, self._is_simulated = clock or time.monotonic, clock is not None
        self._local: dict[str, deque[float]] = {}  # when requests passed, the oldest first
        self._local_until, self._warned = 0.0, False

    async def __aenter__(self) -> RateLimiter:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._redis.aclose()

    async def hit(self, who: str, limit: float) -> RateStatus:
        """Let a request pass, and count it.

        Raises:
            QuotaError: there were too many; they are not counted.
        """
        mine = self._hit_local(who, limit)
        try:
            rate = await self._hit_redis(who, limit) or RateStatus(
                limit, int(limit) - len(mine), self._seconds_until_free(mine)
            )
        except QuotaError:
            mine.pop()
            raise
        return rate

    def _hit_local(self, who: str, limit: float) -> deque[float]:
        if len(self._local) >= _MAX_WINDOWS:
            self._local = {each: times for each, times in self._local.items() if self._prune(times)}
        times = self._prune(self._local.setdefault(who, deque()))
        if len(times) + 1 > limit:
            raise _too_many(limit, self._seconds_until_free(times))
        times.append(self._clock())
        return times

    async def _hit_redis(self, who: str, limit: float) -> RateStatus | None:
        """The same in Redis; None where that does not answer."""
        if self._clock() < self._local_until:
            return None
        if self._warned:  # one request finds out whether it is back, and the others do not wait for that
            self._local_until = self._clock() + _RETRY_DELAY
        now = [int(self._clock() * 1000)] if self._is_simulated else []
        try:
            async with asyncio.timeout(_TIMEOUT):
                arguments = [int(limit), WINDOW * 1000, *now]
                passes, used, rest = await self._script(keys=[f"motes:rate:{who}"], args=arguments)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            if not self._warned:
                _log.warning("Redis does not answer, every process counts requests by itself: %r", error)
            self._local_until, self._warned = self._clock() + _RETRY_DELAY, True
            return None
        self._local_until, self._warned = 0.0, False
        if not passes:
            raise _too_many(limit, rest / 1000)
        return RateStatus(limit, int(limit) - used, rest / 1000)

    def _prune(self, times: deque[float]) -> deque[float]:
        """Without what is out of the window."""
        while times and times[0] <= self._clock() - WINDOW:
            times.popleft()
        return times

    def _seconds_until_free(self, times: deque[float]) -> float:
        """Seconds until the oldest leaves the window."""
        return times[0] + WINDOW - self._clock() if times else WINDOW


def _too_many(limit: float, seconds: float) -> QuotaError:
    return QuotaError(NAME, limit, "Too many requests a minute", seconds=seconds)
