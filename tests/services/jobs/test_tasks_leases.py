"""Claims under leases, on SQLite and PostgreSQL: a task is one worker's at a time, and who lost it changes nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from ecs_core import MotesError
from services.database.models import ArtefactRow, TaskRow
from services.jobs.artefacts import Artefact
from services.jobs.tasks import MAX_LOSSES, Tasks
from services.jobs.turns import OFFER_AGAIN
from tests.services.board import FRAMES, LEASE, Board, DispatchedTasks, made_by, together
from tests.services.moments import Clock
from tests.waiting import HANG

pytestmark = pytest.mark.anyio


async def test_each_task_is_claimed_once_by_many_workers(board: Board) -> None:
    jobs = [await board.submit(fairness_key=str(number), kind="frame", tasks=1) for number in range(40)]
    claims = await together(*(board.tasks.claim(f"worker {number % 7}") for number in range(50)))
    taken = [claim for claim in claims if claim is not None]
    while (claim := await board.tasks.claim("last")) is not None:  # one that was locked is passed over
        taken.append(claim)
    assert Counter(claim.job for claim in taken) == Counter(jobs)


async def test_only_what_the_dispatcher_offers_is_claimed(board: Board) -> None:
    [task] = await board.tasks_of(await board.submit())
    for offered in (None, (task.id, task.attempt)):
        assert await Tasks.claim(board.tasks, "worker", offered) is None
    await board.turns.next()
    assert await Tasks.claim(board.tasks, "worker") is not None


async def test_segment_rendered_by_two_workers_counts_once(board: Board, clock: Clock) -> None:
    """A worker stalls with fifty segments; their leases expire, another renders them, and both finish at once."""
    job = await board.submit()
    plan = await board.take()
    await board.tasks.record_plan(plan, [2] * 50)
    for number in range(50):
        await board.tasks.mark_ready(plan, number)
    await board.tasks.finish(plan)
    stale = [await board.take("stalled") for _ in range(50)]
    clock.step(seconds=LEASE + 1)
    assert await board.tasks.expire_leases() == 50
    fresh = [await board.take("second") for _ in range(50)]
    assert {(claim.number, claim.attempt) for claim in fresh} == {(number, 2) for number in range(50)}
    for first in range(0, 50, 5):
        part = slice(first, first + 5)
        answers = await together(
            *(board.tasks.finish(claim, made_by(claim)) for claim in stale[part]),
            *(board.tasks.finish(claim, made_by(claim)) for claim in fresh[part]),
            *(board.renew(claim, 1) for claim in stale[part]),
            seed=first,
        )
        assert answers == [False] * 5 + [True] * 5 + [False] * 5
    await board.tasks.release_join(job)
    assert await board.count(ArtefactRow) == 50
    assert await board.tasks.segments(fresh[0]) == [
        made for claim in sorted(fresh, key=lambda claim: claim.number) if (made := made_by(claim))
    ]
    await board.work()
    assert (await board.job(job)).frames_done == 100


class TestLease:
    async def test_renewed_lease_holds(self, board: Board, clock: Clock) -> None:
        await board.submit()
        claim = await board.take()
        for _ in range(5):
            clock.step(seconds=LEASE - 1)
            assert await board.tasks.expire_leases() == 0
            assert await board.renew(claim, 10)
        assert await board.tasks.claim("other") is None

    async def test_expired_lease_is_requeued_at_once(self, board: Board, clock: Clock) -> None:
        await board.submit()
        claim = await board.take("stalled")
        clock.step(seconds=LEASE + 1)
        assert await board.tasks.expire_leases() == 1
        assert await board.tasks.expire_leases() == 0
        again = await board.take("second")
        assert (again.task, again.attempt) == (claim.task, 2)

    @pytest.mark.parametrize("kind", ["plan", "segment", "join"])
    async def test_holder_of_an_expired_lease_changes_nothing(self, board: Board, clock: Clock, kind: str) -> None:
        job = await board.submit()
        stale = await board.until(kind)
        clock.step(seconds=LEASE + 1)
        await board.tasks.expire_leases()
        before = [(task.status, task.attempt, task.deaths, task.losses) for task in await board.tasks_of(job)]
        told = await board.events(job)
        assert not await board.renew(stale, 1)
        await board.tasks.record_plan(stale, [1, 2, 3])
        assert not await board.tasks.finish(stale, made_by(stale))
        assert not await board.tasks.fail(stale, "broken")
        assert not await board.tasks.complete(stale, made_by(stale) or Artefact("key", "object", 1))
        await board.tasks.requeue(stale, died="killed")
        await board.tasks.requeue(stale, wait="the disk is full")
        assert [(task.status, task.attempt, task.deaths, task.losses) for task in await board.tasks_of(job)] == before
        assert await board.events(job) == told
        fresh = await board.take("second")
        assert (fresh.task, fresh.attempt) == (stale.task, 2)
        assert not await board.do(stale), "it took the place of the one that has the claim now"
        assert await board.do(fresh)
        await board.work()
        assert await board.status(job) == "completed"

    async def test_claim_of_a_finished_task_changes_nothing(self, board: Board) -> None:
        job = await board.submit()
        claim = await board.until("segment")
        assert await board.tasks.finish(claim, made_by(claim))
        assert not await board.tasks.finish(claim, made_by(claim))
        assert not await board.renew(claim, 1)
        assert not await board.tasks.requeue(claim)
        assert not await board.tasks.fail(claim, "too late")
        await board.tasks.release_join(job)
        await board.work()
        assert await board.status(job) == "completed"

    async def test_task_lost_too_often_fails_its_job(self, board: Board, clock: Clock) -> None:
        job = await board.submit()
        for _ in range(MAX_LOSSES):
            await board.take()
            clock.step(seconds=LEASE + 1)
            await board.tasks.expire_leases()
        row = await board.job(job)
        assert (row.status, row.error) == ("failed", f"its workers vanished {MAX_LOSSES} times")
        assert await board.work() == []

    async def test_harmless_attempts_do_not_count_as_losses(self, board: Board, clock: Clock) -> None:
        job = await board.submit()
        for _ in range(2 * MAX_LOSSES):
            await board.tasks.requeue(await board.take(), wait="the disk is full")
            clock.step(seconds=6)
            await board.tasks.requeue(await board.take())  # its worker was told to stop
        await board.take()
        clock.step(seconds=LEASE + 1)
        await board.tasks.expire_leases()
        await board.work()
        assert await board.status(job) == "completed"

    async def test_restarted_worker_reclaims_its_tasks(self, board: Board) -> None:
        await board.submit(fairness_key="a")
        await board.submit(fairness_key="b")
        mine, theirs = await board.take("machine:1"), await board.take("machine:2")
        assert await board.tasks.reclaim("machine:1") == 1
        again = await board.take("machine:1")
        assert (again.task, again.attempt) == (mine.task, 2)
        assert not await board.renew(mine, 1)
        assert await board.renew(theirs, 1)

    async def test_concurrent_expiry_requeues_each_task_once(self, board: Board, clock: Clock) -> None:
        for number in range(20):
            await board.submit(fairness_key=str(number))
            await board.take()
        clock.step(seconds=LEASE + 1)
        assert sum(await together(*(board.tasks.expire_leases() for _ in range(6)))) == 20
        claims = [await board.take() for _ in range(20)]
        assert {claim.attempt for claim in claims} == {2}


class TestClock:
    """Waiting jobs do not expire; steps of the database's own clock cost an attempt at most."""

    async def test_job_may_wait_for_a_day(self, board: Board, clock: Clock) -> None:
        job = await board.submit()
        await board.turns.next()
        clock.step(hours=24)
        assert len(await board.turns.next()) == 1  # into the queue again, in case that Redis forgot
        await board.work()
        assert await board.status(job) == "completed"

    async def test_segments_may_wait_for_a_day(self, board: Board, clock: Clock) -> None:
        job = await board.submit()
        await board.do(await board.take())
        clock.step(hours=24)
        assert await board.tasks.expire_leases() == 0
        await board.work()
        assert await board.status(job) == "completed"

    async def test_small_clock_step_back_delays_by_at_most_the_lease(self, board: Board, clock: Clock) -> None:
        await board.submit()
        await board.take("dead")
        clock.step(seconds=-LEASE / 2)
        clock.step(seconds=2 * LEASE)
        assert await board.tasks.expire_leases() == 1

    async def test_clock_set_back_does_not_disturb_a_working_claim(self, board: Board, clock: Clock) -> None:
        await board.submit()
        claim = await board.take()
        clock.step(hours=-24)
        assert await board.renew(claim, 1)  # twice a second
        assert await board.tasks.expire_leases() == 0

    async def test_clock_set_forward_costs_an_attempt_but_no_job(self, board: Board, clock: Clock) -> None:
        job = await board.submit()
        claim = await board.take()
        clock.step(hours=24)
        assert await board.tasks.expire_leases() == 1
        assert not await board.renew(claim, 1)
        await board.work()
        assert await board.status(job) == "completed"


