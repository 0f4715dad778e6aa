"""The life of a job, on SQLite and PostgreSQL: done once, told in order, cancelled, retried or deleted at any time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from sqlalchemy import select

from services.database.models import ArtefactRow, DeliveryRow, EventRow, JobRow, TaskRow, new_id
from services.jobs.artefacts import Artefact, find_artefact
from services.jobs.events import events_since
from services.jobs.tasks import MAX_DEATHS, Claim, Tasks
from services.jobs.turns import AHEAD, OLDEST_EVERY
from services.storage.object_keys import light_key, plan_folder, result_key, segment_key
from tests.services.board import FRAMES, Board, made_by, padded, together
from tests.services.moments import Clock
from tests.waiting import HANG

pytestmark = pytest.mark.anyio


class TestRendered:
    async def test_plan_then_segments_then_join(self, board: Board) -> None:
        job = await board.submit()
        done = [(claim.kind, claim.number) for claim in await board.work()]
        assert done == [("plan", 0), ("segment", 0), ("segment", 1), ("segment", 2), ("join", 0)]
        row = await board.job(job)
        assert (row.status, row.stage, row.progress, row.size) == ("completed", "completed", 100, 1001)
        assert (row.frames, row.frames_done) == (25, 25)
        assert row.created_at <= row.rendering_at <= row.ended_at
        assert {task.status for task in await board.tasks_of(job)} == {"done"}

    async def test_events_are_in_order_and_end_with_the_job(self, board: Board) -> None:
        job = await board.submit()
        while (claim := await board.tasks.claim("worker")) is not None:
            for done in range(0, 5, 2):
                assert await board.renew(claim, done)
            await board.do(claim)
        await board.jobs.cancel(job)
        told = await board.events(job)
        stages = [event["stage"] for event in told]
        assert [stage for stage, _ in groupby(stages)] == ["queued", "analysing", "rendering", "joining", "completed"]
        progress = [event["progress"] for event in told]
        assert progress == sorted(progress)
        assert (progress[-1], stages.count("completed")) == (100, 1)
        assert all(before != after for before, after in pairwise(told)), "something is told twice"
        last = (await events_since(board.sessions, job, 0))[-1].id
        assert [event.data["stage"] for event in await events_since(board.sessions, job, last - 1)] == ["completed"]
        assert await events_since(board.sessions, job, last) == []

    async def test_same_scene_again_completes_at_once(self, board: Board) -> None:
        await board.submit(scene_key="scene")
        await board.work()
        again = await board.job(await board.submit(scene_key="scene"))
        assert (again.status, again.progress, again.frames, again.size) == ("completed", 100, 25, 1001)
        assert await board.work() == []

    async def test_overdrawn_frames_are_told_once_with_their_total(self, board: Board) -> None:
        job = await board.submit(scene_key="scene")
        await board.do(await board.take())
        claims = [await board.take() for _ in FRAMES]
        for claim, overdrawn in zip(claims, (3, 0, 4), strict=True):
            made = made_by(claim)
            assert made is not None
            made = replace(made, overdrawn=overdrawn)
            assert await board.tasks.finish(claim, made)
            assert not await board.tasks.finish(claim, made)  # such as by a worker whose answer was lost
        await board.tasks.release_join(job)
        join = await board.take()
        segments = (await board.tasks.to_join(join)).values()
        assert [segment.overdrawn for [segment] in segments if segment is not None] == [3, 0, 4]
        assert (await board.job(job)).warnings == []
        video = made_by(join)
        assert video is not None
        assert await board.tasks.complete(join, replace(video, overdrawn=7))
        again = await board.submit(scene_key="scene", warnings=["its song is cut"])
        told = (
            "in 7 frames particles would have covered the picture more than 1000 times, or lines of theirs 100, "
            "and were drawn smaller"
        )
        assert (await board.job(job)).warnings == [told]
        assert (await board.job(again)).warnings == ["its song is cut", told]

    async def test_flashes_are_told_with_the_result_and_in_a_warning(self, board: Board) -> None:
        job = await board.submit(scene_key="scene")
        join = await board.until("join")
        video = made_by(join)
        assert video is not None
        assert (await board.job(job)).flashes is None
        found = [{"kind": "red", "start": 1.5, "stop": 4.0, "flashes": 5, "area": 0.5}]
        assert await board.tasks.complete(join, replace(video, flashes=found))
        again = await board.submit(scene_key="scene")
        for each in (await board.job(job), await board.job(again)):
            assert each.flashes == found
            assert each.warnings == [
                "flashes more often than WCAG 2.3.1 allows: red at 1.50–4.00 s (5 a second, 50 % of an area)"
            ]

    async def test_a_segment_whose_light_is_lost_is_rendered_again(self, board: Board) -> None:
        scene = {"type": "snow", "config": {"flash_guard": "report"}}
        await board.submit(scene_key="scene", scene=scene)
        await board.do(await board.take())
        for number in range(2):
            claim = await board.take()
            made = made_by(claim)
            assert made is not None
            light = Artefact(light_key(padded("scene"), number), f"light {number}", 5)
            assert await board.tasks.finish(claim, made, *([light] if number else []))  # the first one's is lost
        other = await board.submit(scene_key="scene", scene=scene)
        plan = await board.until("plan")
        await board.tasks.record_plan(plan, FRAMES)
        there = [task.status for task in await board.tasks_of(other) if task.kind == "segment"]
        assert there == ["waiting", "done", "waiting"]
        assert await find_artefact(board.sessions, segment_key(padded("scene"), 0)) is None

    async def test_submitting_again_under_the_same_id_changes_nothing(self, board: Board) -> None:
        values = {
            "kind": "video",
            "fairness_key": "o",
            "priority": "low",
            "system_id": "o",
            "scene": {"type": "snow"},
            "scene_key": "s",
        }
        job = new_id()
        rows = [JobRow(id=job, output_path=f"{n}.mp4", **values) for n in range(5)]
        found = await together(*(board.jobs.submit(row, tasks=3) for row in rows))
        assert len({row.output_path for row in found}) == 1
        await board.work()
        late = await board.jobs.submit(JobRow(id=job, output_path="late.mp4", **values), tasks=3)
        assert late.status == "completed"
        assert await board.count(TaskRow) == len(FRAMES) + 2

    async def test_frame_is_one_task(self, board: Board) -> None:
        job = await board.submit(kind="frame", tasks=1)
        assert [claim.kind for claim in await board.work()] == ["frame"]
        assert await board.status(job) == "completed"

    async def test_segments_are_shared_with_a_job_of_the_same_scene(self, board: Board) -> None:
        first = await board.submit(scene_key="scene")
        while (claim := await board.take()).number < 2:
            await board.do(claim)
        second = await board.submit(scene_key="scene")
        plan = await board.take()
        assert (plan.job, plan.kind) == (second, "plan")
        await board.do(plan)
        assert [task.status for task in await board.tasks_of(second)][-3:] == ["done", "done", "ready"]
        assert (await board.job(second)).frames_done == 20
        # Both render the last one: it counts once, and is done for both.
        assert sorted(await together(board.do(claim), board.do(await board.take()))) == [False, True]
        await board.work()
        assert [await board.status(job) for job in (first, second)] == ["completed", "completed"]
        assert set(board.made) == {artefact for artefact in board.made if artefact.startswith("scenes/scene-")}
        assert await board.count(ArtefactRow) == len(board.made) == len(FRAMES) + 1

    async def test_equal_jobs_joined_concurrently_share_one_result(self, board: Board) -> None:
        jobs = [await board.submit(scene_key="scene", fairness_key=owner) for owner in ("a", "b", "c")]
        joins = []
        while (claim := await board.tasks.claim("worker")) is not None:
            if claim.kind == "join":
                joins.append(claim)
            else:
                await board.do(claim)
        assert sorted(await together(*map(board.do, joins))) == [False, False, True]
        made = await find_artefact(board.sessions, result_key(padded("scene"), "video"))
        assert made is not None
        for job in jobs:
            row = await board.job(job)
            assert (row.status, row.size) == ("completed", made.size)

    async def test_job_completed_by_an_equal_job_has_all_its_frames(self, board: Board) -> None:
        first, second = await board.submit(scene_key="scene"), await board.submit(scene_key="scene", fairness_key="b")
        plans = {claim.job: claim for claim in (await board.take(), await board.take())}
        await board.do(plans[first])
        await board.work()
        made = await find_artefact(board.sessions, result_key(padded("scene"), "video"))
        assert made is not None
        assert await board.tasks.complete(plans[second], made)  # as a worker does that finds it
        row = await board.job(second)
        assert (row.status, row.progress, row.frames, row.frames_done) == ("completed", 100, 25, 25)

    async def test_queue_is_bounded_and_unclaimed_tasks_are_requeued(self, board: Board, clock: Clock) -> None:
        for number in range(AHEAD + 6):
            await board.submit(fairness_key=str(number))
        queued = [offer.task for offer in await board.turns.next()]
        assert len(queued) == AHEAD
        assert await board.turns.next() == []
        taken = [(await Tasks.claim(board.tasks, "worker")) for _ in range(6)]
        assert [claim and claim.task for claim in taken] == queued[:6]
        assert len(await board.turns.next()) == 6  # the next ones
        clock.step(seconds=11)
        again = await board.turns.next()
        assert [offer.task for offer in again][: AHEAD - 6] == queued[6:]
        assert all(offer.again for offer in again)

    async def test_the_more_is_running_the_more_is_offered(self, board: Board) -> None:
        for _ in range(3 * AHEAD):
            await board.submit(kind="frame", tasks=1)
        assert len(await board.turns.next()) == AHEAD
        for _ in range(AHEAD):
            assert await Tasks.claim(board.tasks, "worker") is not None
        oldest = AHEAD // OLDEST_EVERY  # for the tasks that were taken
        assert len(await board.turns.next()) == AHEAD + AHEAD // 2 + oldest

    @pytest.mark.parametrize("database", ["postgres"], indirect=True)  # SQLite locks no rows
    async def test_progress_of_a_job_that_somebody_changes_waits_until_the_next_time(self, board: Board) -> None:
        locked, free = [await board.submit(fairness_key=key) for key in "ab"]
        plans = [await board.take() for _ in range(2)]
        for plan in plans:
            await board.do(plan)
        segments = {claim.job: claim for claim in [await board.take() for _ in range(2 * len(FRAMES))]}
        for claim in segments.values():
            assert await board.renew(claim, 5)
        async with board.sessions.begin() as session:
            await session.execute(select(JobRow.id).where(JobRow.id == locked).with_for_update())
            await asyncio.wait_for(board.progress.add_up(), HANG)
            assert [(await board.job(job)).frames_done for job in (locked, free)] == [0, 5]
        await board.progress.add_up()
        assert (await board.job(locked)).frames_done == 5


class TestCancelled:
    @pytest.mark.parametrize("at", ["queued", "plan", "segment", "join"])
    async def test_at_any_stage(self, board: Board, at: str) -> None:
        job = await board.submit(webhook_url="https://example.org")
        claim = None if at == "queued" else await board.until(at)
        assert await board.jobs.cancel(job)
        assert not await board.jobs.cancel(job)
        if claim is not None:
            assert not await board.renew(claim, 1), "whoever works on it must be told to stop"
            assert not (claim.kind == "join" and await board.do(claim)), "it was completed after it was cancelled"
            await board.tasks.requeue(claim, died="killed")
        assert await board.work() == []
        assert await board.status(job) == "cancelled"
        assert [event["status"] for event in await board.events(job)].count("cancelled") == 1
        assert await board.count(DeliveryRow) == 1

    async def test_its_message_says_whose_it_is_and_for_whom(self, board: Board) -> None:
        job = await board.submit(owner="alice", webhook_url="https://example.org/hook?of=me")
        await board.jobs.cancel(job)
        async with board.sessions() as session:
            [message] = await session.scalars(select(DeliveryRow))
        assert (message.owner, message.host) == ("alice", "example.org:443")

    async def test_before_it_was_planned(self, board: Board) -> None:
        job = await board.submit()
        plan = await board.take()
        await board.jobs.cancel(job)
        await board.tasks.record_plan(plan, FRAMES)
        assert await board.tasks.mark_ready(plan, 0) is None
        assert [task.kind for task in await board.tasks_of(job)] == ["plan"]

    async def test_race_with_completion_has_one_outcome(self, board: Board) -> None:
        for _ in range(20):
            job = await board.submit()
            claim = await board.until("join")
            completed, cancelled = await together(board.do(claim), board.jobs.cancel(job))
            assert completed != cancelled
            assert await board.status(job) == ("completed" if completed else "cancelled")

    async def test_while_workers_claim_finish_and_fail_tasks(self, board: Board) -> None:
        for _ in range(10):
            job = await board.submit()
            claim = await board.until("segment")
            await together(
                board.do(claim),
                board.tasks.claim("other"),
                board.jobs.cancel(job),
                board.jobs.fail(job, "broken"),
                board.renew(claim, 5),
                board.turns.next(),
                board.tasks.expire_leases(),
            )
            row = await board.job(job)
            assert row.status in ("cancelled", "failed")
            assert (row.error == "broken") == (row.status == "failed")
            told = [event["status"] for event in await board.events(job)]
            assert told[-1] == row.status
            assert len({"cancelled", "failed"} & set(told)) == 1
            assert await board.work() == []


class TestFailed:
    async def test_after_three_deaths_of_the_same_task(self, board: Board) -> None:
        job, other = await board.submit(), await board.submit(fairness_key="other")
        for death in range(MAX_DEATHS):
            claim = await board.take()
            assert (claim.job, claim.attempt) == (job, death + 1)
            await board.tasks.requeue(claim, died="killed by SIGKILL")
        row = await board.job(job)
        assert row.status == "failed"
        assert row.error == "plan: its process died 3 times (killed by SIGKILL)"
        assert {claim.job for claim in await board.work()} == {other}
        assert await board.status(other) == "completed"

    async def test_deaths_of_different_segments_do_not_add_up(self, board: Board) -> None:
        job = await board.submit()
        await board.do(await board.take())
        for _ in FRAMES:
            for _ in range(MAX_DEATHS - 1):
                await board.tasks.requeue(await board.take(), died="killed")
            await board.do(await board.take())
        await board.work()
        assert await board.status(job) == "completed"

    async def test_reason_survives_concurrent_claims(self, board: Board, clock: Clock) -> None:
        for _ in range(10):
            job = await board.submit()
            claim = await board.until("segment")
            await board.tasks.requeue(claim, wait="the disk is full")
            await together(board.jobs.fail(job, "broken"), board.tasks.claim("other"), board.tasks.claim("third"))
            row = await board.job(job)
            assert (row.status, row.error) == ("failed", "broken")
            assert (await board.events(job))[-1]["error"] == "broken"

    async def test_blocked_job_shows_the_reason_and_resumes(self, board: Board, clock: Clock) -> None:
        job = await board.submit()
        for _ in range(30):  # longer than any limit of attempts
            claim = await board.until("segment")
            await board.tasks.requeue(claim, wait="the disk is full")
            row = await board.job(job)
            assert (row.status, row.error) == ("rendering", "the disk is full")
            while (claim := await board.tasks.claim("worker")) is not None:
                await board.tasks.requeue(claim, wait="the disk is full")
            clock.step(seconds=6)
        told = [event["error"] for event in await board.events(job)]
        assert told.count("the disk is full") == 1, "waiting is told again and again"
        await board.work()
        row = await board.job(job)
        assert (row.status, row.error) == ("completed", None)


class TestRetried:
    @pytest.mark.parametrize("end", ["failed", "cancelled"])
    async def test_keeps_finished_segments(self, board: Board, end: str) -> None:
        job = await board.submit()
        await board.do(await board.take())
        await board.do(await board.take())
        await (board.jobs.fail(job, "broken") if end == "failed" else board.jobs.cancel(job))
        assert await board.jobs.retry(job)
        row = await board.job(job)
        assert (row.status, row.progress, row.error, row.ended_at) == ("queued", 0, None, None)
        assert [(claim.kind, claim.number) for claim in await board.work()] == [
            ("plan", 0),
            ("segment", 1),
            ("segment", 2),
            ("join", 0),
        ]
        assert await board.status(job) == "completed"

    async def test_only_if_failed_or_cancelled(self, board: Board) -> None:
        job = await board.submit()
        assert not await board.jobs.retry(job)
        await board.work()
        before = await board.tasks_of(job)
        assert not await board.jobs.retry(job)
        assert [task.id for task in await board.tasks_of(job)] == [task.id for task in before]
        assert not await board.jobs.retry(new_id())

    async def test_ignores_results_of_earlier_attempts(self, board: Board) -> None:
        job = await board.submit()
        stale = await board.until("segment")
        await board.jobs.cancel(job)
        assert await board.jobs.retry(job)
        assert not await board.renew(stale, 5)
        assert not await board.do(stale)
        await board.tasks.requeue(stale, died="killed")
        await board.work()
        assert await board.status(job) == "completed"

    async def test_concurrently_happens_once(self, board: Board) -> None:
        job = await board.submit()
        await board.until("segment")
        await board.jobs.cancel(job)
        assert sorted(await together(*(board.jobs.retry(job) for _ in range(4)))) == [False, False, False, True]
        assert [task.kind for task in await board.tasks_of(job)] == ["plan"]


class TestDeleted:
    @pytest.mark.parametrize("at", ["queued", "plan", "segment", "join", "completed"])
    async def test_leaves_nothing(self, board: Board, at: str) -> None:
        job = await board.submit(scene_key="scene", webhook_url="https://example.org")
        [plan] = [task.id for task in await board.tasks_of(job)]
        claim = None
        if at == "completed":
            await board.work()
        elif at != "queued":
            claim = await board.until(at)
        await board.jobs.cancel(job)
        gone = await board.jobs.delete(job)
        assert gone is not None
        assert {made.key: made.object for made in gone.artefacts} == board.made
        assert gone.folders == (plan_folder(padded("scene"), plan),)
        if claim is not None:
            assert not await board.renew(claim, 1)
            board.made.clear()
            assert not await board.do(claim), "its file would stay for ever"
            await board.tasks.requeue(claim, died="killed")
        for table in (JobRow, TaskRow, EventRow, DeliveryRow, ArtefactRow):
            assert await board.count(table) == 0, table
        assert await board.jobs.delete(job) is None

    async def test_keeps_shared_artefacts(self, board: Board) -> None:
        first = await board.submit(scene_key="scene")
        await board.work()
        second = await board.submit(scene_key="scene")
        assert (await board.jobs.delete(first)).artefacts == ()
        assert await find_artefact(board.sessions, result_key(padded("scene"), "video")) is not None
        assert {made.key for made in (await board.jobs.delete(second)).artefacts} == set(board.made)

    async def test_keeps_artefacts_that_other_jobs_get_concurrently(self, board: Board) -> None:
        for number in range(20):
            key = padded(f"scene{number}")
            first = await board.submit(scene_key=key)
            await board.work()
            gone, second = await together(board.jobs.delete(first), board.submit(scene_key=key), seed=number)
            made = await find_artefact(board.sessions, result_key(key, "video"))
            if await board.status(second) == "completed":
                assert (gone.artefacts, made is not None) == ((), True), "it was completed by what is deleted"
            else:
                assert ({each.key for each in gone.artefacts}, made) == (set(board.made), None)
                await board.jobs.cancel(second)
            board.made.clear()

    async def test_while_workers_run_its_tasks(self, board: Board) -> None:
        for number in range(10):
            job = await board.submit()
            claim = await board.until("segment")
            other = await board.take("other")
            await together(
                board.do(claim),
                board.renew(other, 5),
                board.jobs.delete(job),
                board.tasks.claim("third"),
                board.tasks.requeue(other, died="killed"),
                seed=number,
            )
            assert await board.work() == []
            assert await board.count(JobRow) == await board.count(TaskRow) == await board.count(EventRow) == 0


def test_every_attempt_writes_its_own_file() -> None:
    first = Claim("task", 1, "segment", 3, "job", {}, "scene", "plan")
    second = Claim("task", 2, "segment", 3, "job", {}, "scene", "plan")
    made = [made_by(claim) for claim in (first, second)]
    assert made[0] is not None
    assert made[1] is not None
    assert made[0].key == made[1].key
    assert made[0].object != made[1].object


async def test_result_of_another_job_tells_where_it_begins(board: Board) -> None:
    first, second = [await board.submit(scene_key="same") for _ in range(2)]
    plan = await board.take()
    await board.tasks.record_plan(plan, FRAMES, start=6.5)
    for number in range(len(FRAMES)):
        await board.tasks.mark_ready(plan, number)
    await board.tasks.finish(plan)
    await board.work()
    third = await board.submit(scene_key="same")
    assert await board.status(third) == "completed"
    assert [(await board.job(job)).start for job in (plan.job, third)] == [6.5, 6.5]
    assert {first, second} >= {plan.job}
