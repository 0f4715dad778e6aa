"""Slots: an owner holds no more of them than its jobs say, and nobody waits for those that it may not have."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import JobRow
from services.jobs import tasks
from services.jobs.slots import may_hold
from services.jobs.tasks import Claim, Tasks
from tests.services.board import Board, together
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


async def frames(board: Board, owner: str, number: int, *, slots: int | None) -> list[str]:
    """So many jobs of one task each."""
    return [
        await board.submit(fairness_key=owner, owner=owner, kind="frame", tasks=1, slots=slots) for _ in range(number)
    ]


async def claimed(board: Board, number: int) -> list[Claim]:
    """What so many workers get who ask at the same time."""
    claims = await together(*(board.tasks.claim(f"worker {each}") for each in range(number)))
    return [claim for claim in claims if claim is not None]


async def test_owner_holds_no_more_than_it_may_and_others_get_the_rest(board: Board) -> None:
    await frames(board, "many", 20, slots=3)
    await frames(board, "few", 2, slots=None)
    held = await claimed(board, 10)
    assert Counter(claim.owner for claim in held) == {"many": 3, "few": 2}
    assert await board.tasks.claim("worker") is None
    await board.do(next(claim for claim in held if claim.owner == "many"))
    assert [claim.owner for claim in await claimed(board, 3)] == ["many"]


async def test_everything_is_done_in_the_end(board: Board) -> None:
    jobs = await frames(board, "many", 7, slots=1)
    await board.submit(owner="many", slots=1)
    assert {claim.job for claim in await board.work()} >= set(jobs)
    assert await board.tasks.claim("worker") is None


async def test_limit_is_that_of_the_job_that_asks(board: Board) -> None:
    await frames(board, "one", 2, slots=1)
    await frames(board, "one", 2, slots=3)
    await frames(board, "one", 2, slots=None)
    held = await claimed(board, 10)
    slots = Counter([(await board.job(claim.job)).slots for claim in held])
    assert slots[None] == 2
    assert slots[1] + slots[3] <= 3
    for claim in held:
        await board.do(claim)
    assert await board.work()
    assert await board.tasks.claim("worker") is None


async def test_task_that_is_given_back_frees_its_slot(board: Board) -> None:
    await frames(board, "one", 2, slots=1)
    claim = await board.take()
    assert await board.tasks.claim("other") is None
    await board.tasks.requeue(claim)
    assert await board.tasks.claim("other") is not None


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # in SQLite one writes at a time
async def test_two_that_ask_at_once_do_not_both_get_the_last_one(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    await frames(board, "one", 2, slots=None)
    await board.turns.next()
    async with board.sessions.begin() as session:  # otherwise only one would have been offered
        await session.execute(update(JobRow).values(slots=1))
    counted = list[bool]()

    async def second_waits_or_has_counted() -> bool:
        async with board.sessions() as session:
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return len(counted) > 1 or bool(await session.scalar(waiting))

    async def slowly(session: AsyncSession, job: JobRow) -> bool:
        allowed = await may_hold(session, job)
        counted.append(allowed)
        if len(counted) == 1:
            await eventually(second_waits_or_has_counted)
        return allowed

    monkeypatch.setattr(tasks, "may_hold", slowly)
    claims = await asyncio.gather(*(Tasks.claim(board.tasks, name) for name in ("first", "second")))
    assert sum(claim is not None for claim in claims) == 1


async def test_task_that_may_not_be_held_is_given_back_before_slots_of_others_are_locked(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [await frames(board, owner, 1, slots=1) for owner in ("one", "other")]
    asked = list[str]()

    async def may_hold(session: AsyncSession, job: JobRow) -> bool:
        for before in asked:
            [task] = await board.tasks_of(before)
            assert (task.status, task.queued_at) == ("ready", None)
        asked.append(job.id)
        return False

    monkeypatch.setattr("services.jobs.tasks.may_hold", may_hold)
    assert await board.tasks.claim("worker") is None
    assert sorted(asked) == sorted(job for [job] in jobs)
