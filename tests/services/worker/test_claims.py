"""Claims by memory: smaller tasks pass a large one, but not for ever."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from services.database.models import LeaseRow, TaskRow
from services.worker.claims import Claims
from services.worker.memory_budget import Held
from tests.services.board import Board
from tests.waiting import HANG, eventually

pytestmark = pytest.mark.anyio


@dataclass
class Crew:
    """Workers with 1000 bytes each, and a large task that waits while each of them does a small one."""

    board: Board
    moment: float = 0.0
    large: str = ""
    held: list[Held] = field(default_factory=list)

    async def add(self, size: int) -> str:
        """A new job of one task that takes so many bytes."""
        job = await self.board.submit(f"owner {size}", kind="frame", tasks=1)
        [task] = await self.board.tasks_of(job)
        async with self.board.sessions.begin() as session:
            (await session.get_one(TaskRow, task.id)).memory = size
        return job

    async def begin(self, *names: str) -> list[Claims]:
        """Workers of these names, each of which has passed the large task once."""
        workers = [
            Claims(self.board.sessions, self.board.tasks, worker=name, memory=1000, clock=lambda: self.moment)
            for name in names
        ]
        for worker in workers:
            await self.add(200)
            await self.claimed(worker)
        self.large = await self.add(900)
        for worker in workers:
            small = await self.add(200)
            await self.board.turns.next()
            assert await self.claimed(worker) == small
        return workers

    async def claimed(self, worker: Claims) -> str:
        """The job of which a worker claims a task."""
        async with asyncio.timeout(HANG):
            found = await worker.claim()
        assert found is not None
        self.held.append(found[1])
        return found[0].job

    async def is_waiting(self) -> bool:
        """Whether a worker waits for room."""
        async with self.board.sessions() as session:
            lease = await session.get(LeaseRow, "room")
            return lease is not None and lease.holder != ""


async def test_worker_makes_room_for_a_task_that_was_passed_for_long(board: Board) -> None:
    crew = Crew(board)
    [worker] = await crew.begin("one")
    crew.moment += 10.0
    small = await crew.add(200)
    assert await crew.claimed(worker) == small, "it need not wait yet"
    crew.moment += 11.0
    await crew.add(200)
    waiting = asyncio.create_task(crew.claimed(worker))
    await eventually(crew.is_waiting)
    for held in crew.held[:3]:
        held.release()
    assert await waiting == crew.large
    assert not await crew.is_waiting()


async def test_worker_waits_no_longer_once_another_has_the_task(board: Board) -> None:
    crew = Crew(board)
    [worker] = await crew.begin("one")
    crew.moment += 21.0
    waiting = asyncio.create_task(crew.claimed(worker))
    await eventually(crew.is_waiting)
    small = await crew.add(200)
    assert (await board.take("other")).job == crew.large
    assert await waiting == small
    assert not await crew.is_waiting()


async def test_one_worker_waits_while_others_go_on(board: Board) -> None:
    crew = Crew(board)
    first, second = await crew.begin("one", "two")
    crew.moment += 21.0
    waiting = asyncio.create_task(crew.claimed(first))
    await eventually(crew.is_waiting)
    small = await crew.add(200)
    assert await crew.claimed(second) == small
    for held in crew.held[:4]:
        held.release()
    assert await waiting == crew.large


async def test_nobody_waits_for_a_task_that_never_fits(board: Board) -> None:
    crew = Crew(board)
    [worker] = await crew.begin("one")
    assert (await board.take("other")).job == crew.large
    await crew.add(5000)
    for _ in range(2):
        small = await crew.add(100)
        assert await crew.claimed(worker) == small
        crew.moment += 21.0
