"""Jobs whose files were lost begin again: nobody is charged, nothing is told twice, and it ends at some point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from services.auth.quotas import Quotas
from services.database.models import ArtefactRow, AudioRow, DeliveryRow, TaskRow, UsageRow
from services.jobs import lost_files
from services.jobs.artefacts import Artefact, find_artefact
from services.jobs.lost_files import MAX_REMADE, forget, intact, make_again, plan_again, reopen
from services.jobs.outputs import part_id
from services.storage.object_keys import poster_key, result_key, segment_key, sound_key
from tests.services.board import FRAMES, SONG, Board, together
from tests.services.shelf import Shelf

pytestmark = pytest.mark.anyio


async def lose(board: Board, *keys: str) -> list[Artefact]:
    """Forget artefacts, as if their files had been lost; what they were."""
    found = [await find_artefact(board.sessions, key) for key in keys]
    made = [each for each in found if each is not None]
    await forget(board.sessions, made)
    board.made.clear()
    return made


async def lose_result(board: Board, job: str) -> None:
    row = await board.job(job)
    assert await lose(board, result_key(row.scene_key, row.kind))


async def seconds_charged(board: Board) -> float:
    async with board.sessions() as session:
        return sum(await session.scalars(select(UsageRow.seconds)))


async def told(board: Board, job: str) -> Sequence[str]:
    async with board.sessions() as session:
        return list(await session.scalars(select(DeliveryRow.event).where(DeliveryRow.job_id == job)))


class TestIntact:
    async def test_forgets_what_is_gone_or_of_another_size(self, shelf: Shelf) -> None:
        job = await shelf.board.job(await shelf.rendered())
        key = result_key(job.scene_key, job.kind)
        made = await intact(shelf.board.sessions, shelf.storage, key)
        assert made is not None
        shelf.put(made.object, made.size - 1)
        assert await intact(shelf.board.sessions, shelf.storage, key) is None
        assert await find_artefact(shelf.board.sessions, key) is None

    async def test_spares_what_has_taken_its_place(self, shelf: Shelf) -> None:
        job = await shelf.board.job(await shelf.rendered())
        key = result_key(job.scene_key, job.kind)
        await forget(shelf.board.sessions, [Artefact(key, "the file of another attempt", 1)])
        assert await find_artefact(shelf.board.sessions, key) is not None


class TestReopen:
    async def test_completes_again_from_what_is_there(self, board: Board) -> None:
        job = await board.submit()
        await board.work()
        await lose_result(board, job)
        assert await reopen(board.sessions, job)
        assert await board.status(job) == "queued"
        assert [claim.kind for claim in await board.work()] == ["plan", "join"]
        row = await board.job(job)
        assert (row.status, row.progress, row.frames_done) == ("completed", 100, sum(FRAMES))

    async def test_does_nothing_where_nothing_was_lost(self, board: Board) -> None:
        job = await board.submit()
        assert not await reopen(board.sessions, job)
        await board.work()
        async with board.sessions.begin() as session:
            key = poster_key((await board.job(job)).scene_key)
            session.add(ArtefactRow(key=key, object="poster", size=1))
        assert not await reopen(board.sessions, job)
        assert not await reopen(board.sessions, "no such job")
        assert await board.status(job) == "completed"

    async def test_at_the_same_time_begins_once(self, board: Board) -> None:
        job = await board.submit()
        await board.work()
        await lose_result(board, job)
        assert sorted(await together(*(reopen(board.sessions, job) for _ in range(4)))) == [False] * 3 + [True]
        assert (await board.job(job)).remade == 1

    @pytest.mark.parametrize("end", ["completed", "cancelled", "retried"])
    async def test_is_neither_charged_nor_refunded(self, board: Board, end: str) -> None:
        job = await board.submit(owner="alice", seconds=10.0)
        await board.work()
        other = await board.submit(owner="alice", seconds=10.0, scene_key=(await board.job(job)).scene_key)
        assert (await board.status(other), await seconds_charged(board)) == ("completed", 10.0)
        await lose_result(board, job)
        for each in (job, other):
            assert await reopen(board.sessions, each)
            if end != "completed":
                assert await board.jobs.cancel(each)
            if end == "retried":
                assert await board.jobs.retry(each, quotas=Quotas(rendered_seconds_per_day=10.0))
        await board.work()
        assert await seconds_charged(board) == 10.0
        assert await board.status(other) == ("cancelled" if end == "cancelled" else "completed")

    async def test_is_not_told_twice(self, board: Board) -> None:
        job = await board.submit(webhook_url="https://example.com")
        await board.work()
        await lose_result(board, job)
        await reopen(board.sessions, job)
        await board.work()
        assert await told(board, job) == ["job.completed"]
        await lose_result(board, job)
        await reopen(board.sessions, job)
        await board.jobs.cancel(job)
        await board.jobs.retry(job)
        await board.work()
        assert sorted(await told(board, job)) == ["job.cancelled", "job.completed", "job.completed"]

    async def test_of_outputs_begins_those_that_lost_theirs(self, board: Board) -> None:
        job = await board.submit_outputs("tall", webhook_url="https://example.com")
        await board.work()
        main, tall = (part_id(job, name) for name in ("main", "tall"))
        async with board.sessions.begin() as session:
            key = poster_key((await board.job(main)).scene_key)
            session.add(ArtefactRow(key=key, object="poster", size=1))
        await lose_result(board, tall)
        assert await reopen(board.sessions, job)
        assert [await board.status(each) for each in (main, tall)] == ["completed", "queued"]
        outputs = {each["name"]: each["status"] for each in (await board.job(job)).outputs or ()}
        assert outputs == {"main": "completed", "tall": "queued"}
        await board.work()
        assert [await board.status(each) for each in (job, main, tall)] == ["completed"] * 3
        assert await told(board, job) == ["job.completed"]

    async def test_fails_where_the_song_is_gone(self, shelf: Shelf) -> None:
        board = shelf.board
        job = await board.submit_outputs(song=SONG)
        await board.work()
        await lose_result(board, part_id(job, "main"))
        async with board.sessions.begin() as session:
            await session.delete(await session.get_one(AudioRow, SONG))
        assert await reopen(board.sessions, job)
        row = await board.job(job)
        assert (row.status, row.error) == (
            "failed",
            "its result was lost and cannot be made again: the song is gone; upload it again",
        )

    async def test_too_often_fails(self, board: Board) -> None:
        job = await board.submit()
        await board.work()
        for _ in range(MAX_REMADE + 1):
            assert await board.status(job) == "completed"
            await lose_result(board, job)
            await reopen(board.sessions, job)
            await board.work()
        row = await board.job(job)
        assert (row.status, "files of it were lost in storage 4 times" in (row.error or "")) == ("failed", True)


class TestMakeAgain:
    async def test_makes_a_join_wait_for_the_segments_that_it_lacks(self, board: Board) -> None:
        job = await board.submit()
        join = await board.until("join")
        gone = await lose(board, segment_key(join.scene_key, 1))
        files = await board.tasks.to_join(join)
        assert [(number, made is None) for (_, number), [made] in files.items()] == [(0, False), (1, True), (2, False)]
        assert await make_again(board.sessions, join, [("segment", 1)], gone)
        row = await board.job(job)
        assert (row.stage, row.frames_done) == ("rendering", FRAMES[0] + FRAMES[2])
        assert not await board.renew(join, 50), "the join is given back"
        claims = await board.work()
        assert [(claim.kind, claim.number, claim.attempt) for claim in claims] == [("segment", 1, 2), ("join", 0, 2)]
        assert await board.status(job) == "completed"

    async def test_does_nothing_for_a_claim_that_was_lost(self, board: Board) -> None:
        job = await board.submit()
        join = await board.until("join")
        await board.tasks.requeue(join)
        assert not await make_again(board.sessions, join, [("segment", 1)], [])
        assert (await board.job(job)).remade == 0

    async def test_too_often_fails(self, board: Board) -> None:
        job = await board.submit()
        for _ in range(MAX_REMADE + 1):
            join = await board.until("join")
            board.made.clear()
            assert await make_again(board.sessions, join, [("segment", 0)], [])
        row = await board.job(job)
        assert (row.status, "now segment 0" in (row.error or "")) == ("failed", True)
        assert await board.work() == []

    async def test_makes_a_join_wait_for_the_sound(self, board: Board) -> None:
        job = await board.submit_with_song()
        join = await board.until("join")
        gone = await lose(board, sound_key(join.scene_key, 0))
        assert (await board.tasks.to_join(join))["sound", 0] == [None]
        assert await make_again(board.sessions, join, [("sound", 0)], gone)
        assert await board.tasks.release_join(job) is None
        claims = await board.work()
        assert [(claim.kind, claim.number, claim.attempt) for claim in claims] == [("sound", 0, 2), ("join", 0, 2)]
        assert await board.status(job) == "completed"


class TestPlanAgain:
    async def test_keeps_what_is_rendered(self, board: Board) -> None:
        job = await board.submit()
        await board.do(await board.until("segment"))
        segment, other = await board.take(), await board.take("other")
        gone = await plan_again(board.sessions, segment)
        assert gone is not None
        assert gone.folders == (f"scenes/{segment.scene_key}/plans/{segment.plan}/",)
        assert not gone.artefacts
        assert await plan_again(board.sessions, other) is None, "it was planned again already"
        assert [claim.kind for claim in await board.work()] == ["plan", "segment", "segment", "join"]
        row = await board.job(job)
        assert (row.status, row.remade) == ("completed", 1)

    async def test_too_often_fails(self, board: Board) -> None:
        job = await board.submit()
        for _ in range(MAX_REMADE + 1):
            await plan_again(board.sessions, await board.until("segment"))
        row = await board.job(job)
        assert (row.status, "now its plan" in (row.error or "")) == ("failed", True)
        async with board.sessions() as session:
            left = select(TaskRow).where(TaskRow.job_id == job, TaskRow.status.in_(("ready", "waiting")))
            assert not (await session.scalars(left)).all()


async def test_a_lost_result_is_rendered_for_nothing_by_the_next_who_asks(shelf: Shelf) -> None:
    board = shelf.board
    first = await shelf.rendered(scene="the scene", seconds=10.0)
    scene_key = (await board.job(first)).scene_key
    key = result_key(scene_key, "video")
    made = await find_artefact(board.sessions, key)
    assert made is not None
    shelf.storage.delete([made.object])
    asked: Any = type("Asked", (), {"scene_key": scene_key, "kind": "video", "reopened_at": None})()
    await lost_files.forget_lost_results(board.sessions, shelf.storage, [asked])
    second = await shelf.submit(scene="the scene", seconds=10.0, reopened_at=asked.reopened_at)
    assert await board.status(second) == "queued"
    await shelf.work()
    assert await board.status(second) == "completed"
    assert await seconds_charged(board) == 10.0
