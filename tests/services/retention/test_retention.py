"""What goes and what stays, on both databases: by age, by owner, by room; orphans; old rows; and all of it in races."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fastapi import HTTPException, Request
from sqlalchemy import func, select, update
from starlette.types import Message

from ecs_core import SceneError
from services.api.routes.uploads import receive_upload
from services.auth.api_keys import Caller
from services.database.clock import DatabaseClock
from services.database.engine import open_database
from services.database.leases import acquire
from services.database.models import (
    AudioRow,
    DeliveryRow,
    EventRow,
    IdempotencyRow,
    JobRow,
    LeaseRow,
    TaskRow,
    UploadRow,
    new_id,
)
from services.jobs.artefacts import find_artefact, touch
from services.observability import metrics
from services.retention.deletion import Deleter
from services.retention.janitor import BusyError, Janitor
from services.storage.disk_admission import DiskAdmission, InsufficientStorageError, estimate_bytes
from services.storage.object_keys import audio_key, result_key, scene_folder
from services.storage.object_store import Storage
from services.storage.usage import stored_bytes, usage_by_kind, usage_by_owner
from services.storage.work_folders import work_folder
from tests.services.board import Board, together
from tests.services.moments import now
from tests.services.shelf import HEARD, PLAN, SIZE, Shelf, settings_for

pytestmark = pytest.mark.anyio
BOB = Caller("bob", "key", frozenset({"render"}), {})


@pytest.fixture
async def cloud(
    s3_server: dict[str, str], _sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shelf]:
    """SQLite, an object store."""
    import shutil

    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    database = f"sqlite+aiosqlite:///{shutil.copy(_sqlite_template, tmp_path / 'motes.db')}"
    engine, sessions = open_database(database)
    url = f"s3://motes/{tmp_path.name}"
    yield Shelf(Board(sessions), Storage(url), settings_for(tmp_path, database, url))
    await engine.dispose()


class TestAge:
    async def test_expired_video_is_deleted_and_its_job_is_kept(self, shelf: Shelf) -> None:
        old = await shelf.rendered(scene="old")
        await shelf.age(days=2)
        new = await shelf.rendered(scene="new")
        await shelf.age(days=29)
        report = await shelf.clear(keep_segments=0)
        assert report.freed[("expired", "video")] == (1, SIZE)
        row = await shelf.board.job(old)
        assert row.status == "completed"
        assert row.expired_at is not None
        assert (await shelf.board.job(new)).expired_at is None
        assert [key for key in shelf.files() if "/video." in key] == [
            key for key in await shelf.artefacts() if "/video." in key
        ]
        await shelf.whole()

    async def test_expired_scene_can_be_rendered_again(self, shelf: Shelf) -> None:
        old = await shelf.rendered(scene="scene")
        await shelf.age(days=40)
        await shelf.clear()
        assert not await shelf.artefacts()
        again = await shelf.rendered(scene="scene")
        assert [claim.kind for claim in await shelf.board.tasks_of(again)].count("segment") == 3
        assert (await shelf.board.job(again)).expired_at is None
        assert (await shelf.board.job(old)).expired_at is not None
        await shelf.whole()

    async def test_use_renews_a_result(self, shelf: Shelf) -> None:
        first = await shelf.rendered(scene="rendered again")
        second = await shelf.rendered(scene="downloaded")
        await shelf.age(days=40)
        await shelf.rendered(scene="rendered again")
        await touch(shelf.board.sessions, result_key((await shelf.board.job(second)).scene_key, "video"))
        assert (await shelf.clear(keep_segments=0)).freed.keys() == {("expired", "plan")}
        assert (await shelf.board.job(first)).expired_at is None
        await shelf.whole()

    async def test_previews_and_frames_expire_sooner_with_their_jobs(self, shelf: Shelf) -> None:
        for kind in ("frame", "preview", "video"):
            await shelf.rendered(kind=kind)
        await shelf.age(hours=25)
        report = await shelf.clear(keep_segments=0)
        assert report.freed[("expired", "preview")] == report.freed[("expired", "frame")] == (1, SIZE)
        async with shelf.board.sessions() as session:
            assert list(await session.scalars(select(JobRow.kind))) == ["video"]
        await shelf.whole()

    async def test_preview_shared_with_a_video_is_kept_as_a_video(self, shelf: Shelf) -> None:
        await shelf.rendered(scene="scene", kind="preview")
        await shelf.rendered("bob", scene="scene", kind="video")
        await shelf.age(days=2)
        assert ("expired", "preview") not in (await shelf.clear()).freed
        await shelf.whole()

    async def test_unused_segments_and_plans_are_deleted(self, shelf: Shelf) -> None:
        await shelf.rendered()
        failed, still_open = await shelf.submit(), ""
        await shelf.do(await shelf.board.take())
        await shelf.do(await shelf.board.take())
        await shelf.board.jobs.fail(failed, "broken")
        still_open = await shelf.submit()
        await shelf.do(await shelf.board.take())
        await shelf.do(await shelf.board.take())
        await shelf.age(days=2)
        before = shelf.files()
        report = await shelf.clear()
        assert report.freed == {("expired", "segment"): (2, 4 * SIZE), ("expired", "plan"): (8, 2 * PLAN)}
        assert report.bytes == sum(before.values()) - sum(shelf.files().values())
        await shelf.work()
        assert await shelf.board.status(still_open) == "completed"
        assert await shelf.board.jobs.retry(failed)
        await shelf.work()
        assert await shelf.board.status(failed) == "completed"
        await shelf.whole()

    async def test_unused_sound_is_deleted_with_the_segments(self, shelf: Shelf) -> None:
        await shelf.board.submit_with_song()
        await shelf.work()
        assert [key for key in shelf.files() if "/segments/sound-" in key]
        await shelf.age(days=2)
        assert (await shelf.clear()).freed["expired", "segment"] == (1, 4 * SIZE)
        assert not [key for key in shelf.files() if "/segments/" in key]

    async def test_song_expires_per_owner_and_is_deleted_with_the_last(self, shelf: Shelf) -> None:
        song = await shelf.song("song", "alice", "bob")
        await shelf.age(days=31)
        async with shelf.board.sessions.begin() as session:
            await session.execute(update(UploadRow).where(UploadRow.owner == "bob").values(used_at=now()))
        assert (await shelf.clear(keep_analyses=0)).freed == {("expired", "song"): (1, 0)}
        assert await shelf.owners_of(song) == {"bob"}
        assert audio_key(song) in shelf.files()
        await shelf.age(days=31)
        assert (await shelf.clear()).freed == {("expired", "song"): (1, 500 + HEARD)}
        assert shelf.files() == {}
        assert await shelf.board.count(AudioRow) == 0

    async def test_song_of_an_open_job_is_kept(self, shelf: Shelf) -> None:
        song = await shelf.song("song", "alice")
        job = await shelf.submit(scene="s")
        async with shelf.board.sessions.begin() as session:
            await session.execute(
                update(JobRow).where(JobRow.id == job).values(scene={"type": "snow", "audio": song}, audio=song)
            )
        await shelf.age(days=400)
        await shelf.clear(keep_jobs=0)
        assert await shelf.owners_of(song) == {"alice"}
        await shelf.work()
        await shelf.clear()
        assert await shelf.owners_of(song) == set()

    async def test_job_with_a_deleted_song_is_refused(self, shelf: Shelf) -> None:
        job = JobRow(id="j", fairness_key="f", kind="video", priority="normal", system_id="s", output_path="v.mp4")
        job.scene, job.scene_key = {"type": "snow", "audio": "0" * 64}, "k"
        with pytest.raises(SceneError, match="the song is gone; upload it again"):
            await shelf.board.jobs.submit(job, tasks=1)
        assert await shelf.board.count(JobRow) == 0

    async def test_unlimited_age_deletes_nothing(self, shelf: Shelf) -> None:
        await shelf.rendered()
        await shelf.rendered(kind="frame")
        await shelf.song("song", "alice")
        await shelf.age(days=10_000)
        before = shelf.files()
        ages = dict.fromkeys(("keep_videos", "keep_previews", "keep_segments", "keep_analyses"), 0)
        ages |= dict.fromkeys(("keep_uploads", "keep_jobs"), 0)
        report = await shelf.janitor(**ages).collect(thorough=False)
        assert (report.freed, shelf.files()) == ({}, before)


class TestOwnerQuota:
    async def test_excess_is_deleted_least_recently_used_first(self, shelf: Shelf) -> None:
        jobs = []
        for number in range(4):
            jobs.append(await shelf.rendered(scene=f"alice {number}"))
            await shelf.age(days=1)
        song = await shelf.song("song", "alice")
        theirs = await shelf.rendered("bob")
        await shelf.clear(keep_bytes=2 * SIZE + 500, keep_segments=0)
        gone = [(await shelf.board.job(job)).expired_at is not None for job in jobs]
        assert gone == [True, True, False, False]
        assert (await shelf.board.job(theirs)).expired_at is None
        assert await shelf.owners_of(song) == {"alice"}
        async with shelf.board.sessions() as session:
            assert await stored_bytes(session, "alice") == 2 * SIZE + 500 + HEARD
            assert await stored_bytes(session, "bob") == SIZE
        await shelf.whole()

    async def test_shared_artefacts_are_kept_for_the_other_owner(self, shelf: Shelf) -> None:
        mine, theirs = await shelf.rendered("alice", "scene"), await shelf.rendered("bob", "scene")
        song = await shelf.song("song", "alice", "bob")
        await shelf.age(hours=1)
        for _ in range(2):
            await shelf.rendered("alice")
        await shelf.age(hours=1)
        report = await shelf.clear(keep_bytes=2 * SIZE)
        assert report.freed[("quota", "video")] == (1, 0)
        assert report.freed[("quota", "song")] == (1, 0)
        assert (await shelf.board.job(mine)).expired_at is not None
        assert (await shelf.board.job(theirs)).expired_at is None
        assert await shelf.owners_of(song) == {"bob"}
        await shelf.whole()

    async def test_song_and_scene_of_one_name_are_told_apart(self, shelf: Shelf) -> None:
        song = await shelf.song("name", "bob")
        await shelf.age(hours=1)
        jobs = [await shelf.rendered("alice", "name"), await shelf.rendered("alice")]
        await shelf.age(hours=1)
        report = await shelf.clear(keep_bytes=SIZE, keep_segments=0)
        assert report.freed[("quota", "video")] == (1, SIZE)
        assert ("quota", "song") not in report.freed
        assert [(await shelf.board.job(job)).expired_at is not None for job in jobs] == [True, False]
        assert await shelf.owners_of(song) == {"bob"}

    async def test_minimum_age_is_respected(self, shelf: Shelf) -> None:
        await shelf.rendered()
        await shelf.song("song", "alice")
        before = shelf.files()
        await shelf.clear(keep_bytes=1, keep_at_least=60)
        assert shelf.files() == before

    async def test_usage_is_reported_by_kind_and_owner(self, shelf: Shelf) -> None:
        await shelf.rendered("alice", "scene")
        await shelf.rendered("bob", "scene")
        await shelf.rendered("bob", kind="frame")
        await shelf.song("song", "bob")
        async with shelf.board.sessions() as session:
            assert sorted(await usage_by_owner(session)) == [
                ("alice", "video", 1, SIZE),
                ("bob", "frame", 1, SIZE),
                ("bob", "song", 1, 500),
                ("bob", "song analysis", 1, HEARD),
                ("bob", "video", 1, SIZE),
            ]
            assert sorted(await usage_by_kind(session)) == [
                ("", "answer", 0, 0),
                ("", "asset", 0, 0),
                ("", "correction", 0, 0),
                ("", "frame", 1, SIZE),
                ("", "segment", 3, 3 * SIZE),
                ("", "song", 1, 500),
                ("", "song analysis", 1, HEARD),
                ("", "system", 0, 0),
                ("", "upload", 0, 0),
                ("", "video", 1, SIZE),
            ]


class TestLowDiskSpace:
    async def test_unused_files_are_deleted_first_then_least_recently_used(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        song = await shelf.song("song", "alice")
        await shelf.age(minutes=1)
        old = await shelf.rendered()
        await shelf.age(minutes=1)
        new = await shelf.rendered()
        await shelf.rendered(kind="frame")
        await shelf.age(minutes=1)
        disk = 10 * SIZE + 1000  # of which that is what is free when everything is gone

        def free() -> int:
            return disk - sum(size for key, size in shelf.files().items() if "plans" not in key)

        monkeypatch.setattr(shelf.storage, "free", free)
        for more in (1, 3 * SIZE):
            report = await shelf.janitor(keep_free=str(free() + more)).collect(thorough=False)
            assert report.freed == {("room", "segment"): (1, 3 * SIZE)}
        report = await shelf.janitor(keep_free=str(free() + SIZE + 500)).collect(thorough=False)
        assert report.freed == {("room", "frame"): (1, SIZE), ("room", "song"): (1, 500 + HEARD)}
        assert await shelf.owners_of(song) == set()
        report = await shelf.janitor(keep_free=str(free() + 1)).collect(thorough=False)
        assert report.freed == {("room", "video"): (1, SIZE)}
        assert (await shelf.board.job(old)).expired_at is not None
        assert (await shelf.board.job(new)).expired_at is None
        await shelf.whole()

    async def test_artefacts_of_open_jobs_are_kept(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        job = await shelf.submit()
        await shelf.do(await shelf.board.take())
        await shelf.do(await shelf.board.take())
        await shelf.age(days=1)
        before = shelf.files()
        monkeypatch.setattr(shelf.storage, "free", lambda: 0)
        assert (await shelf.clear(keep_free="10%")).freed == {}
        assert shelf.files() == before
        await shelf.work()
        assert await shelf.board.status(job) == "completed"


class TestOrphans:
    async def test_untracked_files_are_deleted_after_a_delay(self, shelf: Shelf) -> None:
        job = await shelf.rendered()
        scene = scene_folder((await shelf.board.job(job)).scene_key)
        task = "0" * 36
        lost = [f"{scene}segments/7.{task}.1.mp4", f"{scene}video.{task}.3.mp4", f"scenes/{'f' * 64}/plan.npz"]
        lost += [audio_key("a" * 64), f"analyses/{'b' * 64}/version.npz"]
        for key in lost:
            shelf.put(key, 10)
        elsewhere = shelf.storage.scratch.parent / "notes.txt"
        elsewhere.write_text("not ours")
        assert (await shelf.clear()).freed == {}  # they are new
        await shelf.age(hours=2)
        report = await shelf.clear()
        assert report.freed[("leftover", "file")] == (5, 50)
        assert not set(lost) & shelf.files().keys()
        assert elsewhere.exists()
        await shelf.whole()

    async def test_files_of_a_running_attempt_are_kept_after_its_job_ends(self, shelf: Shelf) -> None:
        job = await shelf.submit()
        await shelf.do(await shelf.board.take())
        claim = await shelf.board.take()
        await shelf.board.jobs.cancel(job)
        from tests.services.board import made_by

        made = made_by(claim)
        assert made is not None
        shelf.put(made.object, made.size)
        await shelf.age(hours=20)  # a laptop was closed in the meantime
        await shelf.clear()
        assert await shelf.board.tasks.finish(claim, made)
        await shelf.whole()

    async def test_work_folders_of_dead_processes_are_deleted(self, shelf: Shelf) -> None:
        with work_folder(shelf.storage.scratch, "alive") as alive:
            (alive / "half").write_bytes(bytes(10))
            machine, _, rest = alive.name.removeprefix("alive.").partition(".")
            dead = shelf.storage.scratch / f"dead.{machine}.{2**31}.{rest.partition('.')[2]}"
            dead.mkdir()
            (dead / "half").write_bytes(bytes(20))
            assert (await shelf.clear()).freed == {("leftover", "workplace"): (1, 20)}
            assert (dead.exists(), (alive / "half").exists()) == (False, True)

    async def test_song_without_owners_is_deleted(self, shelf: Shelf) -> None:
        await shelf.song("song")
        assert (await shelf.clear()).freed == {}
        await shelf.age(hours=2)
        assert (await shelf.clear()).freed == {("leftover", "song"): (1, 500 + HEARD)}
        assert shelf.files() == {}

    async def test_in_an_object_store(self, cloud: Shelf) -> None:
        job = await cloud.rendered(scene="scene")
        song = await cloud.song("song", "alice")
        task, scene = "0" * 36, scene_folder((await cloud.board.job(job)).scene_key)
        cloud.put(f"{scene}segments/7.{task}.1.mp4", 10)
        cloud.put(audio_key("a" * 64), 10)
        janitor = cloud.janitor(keep_segments=0)
        janitor._orphans._grace = timedelta(seconds=-60)
        report = await janitor.collect(thorough=True)
        assert report.freed == {("leftover", "file"): (2, 20), ("expired", "plan"): (4, PLAN)}
        await cloud.whole()
        await cloud.age(days=40)
        report = await cloud.clear()
        assert report.bytes == 4 * SIZE + 500 + HEARD
        assert cloud.files() == {}
        assert await cloud.owners_of(song) == set()


class TestRows:
    async def test_old_history_is_reduced_to_the_final_event(self, shelf: Shelf) -> None:
        old = await shelf.rendered(webhook_url="https://example.org/x")
        pending = await shelf.rendered(webhook_url="https://example.org/x")
        async with shelf.board.sessions.begin() as session:
            await session.execute(update(DeliveryRow).where(DeliveryRow.job_id == old).values(status="delivered"))
        await shelf.age(days=8)
        new = await shelf.rendered()
        events = await shelf.board.events(new)
        report = await shelf.clear()
        assert report.rows["histories"] == 2
        assert [event["status"] for event in await shelf.board.events(old)] == ["completed"]
        assert await shelf.board.events(new) == events
        assert (await shelf.board.tasks_of(old), len(await shelf.board.tasks_of(new))) == ([], 5)
        async with shelf.board.sessions() as session:
            assert list(await session.scalars(select(DeliveryRow.job_id))) == [pending]
        assert (await shelf.clear()).rows["histories"] == 0

    async def test_jobs_are_deleted_long_after_their_video(self, shelf: Shelf) -> None:
        await shelf.rendered()
        failed = await shelf.submit()
        await shelf.board.jobs.fail(failed, "broken")
        await shelf.age(days=366)
        still_open = await shelf.submit()
        assert (await shelf.clear(keep_videos=0)).rows["jobs"] == 1
        await shelf.clear()
        await shelf.clear()
        async with shelf.board.sessions() as session:
            assert list(await session.scalars(select(JobRow.id))) == [still_open]
        assert {await shelf.board.count(table) for table in (TaskRow, EventRow)} == {1}

    async def test_idempotency_records_are_deleted(self, shelf: Shelf) -> None:
        async with shelf.board.sessions.begin() as session:
            for key, days in (("old", 2), ("new", 0)):
                session.add(IdempotencyRow(key=key, request="r", created_at=now() - timedelta(days=days)))
        await shelf.janitor().gc()
        async with shelf.board.sessions() as session:
            assert set(await session.scalars(select(IdempotencyRow.key))) == {"new"}


async def mixture(shelf: Shelf) -> None:
    """Something for every rule."""
    for number in range(3):
        await shelf.rendered(scene=f"old {number}")
        await shelf.song(f"old {number}", "alice", *["bob"] * (number > 0))
    await shelf.rendered("bob", scene="old 1")
    await shelf.age(days=28)
    for number in range(3):
        await shelf.rendered(scene=f"middle {number}")
        await shelf.rendered("bob", scene=f"middle {number}")
        await shelf.rendered(kind="frame")
        await shelf.rendered("bob", kind="preview")
        await shelf.song(f"middle {number}", "bob")
    await shelf.submit()
    await shelf.do(await shelf.board.take())
    await shelf.age(days=3)
    for number in range(3):
        await shelf.rendered("carol", scene=f"new {number}")
    shelf.put(audio_key("a" * 64), 10)
    await shelf.age(hours=2)


class TestDryRun:
    async def test_predicts_exactly_and_changes_nothing(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        await mixture(shelf)
        disk = sum(shelf.files().values()) + SIZE
        monkeypatch.setattr(shelf.storage, "free", lambda: disk - sum(shelf.files().values()))
        janitor = shelf.janitor(keep_bytes=6 * SIZE, keep_free=str(disk - 6 * SIZE))
        before, rows = shelf.files(), await everything(shelf)
        forecast = await janitor.dry_run()
        assert (shelf.files(), await everything(shelf)) == (before, rows)
        reasons = {reason for reason, _ in forecast.freed}
        assert reasons == {"expired", "quota", "room", "leftover"}
        done = await janitor.gc()
        assert (done.freed, done.rows) == (forecast.freed, forecast.rows)
        assert sum(before.values()) - sum(shelf.files().values()) == forecast.bytes
        await shelf.whole()


async def everything(shelf: Shelf) -> list[object]:
    """All rows but those that only remember when retention was."""
    async with shelf.board.sessions() as session:
        tables = (JobRow, TaskRow, EventRow, UploadRow, AudioRow)
        return [
            (await session.execute(select(*table.__table__.c).order_by(*table.__table__.primary_key))).all()
            for table in tables
        ]


class TestRaces:
    async def test_job_submitted_while_its_finished_result_is_removed(self, shelf: Shelf) -> None:
        deleter = Deleter(shelf.board.sessions, shelf.storage)
        seen = set()
        for number in range(6):
            first = await shelf.rendered(scene=f"scene {number}")
            scene_key = (await shelf.board.job(first)).scene_key
            later = now() + timedelta(seconds=0 if number % 2 else 60)
            key = result_key(scene_key, "video")
            freed, second = await together(
                deleter.delete_result(scene_key, key, unused_since=later, reason="expired"),
                shelf.submit("bob", f"scene {number}"),
                seed=number,
            )
            seen.add(await shelf.board.status(second))
            await shelf.work()
            assert await shelf.board.status(second) == "completed"
            row = await shelf.board.job(second)
            assert (row.expired_at is None) == (await find_artefact(shelf.board.sessions, key) is not None)
            if row.expired_at is not None:
                assert freed  # it was completed at once, and then removed with the other
            await shelf.whole()

    async def test_song_uploaded_or_used_while_it_is_removed(
        self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deleter = Deleter(shelf.board.sessions, shelf.storage)
        songs = keeping(shelf, tmp_path, monkeypatch)
        for number in range(6):
            sha256 = await shelf.song(f"song {number}", "alice")
            later = now() + timedelta(seconds=0 if number % 2 else 60)
            source = tmp_path / "upload"
            source.mkdir(exist_ok=True)
            (source / "song").write_bytes(bytes(500))

            _, row, job = await together(
                deleter.delete_song(sha256, None, unused_since=later, reason="expired"),
                songs.store(source / "song", sha256=sha256, name="song.wav", caller=BOB),
                with_song(shelf, sha256),
                seed=number,
            )
            for left in source.iterdir():
                left.unlink()
            assert row.sha256 == sha256
            if number % 2:  # what was used since then stays
                assert "bob" in await shelf.owners_of(sha256)
            if job is not None:
                assert audio_key(sha256) in shelf.files()
                await shelf.work()
            await shelf.whole()

    async def test_song_file_deleted_between_storing_and_recording_it(
        self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        songs, sha256, put = keeping(shelf, tmp_path, monkeypatch), "c" * 64, shelf.storage.put
        deleted = []

        def late(key: str, path: Path) -> int:
            size = put(key, path)
            if len(deleted) < 2:  # by who removed the same song before
                deleted.append(key)
                shelf.storage.delete([key])
            return size

        monkeypatch.setattr(shelf.storage, "put", late)
        (tmp_path / "upload").mkdir()
        (tmp_path / "upload" / "song").write_bytes(bytes(500))
        await songs.store(tmp_path / "upload" / "song", sha256=sha256, name="song.wav", caller=BOB)
        assert len(deleted) == 2
        await shelf.whole()
        assert await shelf.owners_of(sha256) == {"bob"}

    async def test_job_retried_while_its_segments_are_removed(self, shelf: Shelf) -> None:
        deleter = Deleter(shelf.board.sessions, shelf.storage)
        for number in range(6):
            job = await shelf.submit()
            await shelf.do(await shelf.board.take())
            await shelf.do(await shelf.board.take())
            await shelf.board.jobs.cancel(job)
            row = await shelf.board.job(job)
            key = f"{scene_folder(row.scene_key)}segments/0.mp4"
            later = now() + timedelta(seconds=60)
            _, retried = await together(
                deleter.delete_segments(row.scene_key, [key], unused_since=later, reason="expired"),
                shelf.board.jobs.retry(job),
                seed=number,
            )
            assert retried
            await shelf.work()
            assert await shelf.board.status(job) == "completed"
            await shelf.whole()

    async def test_everything_at_once(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """Clients submit, retry, cancel and delete while workers render and retention deletes all it may."""
        asked, stored = DatabaseClock.ask, Storage.now  # for retention, everything is old

        async def later(clock: DatabaseClock) -> datetime:
            return await asked(clock) + timedelta(hours=1)

        monkeypatch.setattr(DatabaseClock, "ask", later)
        monkeypatch.setattr(Storage, "now", lambda storage: stored(storage) + timedelta(hours=1))
        rng = random.Random(1)
        keepers = [shelf.janitor(keep_videos=1, keep_segments=1, keep_previews=1) for _ in range(2)]
        for janitor in keepers:
            janitor._orphans._grace = timedelta(seconds=1)
        jobs: list[str] = []

        async def client() -> None:
            for _ in range(15):
                what = rng.choice(("submit", "submit", "cancel", "retry", "delete"))
                if what == "submit" or not jobs:
                    kind = rng.choice(("video", "preview"))
                    jobs.append(await shelf.submit(rng.choice("ab"), f"scene {rng.randrange(4)}", kind=kind))
                elif what == "delete":
                    job = rng.choice(jobs)
                    await shelf.board.jobs.cancel(job)
                    await Deleter(shelf.board.sessions, shelf.storage).delete_job(shelf.board.jobs, job)
                else:
                    await getattr(shelf.board.jobs, what)(rng.choice(jobs))
                await asyncio.sleep(0.01)

        async def work() -> None:
            for _ in range(60):
                claim = await shelf.board.tasks.claim("worker")
                if claim is not None:
                    await shelf.do(claim)
                await asyncio.sleep(0.005)

        freed, busy = [], True

        async def remove(janitor: Janitor) -> None:
            while busy:
                freed.append((await janitor.collect(thorough=True)).bytes)
                await asyncio.sleep(0.02)

        removing = [asyncio.create_task(remove(janitor)) for janitor in keepers]
        await asyncio.gather(client(), client(), work(), work())
        await shelf.submit(scene="one that stays")  # whatever chance decided for the rest
        await shelf.work()
        busy = False
        await asyncio.gather(*removing)
        await shelf.whole()
        async with shelf.board.sessions() as session:
            left = {row.id: row for row in await session.scalars(select(JobRow))}
        assert {row.status for row in left.values()} <= {"completed", "cancelled"}
        for row in left.values():
            if row.status == "completed" and row.expired_at is None:
                assert await find_artefact(shelf.board.sessions, result_key(row.scene_key, row.kind)) is not None
        freed.append((await keepers[0].collect(thorough=True)).bytes)
        assert sum(freed)  # if not while all was at work, then what is completed
        await shelf.whole()


def keeping(shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Songs that are not looked into."""
    from services.media import songs

    async def look(path: Path, name: str, *, required: bool) -> dict[str, float | int]:
        return {"duration": 1.0, "sample_rate": 44100, "channels": 2}

    songs_ = songs.Songs(shelf.settings, shelf.board.sessions, shelf.storage, folder)
    monkeypatch.setattr(songs, "probe", look)
    return songs_


