"""One poll serves all followers; an error reaches them, and the next poll is made all the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Set

import pytest

from services.api.poller import Poller
from services.processes.loops import LoopEndedError, Loops
from tests.waiting import HANG

pytestmark = pytest.mark.anyio


async def test_error_of_any_kind_reaches_the_followers_and_ends_nothing() -> None:
    polls = 0

    async def fetch(ids: Set[str]) -> Mapping[str, int]:
        nonlocal polls
        polls += 1
        if polls == 2:
            raise RuntimeError("can't start new thread")
        return dict.fromkeys(ids, polls)

    loops = Loops(on_end=lambda: pytest.fail("it goes on"))
    poller = Poller(fetch, every=0.01, name="rows", loops=loops)
    assert await asyncio.wait_for(poller.next("a"), HANG) == 1
    for follower in [asyncio.ensure_future(poller.next(each)) for each in "ab"]:
        with pytest.raises(RuntimeError, match="new thread"):
            await asyncio.wait_for(follower, HANG)
    assert await asyncio.wait_for(poller.next("a"), HANG) == 3
    await loops.stop()


@pytest.mark.parametrize("how", ["returns", "raises", "is cancelled"])
async def test_loop_that_ends_ends_the_process_with_its_reason(how: str, caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()
    loops = Loops(on_end=ended.set)

    async def going_on() -> None:
        await asyncio.Event().wait()

    async def ending() -> None:
        if how == "raises":
            raise RuntimeError("the reason")
        if how == "is cancelled":
            raise asyncio.CancelledError

    loops.check()
    loops.start("one", going_on())
    loops.start("two", ending())
    with caplog.at_level(logging.CRITICAL, "motes.process"):
        await asyncio.wait_for(ended.wait(), HANG)
        await loops.stop()
    [record] = caplog.records
    assert record.message.startswith("the process ends, as its loop 'two' has ended: ")
    assert ("the reason" in caplog.text) == (how == "raises")
    with pytest.raises(LoopEndedError, match="two"):
        loops.check()
