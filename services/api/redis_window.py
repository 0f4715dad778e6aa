"""RedisWindow: the requests of the last minute, counted in Redis for all processes of the API."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

from services.jobs.arq_queue import MeasuredRedis

_log = logging.getLogger("motes.api")
_TIMEOUT = 1.0  # seconds to wait for Redis
_RETRY_DELAY = 1.0  # seconds until Redis is tried again
_CONNECTIONS = 16

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


class Hit(NamedTuple):
    """Whether the request passes, how many have, and the seconds until the oldest leaves the window."""

    passes: bool
    used: int
    seconds: float


class RedisWindow:
    """A sliding window per caller. ``clock`` returns seconds, for tests; by default Redis's clock counts."""

    def __init__(self, redis_url: str, *, clock: Callable[[], float] | None = None) -> None:
        # Waiting for one of a few connections is faster than opening hundreds.
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
        self._down_until, self._warned = 0.0, False

    async def hit(self, who: str, limit: int, *, seconds: int) -> Hit | None:
        """Count a request if fewer than ``limit`` passed in this many seconds; None if Redis is down."""
        if self._clock() < self._down_until:
            return None
        if self._warned:  # one request tries again, and the others do not wait for it
            self._down_until = self._clock() + _RETRY_DELAY
        now = [int(self._clock() * 1000)] if self._is_simulated else []
        try:
            async with asyncio.timeout(_TIMEOUT):
                arguments = [limit, seconds * 1000, *now]
                passes, used, rest = await self._script(keys=[f"motes:rate:{who}"], args=arguments)
        except (RedisError, OSError) as error:  # includes TimeoutError
            if not self._warned:
                _log.warning("Redis does not answer, every process counts requests by itself: %r", error)
            self._down_until, self._warned = self._clock() + _RETRY_DELAY, True
            return None
        self._down_until, self._warned = 0.0, False
        return Hit(bool(passes), used, rest / 1000)

    async def give_back(self, who: str) -> None:
        """Count one request less, the latest; not if Redis is down, which then knows nothing of it for long."""
        if self._clock() < self._down_until:
            return
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(_TIMEOUT):
                taken: Any = self._redis.lpop(f"motes:rate:{who}")  # the stub's type is of both kinds of client
                await taken

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
