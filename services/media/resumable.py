"""Resumable uploads: files that arrive in parts, each of which any process may take.

Parts lie in storage, and the row says how many bytes there are. A part counts once a compare-and-set of that number has
succeeded, so of two that begin at the same byte one counts. The last part counts only together with what became of the
file: until then a client that asks is told that bytes are missing, and sends them again.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core.errors import MotesError
from services.auth.api_keys import Caller
from services.auth.limits import QuotaError
from services.auth.quotas import admit_bytes, owner_lock, quotas_of
from services.database.clock import db_now, time_in
from services.database.engine import Sessions, advisory_lock
from services.database.models import ResumablePartRow, ResumableUploadRow
from services.settings import ServiceSettings
from services.storage.object_keys import upload_folder, upload_part_key
from services.storage.object_store import Storage

KEPT = timedelta(days=1)  # since something arrived
_MOST_PARTS = 10_000
_CHUNK = 1 << 20
_BATCH_SIZE = 100  # uploads that expire in one transaction


class OffsetError(MotesError):
    """A part begins elsewhere than the last one ended: another one was faster, or it was lost."""

    def __init__(self, received: int) -> None:
        super().__init__(f"Upload-Offset: must be {received}, the number of bytes that were received")
        self.received = received


class PartsError(MotesError):
    """There are too many parts."""


class UploadGoneError(MotesError):
    """The upload has expired or was deleted, or its parts were lost."""

    def __init__(self) -> None:
        super().__init__("The upload is gone: begin another one")


class ResumableUploads:
    """Uploads of all owners."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
        self._settings, self._sessions, self._storage = settings, sessions, storage

    async def create(self, *, kind: str, name: str, length: int, caller: Caller) -> ResumableUploadRow:
        """A new upload, whose bytes count as stored from now on.

        Raises:
            QuotaError: the caller's owner has too many unfinished ones, or no room for it.
        """
        quotas = quotas_of(self._settings, caller)
        async with self._sessions.begin() as session:
            await advisory_lock(session, owner_lock(caller.owner))
            mine = (ResumableUploadRow.owner == caller.owner, ResumableUploadRow.result.is_(None))
            number = await session.scalar(select(func.count()).select_from(ResumableUploadRow).where(*mine)) or 0
            if number + 1 > quotas.open_uploads:
                raise QuotaError("open_uploads", quotas.open_uploads, f"{number} uploads are not complete")
            await admit_bytes(session, caller.owner, length, quotas)
            present = await time_in(session)
            row = ResumableUploadRow(
                owner=caller.owner,
                kind=kind,
                name=name,
                length=length,
                received=0,
                reserved=length,
                created_at=present,
                expires_at=present + KEPT,
            )
            session.add(row)
        return row

    async def find(self, upload: str, caller: Caller) -> ResumableUploadRow | None:
        """An upload of the caller's owner that has not expired."""
        found = select(ResumableUploadRow).where(*_of(upload, caller), ResumableUploadRow.expires_at > db_now())
        async with self._sessions() as session:
            return (await session.scalars(found)).one_or_none()

    async def add_part(self, upload: str, start: int, path: Path) -> ResumableUploadRow:
        """Move a file to storage as the part from this byte on; it is not the last one.

        Raises:
            OffsetError: other bytes were received meanwhile.
            PartsError: there are too many parts.
            UploadGoneError: there is no such upload any more.
        """
        key = upload_part_key(upload, start, secrets.token_hex(8))
        size = await asyncio.to_thread(self._storage.put, key, path)
        try:
            async with self._sessions.begin() as session:
                row = await self._advance(session, upload, start, start + size)
                session.add(ResumablePartRow(upload_id=upload, start=start, size=size, object=key))
                parts = select(func.count()).where(ResumablePartRow.upload_id == upload)
                if (await session.scalar(parts) or 0) > _MOST_PARTS:
                    raise PartsError(f"the upload has {_MOST_PARTS} parts already: send larger ones")
        except (OffsetError, PartsError, UploadGoneError):  # after others it may count
            await asyncio.to_thread(self._storage.delete, [key])
            raise
        return row

    async def _advance(
        self, session: AsyncSession, upload: str, start: int, stop: int, **more: Any
    ) -> ResumableUploadRow:
        """Count bytes as received, if those before are all that was received."""
        mine = (ResumableUploadRow.id == upload, ResumableUploadRow.received == start)
        changed = update(ResumableUploadRow).where(*mine, ResumableUploadRow.result.is_(None))
        changed = changed.values(received=stop, expires_at=db_now(KEPT), **more)
        changed = changed.returning(ResumableUploadRow).execution_options(synchronize_session=False)
        row = (await session.scalars(changed)).one_or_none()
        if row is not None:
            return row
        received = await session.scalar(select(ResumableUploadRow.received).where(ResumableUploadRow.id == upload))
        if received is None:
            raise UploadGoneError
        raise OffsetError(received)

    async def assemble(self, row: ResumableUploadRow, last: Path, whole: Path) -> str:
        """Write all parts, and the last one, which is not in storage, to a file; returns its sha256.

        Raises:
            OffsetError: other bytes were received meanwhile.
            UploadGoneError: a part is gone.
        """
        found = select(ResumablePartRow).where(ResumablePartRow.upload_id == row.id).order_by(ResumablePartRow.start)
        async with self._sessions() as session:
            parts = list(await session.scalars(found))
        stop = 0
        for part in parts:
            if part.start != stop:
                raise UploadGoneError
            stop += part.size
        if stop + (await asyncio.to_thread(last.stat)).st_size != row.length:
            raise OffsetError(stop)
        return await asyncio.to_thread(self._join, parts, last, whole)

    def _join(self, parts: Sequence[ResumablePartRow], last: Path, whole: Path) -> str:
        digest = hashlib.sha256()
        with whole.open("wb") as target:

            def copy(path: Path) -> None:
                with path.open("rb") as source:
                    while chunk := source.read(_CHUNK):
                        digest.update(chunk)
                        target.write(chunk)

            for part in parts:
                try:
                    with self._storage.file(part.object) as path:
                        copy(path)
                except FileNotFoundError:
                    raise UploadGoneError from None
            copy(last)
        return digest.hexdigest()

    @asynccontextmanager
    async def counted_as_what_it_becomes(self, row: ResumableUploadRow) -> AsyncIterator[None]:
        """While the file is stored as a song or an asset, which counts by itself, the upload does not count."""
        await self._reserve(row, 0)
        try:
            yield
        except BaseException:
            await self._reserve(row, row.length)
            raise

    async def _reserve(self, row: ResumableUploadRow, size: int) -> None:
        async with self._sessions.begin() as session:
            mine = (ResumableUploadRow.id == row.id, ResumableUploadRow.result.is_(None))
            await session.execute(update(ResumableUploadRow).where(*mine).values(reserved=size))

    async def complete(self, row: ResumableUploadRow, start: int, result: dict[str, Any]) -> ResumableUploadRow:
        """All was received, and became ``result``, which a client may ask for until the upload expires.

        Raises:
            OffsetError: another process has completed it.
            UploadGoneError: it was deleted meanwhile.
        """
        async with self._sessions.begin() as session:
            done = await self._advance(session, row.id, start, row.length, result=result, reserved=0)
            await session.execute(delete(ResumablePartRow).where(ResumablePartRow.upload_id == row.id))
        await asyncio.to_thread(self._storage.delete_folder, upload_folder(row.id))
        return done

    async def delete(self, upload: str) -> None:
        """Forget an upload and what has arrived."""
        await self._delete([upload])

    async def expire(self) -> tuple[int, int]:
        """Delete uploads of which nothing has arrived for a day; returns how many, and the bytes freed."""
        number, freed = 0, 0
        while True:
            async with self._sessions() as session:
                old = select(ResumableUploadRow.id).where(ResumableUploadRow.expires_at <= db_now())
                some = list(await session.scalars(old.limit(_BATCH_SIZE)))
            if not some:
                return number, freed
            freed += await self._delete(some)
            number += len(some)

    async def _delete(self, uploads: Sequence[str]) -> int:
        async with self._sessions.begin() as session:
            await session.execute(delete(ResumablePartRow).where(ResumablePartRow.upload_id.in_(uploads)))
            await session.execute(delete(ResumableUploadRow).where(ResumableUploadRow.id.in_(uploads)))
        return sum([await asyncio.to_thread(self._storage.delete_folder, upload_folder(each)) for each in uploads])


def _of(upload: str, caller: Caller) -> tuple[Any, ...]:
    return ResumableUploadRow.id == upload, ResumableUploadRow.owner == caller.owner
