"""Whose turn it is, on SQLite and PostgreSQL: fair between owners, weighted by priority, and everybody has one."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import event, insert, update

from services.database.models import JobRow, TaskRow, new_id, uuid7
from services.jobs.fair_scheduler import WEIGHTS, virtual_times
from services.jobs.tasks import Tasks
from services.jobs.turns import AHEAD, OLDEST_EVERY, Turns
from tests.services.board import FRAMES, VERSION, Board, together
from tests.services.moments import Clock, now

pytestmark = pytest.mark.anyio

MANY = 5000


async def frames(board: Board, number: int, **values: Any) -> list[str]:
    """So many jobs of one task each, as one after the other submitted them."""
    return [await board.submit(kind="frame", tasks=1, **values) for _ in range(number)]


async def done(board: Board, number: int | None = None) -> list[str]:
    """Do so many tasks, or all; the jobs they belonged to, in that order."""
    jobs = []
    while number is None or len(jobs) < number:
        claim = await board.tasks.claim("worker")
        if claim is None:
            break
        await board.do(claim)
        jobs.append(claim.job)
    return jobs


async def flood(board: Board, owner: str) -> None:
    """Thousands of queued jobs of one owner, one behind the other; submitting them would take a while."""
    job = {
        "fairness_key": owner,
        "system_id": owner,
        "scene": {},
        "output_path": "x.mp4",
        "kind": "frame",
        "cost": 0.25,
    }
    jobs = [
        job | {"id": new_id(), "scene_key": VERSION + new_id(), "virtual_time": n / WEIGHTS["normal"]}
        for n in range(MANY)
    ]
    tasks = [
        {"id": uuid7(now(), number), "job_id": row["id"], "kind": "frame", "virtual_time": row["virtual_time"]}
        for number, row in enumerate(jobs)
    ]
    async with board.sessions.begin() as session:
        await session.execute(insert(JobRow), jobs)
        await session.execute(insert(TaskRow), tasks)


async def test_jobs_of_an_owner_are_done_in_their_order(board: Board) -> None:
    jobs = await frames(board, 12)
    assert await done(board) == jobs


async def test_concurrent_jobs_of_an_owner_are_queued_in_sequence(board: Board) -> None:
    ids = await together(*(board.submit(kind="frame", tasks=1) for _ in range(8)))
    turns = [(await board.job(job)).virtual_time for job in ids]
    assert sorted(turns) == virtual_times(0.0, "normal", 8)


async def test_many_jobs_of_one_owner_do_not_delay_anothers(board: Board) -> None:
    await flood(board, "many")
    await done(board, 10)
    (one,) = await frames(board, 1, fairness_key="one")
    assert one in await done(board, 2)
    video = await board.submit(fairness_key="another")
    after = await done(board, 2 * (len(FRAMES) + 2) + 1)
    assert await board.status(video) == "completed", Counter(after)


def without_values(asked: tuple[str, Any]) -> str:
    """A statement without the moment, and however many values its lists have."""
    return re.sub(r"IN \([^()]*\)|TIMESTAMPTZ '[^']*'", "…", asked[0])


async def test_claim_and_look_cost_the_same_however_long_the_queue_is(board: Board) -> None:
    """The number of statements is constant, and the next tasks are found by an index without a scan."""
    asked: list[tuple[str, Any]] = []
    async with board.sessions() as session:
        connection = await session.connection()
        engine, is_sqlite = connection.engine.sync_engine, connection.dialect.name == "sqlite"
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2:4]))
    looks, claims = [], []
    for fill in (frames(board, 2), flood(board, "many")):
        await fill
        await board.turns.next()
        for do, statements in ((board.turns.next(), looks), (Tasks.claim(board.tasks, "worker"), claims)):
            asked.clear()
            await do
            statements.append(list(asked))
    for few, many in (looks, claims):
        assert list(map(without_values, few)) == list(map(without_values, many))
    if is_sqlite:
        plans: list[str] = []
        async with board.sessions() as session:
            connection = await session.connection()
            for query, values in (each for each in (*looks[1], *claims[1]) if "'ready'" in each[0]):
                plans.append(str((await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", values)).all()))
        for index in ("tasks_ready_by_turn", "tasks_ready_by_age", "tasks_offered"):
            assert any(f"INDEX {index}" in plan for plan in plans)
        assert [plan for plan in plans if "INDEX tasks_by_turn" in plan] == []  # it has all ready ones


async def test_owners_take_turns(board: Board) -> None:
    first, second = await frames(board, 10, fairness_key="first"), await frames(board, 10, owner="second")
    order = await done(board)
    for share in range(2, 21, 2):
        taken = Counter(job in first for job in order[:share])
        assert abs(taken[True] - taken[False]) <= 2
    assert [job for job in order if job in second] == second


async def test_priorities_get_their_shares_under_load(board: Board) -> None:
    jobs = {priority: await frames(board, 40, fairness_key=priority, priority=priority) for priority in WEIGHTS}
    order = await done(board, 42)
    shares = {priority: sum(job in own for job in order) for priority, own in jobs.items()}
    assert shares["high"] >= 30
    assert 6 <= shares["normal"] <= 9
    assert 2 <= shares["low"] <= 4


async def test_high_priority_overtakes_earlier_jobs_of_its_owner(board: Board) -> None:
    normal = await frames(board, 20)
    (high,) = await frames(board, 1, priority="high")
    order = await done(board)
    assert order.index(high) <= 1
    assert [job for job in order if job != high] == normal


async def test_low_priority_is_not_starved_by_one_owner(board: Board) -> None:
    low = await board.submit(fairness_key="low", priority="low")
    high = await frames(board, 5, fairness_key="high", priority="high")
    while await board.status(low) != "completed":
        high += await frames(board, 1, fairness_key="high", priority="high")
        await done(board, 1)
        assert len(high) < 20 * (len(FRAMES) + 2)


async def test_low_priority_is_not_starved_by_many_owners(board: Board) -> None:
    low = await board.submit(fairness_key="low", priority="low")
    high: list[str] = []
    while await board.status(low) != "completed":  # more work arrives than is done, and always from somebody new
        for _ in range(1 + len(high) % 3 % 2):
            high += await frames(board, 1, fairness_key=f"high {len(high)}", priority="high")
        await done(board, 1)
        assert len(high) < 3 * OLDEST_EVERY * (len(FRAMES) + 2), "it starves"


async def test_delayed_task_does_not_delay_others(board: Board, clock: Clock) -> None:
    (full,) = await frames(board, 1, fairness_key="full")
    await board.tasks.requeue(await board.take(), wait="the disk is full")
    queue = await frames(board, 8, fairness_key="queue")
    assert await done(board, 4) == queue[:4]
    late = await frames(board, 4, fairness_key="late")  # starts where the others are
    assert await done(board) == [job for pair in zip(queue[4:], late, strict=True) for job in pair]
    clock.step(seconds=6)
    assert await done(board) == [full]


async def test_job_that_is_retried_goes_to_the_end_of_its_owners_queue(board: Board) -> None:
    first, *others = await frames(board, 4)
    await board.jobs.cancel(first)
    await board.jobs.retry(first)
    assert await done(board) == [*others, first]


async def test_requeued_task_is_next(board: Board) -> None:
    jobs = await frames(board, 3)
    await board.tasks.requeue(await board.take())
    assert await done(board) == jobs


async def test_join_is_next_when_the_segments_are_done(board: Board) -> None:
    job = await board.submit()
    for _ in range(len(FRAMES) + 1):
        await board.do(await board.take())
    await frames(board, 5, fairness_key="other", priority="high")
    assert job in await done(board, 6)
    assert await board.status(job) == "completed"


async def test_dear_task_takes_as_many_turns_as_it_costs(board: Board) -> None:
    dear = [await board.submit(fairness_key="dear", kind="frame", tasks=10) for _ in range(5)]
    cheap = await frames(board, 40, fairness_key="cheap")
    order = await done(board, 22)
    assert sum(job in dear for job in order) in (2, 3)
    assert sum(job in cheap for job in order) in (19, 20)


async def test_segments_take_the_turns_that_their_plan_does_not(board: Board) -> None:
    job = await board.submit(tasks=12, plan_cost=2 / WEIGHTS["normal"])
    await board.do(await board.take())
    times = {task.number: task.virtual_time for task in await board.tasks_of(job) if task.kind == "segment"}
    each = 10 / WEIGHTS["normal"] / sum(FRAMES)
    first = 2 / WEIGHTS["normal"]
    assert times == pytest.approx({0: first, 1: first + each * FRAMES[0], 2: first + each * sum(FRAMES[:2])})


async def test_owner_at_the_cap_holds_nobody_up(board: Board) -> None:
    """However many tasks of that owner come first."""
    await frames(board, 3 * AHEAD, fairness_key="greedy", owner="greedy", slots=2)
    other = await frames(board, 2, fairness_key="other", owner="other", priority="low")
    turns = Turns(board.sessions)
    for _ in range(4):
        await turns.next()
    claims = []
    while (claim := await Tasks.claim(board.tasks, "worker")) is not None:
        claims.append(claim)
    assert Counter(claim.owner for claim in claims) == {"greedy": 2, "other": 2}
    assert {claim.job for claim in claims if claim.owner == "other"} == set(other)
    await board.do(next(claim for claim in claims if claim.owner == "greedy"))
    await turns.next()
    last = await Tasks.claim(board.tasks, "worker")
    assert last is not None
    assert last.owner == "greedy"


async def test_worker_takes_what_fits_into_its_memory(board: Board) -> None:
    large, small = await frames(board, 2)
    async with board.sessions.begin() as session:
        await session.execute(update(TaskRow).where(TaskRow.job_id == large).values(memory=1000))
    [offer, _] = await board.turns.next()
    claim = await board.tasks.claim("worker", (offer.task, offer.attempt), memory=999)
    assert claim is not None
    assert claim.job == small
    assert await board.tasks.claim("worker", memory=999) is None
    claim = await board.tasks.claim("worker", (offer.task, offer.attempt), memory=1000)
    assert claim is not None
    assert claim.job == large
