"""What analyses leave, on both databases: documents as results, what renders made of songs, corrections of owners."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from services.auth.limits import QuotaError
from services.auth.quotas import Quotas, admit_bytes
from services.database.models import (
    ArtefactRow,
    AudioRow,
    CorrectionRow,
    IdempotencyRow,
    JobRow,
    ResumableUploadRow,
    SystemRow,
    UploadRow,
)
from services.media.corrections import Corrections
from services.retention.deletion import Deleter
from services.storage.object_keys import analysis_key, correction_key
from services.storage.object_store import StoredFile
from services.storage.song_analyses import count_analyses
from services.storage.usage import plural, stored_bytes, usage_by_kind, usage_by_owner
from tests.services.moments import now
from tests.services.shelf import HEARD, SIZE, Shelf

pytestmark = pytest.mark.anyio


async def of_song(shelf: Shelf, job: str, song: str, correction: str | None = None) -> None:
    async with shelf.board.sessions.begin() as session:
        scene = {"type": "snow", "audio": song, "analysis": correction}
        await session.execute(update(JobRow).where(JobRow.id == job).values(scene=scene))


async def heard(shelf: Shelf) -> dict[str, tuple[int | None, int | None]]:
    """What is counted of the analyses of all songs."""
    async with shelf.board.sessions() as session:
        return {row.sha256: (row.analyses, row.analyses_size) for row in await session.scalars(select(AudioRow))}


class Songs:
    """Corrections of a shelf's songs."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self.all = shelf, Corrections(shelf.board.sessions, shelf.storage)

    async def correct(self, song: str, text: str, owner: str = "alice") -> str:
        return await self.all.save(song, owner, text)

    def there(self, song: str, *digests: str) -> bool:
        return all(correction_key(song, digest) in self._shelf.files() for digest in digests)


class TestDocuments:
    async def test_expire_with_their_jobs(self, shelf: Shelf) -> None:
        for kind in ("analysis", "curves"):
            await shelf.rendered(kind=kind)
        await shelf.age(days=29)
        assert (await shelf.clear()).freed == {}
        await shelf.age(days=2)
        report = await shelf.clear()
        assert report.freed == {("expired", "analysis"): (1, SIZE), ("expired", "curves"): (1, SIZE)}
        assert "1 analyses expired, 1 curves expired" in str(report)
        assert await shelf.board.count(JobRow) == await shelf.board.count(ArtefactRow) == 0
        assert shelf.files() == {}

    async def test_are_kept_for_ever_if_that_is_wished(self, shelf: Shelf) -> None:
        await shelf.rendered(kind="analysis")
        await shelf.age(days=4000)
        assert (await shelf.clear(keep_analyses=0)).freed == {}

    async def test_of_a_scene_that_is_rendered_are_kept(self, shelf: Shelf) -> None:
        await shelf.rendered(scene="scene", kind="analysis")
        await shelf.age(days=40)
        await shelf.submit(scene="scene")
        assert ("expired", "analysis") not in (await shelf.clear()).freed

    async def test_expire_without_the_video_of_the_same_scene(self, shelf: Shelf) -> None:
        await shelf.rendered(scene="scene", kind="analysis")
        await shelf.age(days=20)
        video = await shelf.rendered(scene="scene")
        curves = await shelf.rendered(scene="scene", kind="curves")
        await shelf.age(days=15)
        assert (await shelf.clear(keep_segments=0)).freed[("expired", "analysis")] == (1, SIZE)
        assert (await shelf.board.job(video)).expired_at is None
        assert await shelf.board.status(curves) == "completed"
        await shelf.age(days=20)
        report = await shelf.clear(keep_segments=0, keep_analyses=0)
        assert report.freed == {("expired", "video"): (1, SIZE)}
        assert await shelf.board.status(curves) == "completed"
        await shelf.whole()

    async def test_over_quota_each_goes_alone(self, shelf: Shelf) -> None:
        await shelf.rendered(scene="scene", kind="analysis")
        await shelf.age(hours=1)
        video = await shelf.rendered(scene="scene")
        await shelf.age(hours=1)
        report = await shelf.clear(keep_bytes=SIZE, keep_segments=0)
        assert report.freed[("quota", "analysis")] == (1, SIZE)
        assert ("quota", "video") not in report.freed
        assert (await shelf.board.job(video)).expired_at is None


