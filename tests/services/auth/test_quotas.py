"""Quotas on both databases: what an owner may is exactly what it gets, whoever races whom."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.auth.api_keys import Caller
from services.auth.limits import LimitError, QuotaError
from services.auth.quotas import NO_QUOTAS, Quotas
from services.database.engine import Sessions, open_database
from services.database.models import AudioRow, JobRow, UploadRow, UsageRow, new_id
from services.jobs.lifecycle import Jobs
from services.media import songs
from services.media.songs import Songs
from services.settings import ServiceSettings
from services.storage.object_store import Storage
from services.storage.usage import stored_bytes
from tests.services.board import FRAMES, Board, together
from tests.services.moments import Clock, now

pytestmark = pytest.mark.anyio


def video(**more: Any) -> JobRow:
    # A fairness key of its own, so that nothing waits for anything but for quotas.
    values = {
        "owner": "alice",
        "fairness_key": new_id(),
        "kind": "video",
        "seconds": 10.0,
        "scene_key": new_id(),
        **more,
    }
    fixed = {"system_id": "system", "scene": {"type": "snow"}, "output_path": "v.mp4", "priority": "normal"}
    return JobRow(id=new_id(), **fixed, **values)


@asynccontextmanager
async def processes(database: str, number: int = 2) -> AsyncIterator[list[Jobs]]:
    """As many as there were processes: nothing but the database is shared."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(number):
            engine, sessions = open_database(database)
            stack.push_async_callback(engine.dispose)
            made.append(Jobs(sessions))
        yield made


async def submitted(jobs: Jobs, job: JobRow, allowed: Quotas) -> str | None:
    """None if it was taken, else which limit refused it."""
    try:
        await jobs.submit(job, tasks=3, quotas=allowed)
    except QuotaError as error:
        return error.limit
    return None


async def used(sessions: Sessions, owner: str = "alice") -> float:
    async with sessions() as session:
        return sum(await session.scalars(select(UsageRow.seconds).where(UsageRow.owner == owner)))


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [
        ("open_jobs", Quotas(open_jobs=5)),
        ("queued_jobs", Quotas(queued_jobs=5)),
        ("rendered_seconds_per_day", Quotas(rendered_seconds_per_day=59)),
    ],
)
async def test_concurrent_submissions_respect_the_quota(database: str, limit: str, allowed: Quotas) -> None:
    async with processes(database) as both:
        tried = await together(*(submitted(both[number % 2], video(), allowed) for number in range(16)))
        assert sorted(map(str, tried)) == ["None"] * 5 + [limit] * 11
        assert await submitted(both[0], video(owner="bob"), allowed) is None


async def test_refusal_shows_the_usage(board: Board) -> None:
    await board.submit(owner="alice")
    for allowed, said in (
        (Quotas(open_jobs=1), "1 jobs are open: at most 1 here (limit open_jobs)"),
        (Quotas(queued_jobs=1), "1 jobs are queued: at most 1 here (limit queued_jobs)"),
        (
            Quotas(rendered_seconds_per_day=9.5),
            "0 s were rendered today, and this is 10 s more: at most 9.5 here (limit rendered_seconds_per_day)",
        ),
    ):
        with pytest.raises(QuotaError) as refused:
            await board.jobs.submit(video(), tasks=3, quotas=allowed)
        assert str(refused.value) == said


async def test_finished_job_frees_its_quota(board: Board) -> None:
    allowed = Quotas(open_jobs=1)
    first = video()
    assert await submitted(board.jobs, first, allowed) is None
    assert await submitted(board.jobs, video(), allowed) == "open_jobs"
    await board.jobs.cancel(first.id)
    assert await submitted(board.jobs, video(), allowed) is None
    await board.work()
    assert await submitted(board.jobs, video(), allowed) is None


async def test_started_job_is_not_counted_as_queued(board: Board) -> None:
    assert await submitted(board.jobs, video(), Quotas(queued_jobs=1)) is None
    await board.take()
    assert await submitted(board.jobs, video(), Quotas(queued_jobs=1)) is None
    assert await submitted(board.jobs, video(), Quotas(open_jobs=2)) == "open_jobs"


async def test_resubmitted_job_counts_once(board: Board) -> None:
    allowed = Quotas(open_jobs=1, rendered_seconds_per_day=10)
    job = video()
    again = video()
    again.id = job.id
    assert await submitted(board.jobs, job, allowed) is None
    assert await submitted(board.jobs, again, allowed) is None
    assert await used(board.sessions) == 10


