"""Songs and assets that are stored again while they are deleted: no row is left without its file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from services.auth.api_keys import Caller
from services.database.engine import open_database
from services.media import songs
from services.media.assets import store
from services.media.assets.store import Assets
from services.media.songs import Songs
from services.settings import ServiceSettings
from services.storage import deletion_marks
from services.storage.deletion_marks import deleting, until_deleted
from services.storage.object_keys import asset_lock, song_lock
from services.storage.object_store import Storage
from tests.services.api.world import picture, song
from tests.waiting import HANG

pytestmark = pytest.mark.anyio
ALICE = Caller("alice", "key", frozenset({"render"}), {})


@pytest.mark.parametrize("kind", ["song", "asset"])
async def test_file_that_is_deleted_meanwhile_is_put_again(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    engine, sessions = open_database(database)
    settings, storage = ServiceSettings(data=tmp_path), Storage(f"file://{tmp_path / 'storage'}")
    content = song() if kind == "song" else picture()
    sha256 = hashlib.sha256(content).hexdigest()
    lock = song_lock(sha256) if kind == "song" else asset_lock(sha256)
    marked, go_on, deletions = asyncio.Event(), asyncio.Event(), list[asyncio.Task[None]]()
    put, loop, keys = storage.put, asyncio.get_running_loop(), list[str]()

    async def delete(key: str) -> None:
        async with deleting(sessions, lock):
            marked.set()
            await go_on.wait()
            await asyncio.to_thread(storage.delete, [key])

    def put_and_be_deleted(key: str, path: Path, **more: Any) -> int:
        size = put(key, path, **more)
        keys.append(key)
        if len(keys) == 1:  # a deletion begins just then, and ends later
            loop.call_soon_threadsafe(lambda: deletions.append(asyncio.create_task(delete(key))))
            asyncio.run_coroutine_threadsafe(marked.wait(), loop).result(HANG)
        return size

    async def until_deleted_at_last(*about: Any) -> None:
        if keys:
            go_on.set()
        await until_deleted(*about)

    monkeypatch.setattr(storage, "put", put_and_be_deleted)
    monkeypatch.setattr(deletion_marks, "_POLL_INTERVAL", 0.01)
    for module in (songs, store):
        monkeypatch.setattr(module, "until_deleted", until_deleted_at_last)
    (tmp_path / "staged").write_bytes(content)
    library: Callable[..., Awaitable[object]] = (
        Songs(settings, sessions, storage, tmp_path / "scratch").store
        if kind == "song"
        else Assets(settings, sessions, storage).store
    )
    await library(tmp_path / "staged", sha256=sha256, name=f"a {kind}", caller=ALICE)
    go_on.set()
    await asyncio.gather(*deletions)
    assert storage.exists(keys[0]), "a row names it"
    assert len(keys) == 2
    await engine.dispose()
