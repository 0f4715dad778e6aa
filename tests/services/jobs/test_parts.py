"""Jobs with several outputs: analysed once, done when all are, cancelled, retried and deleted with all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sqlalchemy import func, select

from services.auth.limits import QuotaError
from services.auth.quotas import Quotas
from services.database.models import ArtefactRow, DeliveryRow, JobRow, TaskRow, UsageRow
from services.jobs.artefacts import as_artefact
from services.jobs.outputs import outputs_shown, part_id
from services.storage.object_keys import result_key
from tests.services.board import LEASE, SIZES, VERSION, Board, made_by, padded
from tests.services.moments import Clock

pytestmark = pytest.mark.anyio


async def statuses(board: Board, job: str) -> dict[str, str]:
    return {each["name"]: each["status"] for each in outputs_shown(await board.job(job))}


async def part(board: Board, job: str, name: str) -> JobRow:
    return await board.job(part_id(job, name))


class TestRendered:
    async def test_one_output_after_the_other_and_the_job_with_the_last(self, board: Board) -> None:
        job = await board.submit_outputs("tall", "square")
        seen = [await statuses(board, job)]
        done = []
        while (claim := await board.tasks.claim("worker")) is not None:
            await board.do(claim)
            done.append((claim.job, claim.kind))
            if (now := await statuses(board, job)) != seen[-1]:
                seen.append(now)
        joins = [of for of, kind in done if kind == "join"]
        assert joins == [part_id(job, name) for name in ("main", "tall", "square")]
        assert seen[0] == {"main": "queued", "tall": "queued", "square": "queued"}
        ready = [sum(status == "completed" for status in each.values()) for each in seen]
        assert (ready[0], ready[-1]) == (0, 3)
        assert all(after - before in (0, 1) for before, after in pairwise(ready))
        row = await board.job(job)
        assert (row.status, row.stage, row.progress, row.frames, row.frames_done) == (
            *("completed", "completed", 100),
            *(75, 75),
        )
        assert [each["bytes"] for each in outputs_shown(row)] == [1001, 1001, 1001]
        assert await board.tasks_of(job) == []

    async def test_song_is_analysed_for_the_first_before_the_others_are_planned(self, board: Board) -> None:
        job = await board.submit_outputs("tall", "square")
        plan = await board.take("one")
        assert (plan.kind, plan.job) == ("plan", part_id(job, "main"))
        assert await board.tasks.claim("two") is None
        await board.tasks.requeue(plan)  # its worker stops, and it begins anew
        plan = await board.take("one")
        await board.do(plan)
        next_plans = [claim for claim in [await board.take(each) for each in "abcde"] if claim.kind == "plan"]
        assert {claim.job for claim in next_plans} == {part_id(job, "tall"), part_id(job, "square")}

    async def test_outputs_without_a_song_need_not_wait(self, board: Board) -> None:
        await board.submit_outputs("tall", song=None)
        assert [(await board.take(each)).kind for each in "ab"] == ["plan", "plan"]

    async def test_one_at_a_time_analyses_where_the_first_output_exists(self, board: Board) -> None:
        await board.submit(scene_key="known")
        await board.work()
        job = await board.submit_outputs("tall", "square", keys={"main": "known"})
        assert (await statuses(board, job))["main"] == "completed"
        plan = await board.take("one")
        assert plan.job == part_id(job, "tall")
        assert await board.tasks.claim("two") is None
        await board.do(plan)
        await board.work()
        assert await board.status(job) == "completed"

    async def test_work_is_shared_with_jobs_of_the_same_scenes(self, board: Board) -> None:
        first = await board.submit_outputs("tall", keys={"main": "p", "tall": "q"})
        await board.work()
        again = await board.submit_outputs("tall", keys={"main": "p", "tall": "q"})
        alone = await board.submit(scene_key="q")
        assert await board.work() == []
        for job in (first, again, alone):
            row = await board.job(job)
            assert (row.status, row.progress) == ("completed", 100)
        assert (await board.job(alone)).frames == 25
        assert (await board.job(again)).frames == 50

    async def test_a_result_that_another_job_makes_meanwhile_lets_the_next_plan_begin(self, board: Board) -> None:
        job = await board.submit_outputs("tall", "square", keys={"main": "p"})
        plan = await board.take("one")
        async with board.sessions.begin() as session:
            session.add(ArtefactRow(key=result_key("p", "video"), object="o", size=5))
        made = made_by(plan)
        assert made is None
        async with board.sessions() as session:
            row = await session.get_one(ArtefactRow, result_key("p", "video"))
        assert await board.tasks.complete(plan, as_artefact(row))
        plan = await board.take("two")
        assert (plan.kind, plan.job) == ("plan", part_id(job, "tall"))
        assert await board.tasks.claim("three") is None

    async def test_events_tell_of_all_outputs_in_order(self, board: Board) -> None:
        job = await board.submit_outputs("tall")
        await board.work()
        told = await board.events(job)
        assert [each["name"] for each in told[0]["outputs"]] == ["main", "tall"]
        assert "job" not in told[0]["outputs"][0]
        assert (told[0]["status"], told[-1]["status"]) == ("queued", "completed")
        assert [each["status"] for each in told].count("completed") == 1
        progress = [each["progress"] for each in told]
        assert progress == sorted(progress)
        assert all(before != after for before, after in pairwise(told)), "something is told twice"
        ready = next(each for each in told if each["outputs"][0]["status"] == "completed")
        assert ready["status"] == "rendering"
        assert await board.events(part_id(job, "main")) == []

    async def test_webhook_is_told_once(self, board: Board) -> None:
        await board.submit_outputs("tall", webhook_url="https://example.com")
        await board.work()
        assert await board.count(DeliveryRow) == 1

    async def test_progress_is_by_pixels(self, board: Board) -> None:
        job = await board.submit_outputs("tall")
        await board.do(await board.take())
        claim = await board.until("segment")
        assert claim.job == part_id(job, "main")
        await board.do(claim)
        own = (await part(board, job, "main")).progress
        assert own == 39
        weights = [width * height for width, height in (SIZES["main"], SIZES["tall"])]
        assert (await board.job(job)).progress == own * weights[0] // sum(weights)


class TestEnded:
    async def test_cancelling_cancels_all_and_keeps_what_is_complete(self, board: Board) -> None:
        job = await board.submit_outputs("tall", "square")
        claim = await board.take()
        while claim.job == part_id(job, "main") or claim.kind == "plan":
            await board.do(claim)
            claim = await board.take()
        assert await board.jobs.cancel(job)
        assert not await board.jobs.cancel(job)
        assert await statuses(board, job) == {"main": "completed", "tall": "cancelled", "square": "cancelled"}
        assert [(await part(board, job, name)).status for name in ("tall", "square")] == ["cancelled"] * 2
        assert not await board.renew(claim, 1)
        assert await board.tasks.claim("worker") is None

    async def test_an_output_that_fails_fails_the_job_and_stops_the_others(self, board: Board) -> None:
        job = await board.submit_outputs("tall", "square")
        await board.do(await board.take())
        plan = await board.until("plan")
        assert plan.job == part_id(job, "tall")
        assert await board.tasks.fail(plan, "it is broken")
        row = await board.job(job)
        assert (row.status, row.error) == ("failed", "tall: it is broken")
        assert await statuses(board, job) == {"main": "cancelled", "tall": "failed", "square": "cancelled"}
        assert await board.tasks.claim("worker") is None

    async def test_parts_that_were_left_open_are_not_worked_on_and_are_ended_later(self, board: Board) -> None:
        job = await board.submit_outputs("tall")
        claim = await board.take()
        async with board.sessions.begin() as session:
            (await session.get_one(JobRow, job)).status = "cancelled"  # and its process died just then
        assert not await board.renew(claim, 1)
        await board.tasks.requeue(claim)
        assert await board.tasks.claim("worker") is None
        assert await board.jobs.end_left_parts() == 2
        assert await board.jobs.end_left_parts() == 0
        assert [(await part(board, job, name)).status for name in ("main", "tall")] == ["cancelled"] * 2

    async def test_retry_renders_what_is_missing(self, board: Board) -> None:
        job = await board.submit_outputs("tall")
        claim = await board.take()
        while claim.job == part_id(job, "main") or claim.kind == "plan":
            await board.do(claim)
            claim = await board.take()
        await board.jobs.cancel(job)
        assert await board.jobs.retry(job)
        assert not await board.jobs.retry(job)
        assert await statuses(board, job) == {"main": "completed", "tall": "queued"}
        assert (await board.job(job)).status == "rendering"
        assert {claim.job for claim in await board.work()} == {part_id(job, "tall")}
        assert await board.status(job) == "completed"

    async def test_retry_after_a_failure_of_the_first_analyses_again_once(self, board: Board) -> None:
        job = await board.submit_outputs("tall")
        await board.tasks.fail(await board.take(), "broken")
        assert await board.jobs.retry(job)
        plan = await board.take("one")
        assert (plan.kind, await board.tasks.claim("two")) == ("plan", None)
        await board.do(plan)
        await board.work()
        row = await board.job(job)
        assert (row.status, row.error) == ("completed", None)

    async def test_retry_of_a_job_whose_outputs_are_all_complete_completes_it(self, board: Board) -> None:
        job = await board.submit_outputs("tall")
        await board.work()
        async with board.sessions.begin() as session:
            (await session.get_one(JobRow, job)).status = "cancelled"
        assert await board.jobs.retry(job)
        assert await board.status(job) == "completed"
        assert await board.work() == []

    async def test_a_worker_that_vanishes_loses_nothing(self, board: Board, clock: Clock) -> None:
        job = await board.submit_outputs("tall")
        await board.do(await board.take("dead"))
        held = [await board.take("dead") for _ in range(3)]
        clock.step(seconds=LEASE + 1)
        assert await board.tasks.expire_leases() == 3
        await board.work("alive")
        assert await board.status(job) == "completed"
        assert not await board.do(held[0])

    async def test_deleting_leaves_no_row_and_names_all_files(self, board: Board) -> None:
        job = await board.submit_outputs("tall", webhook_url="https://example.com")
        other = await board.submit(scene_key=f"{VERSION}{job[:8]}-main")
        await board.work()
        gone = await board.jobs.delete(job)
        assert gone is not None
        kept = {key for key in board.made if f"{VERSION}{job[:8]}-main" in key}
        assert {made.key for made in gone.artefacts} == board.made.keys() - kept
        scenes = {padded(f"{VERSION}{job[:8]}-{name}") for name in ("main", "tall")}
        assert {folder.split("/")[1] for folder in gone.folders} == scenes
        gone = await board.jobs.delete(other)
        assert gone is not None
        assert {made.key for made in gone.artefacts} == kept
        for table in (JobRow, TaskRow, ArtefactRow, DeliveryRow):
            assert await board.count(table) == 0
        assert await board.jobs.delete(job) is None

    @pytest.mark.parametrize("when", ["queued", "planned"])
    async def test_replanning_plans_one_first_again(self, board: Board, when: str) -> None:
        job = await board.submit_outputs("tall")
        if when == "planned":
            await board.do(await board.take())
        stranded, _ = await board.jobs.stranded_jobs(VERSION)
        assert {row.id for row in stranded} == {part_id(job, "main"), part_id(job, "tall")}
        for row in stranded:
            await board.jobs.replan(row, row.scene, f"{row.scene_key[:-1]}2")
        plan = await board.take("one")
        assert (plan.kind, await board.tasks.claim("two")) == ("plan", None)
        await board.do(plan)
        await board.work()
        assert await board.status(job) == "completed"


class TestCharged:
    async def test_every_output_is_charged_and_refunded(self, board: Board) -> None:
        async def used() -> float:
            async with board.sessions() as session:
                return await session.scalar(select(func.sum(UsageRow.seconds))) or 0.0

        job = await board.submit_outputs("tall", owner="o")
        assert await used() == 20.0
        await board.jobs.cancel(job)
        assert await used() == 0.0
        with pytest.raises(QuotaError, match="this is 30 s more"):
            await board.submit_outputs("tall", "square", owner="o", quotas=Quotas(rendered_seconds_per_day=25))

    async def test_a_job_counts_once_however_many_outputs_it_has(self, board: Board) -> None:
        quotas = Quotas(open_jobs=2)
        for _ in range(2):
            await board.submit_outputs("tall", "square", owner="o", quotas=quotas)
        with pytest.raises(QuotaError, match="2 jobs are open"):
            await board.submit_outputs(owner="o", quotas=quotas)

    async def test_outputs_take_their_turns_as_that_many_jobs_would(self, board: Board) -> None:
        await board.submit_outputs("tall", "square", fairness_key="many", song=None)
        other = await board.submit("one")
        done = [claim.job for claim in await board.work()]
        assert done.index(other) < 4
        assert max(number for number, job in enumerate(done) if job == other) < 12