class TestWorkerDiesBetweenSteps:
    async def test_worker_dies_before_it_releases_the_join(self, board: Board) -> None:
        job = await board.submit()
        await board.do(await board.take())
        for _ in FRAMES:
            assert await board.tasks.jobs_awaiting_join() == []
            claim = await board.take()
            assert await board.tasks.finish(claim, made_by(claim))
        await board.progress.add_up(everything=True)
        assert await board.tasks.claim("other") is None
        assert await board.tasks.jobs_awaiting_join() == [job]
        assert await board.tasks.release_join(job) is not None
        assert await board.tasks.jobs_awaiting_join() == []
        await board.work()
        assert await board.status(job) == "completed"

    async def test_worker_dies_before_it_reports_the_last_snapshots(self, board: Board) -> None:
        job = await board.submit()
        plan = await board.take("dead")
        await board.tasks.record_plan(plan, FRAMES)
        await board.tasks.mark_ready(plan, 0)
        assert await board.tasks.reclaim("dead") == 1
        segment = await board.until("segment")
        assert segment.number == 0
        await board.do(segment)
        await board.work()
        assert await board.status(job) == "completed"
        assert len(await board.tasks_of(job)) == len(FRAMES) + 2

    async def test_worker_dies_before_it_enqueues_ready_tasks(self, board: Board, clock: Clock) -> None:
        await board.submit()
        plan = await board.take()
        await board.tasks.record_plan(plan, FRAMES)
        row = await board.tasks.mark_ready(plan, 0)
        assert row is not None
        assert [offer.task for offer in await board.turns.next()] == [row.id]  # and the dispatcher dies
        assert await board.turns.next() == []
        clock.step(seconds=OFFER_AGAIN.total_seconds() + 1)
        assert [offer.task for offer in await board.turns.next()] == [row.id]


