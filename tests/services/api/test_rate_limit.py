"""Requests a minute, counted in a real Redis by several processes, and without it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.api import rate_limit, redis_window
from services.api.rate_limit import RateLimiter
from services.auth.limits import QuotaError
from services.database.models import new_id
from tests.service import redis_or_skip
from tests.services.board import together
from tests.waiting import HANG, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.debian("redis-server")]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: Redis is waited for, and no window ends while a test runs."""
    monkeypatch.setattr(redis_window, "_TIMEOUT", HANG)
    monkeypatch.setattr(rate_limit, "WINDOW", 3600)


@dataclass
class Redis:
    """A Redis on a socket that can be killed, with all it knows, and started again."""

    folder: Path

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/socket"

    def start(self) -> None:
        where = ("--port", "0", "--unixsocket", f"{self.folder}/socket", "--save", "", "--dir", str(self.folder))
        self.process = subprocess.Popen((redis_or_skip(), *where), stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    yield from running()


@pytest.fixture
def own() -> Iterator[Redis]:
    yield from running()


def running() -> Iterator[Redis]:
    redis_or_skip()
    redis = Redis(Path(tempfile.mkdtemp(prefix="motes-redis-", dir="/tmp")))  # the path of a socket must be short
    redis.start()
    try:
        yield redis
    finally:
        redis.kill()
        shutil.rmtree(redis.folder)


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def processes(
    redis: Redis, number: int = 2, *, clock: Callable[[], float] | None = None
) -> AsyncIterator[list[RateLimiter]]:
    """Rate limiters as of several processes: they share nothing but Redis."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(RateLimiter(redis.url, clock=clock)) for _ in range(number)]
        for each in made:
            await answers(each)
        yield made


async def answers(limiter: RateLimiter) -> None:
    """Wait until Redis answers."""

    async def is_up() -> bool:
        assert limiter._redis is not None
        limiter._redis._down_until = 0.0
        return await limiter._hit_redis(new_id(), 1) is not None

    await eventually(is_up)


async def passes(limiter: RateLimiter, who: str, limit: float) -> bool:
    try:
        await limiter.hit(who, limit)
    except QuotaError:
        return False
    return True


@pytest.mark.parametrize(("limit", "more"), [(1, 9), (40, 60)])
async def test_concurrent_requests_pass_up_to_the_limit(redis: Redis, limit: int, more: int) -> None:
    who = new_id()
    async with processes(redis) as both:
        tried = await together(*(passes(both[number % 2], who, limit) for number in range(limit + more)), seed=limit)
    assert sum(tried) == limit


async def test_limit_of_zero_refuses_everything(redis: Redis) -> None:
    async with processes(redis, 1) as [one]:
        assert not await passes(one, new_id(), 0)


async def test_owners_are_counted_separately(redis: Redis) -> None:
    async with processes(redis, 1) as [one]:
        assert await passes(one, first := new_id(), 1)
        assert not await passes(one, first, 1)
        assert await passes(one, new_id(), 1)


async def test_status_reports_the_remaining_count_and_reset_time(redis: Redis) -> None:
    who, clock = new_id(), Seconds()
    async with processes(redis, clock=clock) as both:
        told = []
        for number in range(3):
            told.append(await both[number % 2].hit(who, 3))
            clock.now += 10
        with pytest.raises(QuotaError) as refused:
            await both[1].hit(who, 3)
    assert [(each.left, each.seconds) for each in told] == [(2, 3600), (1, 3590), (0, 3580)]
    assert (refused.value.limit, refused.value.value) == ("requests_per_minute", 3)
    assert refused.value.seconds == 3570
    assert str(refused.value) == "Too many requests a minute: at most 3 here (limit requests_per_minute)"


async def test_slot_is_freed_when_a_request_leaves_the_window(redis: Redis) -> None:
    """The window slides: two adjacent windows do not let twice as many pass."""
    who, clock = new_id(), Seconds()
    async with processes(redis, clock=clock) as both:
        assert await passes(both[0], who, 2)
        clock.now += 2000
        assert await passes(both[1], who, 2)
        with pytest.raises(QuotaError) as refused:
            await both[0].hit(who, 2)
        assert refused.value.seconds == 1600
        clock.now += 1599
        assert not any([await passes(each, who, 2) for each in both])
        clock.now += 1
        tried = [await passes(both[number % 2], who, 2) for number in range(4)]
    assert sum(tried) == 1


async def test_refused_requests_are_not_counted(redis: Redis) -> None:
    who, clock = new_id(), Seconds()
    async with processes(redis, clock=clock) as both:
        assert await passes(both[0], who, 1)
        for number in range(10):
            clock.now += 300
            assert not await passes(both[number % 2], who, 1)
        clock.now += 600
        assert await passes(both[1], who, 1)


async def test_request_that_is_given_back_does_not_count(redis: Redis) -> None:
    who = new_id()
    async with processes(redis) as both:
        for number in range(10):
            assert await passes(both[number % 2], who, 3)
            await both[number % 2].give_back(who)
        assert [await passes(both[number % 2], who, 3) for number in range(4)] == [True] * 3 + [False]


async def test_local_refusal_does_not_ask_redis(redis: Redis) -> None:
    async with processes(redis, 1) as [one]:
        assert await passes(one, who := new_id(), 1)
        one._script = None
        assert not await passes(one, who, 1)


async def test_lowered_limit_holds_at_once(redis: Redis) -> None:
    who = new_id()
    async with processes(redis) as both:
        assert [await passes(both[number % 2], who, 10) for number in range(6)] == [True] * 6
        assert not await passes(both[0], who, 5)
        assert await passes(both[1], who, 10)


class TestWithoutRedis:
    """Requests are neither all allowed nor all refused: every process counts on its own."""

    async def test_processes_count_alone_when_redis_is_killed(self, own: Redis) -> None:
        who, limit = new_id(), 30
        async with processes(own, clock=Seconds()) as both:
            before = [await passes(both[number % 2], who, limit) for number in range(20)]
            racing = [asyncio.create_task(passes(both[number % 2], who, limit)) for number in range(100)]
            await asyncio.sleep(0)
            own.kill()
            after = await asyncio.gather(*racing)
            alone = [await passes(one, who, limit) for one in both for _ in range(limit)]
            assert all(before)
            assert limit <= sum(before) + sum(after) + sum(alone) <= 2 * limit
            assert [await passes(one, who, limit) for one in both] == [False, False]
            assert [await passes(one, new_id(), limit) for one in both] == [True, True]

    async def test_redis_that_hangs_is_asked_once_per_retry_delay(
        self, own: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, asked = Seconds(), []
        async with processes(own, 1, clock=clock) as [one]:
            assert one._redis is not None
            real = one._redis._script

            async def counted(**call: Any) -> Any:
                asked.append(call)
                return await real(**call)

            own.process.send_signal(signal.SIGSTOP)
            monkeypatch.setattr(one._redis, "_script", counted)
            monkeypatch.setattr(redis_window, "_TIMEOUT", 0.1)
            assert [await passes(one, "somebody", 10) for _ in range(20)] == [True] * 10 + [False] * 10
            assert len(asked) == 1
            clock.now += redis_window._RETRY_DELAY
            assert [await passes(one, "another", 10) for _ in range(20)] == [True] * 10 + [False] * 10
            assert len(asked) == 2

    async def test_process_remembers_its_count_when_redis_loses_data(self, own: Redis) -> None:
        who = new_id()
        async with processes(own, 1) as [one]:
            assert [await passes(one, who, 5) for _ in range(4)] == [True] * 4
            own.kill()
            own.start()
            await answers(one)
            assert [await passes(one, who, 5) for _ in range(3)] == [True, False, False]

    async def test_counting_is_shared_again_when_redis_is_back(self, own: Redis) -> None:
        async with processes(own) as both:
            own.kill()
            assert await passes(both[0], new_id(), 1)
            own.start()
            for each in both:
                await answers(each)
            who = new_id()
            assert [await passes(each, who, 1) for each in both] == [True, False]

    async def test_redis_is_optional_from_the_start(self, tmp_path: Path) -> None:
        async with RateLimiter(f"unix://{tmp_path}/none") as alone:
            tried = [await passes(alone, "somebody", 3) for _ in range(5)]
        assert tried == [True] * 3 + [False] * 2


async def test_empty_windows_are_discarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_MAX_WINDOWS", 100)
    clock = Seconds()
    async with RateLimiter(f"unix://{tmp_path}/none", clock=clock) as alone:
        for number in range(1000):
            clock.now += 60
            assert await passes(alone, str(number), 1)
        assert len(alone._local) <= 100
