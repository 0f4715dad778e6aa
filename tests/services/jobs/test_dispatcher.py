"""The dispatcher: one worker offers what is ready, another takes over, and what dead workers left goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from services.database.clock import db_now
from services.database.engine import open_database
from services.database.models import LeaseRow, TaskRow
from services.jobs import dispatcher
from services.jobs.artefacts import FilesToDelete
from services.jobs.dispatcher import Dispatcher
from services.jobs.task_queue import TaskQueue, open_queue
from services.jobs.tasks import Claim, Tasks
from services.jobs.turns import Turns
from tests.services.board import FRAMES, LEASE, VERSION, Board, made_by
from tests.waiting import HANG, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


@pytest.fixture(autouse=True)
def _time_stands_still() -> None:
    """Not in these tests."""


@pytest.fixture
async def board(database: str) -> AsyncIterator[Board]:
    engine, sessions = open_database(database)
    yield Board(sessions)
    await engine.dispose()


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[TaskQueue]:
    async with open_queue(f"local://{tmp_path}/queue") as queue:
        yield queue


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_KEEP_EVERY", "_HEARTBEAT_EVERY", "_ADD_UP_EVERY", "_EXPIRE_EVERY", "_TIDY_EVERY"):
        monkeypatch.setattr(dispatcher, name, 0.1)
    monkeypatch.setattr(dispatcher, "_LEASE_SECONDS", 1.0)
    monkeypatch.setattr("services.jobs.local_queue._SILENT_AFTER", 0.5)


def made(board: Board, queue: TaskQueue, name: str, **options: Any) -> Dispatcher:
    tasks, turns = Tasks(board.sessions, lease=LEASE), Turns(board.sessions)

    async def delete(files: FilesToDelete) -> None:
        pass

    options |= {"worker": name, "tasks": tasks, "turns": turns, "delete": delete, "versions": [VERSION], "lease": LEASE}
    return Dispatcher(board.sessions, queue, **options)


@asynccontextmanager
async def running(board: Board, queue: TaskQueue, name: str = "one", **options: Any) -> AsyncIterator[Dispatcher]:
    """A worker that may dispatch; at the end it dies."""
    each = made(board, queue, name, **options)
    task = asyncio.create_task(each.run())
    try:
        yield each
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def taken(board: Board, queue: TaskQueue) -> Claim:
    """What a worker claims that is woken; wakes can be for naught, as tasks are offered again."""
    async with asyncio.timeout(HANG):
        while True:
            claim = await Tasks.claim(board.tasks, "worker", await queue.take([VERSION]))
            if claim is not None:
                return claim


async def test_another_worker_takes_over_from_one_that_died(board: Board, queue: TaskQueue) -> None:
    for name in ("one", "two", "three"):
        async with running(board, queue, name):
            job = await board.submit()
            await queue.call()
            assert (await taken(board, queue)).job == job


async def test_one_of_several_dispatches(board: Board, queue: TaskQueue) -> None:
    async with running(board, queue, "one"), running(board, queue, "two"), running(board, queue, "three"):
        jobs = {await board.submit(fairness_key=str(number)) for number in range(5)}
        assert {(await taken(board, queue)).job for _ in jobs} == jobs


async def test_who_loses_the_lease_stops_at_once_and_another_goes_on(board: Board, queue: TaskQueue) -> None:
    """Retention and webhooks run beside the dispatcher, and nowhere else."""
    beside = list[str]()

    async def run(name: str) -> None:
        beside.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            beside.remove(name)

    async def give_lease_to(holder: str, seconds: float) -> None:
        async with board.sessions.begin() as session:
            await session.execute(update(LeaseRow).values(holder=holder, until=db_now(timedelta(seconds=seconds))))

    async with (
        running(board, queue, "one", beside=lambda: (run("one"),)),
        running(board, queue, "two", beside=lambda: (run("two"),)),
    ):
        await eventually(lambda: beside)
        await give_lease_to("another", 3600.0)
        await eventually(lambda: not beside)
        await queue.announce(None)
        await give_lease_to("another", -1.0)
        await eventually(lambda: beside)
        assert len(beside) == 1


async def test_leases_expire_joins_are_released_and_progress_is_told(board: Board, queue: TaskQueue) -> None:
    job = await board.submit()
    await board.do(await board.take())
    claims = [await board.take() for _ in FRAMES]
    async with running(board, queue):
        assert await board.renew(claims[0], 7)

        async def is_told() -> bool:
            return (await board.job(job)).frames_done == 7

        await eventually(is_told)
        assert (await board.events(job))[-1]["frames_done"] == 7
        for claim in claims:  # and the worker dies before it releases the join
            assert await board.tasks.finish(claim, made_by(claim))
        join = await taken(board, queue)
        assert join.kind == "join"
        async with board.sessions.begin() as session:
            expired = text("'2000-01-01 00:00:00.000000'")
            await session.execute(update(TaskRow).where(TaskRow.id == join.task).values(lease_until=expired))
        assert (await taken(board, queue)).attempt == 2


async def test_it_ends_when_the_database_is_of_a_newer_version(board: Board, queue: TaskQueue) -> None:
    each, other = made(board, queue, "one"), made(board, queue, "two")
    both = asyncio.gather(each.run(), other.run())
    async with board.sessions.begin() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await session.execute(text("UPDATE compatibility SET oldest = '9999'"))
    await asyncio.wait_for(both, HANG)
    assert each.newer_schema == other.newer_schema == "9999"
