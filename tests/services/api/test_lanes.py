"""Lanes: one owner's work waits for no other owner's, in an order that is tried without threads or clocks.

And what the API runs in which lane.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.api import lanes
from services.api.dependencies import Service
from services.api.lanes import Lanes, use_lane_of
from services.auth.api_keys import ApiKeys
from services.auth.limits import QuotaError
from services.database.engine import Sessions
from tests.service import wait_for
from tests.services.api.world import SMALL, World, world_of

pytestmark = pytest.mark.anyio


class Work:
    """Pieces that begin when it is their turn and end when a test says so."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes, self.begun = lanes, list[str]()
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *names: str) -> None:
        """Pieces of owners, by names such as a1."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self.lanes.run_as(name[0], lambda name=name: self._piece(name)))
            await _settle()

    async def _piece(self, name: str) -> None:
        self.begun.append(name)
        await self._ends[name].wait()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
            await _settle()

    async def end_all(self) -> list[str]:
        """The order in which everything begins when each ends after the one before it."""
        number = 0
        while number < len(self.begun):
            await self.end(self.begun[number])
            number += 1
        return self.begun


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_owners_take_turns_and_each_owner_s_pieces_are_in_order() -> None:
    work = Work(Lanes(threads=1))
    await work.ask(*(f"a{number}" for number in range(5)), "b0", "b1", "c0")
    assert await work.end_all() == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]


async def test_piece_of_an_idle_owner_waits_for_one_piece_however_many_others_have() -> None:
    work = Work(Lanes(threads=1))
    await work.ask(*(f"a{number}" for number in range(50)))
    await work.end("a0")
    await work.ask("b0")
    await work.end("a1")
    assert work.begun == ["a0", "a1", "b0"]
    await work.end_all()


async def test_one_owner_never_has_all_threads() -> None:
    work = Work(Lanes(threads=4, each=2))
    await work.ask("a0", "a1", "a2", "b0", "b1", "b2", "c0")
    assert work.begun == ["a0", "a1", "b0", "b1"]
    await work.end("b1")
    assert work.begun[4:] == ["c0"], "a has two threads"
    await work.end("a0")
    assert work.begun[5:] == ["b2"]
    await work.end("b0")
    assert work.begun[6:] == ["a2"]
    await work.end_all()


async def test_full_queue_refuses_its_own_owner_alone() -> None:
    work = Work(Lanes(threads=1, waiting=3))
    await work.ask("a0", "a1", "a2", "a3")
    with pytest.raises(QuotaError) as refused:
        await work.lanes.run_as("a", lambda: pytest.fail("it is not its turn"))
    assert str(refused.value) == "3 of your requests are waiting: at most 3 here (limit waiting_requests)"
    await work.ask("b0")
    assert await work.end_all() == ["a0", "b0", "a1", "a2", "a3"]


async def test_client_that_goes_away_leaves_the_queue() -> None:
    work = Work(Lanes(threads=1, waiting=2))
    await work.ask("a0", "a1", "a2", "b0")
    work.tasks["a1"].cancel()
    work.tasks["b0"].cancel()
    await work.end("a0")  # at the same moment
    await _settle()
    assert work.begun == ["a0", "a2"]
    await work.ask("a3", "c0")
    await work.end_all()
    assert work.begun == ["a0", "a2", "c0", "a3"]


async def test_client_that_goes_away_as_its_turn_comes_passes_it_on() -> None:
    work = Work(Lanes(threads=1))
    await work.ask("a0", "b0", "c0")
    work._ends["a0"].set()
    await asyncio.sleep(0)  # a0 ends, and its thread is b0's, which does not know yet
    await asyncio.sleep(0)
    work.tasks["b0"].cancel()
    await _settle()
    assert work.begun[-1] == "c0"
    await work.end_all()
    await work.ask("d0")
    assert work.begun[-1] == "d0"
    await work.end_all()


async def test_error_frees_the_thread() -> None:
    lanes = Lanes(threads=1)

    def fails() -> None:
        raise ValueError("broken")

    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            await lanes.run(fails)
    assert await lanes.run(lambda: 5) == 5


async def test_request_computes_in_its_owner_s_lane() -> None:
    lanes, hold = Lanes(threads=2), threading.Event()

    async def request(owner: str) -> str:
        use_lane_of(owner)
        return await lanes.run(lambda: (owner == "bob" or hold.wait()) and owner)

    first, second = (asyncio.create_task(request("alice")) for _ in range(2))
    assert await asyncio.create_task(request("bob")) == "bob", "while alice's first piece is in a thread"
    assert not first.done()
    assert not second.done()
    hold.set()
    assert await first == await second == "alice"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    async def make(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
        return {owner: (await keys.create(owner=owner))[1] for owner in ("alice", "bob")}

    with world_of(tmp_path, make) as world:
        yield world


def test_authentication_puts_requests_into_the_lane_of_their_owner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_as, seen = Lanes.run_as, list[str]()

    async def noted(self: Lanes, owner: str, work: Any) -> Any:
        seen.append(owner)
        return await run_as(self, owner, work)

    monkeypatch.setattr(Lanes, "run_as", noted)
    for owner in ("alice", "bob"):
        made = world.call(owner, "POST", "/create", json={"particle_type": "snow", "config": SMALL})
        assert made.status_code == 200
        assert world.call(owner, "GET", "/systems").json() == [made.json()]
        assert set(seen) == {owner}
        seen.clear()


def test_lists_of_one_owner_never_have_all_connections(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read, asked, begun, go_on = Service.read, list[str](), list[str](), threading.Event()

    async def noted(service: Service, work: Any) -> Any:
        owner = lanes._owner.get()

        async def slowly() -> Any:
            begun.append(owner)
            while owner == "alice" and not go_on.is_set():
                await asyncio.sleep(0.01)
            return await work()

        asked.append(owner)
        return await read(service, slowly)

    monkeypatch.setattr(Service, "read", noted)
    with ThreadPoolExecutor() as threads:
        lists = [threads.submit(world.call, "alice", "GET", "/systems") for _ in range(6)]
        wait_for(lambda: len(asked) == 6)
        try:
            assert world.call("bob", "GET", "/systems").status_code == 200
            assert begun == ["alice", "alice", "bob"]
        finally:
            go_on.set()
        assert [each.result().status_code for each in lists] == [200] * 6