class TestRenderedSecondsPerDay:
    async def test_include_deleted_jobs(self, board: Board) -> None:
        job = video()
        await board.jobs.submit(job, tasks=3)
        await board.work()
        await board.jobs.delete(job.id)
        assert await used(board.sessions) == 10
        assert await submitted(board.jobs, video(), Quotas(rendered_seconds_per_day=19)) == "rendered_seconds_per_day"

    @pytest.mark.parametrize("end", ["cancel", "fail", "delete"])
    async def test_are_refunded_if_not_rendered(self, board: Board, end: str) -> None:
        job = video()
        await board.jobs.submit(job, tasks=3)
        await board.do(await board.take())  # planned
        await board.do(await board.take())  # the first segment
        rest = (await board.take(), await board.take())  # and nobody takes them twice
        assert {claim.kind for claim in rest} == {"segment"}
        do = {"cancel": board.jobs.cancel, "delete": board.jobs.delete}
        await (board.jobs.fail(job.id, "broken") if end == "fail" else do[end](job.id))
        assert await used(board.sessions) == pytest.approx(10 * FRAMES[0] / sum(FRAMES))

    async def test_exclude_cached_results(self, board: Board) -> None:
        first = video()
        await board.jobs.submit(first, tasks=3)
        await board.work()
        again = video(scene_key=first.scene_key)
        assert await submitted(board.jobs, again, Quotas(rendered_seconds_per_day=10, open_jobs=0)) is None
        assert await board.status(again.id) == "completed"
        assert await used(board.sessions) == 10

    async def test_beyond_what_the_video_lasts_are_refunded(self, board: Board) -> None:
        job = video()  # of 10 seconds at most
        await board.jobs.submit(job, tasks=3)
        await board.tasks.record_plan(await board.take(), FRAMES, start=6.5, seconds=4.0)
        assert await used(board.sessions) == 4
        assert (await board.job(job.id)).start == 6.5
        await board.jobs.cancel(job.id)
        assert await used(board.sessions) == 0
        assert await board.jobs.retry(job.id, quotas=Quotas(rendered_seconds_per_day=4))

    async def test_are_charged_again_on_retry(self, board: Board) -> None:
        job = video()
        await board.jobs.submit(job, tasks=3)
        await board.jobs.fail(job.id, "broken")
        assert await used(board.sessions) == 0
        with pytest.raises(QuotaError):
            await board.jobs.retry(job.id, quotas=Quotas(rendered_seconds_per_day=9))
        assert await board.status(job.id) == "failed"
        assert await board.jobs.retry(job.id, quotas=Quotas(rendered_seconds_per_day=10))
        assert await used(board.sessions) == 10

    async def test_reset_at_midnight(self, board: Board, clock: Clock) -> None:
        allowed = Quotas(rendered_seconds_per_day=10)
        clock.step(seconds=(clock().replace(hour=23, minute=59, second=30) - clock()).total_seconds())
        assert await submitted(board.jobs, video(), allowed) is None
        with pytest.raises(QuotaError) as refused:
            await board.jobs.submit(video(), tasks=3, quotas=allowed)
        assert 29 < refused.value.seconds <= 30
        for _ in range(3):
            clock.step(days=1)
            assert await submitted(board.jobs, video(), allowed) is None
        assert await board.count(UsageRow) == 2  # what nothing can be given back to is forgotten


class TestBytesStored:
    async def test_include_songs_and_results_until_they_are_deleted(self, board: Board) -> None:
        async with board.sessions.begin() as session:
            session.add_all(AudioRow(sha256=each, size=1000, **FACTS) for each in ("a", "b"))
            await session.flush()
            session.add_all((UploadRow(owner="alice", sha256="a"), UploadRow(owner="bob", sha256="b")))
            session.add_all((video(status="completed", size=200), video(status="completed", size=30, expired_at=now())))
        async with board.sessions() as session:
            assert [await stored_bytes(session, owner) for owner in ("alice", "bob", "carol")] == [1200, 1000, 0]

    async def test_exhausted_refuse_every_job(self, board: Board) -> None:
        first = video()
        await board.jobs.submit(first, tasks=3)
        await board.work()
        size = (await board.job(first.id)).size
        assert size is not None
        assert await submitted(board.jobs, video(), Quotas(stored_bytes=size)) == "stored_bytes"
        again = video(scene_key=first.scene_key)  # of which it is known how large it is
        assert await submitted(board.jobs, again, Quotas(stored_bytes=2 * size - 1)) == "stored_bytes"
        assert await submitted(board.jobs, again, Quotas(stored_bytes=2 * size)) is None


