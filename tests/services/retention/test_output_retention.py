"""Outputs of a job expire, count and are repaired one by one, and are pruned with their job. On both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete

from services.database.models import JobRow, TallyChangeRow, TallyRow, TaskRow
from services.jobs.artefacts import touch
from services.jobs.lost_files import reopen
from services.jobs.outputs import outputs_shown, part_id
from services.retention.cap import Cap
from services.retention.pruning import Pruner
from services.retention.repair import repair
from services.storage.disk_admission import DiskAdmission, InsufficientStorageError, estimate_bytes
from services.storage.object_keys import result_key
from services.storage.usage import usage_by_owner
from tests.services.board import VERSION, padded
from tests.services.shelf import SIZE, Shelf

pytestmark = pytest.mark.anyio


async def rendered(shelf: Shelf, *names: str, **more: Any) -> str:
    job = await shelf.board.submit_outputs(*names, owner="alice", song=None, **more)
    await shelf.work()
    assert await shelf.board.status(job) == "completed"
    return job


def part_scene(job: str, name: str) -> str:
    """The scene key of an output, as the board makes it."""
    return padded(f"{VERSION}{job[:8]}-{name}")


async def expired(shelf: Shelf, job: str) -> dict[str, bool]:
    return {each["name"]: each["expired"] for each in outputs_shown(await shelf.board.job(job))}


async def test_each_output_counts_once_for_its_owner(shelf: Shelf) -> None:
    await rendered(shelf, "tall", "square")
    async with shelf.board.sessions() as session:
        assert await usage_by_owner(session) == [("alice", "video", 3, 3 * SIZE)]


async def test_an_output_that_is_used_stays_when_the_others_expire(shelf: Shelf) -> None:
    job = await rendered(shelf, "tall")
    await shelf.age(days=40)
    await touch(shelf.board.sessions, result_key(part_scene(job, "tall"), "video"))
    assert (await shelf.clear(keep_segments=0)).freed[("expired", "video")] == (1, SIZE)
    assert await expired(shelf, job) == {"main": True, "tall": False}
    row = await shelf.board.job(job)
    assert row.expired_at is not None
    assert (await shelf.board.job(part_id(job, "tall"))).expired_at is None
    await shelf.age(days=400)
    await touch(shelf.board.sessions, result_key(part_scene(job, "tall"), "video"))
    await shelf.clear()
    assert await shelf.board.count(JobRow) == 3, "it is listed as long as one of its outputs is there"
    await shelf.age(days=400)
    await shelf.clear()
    assert await shelf.board.count(JobRow) == 0
    assert shelf.files() == {}


async def test_outputs_are_videos_and_no_previews(shelf: Shelf) -> None:
    job = await rendered(shelf, "tall")
    await shelf.age(days=2)
    assert ("expired", "preview") not in (await shelf.clear()).freed
    assert await expired(shelf, job) == {"main": False, "tall": False}
    await shelf.whole()


async def test_quota_of_bytes_takes_outputs_one_by_one(shelf: Shelf) -> None:
    job = await rendered(shelf, "tall", "square")
    await shelf.age(days=1)
    await touch(shelf.board.sessions, result_key(f"{job[:8]}-square", "video"))
    await shelf.clear(keep_bytes=SIZE)
    assert await expired(shelf, job) == {"main": True, "tall": True, "square": False}
    await shelf.whole()


async def test_histories_of_outputs_are_pruned(shelf: Shelf) -> None:
    job = await rendered(shelf, "tall")
    await shelf.age(days=8)
    await Pruner(shelf.settings, shelf.board.sessions).prune(Cap())
    assert await shelf.board.count(TaskRow) == 0
    assert await shelf.board.count(JobRow) == 3
    assert len(await shelf.board.events(job)) == 1


async def test_repair_forgets_what_is_lost_and_plans_what_is_open(shelf: Shelf, database: str) -> None:
    done = await rendered(shelf, "tall")
    still_open = await shelf.board.submit_outputs("tall", song=None)
    for _ in range(4):
        await shelf.do(await shelf.board.take())
    lost = {key for key in shelf.files() if f"{part_scene(done, 'tall')}/video" in key}
    shelf.storage.delete(lost)
    repaired = await repair(database, shelf.storage)
    assert (repaired.artefacts, repaired.videos, repaired.jobs) == (1, 1, 2)
    assert await expired(shelf, done) == {"main": False, "tall": False}
    assert await reopen(shelf.board.sessions, done)
    await shelf.work()
    assert await shelf.board.status(done) == await shelf.board.status(still_open) == "completed"
    await shelf.whole()


async def test_a_song_that_is_gone_fails_the_job(shelf: Shelf, database: str) -> None:
    job = await shelf.board.submit_outputs("tall", "square")
    await repair(database, shelf.storage)
    row = await shelf.board.job(job)
    assert (row.status, row.error) == ("failed", "its song is gone")
    assert {(await shelf.board.job(part_id(job, name))).status for name in ("main", "tall", "square")} <= {
        "failed",
        "cancelled",
    }


async def test_room_is_kept_for_all_outputs(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"type": "snow", "audio": None, "quality": "standard"}
    config = {"width": 320, "height": 180, "fps": 30, "duration": 10.0}
    needed = estimate_bytes(spec | {"config": config}, 10.0)
    monkeypatch.setattr(shelf.storage, "free", lambda: 1_000_000 + 3 * needed)
    settings = shelf.settings.model_copy(update={"reserve": "1000000"})
    room = DiskAdmission(settings, shelf.board.sessions, shelf.storage)

    async def submit(number: int) -> None:
        common = {"system_id": "s", "fairness_key": "f", "priority": "normal", "output_path": "v.mp4", "owner": ""}
        whole = JobRow(id=f"whole-{number}", kind="video", scene=spec | {"config": config}, scene_key="k", **common)
        parts = [
            JobRow(
                **common,
                id=f"part-{number}-{name}",
                kind="output",
                whole_id=whole.id,
                scene=spec | {"config": config},
                scene_key=f"{number}-{name}",
                seconds=10.0,
            )
            for name in "ab"
        ]
        facts = {"width": 320, "height": 180, "format": "mp4"}
        whole.outputs = [{"name": part.id, "job": part.id, **facts} for part in parts]
        admit = await room.jobs_admission({part.id: 10.0 for part in parts})
        await shelf.board.jobs.submit(whole, tasks=1, parts=[(part, 3) for part in parts], admit=admit)

    await submit(1)
    with pytest.raises(InsufficientStorageError, match="are needed by open jobs"):
        await submit(2)


async def test_repair_counts_afresh(shelf: Shelf, database: str) -> None:
    await rendered(shelf, "tall")
    async with shelf.board.sessions.begin() as session:
        counted = await usage_by_owner(session)
        for table in (TallyRow, TallyChangeRow):
            await session.execute(delete(table))
        assert await usage_by_owner(session) == []
    await repair(database, shelf.storage)
    async with shelf.board.sessions() as session:
        assert await usage_by_owner(session) == counted