@pytest.mark.parametrize("database", ["postgres"], indirect=True)  # the locks of SQLite go with the process
@pytest.mark.parametrize("idle_timeout", [1], indirect=True)
async def test_locks_of_a_vanished_machine_are_released(board: Board, clock: Clock) -> None:
    await board.submit()
    claim = await board.take("vanished")
    async with board.sessions.begin() as session:
        await session.get_one(TaskRow, claim.task, with_for_update=True)
        clock.step(seconds=LEASE + 1)
        assert await asyncio.wait_for(board.tasks.expire_leases(), HANG) == 1
        with pytest.raises(DBAPIError):
            await session.execute(select(TaskRow))
        await session.rollback()
    assert (await board.take()).attempt == 2


async def test_lease_duration_is_configurable(board: Board, clock: Clock) -> None:
    tasks = DispatchedTasks(board.sessions, lease=0.3)
    await board.submit()
    await tasks.claim("stalled")
    clock.step(seconds=0.29)
    assert await tasks.expire_leases() == 0
    clock.step(seconds=0.02)
    assert await tasks.expire_leases() == 1


async def test_cancelled_changes_leave_no_locks(board: Board) -> None:
    """A worker may stop renewing or a client disconnect at any moment, even within a transaction."""
    chance = random.Random(1)
    claims = []
    for number in range(8):
        await board.submit(fairness_key=str(number))
        claims.append(await board.take())

    async def cancel_again_and_again() -> None:
        for _ in range(100):
            changes = (board.renew(chance.choice(claims), chance.randrange(100)), board.tasks.expire_leases())
            changing = [asyncio.create_task(change) for change in changes]
            await asyncio.sleep(chance.uniform(0, 0.02))
            for task in changing:
                task.cancel()
            await asyncio.gather(*changing, return_exceptions=True)

    await asyncio.gather(*(cancel_again_and_again() for _ in range(3)))
    assert await asyncio.wait_for(board.renew(claims[0], 50), HANG)


async def test_track_longer_than_the_default_one_was_not_admitted(board: Board) -> None:
    scene = {"type": "snow", "config": {"track": 1, "fps": "10", "duration": "audio"}}
    await board.submit(scene=scene, seconds=2.0)
    plan = await board.take()
    with pytest.raises(MotesError, match=r"^track 1: is longer than the 2 s of the song's default track"):
        await board.tasks.record_plan(plan, [20, 11])
    await board.tasks.record_plan(plan, [20, 10])
