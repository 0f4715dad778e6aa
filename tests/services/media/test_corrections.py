"""Corrections: stored by content, and named by the database, which takes over what files named before."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from services.database.models import AudioRow, CorrectionRow, UploadRow
from services.media.corrections import Corrections, take_over
from services.media.songs import SongNotFoundError
from services.storage.object_keys import correction_key, former_correction_key
from services.storage.object_store import Storage
from tests.services.board import SONG, Board

pytestmark = pytest.mark.anyio


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(f"file://{tmp_path / 'storage'}")


@pytest.fixture
async def corrections(board: Board, storage: Storage) -> Corrections:
    async with board.sessions.begin() as session:
        session.add(AudioRow(sha256=SONG, suffix="", size=1, duration=1.0, sample_rate=1, channels=1))
        await session.flush()
        session.add_all(UploadRow(owner=owner, sha256=SONG) for owner in ("alice", "bob"))
    return Corrections(board.sessions, storage)


def put(storage: Storage, key: str, content: str) -> None:
    (storage.scratch / "new").write_text(content)
    storage.put(key, storage.scratch / "new")


async def test_each_owner_has_their_own(corrections: Corrections, storage: Storage) -> None:
    first = await corrections.save(SONG, "alice", "one")
    second = await corrections.save(SONG, "alice", "two")
    assert await corrections.current(SONG, "alice") == second
    assert await corrections.current(SONG, "bob") is None
    assert storage.exists(correction_key(SONG, first)), "jobs refer to it"
    await corrections.clear(SONG, "alice")
    assert await corrections.current(SONG, "alice") is None
    assert storage.exists(correction_key(SONG, second))


async def test_of_a_song_that_was_deleted_is_refused(corrections: Corrections) -> None:
    with pytest.raises(SongNotFoundError):
        await corrections.save("b" * 64, "alice", "one")


async def test_nothing_is_ever_written_again(corrections: Corrections, storage: Storage) -> None:
    await corrections.save(SONG, "alice", "one")
    before = {each.key for batch in storage.list("") for each in batch}
    await corrections.save(SONG, "alice", "two")
    await corrections.save(SONG, "alice", "one")
    after = {each.key for batch in storage.list("") for each in batch}
    assert before < after
    assert all(key.endswith(".json") for key in after)


async def test_files_from_before_count_until_they_are_taken_over(
    corrections: Corrections, storage: Storage, board: Board
) -> None:
    """As the migration leaves it: a row without a digest for whoever has the song."""
    async with board.sessions.begin() as session:
        session.add_all(CorrectionRow(owner=owner, sha256=SONG) for owner in ("alice", "bob"))
    put(storage, correction_key(SONG, "d" * 64), "document")
    put(storage, former_correction_key(SONG, "alice"), "d" * 64)
    assert await corrections.current(SONG, "alice") == "d" * 64
    assert await corrections.current(SONG, "bob") is None
    assert await take_over(board.sessions, storage) == 1
    storage.delete([former_correction_key(SONG, "alice")])
    assert await corrections.current(SONG, "alice") == "d" * 64
    async with board.sessions() as session:
        [row] = await session.scalars(select(CorrectionRow))
    assert (row.owner, row.size) == ("alice", 8)
    assert await take_over(board.sessions, storage) == 0


async def test_what_is_cleared_stays_cleared(corrections: Corrections, storage: Storage, board: Board) -> None:
    async with board.sessions.begin() as session:
        session.add(CorrectionRow(owner="alice", sha256=SONG))
    put(storage, former_correction_key(SONG, "alice"), "d" * 64)
    await corrections.clear(SONG, "alice")
    await take_over(board.sessions, storage)
    assert await corrections.current(SONG, "alice") is None
