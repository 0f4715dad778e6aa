"""Retention of assets: what goes by age, quota and room, what stays; orphans; and backups."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from ecs_core import MotesError
from services.auth.api_keys import Caller
from services.database.engine import open_database
from services.database.migrations import upgrade
from services.database.models import AssetClaimRow, AssetRow, SystemAssetRow, SystemRow
from services.media.assets.store import Assets
from services.retention.backup import back_up, restore
from services.retention.deletion import Deleter
from services.retention.repair import repair
from services.storage.object_keys import asset_key
from services.storage.object_store import Storage
from services.storage.usage import stored_bytes, usage_by_kind, usage_by_owner
from tests.services.board import Board
from tests.services.media.asset_examples import picture
from tests.services.moments import now
from tests.services.shelf import Shelf, settings_for

pytestmark = pytest.mark.anyio
DIGEST = "d" * 64


async def asset(shelf: Shelf, content: str, *owners: str, size: int = 500, days: float = 0) -> str:
    """An asset that owners uploaded so many days ago."""
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    shelf.put(asset_key(sha256, DIGEST), size)
    at = now() - timedelta(days=days)
    async with shelf.board.sessions.begin() as session:
        session.add(AssetRow(sha256=sha256, kind="image", digest=DIGEST, size=size, facts={}, created_at=at))
        await session.flush()
        session.add_all(
            AssetClaimRow(owner=owner, sha256=sha256, name="a.png", created_at=at, used_at=at) for owner in owners
        )
    return sha256


async def refer(shelf: Shelf, sha256: str, owner: str = "alice") -> str:
    """A system that refers to an asset."""
    async with shelf.board.sessions.begin() as session:
        system = SystemRow(owner=owner, particle_type="portrait", config={"picture": f"asset:{sha256}"})
        session.add(system)
        await session.flush()
        session.add(SystemAssetRow(system_id=system.id, sha256=sha256))
        return system.id


async def claims(shelf: Shelf) -> set[tuple[str, str]]:
    async with shelf.board.sessions() as session:
        return {(row.owner, row.sha256) for row in await session.scalars(select(AssetClaimRow))}


def files(shelf: Shelf) -> set[str]:
    return {each.key.split("/")[1] for batch in shelf.storage.list("assets") for each in batch}


async def test_unused_asset_expires(shelf: Shelf) -> None:
    old, young = await asset(shelf, "old", "alice", days=31), await asset(shelf, "young", "alice", days=29)
    report = await shelf.clear()
    assert report.freed == {("expired", "asset"): (1, 500)}
    assert files(shelf) == {young}
    assert await claims(shelf) == {("alice", young)}
    assert old != young


async def test_asset_of_a_system_stays(shelf: Shelf) -> None:
    used = await asset(shelf, "used", "alice", "bob", days=99)
    await refer(shelf, used)
    await shelf.clear()
    assert files(shelf) == {used}


async def test_asset_of_an_open_job_stays(shelf: Shelf) -> None:
    used = await asset(shelf, "used", "alice")
    scene = {"type": "portrait", "config": {}, "audio": None, "quality": "draft", "assets": {used: DIGEST}}
    job = await shelf.board.submit("alice", owner="alice", scene=scene)
    await shelf.age(days=40)
    await shelf.clear()
    assert files(shelf) == {used}
    await shelf.board.jobs.cancel(job)
    await shelf.clear()
    assert files(shelf) == set()


async def test_asset_stays_with_the_owners_who_used_it_lately(shelf: Shelf) -> None:
    shared = await asset(shelf, "shared", "alice", days=31)
    async with shelf.board.sessions.begin() as session:
        session.add(AssetClaimRow(owner="bob", sha256=shared, name="b.png"))
    await shelf.clear()
    assert (await claims(shelf), files(shelf)) == ({("bob", shared)}, {shared})


async def test_over_quota_the_least_recently_used_goes_first(shelf: Shelf) -> None:
    old, young = await asset(shelf, "old", "alice", days=2), await asset(shelf, "young", "alice", days=1)
    report = await shelf.clear(keep_bytes=700)
    assert report.freed == {("quota", "asset"): (1, 500)}
    assert await claims(shelf) == {("alice", young)}
    assert old != young


async def test_asset_without_an_owner_goes(shelf: Shelf) -> None:
    await asset(shelf, "alone", days=1)
    assert (await shelf.clear()).freed == {("leftover", "asset"): (1, 500)}
    assert files(shelf) == set()


async def test_file_without_a_row_goes_and_so_does_one_that_its_row_does_not_name(shelf: Shelf) -> None:
    known = await asset(shelf, "known", "alice")
    shelf.put(asset_key("e" * 64, DIGEST), 70)
    shelf.put(asset_key(known, "other"), 30)
    await shelf.age(hours=2)
    report = await shelf.clear()
    assert report.freed == {("leftover", "file"): (2, 100)}
    assert files(shelf) == {known}
    assert shelf.storage.exists(asset_key(known, DIGEST))


async def test_asset_used_since_then_is_not_deleted(shelf: Shelf) -> None:
    used = await asset(shelf, "used", "alice")
    deleter = Deleter(shelf.board.sessions, shelf.storage)
    earlier = now() - timedelta(hours=1)
    assert await deleter.delete_asset(used, None, unused_since=earlier, reason="expired") == 0
    assert files(shelf) == {used}


async def test_assets_count_for_every_owner(shelf: Shelf) -> None:
    await asset(shelf, "a", "alice", "bob", size=300)
    await asset(shelf, "b", "bob", size=20)
    async with shelf.board.sessions() as session:
        assert await stored_bytes(session, "bob") == 320
        assert {tuple(each) for each in await usage_by_owner(session)} == {
            ("alice", "asset", 1, 300),
            ("bob", "asset", 2, 320),
        }
        assert [tuple(each) for each in await usage_by_kind(session) if each.kind == "asset"] == [("", "asset", 2, 320)]


async def test_asset_stored_and_deleted_at_once_is_whole_or_gone(shelf: Shelf, tmp_path: Path) -> None:
    """Whatever comes first, and for whomever: each row has its file, and each file its row."""
    data = picture()
    sha256 = hashlib.sha256(data).hexdigest()
    assets = Assets(shelf.settings, shelf.board.sessions, shelf.storage)
    deleter = Deleter(shelf.board.sessions, shelf.storage)
    later = now() + timedelta(days=1)

    async def store(owner: str, number: int) -> None:
        folder = tmp_path / f"storage/.scratch/{owner}-{number}"
        folder.mkdir()
        (folder / "file").write_bytes(data)
        caller = Caller(owner, "key", frozenset({"render"}), {})
        assert (await assets.store(folder / "file", sha256=sha256, name="a.png", caller=caller)).kind == "image"

    async def delete(owner: str) -> None:
        await deleter.delete_asset(sha256, [owner], unused_since=later, reason="deleted")

    for number in range(6):
        await asyncio.gather(store("alice", number), delete("alice"), store("bob", number), delete("bob"))
        async with shelf.board.sessions() as session:
            row = await session.get(AssetRow, sha256)
        found = {each.key for batch in shelf.storage.list("assets") for each in batch}
        assert found == (set() if row is None else {asset_key(sha256, row.digest)})
        assert (row is None) == (await claims(shelf) == set())


class TestBackup:
    async def test_has_the_assets_and_brings_them_back(self, tmp_path: Path) -> None:
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        await upgrade(f"sqlite+aiosqlite:///{first / 'motes.db'}")
        engine, sessions = open_database(f"sqlite+aiosqlite:///{first / 'motes.db'}")
        url = f"file://{first / 'storage'}"
        shelf = Shelf(Board(sessions), Storage(url), settings_for(first, str(engine.url), url))
        kept, lost = await asset(shelf, "kept", "alice"), await asset(shelf, "lost", "alice")
        system = await refer(shelf, kept)
        shelf.storage.delete([asset_key(lost, DIGEST)])
        await engine.dispose()
        with pytest.raises(MotesError, match=f"lacks {asset_key(lost, DIGEST)}"):
            await asyncio.to_thread(back_up, first, shelf.storage, tmp_path / "backup")
        there = Storage(f"file://{second / 'storage'}")
        made = await asyncio.to_thread(restore, tmp_path / "backup", second, there)
        assert (made.files, made.size) == (1, 500)
        assert there.exists(asset_key(kept, DIGEST))
        engine, sessions = open_database(f"sqlite+aiosqlite:///{second / 'motes.db'}")
        async with sessions() as session:
            assert list(await session.scalars(select(AssetRow.sha256))) == [kept]
            rows = list(await session.scalars(select(SystemAssetRow)))
            assert [(row.system_id, row.sha256) for row in rows] == [(system, kept)]
        await engine.dispose()

    async def test_job_whose_asset_is_gone_fails_when_it_is_repaired(self, database: str, shelf: Shelf) -> None:
        gone = await asset(shelf, "gone", "alice")
        scene = {"type": "portrait", "audio": None, "assets": {gone: DIGEST}}
        job = await shelf.board.submit("alice", owner="alice", scene=scene)
        shelf.storage.delete([asset_key(gone, DIGEST)])
        repaired = await repair(database, shelf.storage)
        assert (repaired.assets, repaired.jobs) == (1, 1)
        assert (await shelf.board.job(job)).error == "an asset of it is gone"
