"""The queue on a real Redis: the order of turns, what is lost, and what a worker leaves half done as it stops."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.jobs.arq_queue import _QUEUE, Queue
from services.jobs.dispatching import Dispatching
from services.jobs.turns import Offer
from tests.service import running_redis
from tests.waiting import HANG, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.debian("redis-server")]


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    with running_redis(tmp_path) as url:
        async with Queue.open(url) as queue:

            async def is_up() -> bool:
                queue._not_before = 0.0  # ask again, although it did not answer just now
                await queue.announce(None)
                return queue.carries_tasks()

            await eventually(is_up)
            yield queue


def offer(task: str, turn: float = 0.0, *, version: str = "v", again: bool = False) -> Offer:
    return Offer(task, 1, version, turn, again)


async def taken(queue: Queue, number: int, *versions: str) -> list[str]:
    async with asyncio.timeout(HANG):
        found = [await queue.take(versions or ("v",)) for _ in range(number)]
    return [each[0] for each in found if each is not None]


async def test_tasks_are_taken_in_the_order_of_their_turns_whenever_they_were_put(queue: Queue) -> None:
    for task, turn in (("c", 2.5), ("a", 0.0), ("d", 1e9), ("b", 2.4999)):
        assert await queue.put(offer(task, turn))
    assert await taken(queue, 4) == ["a", "b", "c", "d"]


async def test_waiting_worker_gets_what_is_put(queue: Queue) -> None:
    waiting = asyncio.create_task(taken(queue, 1))

    async def is_waiting() -> bool:
        return bool((await queue._redis.info("clients"))["blocked_clients"] == 1)

    await eventually(is_waiting)
    assert await queue.put(offer("a"))
    assert await waiting == ["a"]


async def test_task_is_taken_once_however_often_it_was_put(queue: Queue) -> None:
    for again in (False, False, True):
        assert await queue.put(offer("a", again=again))
    assert await queue.put(offer("b", 1.0))
    assert await taken(queue, 2) == ["a", "b"]
    assert await queue._redis.zcard(_QUEUE + "v") == 0


async def test_task_whose_taker_vanished_can_be_put_again(queue: Queue) -> None:
    await queue.put(offer("a"))
    assert await queue._redis.wait_for_first("motes:next:v", seconds=HANG) is not None  # and the worker dies
    await queue.put(offer("a", again=True))
    assert await taken(queue, 1) == ["a"]


async def test_what_redis_forgets_can_be_put_again(queue: Queue) -> None:
    await queue.put(offer("a"))
    await queue._redis.flushall()
    await queue.put(offer("a", again=True))
    assert await taken(queue, 1) == ["a"]


async def test_workers_take_only_what_they_can_render(queue: Queue) -> None:
    await queue.put(offer("theirs", 0.0, version="other"))
    await queue.put(offer("mine", 1.0))
    assert await taken(queue, 1, "v", "third") == ["mine"]
    assert await taken(queue, 1, "v", "other") == ["theirs"]


async def test_finished_tasks_are_removed(queue: Queue) -> None:
    for task in ("over", "left"):
        await queue.put(offer(task))

    async def unfinished(tasks: object) -> set[tuple[str, int]]:
        return {("left", 1)}

    await queue.remove_finished(unfinished)
    assert await taken(queue, 1) == ["left"]
    assert await queue._redis.zcard(_QUEUE + "v") == 0


async def test_tasks_of_another_version_are_put_while_finished_ones_are_removed(queue: Queue) -> None:
    await queue.put(offer("over"))

    async def unfinished(tasks: object) -> set[tuple[str, int]]:
        await queue.put(offer("new", version="other"))
        return set()

    await queue.remove_finished(unfinished)
    assert await taken(queue, 1, "v", "other") == ["new"]


async def test_dispatcher_is_called_and_speaks(queue: Queue) -> None:
    assert await queue.heartbeat("one") is None
    assert await queue.heartbeat("three") == Dispatching("", None)  # one at a time tries to dispatch
    said = Dispatching("two", "0001")
    await queue.announce(said)
    assert await queue.heartbeat("one") == said
    await queue.announce(None)
    await queue._redis.delete("motes:candidate")
    assert await queue.heartbeat("three") is None
    for _ in range(3):
        await queue.call()
    await asyncio.wait_for(queue.called(2 * HANG), HANG)  # three calls are one
    assert await queue._redis.zcard("motes:due") == 0


async def test_cancelled_transaction_is_not_logged(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    pipeline = queue._redis.pipeline()
    await pipeline.watch("key")
    connection = pipeline.connection
    assert connection.is_connected
    with caplog.at_level(logging.WARNING):  # others' garbage may say more
        del pipeline
        gc.collect()
    assert caplog.messages == []
    assert not connection.is_connected
    assert await queue.put(offer("b"))


async def test_worker_looks_for_itself_while_redis_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.jobs.arq_queue._LOOK_EVERY", 0.01)
    async with Queue.open(f"unix://{tmp_path}/nothing") as queue:
        assert await asyncio.wait_for(queue.take(["v"]), HANG) is None
        assert not queue.carries_tasks()
        assert not await queue.put(offer("a"))
        await queue.call()
        await queue.called(0.01)
        assert await queue.heartbeat("one") is None
