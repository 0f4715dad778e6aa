"""One run of retention deletes a tenth of a kind at most, or a hundred, and no clock of a process decides what."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from services.database.engine import open_database
from services.database.models import ArtefactRow, AudioRow, IdempotencyRow, LeaseRow
from services.observability import metrics
from services.retention import cap
from services.storage.object_store import Storage
from tests.disk import disk_of
from tests.services.board import Board
from tests.services.moments import now
from tests.services.shelf import Shelf, settings_for

pytestmark = pytest.mark.anyio
MONTH = 31 * 24 * 3600.0


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few are many."""
    monkeypatch.setattr(cap, "_ALWAYS", 3)
    monkeypatch.setattr(cap, "_SHARE", 0.25)


def held_back(kind: str) -> float:
    return metrics.WORKER.get_sample_value("motes_retention_held_back_total", {"kind": kind}) or 0.0


def test_a_hundred_or_a_tenth() -> None:
    assert [cap.Cap().most(number) for number in (0, 100, 1000, 1001, 20_000)] == [100, 100, 100, 100, 2000]
    assert cap.Cap(lifted=True).most(5) > 10**9


async def test_run_of_a_process_whose_clock_is_wrong_deletes_nothing(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.rendered()
    await shelf.rendered(kind="preview")
    await shelf.song("song", "alice")
    before, right = shelf.files(), time.time
    for wrong in (MONTH, -MONTH, 3600.0, -3600.0):
        monkeypatch.setattr(time, "time", lambda wrong=wrong: right() + wrong)
        await shelf.janitor().gc()
        await shelf.janitor().tick(patience=0.0)
        assert {key for key in before if "/plans/" not in key} <= shelf.files().keys()


async def test_more_songs_wait_for_the_next_run(shelf: Shelf, few: None, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        await shelf.song(f"song {number}", "alice")
    await shelf.age(days=40)
    await shelf.song("new", "alice")
    before = held_back("songs")
    caplog.set_level(logging.WARNING, "motes.retention")
    left = []
    for _ in range(2):
        report = await shelf.janitor().gc()
        left.append(await shelf.board.count(AudioRow))
        assert report.is_capped
    assert left == [16, 12]  # a quarter of 21, of 16
    assert held_back("songs") - before == 15 + 11
    told = [record.message for record in caplog.records if "songs" in record.message]
    assert told[0].startswith("15 more songs were due than one run of retention deletes")
    assert not (await shelf.janitor().gc(everything=True)).is_capped
    assert await shelf.board.count(AudioRow) == 1


@pytest.mark.parametrize(("kind", "kinds"), [("analysis", "analyses"), ("curves", "curves"), ("frame", "frames")])
async def test_results_that_wait_are_counted_by_kind(shelf: Shelf, few: None, kind: str, kinds: str) -> None:
    for _ in range(5):
        await shelf.rendered(kind=kind)
    await shelf.age(days=40)
    before = held_back(kinds)
    await shelf.janitor().gc()
    assert held_back(kinds) - before == 2


async def test_the_least_recently_used_go_first(shelf: Shelf, few: None) -> None:
    songs = []
    for number in range(8):
        songs.append(await shelf.song(f"song {number}", "alice"))
        await shelf.age(days=40)
    await shelf.clear()
    async with shelf.board.sessions() as session:
        assert set(await session.scalars(select(AudioRow.sha256))) == set(songs[3:])


async def test_segments_of_one_scene_go_in_several_runs(shelf: Shelf, few: None) -> None:
    for _ in range(2):
        await shelf.rendered()
    await shelf.age(days=2)
    seen = []
    for _ in range(3):
        await shelf.clear(keep_videos=0)
        seen.append(sum("/segments/" in key for key in await shelf.artefacts()))
        await shelf.whole()
    assert seen == [3, 0, 0]


async def test_orphans_wait_and_the_next_run_goes_on_with_them(shelf: Shelf, few: None) -> None:
    for number in range(8):
        shelf.put(f"scenes/{number:064}/plans/{number}/plan", 10)
    await shelf.age(days=1)
    left = []
    for _ in range(3):
        await shelf.janitor().tick(patience=0.0)  # each is thorough, as the last one had to leave some
        left.append(len(shelf.files()))
    assert left == [5, 2, 0]


async def test_old_rows_wait(shelf: Shelf, few: None) -> None:
    async with shelf.board.sessions.begin() as session:
        old = now() - timedelta(days=2)
        session.add_all(IdempotencyRow(key=str(number), request="r", created_at=old) for number in range(10))
    assert (await shelf.clear()).rows["requests"] == 3
    assert (await shelf.janitor().collect(thorough=True, everything=True)).rows["requests"] == 7


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_full_disk_is_cleared_in_several_runs(tmp_path: Path, database: str, few: None) -> None:
    (tmp_path / "disk").mkdir()
    with disk_of(8 << 20, tmp_path / "disk") as disk:
        engine, sessions = open_database(database)
        storage = Storage(f"file://{disk}")
        shelf = Shelf(Board(sessions), storage, settings_for(tmp_path, database, f"file://{disk}"))
        for number in range(10):
            await shelf.song(f"song {number}", "alice", size=500_000)
        await shelf.age(days=1)
        free = storage.free()
        assert free is not None
        wanted, runs = str(free + 5 * 500_000), 0
        while (await shelf.clear(keep_free=wanted)).freed:
            runs += 1
        assert runs == 2
        assert (storage.free() or 0) >= int(wanted)
        await engine.dispose()


async def test_lease_is_left_by_a_dead_process(shelf: Shelf) -> None:
    await shelf.janitor().gc()
    async with shelf.board.sessions.begin() as session:
        await session.execute(update(LeaseRow).values(holder="dead", until=now() + timedelta(hours=1)))
    await shelf.rendered()
    await shelf.age(days=40)
    await shelf.janitor().tick(patience=0.0)
    assert await shelf.board.count(ArtefactRow)
    async with shelf.board.sessions.begin() as session:
        await session.execute(update(LeaseRow).values(until=now() - timedelta(seconds=1)))
    await shelf.janitor().tick(patience=0.0)
    assert not await shelf.board.count(ArtefactRow)