FACTS: dict[str, Any] = {"suffix": ".wav", "duration": 1.0, "sample_rate": 44100, "channels": 2}


@asynccontextmanager
async def libraries(database: str, folder: Path, number: int = 2, **settings: Any) -> AsyncIterator[list[Songs]]:
    """The songs of as many processes."""
    (folder / "scratch").mkdir()
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(number):
            engine, sessions = open_database(database)
            stack.push_async_callback(engine.dispose)
            chosen = ServiceSettings(data=folder, **settings)
            made.append(Songs(chosen, sessions, Storage(f"file://{folder / 'storage'}"), folder / "scratch"))
        yield made


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What songs are found to be, without looking."""
    facts = {"duration": 60.0, "sample_rate": 48000, "channels": 2}

    async def probe(path: Path, name: str, *, required: bool) -> dict[str, Any]:
        return facts

    monkeypatch.setattr(songs, "probe", probe)
    return facts


def caller(owner: str, **limits: float) -> Caller:
    return Caller(owner, "key", frozenset({"render"}), limits)


async def kept(library: Songs, who: Caller, content: bytes) -> str | None:
    """None if a song was kept, else which limit refused it."""
    try:
        async with library.staging_file() as path:
            path.write_bytes(content)
            await library.store(path, sha256=hashlib.sha256(content).hexdigest(), name="song.wav", caller=who)
    except LimitError as error:
        return error.limit
    return None


class TestUploads:
    async def test_concurrent_uploads_respect_the_quota(
        self, database: str, tmp_path: Path, heard: dict[str, Any]
    ) -> None:
        who = caller("alice", stored_bytes=550)
        async with libraries(database, tmp_path) as both:
            tried = await together(*(kept(both[n % 2], who, bytes([n]) * 100) for n in range(12)))
            assert sorted(map(str, tried)) == ["None"] * 5 + ["stored_bytes"] * 7
            again = [await kept(both[0], who, bytes([n]) * 100) for n in range(12)]
            assert again == tried  # what one has already needs no more room
            assert await kept(both[0], caller("bob"), bytes([tried.index("stored_bytes")]) * 100) is None

    async def test_of_songs_that_others_have_count_too(
        self, database: str, tmp_path: Path, heard: dict[str, Any]
    ) -> None:
        async with libraries(database, tmp_path, 1) as [library]:
            assert await kept(library, caller("bob"), b"x" * 100) is None
            assert await kept(library, caller("alice", stored_bytes=99), b"x" * 100) == "stored_bytes"
            assert await kept(library, caller("alice", stored_bytes=100), b"x" * 100) is None

    async def test_same_song_at_once_counts_once(self, database: str, tmp_path: Path, heard: dict[str, Any]) -> None:
        who = caller("alice", stored_bytes=100)
        async with libraries(database, tmp_path) as both:
            tried = await together(*(kept(both[n % 2], who, b"x" * 100) for n in range(6)))
        assert tried == [None] * 6

    @pytest.mark.parametrize(
        ("setting", "said"),
        [
            ({"max_song_seconds": 59}, "song.wav: its duration is 60 s: at most 59 here (limit max_song_seconds)"),
            (
                {"max_song_samples": 5_759_999},
                "song.wav: has 5760000 samples: at most 5759999 here (limit max_song_sam",
            ),
        ],
    )
    async def test_over_the_upload_limit_are_refused(
        self, database: str, tmp_path: Path, heard: dict[str, Any], setting: dict[str, Any], said: str
    ) -> None:
        async with libraries(database, tmp_path, 1, **setting) as [library], library.staging_file() as path:
            path.write_bytes(b"x")
            with pytest.raises(LimitError) as refused:
                await library.store(path, sha256="0" * 64, name="song.wav", caller=caller("alice"))
        assert said in str(refused.value)
        assert not list((tmp_path / "storage").glob("audio/*"))


async def test_no_quota_means_no_limit(database: str) -> None:
    async with processes(database) as both:
        tried = await asyncio.gather(*(submitted(both[n % 2], video(), NO_QUOTAS) for n in range(20)))
        assert tried == [None] * 20
