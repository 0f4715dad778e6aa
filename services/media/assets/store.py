"""Assets: pictures, videos, fonts and lyrics of clients, checked in the sandbox and stored once per content."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Exists, and_, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core import SceneError
from services.auth.api_keys import Caller
from services.auth.quotas import admit_bytes, owner_lock, quotas_of
from services.database.clock import db_now
from services.database.engine import Sessions, advisory_lock
from services.database.models import AssetClaimRow, AssetRow, SystemAssetRow
from services.media.assets.checking import Cancellation, CheckedAsset, check_asset, look
from services.settings import ServiceSettings
from services.storage.asset_references import AssetReference
from services.storage.deletion_marks import is_being_deleted, until_deleted
from services.storage.object_keys import asset_key, asset_lock
from services.storage.object_store import LostFileError, Storage, digest_of

_AT_A_TIME = {"image": 1, "video": 1}  # files checked; these may take a gigabyte of memory, and a core
_OTHERS = 2
_TRIES = 5


class Assets:
    """Assets by the sha256 of the uploaded files."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
        self._settings, self._sessions, self._storage = settings, sessions, storage
        self._large = {kind: asyncio.Semaphore(most) for kind, most in _AT_A_TIME.items()}
        self._others = asyncio.Semaphore(_OTHERS)

    async def store(self, path: Path, *, sha256: str, name: str, caller: Caller) -> AssetRow:
        """Check a staged file with this content, store what is made of it, and make it the caller's.

        Raises:
            AssetError: it is nothing that is allowed, or damaged; the message calls it ``name``.
            QuotaError: the caller's owner has no room for it.
        """
        known = await self._claim(sha256, name, caller)
        if known is not None and not _is_as_uploaded(known) and await self._is_stored(known):
            return known
        kind = (await asyncio.to_thread(look, path, name)).kind  # what is nothing that is allowed counts for nothing
        if known is None:  # what would not fit need not be decoded
            size = (await asyncio.to_thread(path.stat)).st_size
            async with self._sessions() as session:
                await admit_bytes(session, caller.owner, size, quotas_of(self._settings, caller))
        target = path.with_name(f"{path.name}.checked")
        required = self._settings.sandbox_required(caller.owner)
        cancellation = Cancellation()
        async with self._large.get(kind, self._others):
            try:
                found = await asyncio.to_thread(
                    check_asset, path, target, name=name, required=required, cancellation=cancellation
                )
            except asyncio.CancelledError:  # the thread would go on, and hold up the end of this process
                cancellation.cancel()
                raise
        spare = target.with_name(f"{target.name}.spare")
        digest = await asyncio.to_thread(digest_of, target)
        for _ in range(_TRIES):
            await until_deleted(self._sessions, asset_lock(sha256))
            spare.hardlink_to(target)
            size = await asyncio.to_thread(self._storage.put, asset_key(sha256, found.digest), target)
            async with self._sessions.begin() as session:
                await advisory_lock(session, owner_lock(caller.owner), asset_lock(sha256))
                if not (deleted := await is_being_deleted(session, asset_lock(sha256))):
                    lost = None if known is None else known.digest
                    row = await self._row(session, sha256, found, size=size, file_digest=digest, lost=lost)
                    await self._use(session, row, name, caller)
            # An earlier deletion of the same file may have removed it after it was put; from now on none can.
            if not deleted and await self._is_stored(row):
                return row
            spare.rename(target)
        raise RuntimeError(f"asset {sha256} was removed {_TRIES} times while it was being stored")

    async def _row(
        self, session: AsyncSession, sha256: str, found: CheckedAsset, *, size: int, file_digest: str, lost: str | None
    ) -> AssetRow:
        """The row of an asset that has just been stored; that of another request, if one stored the same meanwhile.

        ``lost`` is the digest of what was there before, and is not any more.
        """
        row = await session.get(AssetRow, sha256)
        if row is None:
            row = AssetRow(sha256=sha256, kind=found.kind, digest=found.digest, size=size, facts=dict(found.facts))
            row.file_digest = file_digest
            session.add(row)
        elif row.digest in (lost, found.digest):
            # Its file was lost or is to be replaced, and another version may have made another one.
            row.digest, row.size, row.facts = found.digest, size, dict(found.facts)
            row.file_digest = file_digest
        await session.flush()
        return row

    async def find(self, references: Iterable[AssetReference], owner: str) -> dict[str, str]:
        """The digests of the assets that a config refers to, by their sha256; all of them are the owner's.

        Raises:
            SceneError: one is not there, or of another kind; names the setting.
        """
        async with self._sessions() as session:
            return {row.sha256: row.digest for row in await _referred(session, references, owner)}

    async def seconds(self, references: Iterable[AssetReference]) -> dict[str, float]:
        """The lengths of the videos that a config refers to, in seconds, by their sha256."""
        wanted = {each.asset for each in references if each.kind == "video"}
        if not wanted:
            return {}
        async with self._sessions() as session:
            rows = await session.scalars(select(AssetRow).where(AssetRow.sha256.in_(wanted), AssetRow.kind == "video"))
            return {row.sha256: float(row.facts["duration"]) for row in rows}

    async def _claim(self, sha256: str, name: str, caller: Caller) -> AssetRow | None:
        """An asset in storage, as far as the database knows, which becomes the caller's; None if there is none."""
        async with self._sessions.begin() as session:
            await advisory_lock(session, owner_lock(caller.owner), asset_lock(sha256))
            row = await session.get(AssetRow, sha256)
            if row is not None:
                await self._use(session, row, name, caller)
        return row

    async def _use(self, session: AsyncSession, row: AssetRow, name: str, caller: Caller) -> None:
        """Mark an asset as used by the caller's owner; it becomes theirs, if their quota allows."""
        if await session.scalar(select(is_of(caller.owner, row.sha256))):
            mine = update(AssetClaimRow).where(_claim_of(caller.owner, row.sha256))
            await session.execute(mine.values(used_at=db_now(), name=name))
            return
        await admit_bytes(session, caller.owner, row.size, quotas_of(self._settings, caller))
        session.add(AssetClaimRow(owner=caller.owner, sha256=row.sha256, name=name))
        await session.flush()

    async def _is_stored(self, row: AssetRow) -> bool:
        """Whether the file of an asset is what was stored: the owner has it, and can mend it now."""

        def look() -> bool:
            try:
                with self._storage.file(asset_key(row.sha256, row.digest), size=row.size, digest=row.file_digest):
                    return True
            except LostFileError:
                return False

        return await asyncio.to_thread(look)


