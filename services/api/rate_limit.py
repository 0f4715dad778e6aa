"""Rate limit: requests per minute, over all processes of the API.

A sliding window: no sixty seconds have more requests than the limit. Accepted requests are a list of times in Redis,
changed by one atomic script. Each process also keeps a list of its own requests: it refuses without asking Redis, and
takes over if Redis is down or has lost its data, or with ``motes serve``, whose API is a single process.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.auth.limits import QuotaError
from services.jobs.task_queue import is_local

if TYPE_CHECKING:
    from services.api.redis_window import RedisWindow

NAME = "requests_per_minute"
WINDOW = 60  # seconds
_MAX_WINDOWS = 10_000  # lists per process before empty ones are dropped


@dataclass(frozen=True)
class RateStatus:
    """A caller's state after a request: the limit, what is left, and the seconds until more is."""

    limit: float
    left: int
    seconds: float


class RateLimiter:
    """Counts the requests of all callers. Use as an asynchronous context manager.

    ``clock`` returns seconds, for tests; by default this process and Redis use their own clocks.
    """

    def __init__(self, redis_url: str, *, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._redis: RedisWindow | None = None  # None on one machine, where a single process counts
        if not is_local(redis_url):
            from services.api.redis_window import RedisWindow

            self._redis = RedisWindow(redis_url, clock=clock)
        self._local: dict[str, deque[float]] = {}  # times of accepted requests, oldest first
        self._most = 0  # lists before empty ones are dropped again

    async def __aenter__(self) -> RateLimiter:
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._redis is not None:
            await self._redis.close()

    async def hit(self, who: str, limit: float) -> RateStatus:
        """Count a request.

        Raises:
            QuotaError: there were too many; the refused one does not count.
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

    async def give_back(self, who: str) -> None:
        """Count one request less: the latest."""
        if times := self._local.get(who):
            times.pop()
        if self._redis is not None:
            await self._redis.give_back(who)

    def _hit_local(self, who: str, limit: float) -> deque[float]:
        if len(self._local) >= max(_MAX_WINDOWS, self._most):
            self._local = {each: times for each, times in self._local.items() if self._prune(times)}
            self._most = len(self._local) * 3 // 2  # or ever more addresses would make every request look at all
        times = self._prune(self._local.setdefault(who, deque()))
        if len(times) + 1 > limit:
            raise _too_many(limit, self._seconds_until_free(times))
        times.append(self._clock())
        return times

    async def _hit_redis(self, who: str, limit: float) -> RateStatus | None:
        """Count it in Redis; None if there is no Redis or it is down."""
        found = None if self._redis is None else await self._redis.hit(who, int(limit), seconds=WINDOW)
        if found is None:
            return None
        if not found.passes:
            raise _too_many(limit, found.seconds)
        return RateStatus(limit, int(limit) - found.used, found.seconds)

    def _prune(self, times: deque[float]) -> deque[float]:
        """Drop times outside of the window."""
        while times and times[0] <= self._clock() - WINDOW:
            times.popleft()
        return times

    def _seconds_until_free(self, times: deque[float]) -> float:
        """Seconds until the oldest request leaves the window."""
        return times[0] + WINDOW - self._clock() if times else WINDOW


def _too_many(limit: float, seconds: float) -> QuotaError:
    return QuotaError(NAME, limit, "Too many requests a minute", seconds=seconds)
