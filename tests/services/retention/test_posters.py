"""A poster is a file of its own, but it counts, stays and goes with its video. On both databases."""

from __future__ import annotations

import pytest

from services.database.models import JobRow
from services.jobs.artefacts import Artefact, find_artefact
from services.retention.repair import repair
from services.storage.object_keys import attempt_key, poster_key, result_key
from services.storage.usage import usage_by_kind, usage_by_owner
from tests.services.board import made_by
from tests.services.shelf import SIZE, Shelf

pytestmark = pytest.mark.anyio
POSTER = 207  # bytes


async def rendered(shelf: Shelf, owner: str = "alice", scene: str | None = None) -> JobRow:
    """A job that is completed, with a video and a poster."""
    job = await shelf.submit(owner, scene)
    while (claim := await shelf.board.tasks.claim("worker")) is not None:
        if claim.kind != "join":
            await shelf.do(claim)
            continue
        video, key = made_by(claim), poster_key(claim.scene_key)
        assert video is not None
        poster = Artefact(key, attempt_key(key, claim.task, claim.attempt), POSTER)
        for each in (video, poster):
            shelf.put(each.object, each.size)
        assert await shelf.board.tasks.complete(claim, video, poster)
    return await shelf.board.job(job)


async def has_poster(shelf: Shelf, job: JobRow) -> bool:
    made = await find_artefact(shelf.board.sessions, poster_key(job.scene_key))
    assert made is None or made.object in shelf.files()
    return made is not None


async def test_counts_with_its_video_for_every_owner(shelf: Shelf) -> None:
    first, second = await rendered(shelf, "alice", "scene"), await rendered(shelf, "bob", "scene")
    assert (first.size, second.size) == (SIZE + POSTER, SIZE + POSTER)
    async with shelf.board.sessions() as session:
        assert sorted(await usage_by_owner(session)) == [
            ("alice", "video", 1, SIZE + POSTER),
            ("bob", "video", 1, SIZE + POSTER),
        ]
        assert sorted(await usage_by_kind(session)) == [
            ("", "answer", 0, 0),
            ("", "asset", 0, 0),
            ("", "correction", 0, 0),
            ("", "poster", 1, POSTER),
            ("", "segment", 3, 3 * SIZE),
            ("", "song", 0, 0),
            ("", "song analysis", 0, 0),
            ("", "system", 0, 0),
            ("", "upload", 0, 0),
            ("", "video", 1, SIZE),
        ]


async def test_expires_with_its_video(shelf: Shelf) -> None:
    job = await rendered(shelf)
    await shelf.age(days=1)
    recent = await rendered(shelf)
    report = await shelf.clear(keep_videos=600, keep_segments=600)
    assert report.freed["expired", "video"] == (1, SIZE + POSTER)
    assert not await has_poster(shelf, job)
    assert await has_poster(shelf, recent)
    assert not [key for key in shelf.files() if job.scene_key in key]
    assert (await shelf.board.job(job.id)).expired_at is not None


async def test_goes_with_its_video_when_an_owner_is_over_the_quota(shelf: Shelf) -> None:
    old = await rendered(shelf)
    await shelf.age(days=1)
    new = await rendered(shelf)
    report = await shelf.clear(keep_bytes=SIZE + POSTER)
    assert report.freed["quota", "video"] == (1, SIZE + POSTER)
    assert not await has_poster(shelf, old)
    assert await has_poster(shelf, new)


async def test_stays_while_another_job_has_the_scene(shelf: Shelf) -> None:
    first, second = await rendered(shelf, "alice", "scene"), await rendered(shelf, "bob", "scene")
    for job, left in ((first, True), (second, False)):
        gone = await shelf.board.jobs.delete(job.id)
        assert gone is not None
        assert (poster_key(job.scene_key) in {each.key for each in gone.artefacts}) is not left
        assert await has_poster(shelf, job) is left


async def test_of_an_attempt_that_was_too_late_is_an_orphan(shelf: Shelf) -> None:
    job = await rendered(shelf)
    late = attempt_key(poster_key(job.scene_key), job.id, 7)
    shelf.put(late, POSTER)
    await shelf.age(days=1)
    report = await shelf.clear(keep_orphans=600)
    assert report.freed["leftover", "file"] == (1, POSTER)
    assert late not in shelf.files()
    assert await has_poster(shelf, job)


async def test_is_not_published_where_the_video_does_not_count(shelf: Shelf) -> None:
    await shelf.submit()
    while (claim := await shelf.board.tasks.claim("worker")) is not None and claim.kind != "join":
        await shelf.do(claim)
    assert claim is not None
    await shelf.board.tasks.requeue(claim)
    video, key = made_by(claim), poster_key(claim.scene_key)
    assert video is not None
    assert not await shelf.board.tasks.complete(claim, video, Artefact(key, "late.png", POSTER))
    assert await find_artefact(shelf.board.sessions, key) is None


async def test_does_not_outlast_a_video_that_a_restored_storage_lacks(shelf: Shelf, database: str) -> None:
    job = await rendered(shelf)
    made = await find_artefact(shelf.board.sessions, result_key(job.scene_key, "video"))
    assert made is not None
    shelf.storage.delete([made.object])
    repaired = await repair(database, shelf.storage)
    assert repaired.videos == 1
    assert not await has_poster(shelf, job)
