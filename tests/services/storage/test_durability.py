"""What is acknowledged survives a power cut: a file and its folders are flushed before a row names it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from services.database.engine import open_database, outside_transactions
from services.database.models import AudioRow
from services.storage.object_keys import audio_key
from services.storage.object_store import LostFileError, Storage
from tests.services.board import SONG

pytestmark = pytest.mark.anyio


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path / 'storage'}")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What happens to files: flushes, by what is flushed, and renamings."""
    steps, fsync, replace = list[str](), os.fsync, os.replace

    def flushed(file: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{file}"))
        steps.append(f"flush {path.relative_to(tmp_path)}" if path.is_relative_to(tmp_path) else "flush")
        fsync(file)

    def renamed(source: Path, target: Path) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    return steps


def put(storage: Storage, key: str, content: bytes = b"content", *, durable: bool = True) -> None:
    (storage.scratch / "new").write_bytes(content)
    storage.put(key, storage.scratch / "new", durable=durable)


def test_a_file_is_flushed_before_it_appears_and_its_folders_after(storage: Storage, steps: list[str]) -> None:
    put(storage, "scenes/a/segments/0.mp4")
    assert steps == [
        "flush storage/.scratch/new",
        "rename",
        "flush storage/scenes/a/segments",
        "flush storage/scenes/a",
        "flush storage/scenes",
        "flush storage",
    ]


def test_what_is_easily_made_again_is_not_flushed(storage: Storage, steps: list[str]) -> None:
    put(storage, "scenes/a/plans/b/plan.npz", durable=False)
    assert steps == ["rename"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_commits_are_flushed(database: str) -> None:
    engine, sessions = open_database(database)
    async with sessions() as session:
        assert (await (await session.connection()).exec_driver_sql("PRAGMA synchronous")).scalar() == 2, "FULL"
    await engine.dispose()


class TestLostFiles:
    @pytest.mark.parametrize(("size", "digest"), [(8, None), (6, None), (7, "0" * 64)])
    def test_are_noticed(self, storage: Storage, size: int, digest: str | None) -> None:
        put(storage, "scenes/a/video.mp4")
        with pytest.raises(LostFileError) as raised, storage.file("scenes/a/video.mp4", size=size, digest=digest):
            pass
        assert raised.value.key == "scenes/a/video.mp4"

    def test_that_are_gone_have_no_size(self, storage: Storage) -> None:
        assert storage.size("scenes/a/video.mp4") is None
        with pytest.raises(LostFileError), storage.file("scenes/a/video.mp4"):
            pass


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
class TestWithinTransactions:
    async def test_storage_is_refused(self, database: str, storage: Storage) -> None:
        engine, sessions = open_database(database)
        async with sessions.begin() as session:
            session.add(AudioRow(sha256=SONG, suffix="", size=1, duration=1.0, sample_rate=1, channels=1))
            for use in (
                lambda: storage.exists(audio_key(SONG)),
                lambda: storage.delete([]),
                lambda: list(storage.list("audio")),
                lambda: put(storage, audio_key(SONG)),
                storage.free,
            ):
                with pytest.raises(RuntimeError, match="within a transaction"):
                    use()
        put(storage, audio_key(SONG))
        await engine.dispose()

    async def test_the_end_is_seen_by_whatever_began_within(self, database: str) -> None:
        engine, sessions = open_database(database)
        ended = asyncio.Event()

        async def later() -> None:
            await ended.wait()
            outside_transactions()

        async with sessions.begin():
            task = asyncio.create_task(later())
        ended.set()
        await task
        await engine.dispose()