class TestOfSongs:
    async def test_old_ones_go_unless_a_job_or_a_correction_needs_them(self, shelf: Shelf) -> None:
        songs = [await shelf.song(name, "alice") for name in ("unused", "rendered", "corrected")]
        await of_song(shelf, await shelf.submit(), songs[1])
        await shelf.age(days=31)
        correction = await Songs(shelf).correct(songs[2], "{}")
        async with shelf.board.sessions.begin() as session:
            await session.execute(update(UploadRow).values(used_at=now()))
        report = await shelf.clear()
        assert report.freed == {("expired", "analysis"): (1, HEARD)}
        left = [analysis_key(song, "version") in shelf.files() for song in songs]
        assert left == [False, True, True]
        assert Songs(shelf).there(songs[2], correction)
        assert (await shelf.clear()).freed == {}
        assert await heard(shelf) == dict(zip(songs, [(0, 0), (1, HEARD), (1, HEARD)], strict=True))

    async def test_of_older_versions_are_counted_by_the_next_thorough_run(self, shelf: Shelf) -> None:
        songs = [await shelf.song(name, "alice") for name in ("one", "two")]
        shelf.put(analysis_key(songs[0], "other"), 23)
        async with shelf.board.sessions.begin() as session:
            await session.execute(update(AudioRow).values(analyses=None, analyses_size=None))
        async with shelf.board.sessions() as session:
            assert await stored_bytes(session, "alice") == 2 * 500
        await shelf.clear()
        assert await heard(shelf) == {songs[0]: (2, HEARD + 23), songs[1]: (1, HEARD)}
        async with shelf.board.sessions() as session:
            assert await stored_bytes(session, "alice") == 2 * 500 + 2 * HEARD + 23

    async def test_counts_that_meet_end_with_what_is_there(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody stores another one, and counts it, after we have looked and before we note what we saw."""
        song, held = await shelf.song("song", "alice"), asyncio.Event()
        look, looked = shelf.storage.list, list[str]()

        def slow_list(folder: str) -> Iterator[list[StoredFile]]:
            found = list(look(folder))
            looked.append(folder)
            if len(looked) == 1:
                asyncio.run_coroutine_threadsafe(wait(), loop).result()
            return iter(found)

        async def wait() -> None:
            shelf.put(analysis_key(song, "other"), 23)
            await count_analyses(shelf.board.sessions, shelf.storage, song)
            held.set()

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(shelf.storage, "list", slow_list)
        await count_analyses(shelf.board.sessions, shelf.storage, song)
        assert held.is_set()
        assert await heard(shelf) == {song: (2, HEARD + 23)}

    async def test_are_not_deleted_to_make_room(self, shelf: Shelf) -> None:
        """Nor is anything else because of them, nor of uploads that are not complete."""
        await TestEverythingCounts.store(shelf)
        await shelf.age(hours=2)
        assert (await shelf.clear(keep_bytes=500 + 2 * SIZE, keep_segments=0)).freed == {("expired", "upload"): (1, 0)}

    async def test_deletion_checks_again(self, shelf: Shelf) -> None:
        song = await shelf.song("song", "alice")
        [file] = [each for batch in shelf.storage.list("analyses") for each in batch]
        await of_song(shelf, await shelf.submit(), song)
        deleter = Deleter(shelf.board.sessions, shelf.storage)
        assert await deleter.delete_analyses(song, [file], "expired") == 0
        await shelf.work()
        assert await deleter.delete_analyses(song, [file], "expired") == HEARD


class TestCorrections:
    async def test_superseded_one_goes_once_no_job_has_it(self, shelf: Shelf) -> None:
        song, mine = await shelf.song("song", "alice", "bob"), Songs(shelf)
        texts = ["old", "of a job", "of a failed job", "new"]
        old, of_job, of_failed, new = [await mine.correct(song, text) for text in texts]
        bobs = await mine.correct(song, "bob's", "bob")
        job, failed = await shelf.submit(), await shelf.submit()
        await of_song(shelf, job, song, of_job)
        await of_song(shelf, failed, song, of_failed)
        await shelf.board.jobs.fail(failed, "broken")
        assert (await shelf.clear()).freed == {}, "somebody may be about to submit a job with it"
        await shelf.age(hours=2)
        report = await shelf.clear()
        assert report.freed == {("leftover", "correction"): (1, len("old"))}
        assert not mine.there(song, old)
        assert mine.there(song, of_job, of_failed, new, bobs)
        await shelf.work()
        await shelf.board.jobs.delete(failed)
        await shelf.age(hours=2)
        assert (await shelf.clear()).freed[("leftover", "correction")] == (2, len("of a job") + len("of a failed job"))
        assert mine.there(song, new, bobs)

    async def test_owner_s_correction_goes_with_their_claim_and_all_with_the_song(self, shelf: Shelf) -> None:
        song, mine = await shelf.song("song", "alice", "bob"), Songs(shelf)
        digests = [await mine.correct(song, owner, owner) for owner in ("alice", "bob")]
        deleter = Deleter(shelf.board.sessions, shelf.storage)
        await shelf.age(hours=2)
        await deleter.delete_song(song, ["alice"], unused_since=now(), reason="deleted")
        assert await mine.all.current(song, "alice") is None
        assert await mine.all.current(song, "bob") == digests[1]
        assert (await shelf.clear()).freed == {("leftover", "correction"): (1, len("alice"))}
        await deleter.delete_song(song, ["bob"], unused_since=now(), reason="deleted")
        assert shelf.files() == {}
        assert await shelf.board.count(CorrectionRow) == 0

    async def test_of_two_at_a_time_only_one_fits_into_the_quota(self, shelf: Shelf) -> None:
        songs = [await shelf.song(name, "alice") for name in ("one", "two")]
        corrections = Corrections(shelf.board.sessions, shelf.storage)
        quotas = Quotas(stored_bytes=2 * (500 + HEARD) + 150)
        saving = (corrections.save(song, "alice", "x" * 100, quotas=quotas) for song in songs)
        made = await asyncio.gather(*saving, return_exceptions=True)
        assert [type(each) for each in made if isinstance(each, Exception)] == [QuotaError]
        assert await shelf.board.count(CorrectionRow) == 1

    async def test_corrections_that_files_tell_of_are_kept(self, shelf: Shelf) -> None:
        song = await shelf.song("song", "alice")
        key = correction_key(song, "0" * 64)
        shelf.put(key, 9)
        async with shelf.board.sessions.begin() as session:
            session.add(CorrectionRow(owner="alice", sha256=song, digest=None, size=0))
        await shelf.age(hours=2)
        assert (await shelf.clear()).freed == {}
        assert key in shelf.files()


class TestEverythingCounts:
    """What is stored of an owner, kind by kind: it is listed, and in the quota."""

    OWNED = (
        ("alice", "analysis", 1, SIZE),
        ("alice", "answer", 1, 44),
        ("alice", "correction", 1, 33),
        ("alice", "curves", 1, SIZE),
        ("alice", "song", 1, 500),
        ("alice", "song analysis", 1, HEARD),
        ("alice", "system", 2, 70),
        ("alice", "upload", 1, 900),
    )

    @staticmethod
    async def store(shelf: Shelf) -> None:
        song = await shelf.song("song", "alice")
        await Songs(shelf).correct(song, "x" * 33)
        for kind in ("analysis", "curves"):
            await shelf.rendered(kind=kind)
        alices = {"owner": "alice"}
        begun = {"kind": "song", "name": "x.wav", "length": 900, "created_at": now(), "expires_at": now()}
        async with shelf.board.sessions.begin() as session:
            session.add(SystemRow(**alices, particle_type="snow", config={}, size=70))
            # of an earlier version, and not shown since
            session.add(SystemRow(**alices, particle_type="snow", config={"width": 1}))
            session.add(IdempotencyRow(**alices, key="alice key", request="", answer={}, size=44))
            session.add(IdempotencyRow(**alices, key="alice other", request=""))  # not answered yet
            session.add(ResumableUploadRow(**alices, **begun, received=600, reserved=900))

    async def test_by_owner_and_in_their_quota(self, shelf: Shelf) -> None:
        await self.store(shelf)
        async with shelf.board.sessions() as session:
            owned = [each for each in sorted(await usage_by_owner(session)) if each.owner]
            assert tuple(map(tuple, owned)) == self.OWNED
            assert sorted(await usage_by_owner(session, "alice")) == owned
            assert await usage_by_owner(session, "bob") == []
            total = sum(each.bytes for each in owned)
            await admit_bytes(session, "alice", 1, Quotas(stored_bytes=total + 1))
            with pytest.raises(QuotaError, match=f"{total} bytes are stored"):
                await admit_bytes(session, "alice", 2, Quotas(stored_bytes=total + 1))
            assert list(await session.scalars(select(SystemRow.shown))) == [None, None]

    async def test_by_kind(self, shelf: Shelf) -> None:
        await self.store(shelf)
        async with shelf.board.sessions() as session:
            by_kind = {each.kind: (each.number, each.bytes) for each in await usage_by_kind(session)}
        received = {"upload": (1, 600)}  # of which the rest takes no room yet
        assert by_kind == {kind: (number, size) for _, kind, number, size in self.OWNED} | received | {"asset": (0, 0)}


def test_kinds_have_plurals() -> None:
    kinds = ("video", "analysis", "song analysis", "curves", "system", "answer")
    assert [plural(kind) for kind in kinds] == ["videos", "analyses", "song analyses", "curves", "systems", "answers"]
