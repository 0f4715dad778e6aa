"""Backups: of a service at work, restored into another folder, which then does what the first one would have done."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from ecs_core import MotesError
from services.cli.main import main
from services.database.engine import open_database
from services.database.migrations import upgrade
from services.database.models import ArtefactRow, AudioRow, JobRow
from services.jobs.lost_files import reopen
from services.retention import backup
from services.retention.backup import back_up, restore
from services.retention.repair import RepairResult, repair
from services.storage.object_keys import analysis_key, audio_key, correction_key, result_key
from services.storage.object_store import Storage, digest_of
from tests.service import serving, wait_for
from tests.services.board import Board
from tests.services.servers import Postgres, postgres_programs
from tests.services.shelf import HEARD, Shelf

SMALL = {"width": 160, "height": 90, "duration": 2.0, "particle_count": 50}


def render(client: httpx.Client, **config: object) -> str:
    system = client.post("/create", json={"particle_type": "enhanced", "config": {**SMALL, **config}}).json()
    answer = client.post(f"/systems/{system['system_id']}/render", json={"quality": "draft"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def job(client: httpx.Client, job_id: str) -> dict[str, object]:
    return dict(client.get(f"/jobs/{job_id}").json())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.campaign
@pytest.mark.debian("redis-server")
def test_backup_of_a_busy_service_can_be_served_elsewhere(
    tmp_path: Path, demo_song: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, backup = tmp_path / "first", tmp_path / "second", tmp_path / "backup"
    first.mkdir()
    second.mkdir()
    with serving(first) as service, service.client() as client:
        song = client.post("/audio", files={"file": ("song.wav", demo_song.read_bytes())}).json()["audio_path"]
        done = render(client, seed=1)
        wait_for(lambda: job(client, done)["status"] == "completed")
        video = client.get(f"/download/{done}").content
        going_on = render(client, seed=2, width=480, height=270, duration=20.0)
        queued = render(client, seed=3)
        wait_for(lambda: int(str(job(client, going_on)["frames_done"])) >= 60)
        assert main(["backup", str(backup), "--data", str(first / "data")]) == 0
        assert "of them are new" in capsys.readouterr().out
    with closing(sqlite3.connect(backup / "motes.db")) as database:
        found = dict(database.execute("SELECT id, status FROM jobs").fetchall())
    assert (found[done], found[going_on]) == ("completed", "queued")
    finished_segments = [name for name in files(backup) if "/segments/" in name]
    assert finished_segments
    assert main(["restore", str(backup), "--data", str(second / "data")]) == 0
    # No settings but those of the folder: what the first one has is gone.
    shutil.rmtree(first / "data")
    with serving(second) as service, service.client() as client:
        assert client.get(f"/download/{done}").content == video
        system = client.post("/create", json={"particle_type": "enhanced", "config": SMALL}).json()["system_id"]
        assert client.post(f"/systems/{system}/load-audio", params={"audio_path": song}).status_code == 200
        wait_for(lambda: job(client, going_on)["status"] == job(client, queued)["status"] == "completed")
        assert client.get(f"/download/{going_on}").status_code == 200
    stored = files(second / "data" / "storage")
    with closing(sqlite3.connect(second / "data" / "motes.db")) as database:
        kept = [name for (name,) in database.execute("SELECT object FROM artefacts")]
    assert set(kept) <= set(stored)
    assert {name.removeprefix("storage/") for name in finished_segments} <= set(kept), "segments were rendered again"
    assert (second / "data" / "webhook-secret").read_bytes() == (backup / "webhook-secret").read_bytes()


def test_every_backup_that_is_made_while_work_goes_on_can_be_restored(tmp_path: Path, demo_song: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    with serving(first) as service, service.client() as client, ThreadPoolExecutor() as pool:
        song = client.post("/audio", files={"file": ("song.wav", demo_song.read_bytes())}).json()["audio_id"]
        document = client.get(f"/audio/{song}/analysis").json()
        stop, corrected = threading.Event(), list[float]()

        def work() -> int:
            """Submit, correct and delete, as fast as it is answered."""
            jobs = list[str]()
            while not stop.is_set():
                tempo = 100.0 + len(jobs)
                answer = client.put(f"/audio/{song}/analysis", json=document | {"tempo": tempo})
                assert answer.status_code == 200, answer.text
                corrected.append(tempo)
                jobs.append(render(client, seed=len(jobs), particle_count=10))
                if len(jobs) > 3:
                    assert client.delete(f"/jobs/{jobs[-3]}").status_code == 200
            return len(jobs)

        working = pool.submit(work)
        try:
            for number in range(6):
                folder, restored = tmp_path / f"backup{number % 2}", tmp_path / f"restored{number}"
                wait_for(lambda: len(corrected) > 4 * number or working.done(), why=lambda: working.exception(0))  # noqa: B023
                known = len(corrected)
                assert main(["backup", str(folder), "--data", str(first / "data")]) == 0
                assert main(["restore", str(folder), "--data", str(restored)]) == 0
                [now] = current_corrections(restored)
                assert float(json.loads(now)["tempo"]) >= corrected[known - 1]
                url = f"sqlite+aiosqlite:///{restored / 'motes.db'}"
                assert asyncio.run(repair(url, storage_of(restored), deep=True)).damaged == ()
        finally:
            stop.set()
        assert working.result() > 4


def current_corrections(data: Path) -> list[bytes]:
    """The documents that count for their owners."""
    with closing(sqlite3.connect(data / "motes.db")) as database:
        rows = database.execute("SELECT sha256, digest FROM corrections").fetchall()
    return [(data / "storage" / correction_key(*row)).read_bytes() for row in rows]


# --- without processes ---

pytestmark = pytest.mark.anyio


@pytest.fixture
def data(tmp_path: Path, _sqlite_template: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(_sqlite_template, folder / "motes.db")
    return folder


def put_correction(data: Path, song: bytes, content: bytes, *, current: bool = True) -> str:
    """A correction in storage, which is the owner's current one; returns its key."""
    key = correction_key(sha256_of(song), sha256_of(content))
    (data / "storage" / key).parent.mkdir(parents=True, exist_ok=True)
    (data / "storage" / key).write_bytes(content)
    if current:
        with closing(sqlite3.connect(data / "motes.db")) as database, database:
            values = ("alice", sha256_of(song), sha256_of(content), len(content), "2026-01-01")
            database.execute("INSERT INTO corrections VALUES (?, ?, ?, ?, ?)", values)
    return key


