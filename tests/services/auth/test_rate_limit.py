"""Requests a minute, counted in a real Redis by several processes, and without it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.auth import rate_limit
from services.auth.limits import QuotaError
from services.auth.rate_limit import RateLimiter
from services.database.models import new_id
from services.processes.supervisor import free_port, redis_server
from tests.service import redis_or_skip
from tests.services.board import together

pytestmark = [pytest.mark.anyio, pytest.mark.debian("redis-server")]


@dataclass
class Redis:
    """A Redis that can be killed, with all it knows, and started again."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder))
        self.process = subprocess.Popen((redis_server(), *where), stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    redis_or_skip()
    redis = Redis(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.kill()


@asynccontextmanager
async def processes(redis: Redis, number: int = 2) -> AsyncIterator[list[RateLimiter]]:
    """As many of them as there were processes: nothing but Redis is shared."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(RateLimiter(redis.url)) for _ in range(number)]
        for each in made:
            await answers(each)
        yield made


async def answers(rates: RateLimiter) -> None:
    """Return once Redis does: what is told of it is right again."""
    for _ in range(600):
        rates._local_until = 0.0
        if await rates._hit_redis(new_id(), 1) is not None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("Redis never answered")


async def passes(rates: RateLimiter, who: str, limit: float) -> bool:
    try:
        await rates.hit(who, limit)
    except QuotaError:
        return False
    return True


@pytest.mark.parametrize(("limit", "more"), [(1, 9), (40, 60)])
async def test_exactly_as_many_pass_as_may(redis: Redis, limit: int, more: int) -> None:
    who = new_id()
    async with processes(redis) as both:
        tried = await together(*(passes(both[number % 2], who, limit) for number in range(limit + more)), seed=limit)
    assert sum(tried) == limit


async def test_none_passes_where_none_may(redis: Redis) -> None:
    async with processes(redis, 1) as [one]:
        assert not await passes(one, new_id(), 0)


async def test_everybody_has_a_count_of_their_own(redis: Redis) -> None:
    async with processes(redis, 1) as [one]:
        assert await passes(one, first := new_id(), 1)
        assert not await passes(one, first, 1)
        assert await passes(one, new_id(), 1)


async def test_of_those_that_passed_what_is_left_is_told(redis: Redis) -> None:
    who = new_id()
    async with processes(redis) as both:
        told = [await both[number % 2].hit(who, 3) for number in range(3)]
        with pytest.raises(QuotaError) as refused:
            await both[1].hit(who, 3)
    assert [each.left for each in told] == [2, 1, 0]
    assert all(0 < each.seconds <= 60 for each in told)
    assert (refused.value.limit, refused.value.value) == ("requests_per_minute", 3)
    assert 0 < refused.value.seconds <= told[-1].seconds
    assert str(refused.value) == "Too many requests a minute: at most 3 here (limit requests_per_minute)"


async def test_each_that_leaves_the_window_lets_one_in(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are spread over it: no two windows that touch let pass twice as many."""
    monkeypatch.setattr(rate_limit, "WINDOW", 2)
    who = new_id()
    async with processes(redis) as both:
        assert await passes(both[0], who, 2)
        await asyncio.sleep(1.2)
        assert await passes(both[1], who, 2)
        with pytest.raises(QuotaError) as refused:
            await both[0].hit(who, 2)
        await asyncio.sleep(refused.value.seconds + 0.02)
        tried = [await passes(both[number % 2], who, 2) for number in range(4)]
    assert sum(tried) == 1


async def test_what_was_refused_counts_nothing(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "WINDOW", 1)
    who = new_id()
    async with processes(redis) as both:
        assert await passes(both[0], who, 1)
        for number in range(10):
            assert not await passes(both[number % 2], who, 1)
        await asyncio.sleep(1.1)
        assert await passes(both[1], who, 1)


async def test_whom_this_process_refuses_redis_is_not_asked_about(redis: Redis) -> None:
    async with processes(redis, 1) as [one]:
        assert await passes(one, who := new_id(), 1)
        one._script = None
        assert not await passes(one, who, 1)


async def test_a_limit_that_was_lowered_holds_at_once(redis: Redis) -> None:
    who = new_id()
    async with processes(redis) as both:
        assert [await passes(both[number % 2], who, 10) for number in range(6)] == [True] * 6
        assert not await passes(both[0], who, 5)
        assert await passes(both[1], who, 10)


class TestWithoutRedis:
    """Neither open nor closed: every process goes on by itself, with what passed there before."""

    @pytest.fixture
    def own(self, tmp_path: Path) -> Iterator[Redis]:
        redis_or_skip()
        own = Redis(tmp_path)
        own.start()
        yield own
        own.kill()

    async def test_that_is_killed_in_the_middle_every_process_goes_on_counting(self, own: Redis) -> None:
        who, limit = new_id(), 30
        async with processes(own) as both:
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

    async def test_that_hangs_nobody_waits_for_long_and_only_once(self, own: Redis) -> None:
        async with processes(own, 1) as [one]:
            own.process.send_signal(signal.SIGSTOP)
            loop = asyncio.get_running_loop()
            tried, began = [], loop.time()
            for _ in range(20):
                tried.append(await passes(one, "somebody", 10))
            assert loop.time() - began < 10  # each of them would have waited for a second
            assert tried == [True] * 10 + [False] * 10

    async def test_that_forgot_everything_a_process_still_knows_what_passed_there(self, own: Redis) -> None:
        who = new_id()
        async with processes(own, 1) as [one]:
            assert [await passes(one, who, 5) for _ in range(4)] == [True] * 4
            own.kill()
            own.start()
            await answers(one)
            assert [await passes(one, who, 5) for _ in range(3)] == [True, False, False]

    async def test_that_is_back_all_count_together_again(self, own: Redis) -> None:
        async with processes(own) as both:
            own.kill()
            assert await passes(both[0], new_id(), 1)
            own.start()
            for each in both:
                await answers(each)
            who = new_id()
            assert [await passes(each, who, 1) for each in both] == [True, False]

    async def test_that_was_never_there_nothing_else_is_asked(self) -> None:
        async with RateLimiter(f"redis://127.0.0.1:{free_port()}/0") as alone:
            tried = [await passes(alone, "somebody", 3) for _ in range(5)]
        assert tried == [True] * 3 + [False] * 2


async def test_lists_in_which_nothing_is_are_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "WINDOW", 0)
    monkeypatch.setattr(rate_limit, "_MAX_WINDOWS", 100)
    async with RateLimiter("redis://127.0.0.1:1/0") as alone:
        for number in range(1000):
            assert await passes(alone, str(number), 1)
        assert len(alone._local) <= 100
