"""Backups: of a service at work, restored into another folder, which then does what the first one would have done."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ecs_core import MotesError
from services.cli.main import main
from services.database.engine import open_database
from services.database.migrations import upgrade
from services.database.models import ArtefactRow, AudioRow, JobRow
from services.retention.backup import back_up, repair, restore
from services.storage.object_keys import audio_key, result_key
from services.storage.object_store import Storage
from tests.service import serving, wait_for
from tests.services.board import Board
from tests.services.servers import Postgres, postgres_programs

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


# --- without processes ---

pytestmark = pytest.mark.anyio


@pytest.fixture
def data(tmp_path: Path, _sqlite_template: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(_sqlite_template, folder / "motes.db")
    return folder


def storage_of(data: Path) -> Storage:
    return Storage(f"file://{data / 'storage'}")


def put(data: Path, key: str, content: bytes, *, artefact: str | None = None) -> None:
    """A file in storage, and the row that names it."""
    path = data / "storage" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with closing(sqlite3.connect(data / "motes.db")) as database, database:
        if artefact is not None:
            values = (artefact, key, len(content), "2026-01-01", "2026-01-01")
            names = "key, object, size, created_at, used_at"
            database.execute(f"INSERT INTO artefacts ({names}) VALUES (?, ?, ?, ?, ?)", values)
        else:
            values = (key.removeprefix("audio/"), ".wav", len(content), 1.0, 44100, 2, "2026-01-01")
            names = "sha256, suffix, size, duration, sample_rate, channels, created_at, warnings"
            database.execute(f"INSERT INTO audio ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, '[]')", values)


class TestBackUp:
    def test_has_only_files_in_the_database(self, data: Path, tmp_path: Path) -> None:
        put(data, audio_key("a"), b"song")
        put(data, "scenes/s/video.1.mp4", b"video", artefact=result_key("s", "video"))
        (data / "storage/scenes/s/video.2.mp4").write_bytes(b"of an attempt that lost")
        made = back_up(data, storage_of(data), tmp_path / "backup")
        assert (made.files, made.size, made.copied) == (2, 9, 2)
        found = files(tmp_path / "backup")
        assert found.pop("motes.db").startswith(b"SQLite format 3")
        assert found == {"storage/audio/a": b"song", "storage/scenes/s/video.1.mp4": b"video"}
        assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
        assert (tmp_path / "backup/storage/audio/a").stat().st_mode & 0o077 == 0

    def test_again_is_incremental(self, data: Path, tmp_path: Path) -> None:
        put(data, audio_key("a"), b"one")
        put(data, audio_key("b"), b"two")
        back_up(data, storage_of(data), tmp_path / "backup")
        put(data, audio_key("c"), b"three")
        with closing(sqlite3.connect(data / "motes.db")) as database, database:
            database.execute("DELETE FROM audio WHERE sha256 = 'a'")
        made = back_up(data, storage_of(data), tmp_path / "backup")
        assert (made.files, made.copied) == (2, 1)
        assert set(files(tmp_path / "backup")) == {"motes.db", "storage/audio/b", "storage/audio/c"}

    def test_tolerates_concurrent_deletion(self, data: Path, tmp_path: Path) -> None:
        put(data, audio_key("a"), b"song")
        (data / "storage/audio/a").unlink()
        assert back_up(data, storage_of(data), tmp_path / "backup").files == 0
        assert restore(tmp_path / "backup", tmp_path / "restored", storage_of(tmp_path / "restored")).files == 0

    def test_resumes_after_an_interruption(self, data: Path, tmp_path: Path) -> None:
        put(data, audio_key("a"), b"song")
        (tmp_path / "backup/storage/audio").mkdir(parents=True)
        (tmp_path / "backup/storage/audio/a").write_bytes(b"so")
        (tmp_path / "backup/.motes.db.part").write_bytes(b"half of it")
        assert back_up(data, storage_of(data), tmp_path / "backup").copied == 1
        assert files(tmp_path / "backup")["storage/audio/a"] == b"song"

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
        put(data, audio_key("a"), b"song")
        back_up(data, storage_of(data), tmp_path / "backup")
        made = restore(tmp_path / "backup", tmp_path / "restored", storage_of(tmp_path / "restored"))
        assert (made.files, made.copied) == (1, 1)
        assert files(tmp_path / "restored")["storage/audio/a"] == b"song"

    def test_refuses_a_folder_with_a_database(self, data: Path, tmp_path: Path) -> None:
        back_up(data, storage_of(data), tmp_path / "backup")
        with pytest.raises(MotesError, match="already has a database"):
            restore(tmp_path / "backup", data, storage_of(data))

    @pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"so")])
    def test_of_a_damaged_backup_is_refused_before_anything_is_written(
        self, data: Path, tmp_path: Path, damage: object
    ) -> None:
        put(data, audio_key("a"), b"song")
        back_up(data, storage_of(data), tmp_path / "backup")
        assert callable(damage)
        damage(tmp_path / "backup/storage/audio/a")
        with pytest.raises(MotesError, match="the backup is damaged"):
            restore(tmp_path / "backup", tmp_path / "restored", Storage(f"file://{tmp_path / 'elsewhere'}"))
        assert not (tmp_path / "restored").exists()

    def test_refuses_a_folder_without_a_backup(self, tmp_path: Path) -> None:
        with pytest.raises(MotesError, match="is not a backup"):
            restore(tmp_path, tmp_path / "restored", storage_of(tmp_path / "restored"))


class TestRepair:
    async def test_removes_missing_files_and_replans_unfinished_jobs(self, database: str, board: Board) -> None:
        done = await board.submit(scene_key="done", scene={"type": "snow", "audio": None})
        await board.work()
        lost = await board.submit(scene_key="lost", scene={"type": "snow", "audio": None})
        await board.work()
        begun = await board.submit(scene_key="begun", scene={"type": "snow", "audio": None})
        segment = await board.until("segment")
        await board.do(segment)
        async with board.sessions.begin() as session:
            facts = {"suffix": ".wav", "size": 1, "duration": 1.0, "sample_rate": 44100, "channels": 2}
            session.add(AudioRow(sha256="gone", **facts))
        deaf = await board.submit(scene_key="deaf", scene={"type": "snow", "audio": "gone"})
        repaired = await repair(database, lambda key: "lost" not in key and "gone" not in key)
        assert (repaired.songs, repaired.artefacts, repaired.videos, repaired.jobs) == (1, 4, 1, 2)
        assert (await board.job(done)).expired_at is None
        assert (await board.job(lost)).expired_at is not None
        assert (await board.job(deaf)).error == "its song is gone"
        claims = await board.work()
        assert {claim.job for claim in claims} == {begun}
        assert [claim.kind for claim in claims] == ["plan", "segment", "segment", "join"]

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
        assert (await repair(restored, lambda key: True)).jobs == 1
        engine, sessions = open_database(restored)
        board = Board(sessions)
        assert {claim.job for claim in await board.work()} == {begun}
        assert await board.status(done) == await board.status(begun) == "completed"
        await engine.dispose()

    async def test_of_a_sound_database_changes_nothing(self, database: str, board: Board) -> None:
        await board.submit()
        await board.work()
        before = await board.count(ArtefactRow)
        repaired = await repair(database, lambda key: True)
        assert (repaired.songs, repaired.artefacts, repaired.videos, repaired.jobs) == (0, 0, 0, 0)
        assert await board.count(ArtefactRow) == before
        assert await board.count(JobRow) == 1


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