def flip(path: Path) -> None:
    """Change a byte of a file."""
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def storage_of(data: Path) -> Storage:
    return Storage(f"file://{data / 'storage'}")


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_song(data: Path, content: bytes) -> str:
    """A song in storage, and its row; returns its key."""
    key = audio_key(sha256_of(content))
    put(data, key, content)
    return key


def put(data: Path, key: str, content: bytes, *, artefact: str | None = None) -> None:
    """A file in storage, and the row that names it."""
    path = data / "storage" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with closing(sqlite3.connect(data / "motes.db")) as database, database:
        if artefact is not None:
            values = (artefact, key, len(content), sha256_of(content), "2026-01-01", "2026-01-01")
            names = "key, object, size, digest, created_at, used_at"
            database.execute(f"INSERT INTO artefacts ({names}) VALUES (?, ?, ?, ?, ?, ?)", values)
        else:
            values = (sha256_of(content), ".wav", len(content), 1.0, 44100, 2, "2026-01-01")
            names = "sha256, suffix, size, duration, sample_rate, channels, created_at, warnings"
            database.execute(f"INSERT INTO audio ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, '[]')", values)


class TestBackUp:
    def test_has_only_files_in_the_database(self, data: Path, tmp_path: Path) -> None:
        song = put_song(data, b"song")
        put(data, "scenes/s/video.1.mp4", b"video", artefact=result_key("s", "video"))
        (data / "storage/scenes/s/video.2.mp4").write_bytes(b"of an attempt that lost")
        made = back_up(data, storage_of(data), tmp_path / "backup")
        assert (made.files, made.size, made.copied) == (2, 9, 2)
        found = files(tmp_path / "backup")
        assert found.pop("motes.db").startswith(b"SQLite format 3")
        assert found == {f"storage/{song}": b"song", "storage/scenes/s/video.1.mp4": b"video"}
        assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
        assert (tmp_path / "backup/storage" / song).stat().st_mode & 0o077 == 0

    def test_again_is_incremental(self, data: Path, tmp_path: Path) -> None:
        _, two = put_song(data, b"one"), put_song(data, b"two")
        back_up(data, storage_of(data), tmp_path / "backup")
        three = put_song(data, b"three")
        with closing(sqlite3.connect(data / "motes.db")) as database, database:
            database.execute("DELETE FROM audio WHERE sha256 = ?", (sha256_of(b"one"),))
        made = back_up(data, storage_of(data), tmp_path / "backup")
        assert (made.files, made.copied) == (2, 1)
        assert set(files(tmp_path / "backup")) == {"motes.db", f"storage/{two}", f"storage/{three}"}

    def test_tolerates_concurrent_deletion(self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        song = put_song(data, b"song")
        put(data, "scenes/s/video.1.mp4", b"video", artefact=result_key("s", "video"))
        copied = backup._referenced_files

        def deleted_then(database: Path) -> Iterator[backup.NamedFile]:
            """As of the copy of the database; a moment later they are gone, the rows first."""
            found = list(copied(database))
            with closing(sqlite3.connect(data / "motes.db")) as live, live:
                live.execute("DELETE FROM audio")
                live.execute("DELETE FROM artefacts")
            for key in (song, "scenes/s/video.1.mp4"):
                (data / "storage" / key).unlink(missing_ok=True)
            return iter(found)

        monkeypatch.setattr(backup, "_referenced_files", deleted_then)
        assert back_up(data, storage_of(data), tmp_path / "backup").files == 0
        monkeypatch.undo()
        assert restore(tmp_path / "backup", tmp_path / "restored", storage_of(tmp_path / "restored")).files == 0

    @pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"so"), flip])
    @pytest.mark.parametrize("what", ["song", "video", "correction"])
    def test_fails_where_a_file_is_damaged_and_has_everything_else(
        self,
        data: Path,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        damage: Callable[[Path], object],
        what: str,
    ) -> None:
        song, video = put_song(data, b"song"), "scenes/s/video.1.mp4"
        put(data, video, b"video", artefact=result_key("s", "video"))
        other = put_song(data, b"other")
        key = {"song": song, "video": video, "correction": put_correction(data, b"other", b"document")}[what]
        damage(data / "storage" / key)
        assert main(["backup", str(tmp_path / "backup"), "--data", str(data)]) == 2
        said = capsys.readouterr().err
        assert f"lacks {key}: gone, short or changed in storage" in said
        assert len(said.splitlines()) == 1
        made = restore(tmp_path / "backup", tmp_path / "restored", storage_of(tmp_path / "restored"))
        assert made.files == 3
        assert files(tmp_path / "restored")[f"storage/{other}"] == b"other"

    def test_keeps_the_sound_copy_of_a_file_that_is_damaged_since(self, data: Path, tmp_path: Path) -> None:
        song = put_song(data, b"song")
        back_up(data, storage_of(data), tmp_path / "backup")
        flip(data / "storage" / song)
        back_up(data, storage_of(data), tmp_path / "backup")
        assert files(tmp_path / "backup")[f"storage/{song}"] == b"song"

    def test_has_the_corrections_that_count_or_are_needed(self, data: Path, tmp_path: Path) -> None:
        put_song(data, b"song")
        current = put_correction(data, b"song", b"document")
        former, digest = put_correction(data, b"song", b"of before", current=False), sha256_of(b"of before")
        unused = put_correction(data, b"song", b"of long ago", current=False)
        scene = json.dumps({"type": "snow", "audio": sha256_of(b"song"), "analysis": digest, "config": {}})
        with closing(sqlite3.connect(data / "motes.db")) as database, database:
            values = dict.fromkeys(("turn", "cost", "stage_progress", "progress", "frames", "frames_done"), 0)
            values |= {"id": "j", "owner": "", "flow": "f", "kind": "video", "system_id": "s", "scene": scene}
            values |= {"scene_key": "k", "output_path": "v.mp4", "priority": "normal", "status": "failed"}
            values |= {"stage": "failed", "warnings": "[]", "seconds": 0.0, "created_at": "2026-01-01"}
            names = ", ".join(values)
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(values.values()))
        back_up(data, storage_of(data), tmp_path / "backup")
        restore(tmp_path / "backup", tmp_path / "restored", storage_of(tmp_path / "restored"))
        found = set(files(tmp_path / "restored"))
        assert {f"storage/{current}", f"storage/{former}"} <= found
        assert f"storage/{unused}" not in found
        (data / "storage" / former).unlink()  # only one that was retried would need it
        back_up(data, storage_of(data), tmp_path / "another")

    def test_resumes_after_an_interruption(self, data: Path, tmp_path: Path) -> None:
        song = put_song(data, b"song")
        (tmp_path / "backup/storage/audio").mkdir(parents=True)
        (tmp_path / "backup/storage" / song).write_bytes(b"so")
        (tmp_path / "backup/.motes.db.part").write_bytes(b"half of it")
        assert back_up(data, storage_of(data), tmp_path / "backup").copied == 1
        assert files(tmp_path / "backup")[f"storage/{song}"] == b"song"

    def test_refuses_an_unrelated_folder(self, data: Path, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos/storage.jpg").touch()
        with pytest.raises(MotesError, match="neither empty nor a backup"):
            back_up(data, storage_of(data), tmp_path / "photos")

    def test_of_a_folder_without_a_database_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(MotesError, match="there is no database"):
            back_up(tmp_path, storage_of(tmp_path), tmp_path / "backup")
        assert not (tmp_path / "backup").exists()


class TestRestore:
    def test_returns_the_backed_up_files(self, data: Path, tmp_path: Path) -> None:
        song = put_song(data, b"song")
        back_up(data, storage_of(data), tmp_path / "backup")
        made = restore(tmp_path / "backup", tmp_path / "restored", storage_of(tmp_path / "restored"))
        assert (made.files, made.copied) == (1, 1)
        assert files(tmp_path / "restored")[f"storage/{song}"] == b"song"

    def test_refuses_a_folder_with_a_database(self, data: Path, tmp_path: Path) -> None:
        back_up(data, storage_of(data), tmp_path / "backup")
        with pytest.raises(MotesError, match="already has a database"):
            restore(tmp_path / "backup", data, storage_of(data))

    @pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"so")])
    def test_of_a_damaged_backup_is_refused_before_anything_is_written(
        self, data: Path, tmp_path: Path, damage: object
    ) -> None:
        song = put_song(data, b"song")
        back_up(data, storage_of(data), tmp_path / "backup")
        assert callable(damage)
        damage(tmp_path / "backup/storage" / song)
        with pytest.raises(MotesError, match="the backup is damaged"):
            restore(tmp_path / "backup", tmp_path / "restored", Storage(f"file://{tmp_path / 'elsewhere'}"))
        assert not (tmp_path / "restored").exists()

    def test_of_a_backup_that_has_changed_leaves_no_database(self, data: Path, tmp_path: Path) -> None:
        song = put_song(data, b"song")
        back_up(data, storage_of(data), tmp_path / "backup")
        flip(tmp_path / "backup/storage" / song)
        with pytest.raises(MotesError, match=r"the backup is damaged: .* has changed"):
            restore(tmp_path / "backup", tmp_path / "restored", storage_of(tmp_path / "restored"))
        assert not (tmp_path / "restored/motes.db").exists()

    def test_refuses_a_folder_without_a_backup(self, tmp_path: Path) -> None:
        with pytest.raises(MotesError, match="is not a backup"):
            restore(tmp_path, tmp_path / "restored", storage_of(tmp_path / "restored"))