async def refer(session: AsyncSession, system_id: str, references: Iterable[AssetReference], owner: str) -> None:
    """Record which assets a system's config refers to, so that none of them is deleted; in the system's transaction.

    Raises:
        SceneError: one is not there any more; names the setting.
    """
    references = list(references)
    wanted = {each.asset for each in references}
    if wanted:
        await advisory_lock(session, *map(asset_lock, sorted(wanted)))
        await _referred(session, references, owner)
    mine = SystemAssetRow.system_id == system_id
    there = {row.sha256: row for row in await session.scalars(select(SystemAssetRow).where(mine))}
    for sha256 in there.keys() - wanted:
        await session.delete(there[sha256])
    session.add_all(SystemAssetRow(system_id=system_id, sha256=sha256) for sha256 in sorted(wanted - there.keys()))
    if wanted:
        used = update(AssetClaimRow).where(AssetClaimRow.owner == owner, AssetClaimRow.sha256.in_(wanted))
        await session.execute(used.values(used_at=db_now()))


def is_of(owner: str, sha256: str) -> Exists:
    """Condition: the owner has the asset."""
    return exists().where(_claim_of(owner, sha256))


def _is_as_uploaded(row: AssetRow) -> bool:
    """Whether it is a video that was stored as it came, by an earlier version: nothing may open it."""
    return row.kind == "video" and row.digest == row.sha256


def _claim_of(owner: str, sha256: str) -> Any:
    return and_(AssetClaimRow.owner == owner, AssetClaimRow.sha256 == sha256)


async def _referred(session: AsyncSession, references: Iterable[AssetReference], owner: str) -> list[AssetRow]:
    """The rows of the assets that a config refers to."""
    rows = []
    for each in references:
        found = select(AssetRow).where(AssetRow.sha256 == each.asset, is_of(owner, each.asset))
        row = (await session.scalars(found)).one_or_none()
        if row is None:
            raise SceneError(
                f"{each.where} = {each.text()!r}: there is no such asset; upload it with POST /particles/assets"
            )
        if row.kind != each.kind:
            raise SceneError(f"{each.where} = {each.text()!r}: is of the kind {row.kind}; allowed: {each.kind}")
        if _is_as_uploaded(row):
            raise SceneError(
                f"{each.where} = {each.text()!r}: was uploaded before videos could be used; upload it again"
            )
        if row.facts.get("format") == "WOFF2":
            raise SceneError(
                f"{each.where} = {each.text()!r}: is WOFF2, which is for web pages; upload it as TTF or OTF"
            )
        rows.append(row)
    return rows
