"""The sound of a video is a task of its own: it begins with the segments, before them, and the join waits for it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete

from services.database.models import ArtefactRow
from services.storage.object_keys import result_key, sound_key
from tests.services.board import FRAMES, SONG, Board, made_by

pytestmark = pytest.mark.anyio

PARTS = ["plan", "sound", "segment", "segment", "segment", "join"]


async def test_is_made_before_the_segments(board: Board) -> None:
    job = await board.submit_with_song()
    assert [claim.kind for claim in await board.work()] == PARTS
    assert await board.status(job) == "completed"


async def test_can_begin_as_soon_as_the_plan_is_recorded(board: Board) -> None:
    await board.submit_with_song()
    plan = await board.take()
    row = await board.tasks.record_plan(plan, FRAMES)
    assert row is not None
    assert (row.kind, row.status) == ("sound", "ready")
    assert (await board.take("second")).kind == "sound"
    assert await board.tasks.claim("third") is None, "no snapshot is stored yet"
    assert await board.tasks.record_plan(plan, FRAMES) is None


async def test_pieces_are_made_side_by_side(board: Board) -> None:
    job = await board.submit_with_song()
    plan = await board.take()
    await board.tasks.record_plan(plan, FRAMES, sounds=2)
    pieces = [await board.take("first"), await board.take("second")]
    assert [(claim.kind, claim.number) for claim in pieces] == [("sound", 0), ("sound", 1)]
    await board.do(plan)
    assert await board.do(pieces[1])
    for claim in [await board.take() for _ in FRAMES]:
        await board.do(claim)
    assert await board.tasks.release_join(job) is None
    assert await board.do(pieces[0])
    made = await board.tasks.to_join(await board.take())
    assert [made["sound", number] for number in range(2)] == [[made_by(claim)] for claim in pieces]


async def test_join_waits_for_it(board: Board) -> None:
    job = await board.submit_with_song()
    await board.do(await board.take())
    sound = await board.take("slow")
    for claim in [await board.take() for _ in FRAMES]:
        await board.do(claim)
    row = await board.job(job)
    assert (row.stage, row.frames_done, row.progress) == ("rendering", sum(FRAMES), 99)
    assert await board.tasks.jobs_awaiting_join() == [job]
    assert await board.tasks.release_join(job) is None
    assert await board.do(sound)
    join = await board.take()
    assert (join.kind, (await board.job(job)).stage) == ("join", "joining")
    assert (await board.tasks.to_join(join))["sound", 0] == [made_by(sound)]


@pytest.mark.parametrize(
    "scene",
    [{"audio": None}, {"config": {"sound": False}}, {"config": {"format": "gif"}}, {"config": {"format": "png"}}],
    ids=str,
)
async def test_video_without_sound_has_no_such_task(board: Board, scene: dict[str, Any]) -> None:
    await board.submit_with_song(scene=scene)
    assert "sound" not in [claim.kind for claim in await board.work()]


async def test_that_is_there_is_not_made_again(board: Board) -> None:
    job = await board.submit_with_song()
    await board.work()
    row = await board.job(job)
    async with board.sessions.begin() as session:
        await session.execute(delete(ArtefactRow).where(ArtefactRow.key == result_key(row.scene_key, row.kind)))
    board.made.clear()
    again = await board.submit_with_song(scene_key=row.scene_key)
    assert [claim.kind for claim in await board.work()] == ["plan", "join"]
    async with board.sessions.begin() as session:
        for key in (result_key(row.scene_key, row.kind), sound_key(row.scene_key, 0)):
            await session.execute(delete(ArtefactRow).where(ArtefactRow.key == key))
    board.made.clear()
    await board.submit_with_song(scene_key=row.scene_key)
    assert [claim.kind for claim in await board.work()] == ["plan", "sound", "join"]
    assert await board.status(again) == "completed"


async def test_of_outputs_is_made_for_each(board: Board) -> None:
    job = await board.submit_outputs("tall", song=SONG)
    assert sorted(claim.kind for claim in await board.work()) == sorted(2 * PARTS)
    assert await board.status(job) == "completed"


async def test_whose_job_is_cancelled_counts_no_more(board: Board) -> None:
    job = await board.submit_with_song()
    await board.do(await board.take())
    sound = await board.take()
    assert sound.kind == "sound"
    await board.jobs.cancel(job)
    assert await board.tasks.renew([(sound, 50)]) == [sound]
    await board.jobs.retry(job)
    assert not await board.do(sound)
    assert [claim.kind for claim in await board.work()] == PARTS