class TestRepair:
    async def test_forgets_what_was_lost_and_replans_unfinished_jobs(self, database: str, shelf: Shelf) -> None:
        board = shelf.board
        done, lost = [await shelf.rendered(scene=name) for name in ("done", "lost")]
        for key in shelf.files():
            if (await board.job(lost)).scene_key in key:
                shelf.storage.delete([key])
        begun = await shelf.submit(scene="begun")
        while (claim := await board.take()).kind != "segment":
            await shelf.do(claim)
        await shelf.do(claim)
        song = await shelf.song("gone", "alice")
        shelf.storage.delete([audio_key(song)])
        deaf = await shelf.submit(scene="deaf")
        async with board.sessions.begin() as session:
            (await session.get_one(JobRow, deaf)).scene = {"type": "snow", "audio": song}
        repaired = await repair(database, shelf.storage)
        assert (repaired.songs, repaired.artefacts, repaired.videos, repaired.jobs) == (1, 4, 1, 2)
        assert audio_key(song) in repaired.damaged
        assert (await board.job(done)).expired_at is None
        assert (await board.job(lost)).expired_at is None
        assert await reopen(board.sessions, lost)
        assert (await board.job(deaf)).error == "its song is gone"
        kinds = list[str]()
        while (claim := await board.tasks.claim("worker")) is not None:
            await shelf.do(claim)
            kinds += [claim.kind] if claim.job == begun else []
        assert kinds == ["plan", "segment", "segment", "join"], "one of its segments was finished, and is kept"
        assert [await board.status(each) for each in (done, lost, begun)] == ["completed"] * 3

    async def test_reads_everything_if_deep(self, database: str, shelf: Shelf) -> None:
        job = await shelf.rendered()
        audio = await shelf.song("song", "alice")
        digests = dict[str, str]()
        for key in await shelf.artefacts():
            with shelf.storage.file(key) as path:
                digests[key] = digest_of(path)
        async with shelf.board.sessions.begin() as session:
            for row in await session.scalars(select(ArtefactRow)):
                row.digest = digests[row.object]
        changed = min(digests)
        with shelf.storage.file(changed) as path:
            flip(path)
        assert (await repair(database, shelf.storage)).damaged == ()
        repaired = await repair(database, shelf.storage, deep=True)
        analysis = analysis_key(audio, "version")
        assert repaired.damaged == tuple(sorted((changed, audio_key(audio), analysis)))
        assert (repaired.artefacts, repaired.songs, repaired.analyses) == (1, 1, 1)
        assert not shelf.storage.exists(analysis)
        assert await shelf.board.status(job) == "completed"

    async def test_counts_the_analyses_that_are_left(self, database: str, shelf: Shelf) -> None:
        songs = [await shelf.song(name, "alice") for name in ("there", "lost")]
        shelf.storage.delete([analysis_key(songs[1], "version")])
        await repair(database, shelf.storage)
        async with shelf.board.sessions() as session:
            counted = {row.sha256: (row.analyses, row.analyses_size) for row in await session.scalars(select(AudioRow))}
        assert counted == {songs[0]: (1, HEARD), songs[1]: (0, 0)}

    async def test_works_after_pg_restore(self, postgres_server: Postgres, tmp_path: Path) -> None:
        """As in docs/operations.md: first the dump, then the files."""
        names = [await asyncio.to_thread(postgres_server.create) for _ in range(2)]
        url, restored = [postgres_server.url(name) for name in names]
        await upgrade(url)
        engine, sessions = open_database(url)
        board = Board(sessions)
        done, begun = [await board.submit(scene={"type": "snow", "audio": None}) for _ in range(2)]
        while (claim := await board.take()).job == done or claim.kind == "plan":
            await board.do(claim)
        programs = postgres_programs()
        where = ("--host", str(postgres_server.socket), "--username", "postgres")
        dump = ("--format=custom", f"--file={tmp_path / 'dump'}", "--dbname", names[0])
        subprocess.run((programs / "pg_dump", *where, *dump), check=True)
        subprocess.run((programs / "pg_restore", *where, "--dbname", names[1], tmp_path / "dump"), check=True)
        await engine.dispose()
        assert (await repair(restored, Everything(f"file://{tmp_path / 'everything'}"))).jobs == 1
        engine, sessions = open_database(restored)
        board = Board(sessions)
        assert {claim.job for claim in await board.work()} == {begun}
        assert await board.status(done) == await board.status(begun) == "completed"
        await engine.dispose()

    async def test_of_a_sound_database_changes_nothing(self, database: str, shelf: Shelf) -> None:
        await shelf.rendered()
        before = await shelf.board.count(ArtefactRow)
        repaired = await repair(database, shelf.storage, deep=True)
        assert repaired == RepairResult(0, 0, 0, 0, 0, 0, 0, ())
        assert await shelf.board.count(ArtefactRow) == before
        assert await shelf.board.count(JobRow) == 1


class Everything(Storage):
    """One that has every file that a first attempt makes."""

    def size(self, key: str) -> int | None:
        return 1001


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_postgresql_is_refused_in_favour_of_pg_dump(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOTES_DATABASE_URL", "postgresql+asyncpg://motes:hush@db/motes")
    assert main([command, str(tmp_path / "backup")]) == 2
    said = capsys.readouterr().err
    assert "for PostgreSQL use pg_" in said
    assert "hush" not in said


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_unwritable_output_is_a_one_line_error(
    command: str, capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path
) -> None:
    back_up(data, storage_of(data), tmp_path / "backup")
    where = {
        "backup": ["/dev/full/x", "--data", str(data)],
        "restore": [str(tmp_path / "backup"), "--data", "/dev/full/x"],
    }
    assert main([command, *where[command]]) == 2
    said = capsys.readouterr().err
    assert said.startswith("motes: error: /dev/full")
    assert len(said.splitlines()) == 1
