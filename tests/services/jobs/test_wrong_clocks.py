"""Clocks of processes that are wrong or jump cost nobody a lease, fail no job, and give nobody a better turn."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from services.database.models import TaskRow, id_timestamp, uuid7
from services.jobs.tasks import MAX_LOSSES, Tasks
from tests.services.board import LEASE, Board

pytestmark = pytest.mark.anyio
HOUR, MONTH = 3600.0, 31 * 24 * 3600.0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> float:
    """The clock of this process is another one each time that it is read: right, ahead or behind by hours or months."""
    right, offsets = time.time, itertools.cycle((0.0, HOUR, -HOUR, MONTH, -MONTH))
    monkeypatch.setattr(time, "time", lambda: right() + next(offsets))
    return right()


async def test_many_workers_take_no_lease_of_each_other(board: Board, clocks: float) -> None:
    job = await board.submit()
    others = [Tasks(board.sessions, lease=LEASE) for _ in range(5)]
    while (claim := await board.tasks.claim("worker")) is not None:
        for _ in range(MAX_LOSSES // 4):
            assert [await other.expire_leases() for other in others] == [0] * 5
            assert await board.renew(claim, 1)
        await board.do(claim)
    assert await board.status(job) == "completed"
    assert {(task.attempt, task.losses) for task in await board.tasks_of(job)} == {(1, 0)}


async def test_dead_workers_task_is_begun_again_all_the_same(board: Board, clocks: float) -> None:
    job = await board.submit()
    dead = await board.take("dead")
    async with board.sessions.begin() as session:
        row = await session.get_one(TaskRow, dead.task)
        assert row.lease_until is not None
        row.lease_until -= timedelta(seconds=LEASE + 1)
    assert await Tasks(board.sessions, lease=LEASE).expire_leases() == 1
    await board.work()
    assert await board.status(job) == "completed"


async def test_what_was_queued_is_not_queued_again(board: Board, clocks: float) -> None:
    await board.submit()
    assert len(await board.turns.next()) == 1
    assert [await board.turns.next() for _ in range(5)] == [[]] * 5


async def test_tasks_are_as_old_as_the_database_says(board: Board, clocks: float) -> None:
    """Of tasks with equal virtual time the older one comes first, whichever process made it."""
    jobs = [await board.submit(str(number), kind="frame", tasks=1) for number in range(10)]
    ids = [(await board.tasks_of(job))[0].id for job in jobs]
    assert ids == sorted(ids)
    for each in ids:
        assert abs(id_timestamp(each).timestamp() - clocks) < 600
    async with board.sessions.begin() as session:
        await session.execute(update(TaskRow).values(virtual_time=0.0))
    assert [(await board.take()).job for _ in jobs] == jobs


def test_ids_of_one_moment_are_in_order() -> None:
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    ids = [uuid7(at + timedelta(microseconds=later), number) for later in range(3) for number in (0, 1, 2**20 - 1)]
    assert ids == sorted(ids)
    assert {id_timestamp(each) for each in ids} == {at}


async def test_restarted_worker_takes_back_what_its_own_identity_held_only(board: Board) -> None:
    """Machines that were cloned, and containers in which every process has the number 1, have workers of one name."""
    await board.submit("a")
    await board.submit("b")
    first, second = await board.take("host:1:aaaa"), await board.take("host:1:bbbb")
    assert await board.tasks.reclaim("host:1:cccc") == 0
    assert await board.tasks.reclaim("host:1:aaaa") == 1
    assert not await board.renew(first, 1)
    assert await board.renew(second, 1)