async def with_song(shelf: Shelf, sha256: str) -> str | None:
    """A job that needs a song; None where that is gone."""
    from services.database.models import new_id

    job = JobRow(id=new_id(), fairness_key="alice", owner="alice", kind="video", priority="normal", system_id="s")
    job.output_path, job.scene, job.scene_key = "v.mp4", {"type": "snow", "audio": sha256}, new_id()
    try:
        return (await shelf.board.jobs.submit(job, tasks=3)).id
    except SceneError:
        return None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # what takes long, once
class TestUnderLoad:
    async def test_storage_is_filled_and_freed_ten_times_over(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The disk holds six videos and their segments; ten times as much is written, and no file in use is lost."""
        disk = 24 * SIZE
        monkeypatch.setattr(shelf.storage, "total", lambda: disk)
        monkeypatch.setattr(shelf.storage, "free", lambda: disk - sum(shelf.files().values()))
        janitor = shelf.janitor(keep_free="60%")
        written, lowest = 0, disk
        before = freed_bytes()
        song = await shelf.song("song", "alice")
        while written < 10 * disk:
            jobs = [await shelf.submit(f"owner {number % 3}") for number in range(2)]
            await asyncio.gather(shelf.work(), shelf.work())
            written += 2 * (4 * SIZE + PLAN)
            lowest = min(lowest, shelf.storage.free() or 0)
            await shelf.age(hours=2)
            async with shelf.board.sessions.begin() as session:
                await session.execute(update(UploadRow).values(used_at=now()))
            still_open = await shelf.submit("owner 0")
            await shelf.do(await shelf.board.take())
            await janitor.collect(thorough=True)
            await shelf.work()
            written += 4 * SIZE + PLAN
            for job in (jobs[-1], still_open):  # the newest stay
                assert (await shelf.board.job(job)).expired_at is None
            await shelf.whole()
        assert lowest > 0
        assert await shelf.owners_of(song) == {"alice"}
        async with shelf.board.sessions() as session:
            rows = list(await session.scalars(select(JobRow)))
            expired = await session.scalar(select(func.count()).where(JobRow.expired_at.is_not(None)))
        assert {row.status for row in rows} == {"completed"}
        assert expired
        kept = sum(size for key, size in shelf.files().items())
        assert freed_bytes() - before == written + 500 + HEARD - kept


def freed_bytes() -> float:
    """What the metric says."""
    return sum(
        sample.value
        for family in metrics.WORKER.collect()
        for sample in family.samples
        if sample.name == "motes_storage_freed_bytes_total"
    )


class TestSingleRun:
    async def test_second_run_is_refused(self, shelf: Shelf) -> None:
        first, second = shelf.janitor(), shelf.janitor()
        async with first._leased(timedelta(0)):
            with pytest.raises(BusyError):
                await second.gc()
        await second.gc()
        with pytest.raises(BusyError):
            async with first._leased(timedelta(seconds=10)):
                pass

    async def test_one_of_many_concurrent_runs_proceeds(self, shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "motes.retention")
        await together(*(shelf.janitor().tick() for _ in range(5)))
        said = [record.message for record in caplog.records]
        assert said == ["retention started, thoroughly"]
        await together(*(shelf.janitor(keep_every=1).tick(patience=0.0) for _ in range(3)))

    async def test_run_of_a_dead_process_is_taken_over(self, shelf: Shelf) -> None:
        janitor = shelf.janitor()
        assert await acquire(shelf.board.sessions, "retention", holder="dead", seconds=3600) == {}
        with pytest.raises(BusyError):
            await janitor.gc()
        async with shelf.board.sessions.begin() as session:
            await session.execute(update(LeaseRow).values(until=now() - timedelta(seconds=1)))
        await janitor.gc()

    async def test_thorough_run_is_hourly(self, shelf: Shelf) -> None:
        janitor = shelf.janitor()
        for expected in (True, False, False):
            async with janitor._leased(timedelta(0)) as run:
                assert run.thorough is expected

    async def test_freed_space_is_logged_and_counted(self, shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
        await shelf.rendered()
        await shelf.age(days=40)
        caplog.set_level(logging.INFO, "motes.retention")
        before = freed_bytes()
        await shelf.janitor().tick()
        [record] = caplog.records
        assert record.message.startswith("freed 0.0 MB: 4 plans expired, 1 segments expired, 1 videos expired")
        assert freed_bytes() - before == 4 * SIZE + PLAN
        assert os.listdir(shelf.storage.scratch.parent) == [".scratch"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # it is given to a process
class TestKilledBetween:
    async def test_rows_and_files_leaves_only_untracked_files(self, shelf: Shelf) -> None:
        """A process killed there leaves untracked files, which are deleted later."""
        job = await shelf.rendered(scene="scene")
        song = await shelf.song("song", "alice")
        await shelf.age(days=40)
        before = shelf.files()
        kill = "import os, signal, services.storage.object_store as s\n"
        kill += "s.Storage.delete = lambda self, keys: os.kill(os.getpid(), signal.SIGKILL)\n"
        kill += "from services.cli.main import main\nmain(['storage', 'gc'])\n"
        settings = {"DATA": shelf.settings.data, "DATABASE_URL": shelf.settings.database_url}
        settings |= {"STORAGE_URL": shelf.settings.storage_url}
        environment = {**os.environ, **{f"MOTES_{name}": str(value) for name, value in settings.items()}}

        async def run(*command: str) -> tuple[int, str]:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            said, _ = await process.communicate()
            assert process.returncode is not None
            return process.returncode, said.decode()

        for _ in range(2):  # the video; then, once its lease is over, the rest as far as to the next
            assert (await run("-c", kill))[0] == -signal.SIGKILL
            assert shelf.files() == before
            await shelf.whole()
            async with shelf.board.sessions.begin() as session:
                await session.execute(update(LeaseRow).values(until=now() - timedelta(seconds=1)))
        assert (await shelf.board.job(job)).expired_at is not None
        again = await shelf.rendered("bob", scene="scene")
        await shelf.whole()
        code, said = await run("-m", "services.cli.main", "storage", "gc")
        assert (code, "leftover" in said, "motes.retention" in said) == (0, True, True)  # it is told, and logged
        await shelf.whole()
        assert (await shelf.board.job(again)).expired_at is None
        assert await shelf.owners_of(song) == set()
        assert set(shelf.files()) - await shelf.artefacts() == {key for key in shelf.files() if "/plans/" in key}


SCENE = {
    "type": "snow",
    "config": {"width": 320, "height": 180, "fps": 30, "duration": 10.0},
    "audio": None,
    "quality": "standard",
}


def room_of(shelf: Shelf, storage: Storage, reserve: str = "25%") -> DiskAdmission:
    return DiskAdmission(shelf.settings.model_copy(update={"reserve": reserve}), shelf.board.sessions, storage)


async def taken(shelf: Shelf, room: DiskAdmission) -> bool:
    """Whether there was room for a job; then it is in the queue."""
    job = JobRow(id=new_id(), kind="video", system_id="system", output_path="v.mp4", priority="normal")
    job.owner = job.fairness_key = new_id()  # so that nothing waits for anything but for room
    job.scene, job.scene_key, job.seconds = SCENE, new_id(), 10.0
    try:
        await shelf.board.jobs.submit(job, tasks=3, admit=await room.jobs_admission({job.id: 10.0}))
    except InsufficientStorageError:
        return False
    return True


async def test_concurrent_claims_reserve_space_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    assert estimate_bytes(SCENE, 10.0) == 648_000

    def free() -> int:
        time.sleep(0.05)  # enough for another to look, too
        return 1_000_000 + 3 * 648_000

    monkeypatch.setattr(shelf.storage, "free", free)
    both = [room_of(shelf, shelf.storage, "1000000") for _ in range(2)]  # as of two processes
    tried = await together(*(taken(shelf, both[number % 2]) for number in range(8)))
    assert sorted(tried) == [False] * 5 + [True] * 3
    await shelf.work()
    assert await taken(shelf, both[0])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestSmallDisk:
    async def test_claims_only_tasks_that_fit(self, shelf: Shelf, small_disk: Path) -> None:
        storage = Storage(f"file://{small_disk}")
        room = room_of(shelf, storage)
        for _ in range(9):  # of 6.3 MB, 5.8 are for them
            assert await taken(shelf, room)
        admit = await room.jobs_admission({"new": 10.0})
        async with shelf.board.sessions.begin() as session:
            with pytest.raises(
                InsufficientStorageError,
                match=r"this needs about 0.6 MB, 8.4 MB are free, but 2.1 MB of that .* 5.8 MB",
            ):
                await admit(session, [JobRow(id="new", scene=SCENE)])
        await room.admit_upload(400_000)
        with pytest.raises(
            InsufficientStorageError, match=r"this needs 0.6 MB, 8.4 MB are free, but 2.1 MB of that .* 5.8 MB"
        ):
            await room.admit_upload(600_000)
        await shelf.work()
        await room.admit_upload(6_000_000)
        with pytest.raises(
            InsufficientStorageError, match=r"needs 6.5 MB, 8.4 MB are free, but 2.1 MB of that are reserved$"
        ):
            await room.admit_upload(6_500_000)
        (small_disk / "filler").write_bytes(bytes(7_000_000))
        with pytest.raises(InsufficientStorageError, match=r"1\.4 MB are free"):
            await room.admit_upload(1)
        assert not await taken(shelf, room)
        assert await taken(shelf, room_of(shelf, storage, "0"))  # everything goes

    async def test_upload_of_unknown_size_stops_before_the_disk_is_full(self, shelf: Shelf, small_disk: Path) -> None:
        async def song() -> Message:
            return {"type": "http.request", "body": next(pieces), "more_body": True}

        pieces = itertools.chain(
            [b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'], itertools.repeat(bytes(65_536))
        )
        request = Request({"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}, song)
        room = room_of(shelf, Storage(f"file://{small_disk}"), "50%")
        for _ in range(3):
            assert await taken(shelf, room)
        with pytest.raises(
            HTTPException, match=r"4\.2 MB of that are reserved, 1\.9 MB are needed by open jobs"
        ) as refused:
            await receive_upload(request, small_disk / "song", limit=100_000_000, admit=room.admit_upload)
        assert refused.value.status_code == 507
        assert (small_disk / "song").stat().st_size <= 4 << 20
