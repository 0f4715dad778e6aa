"""Corrections: analyses of songs as corrected by their owners.

They are stored by content and never change, so a job keeps the correction that it was submitted with. The database
knows which is the owner's current one.

A file beside each song told that before. Rows without a digest stand for such files until ``take_over`` has read them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from pathlib import Path

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.quotas import NO_QUOTAS, Quotas, admit_bytes, owner_lock
from services.database.clock import time_in
from services.database.engine import Sessions, advisory_lock
from services.database.models import AudioRow, CorrectionRow
from services.media.songs import SongNotFoundError
from services.storage.deletion_marks import is_being_deleted, until_deleted
from services.storage.object_keys import correction_key, former_correction_key, song_lock
from services.storage.object_store import Storage

_TRIES = 5
_BATCH_SIZE = 100  # rows taken over at a time


class Corrections:
    """The corrections of all owners."""

    def __init__(self, sessions: Sessions, storage: Storage) -> None:
        self._sessions, self._storage = sessions, storage

    async def save(self, audio: str, owner: str, text: str, *, quotas: Quotas = NO_QUOTAS) -> str:
        """Store a corrected document and make it the owner's current one; returns its sha256.

        Raises:
            SongNotFoundError: the song was deleted.
            QuotaError: the owner has no room for it.
        """
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        key, lock = correction_key(audio, digest), song_lock(audio)
        async with self._sessions.begin() as session:  # what would not fit need not be stored
            await _admit(session, audio, owner, len(content), quotas)
        for _ in range(_TRIES):
            await until_deleted(self._sessions, lock)
            await asyncio.to_thread(self._put, key, content)
            async with self._sessions.begin() as session:
                await advisory_lock(session, owner_lock(owner), lock)
                if not (deleted := await is_being_deleted(session, lock)):
                    if await session.get(AudioRow, audio) is None:
                        raise SongNotFoundError("the song is gone; upload it again")
                    await _admit(session, audio, owner, len(content), quotas)
                    facts = {"digest": digest, "size": len(content), "created_at": await time_in(session)}
                    await session.merge(CorrectionRow(owner=owner, sha256=audio, **facts))
            # A deletion of the song, before it was uploaded again, may have removed the file; from now on none can.
            if not deleted and await asyncio.to_thread(self._storage.exists, key):
                return digest
        raise RuntimeError(f"the correction of song {audio} was removed {_TRIES} times while it was being stored")

    async def current(self, audio: str, owner: str) -> str | None:
        """The sha256 of the owner's current correction; None if there is none."""
        async with self._sessions() as session:
            row = await session.get(CorrectionRow, (owner, audio))
        if row is None or row.digest is not None:
            return None if row is None else row.digest
        return await asyncio.to_thread(_former, self._storage, audio, owner)

    async def clear(self, audio: str, owner: str) -> None:
        """The owner has no correction any more. The document stays for jobs that refer to it."""
        async with self._sessions.begin() as session:
            mine = CorrectionRow.owner == owner, CorrectionRow.sha256 == audio
            await session.execute(delete(CorrectionRow).where(*mine))

    def _put(self, key: str, content: bytes) -> None:
        part = Path(self._storage.scratch) / f"correction-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            part.write_bytes(content)
            self._storage.put(key, part)
        finally:
            part.unlink(missing_ok=True)


async def _admit(session: AsyncSession, audio: str, owner: str, size: int, quotas: Quotas) -> None:
    """Check that an owner may store a correction of this size in place of the one that there is."""
    before = await session.get(CorrectionRow, (owner, audio))
    more = size - (0 if before is None else before.size)
    if more > 0:
        await admit_bytes(session, owner, more, quotas)


async def take_over(sessions: Sessions, storage: Storage) -> int:
    """Have the database know what files told; returns how many corrections there were."""
    found = 0
    while True:
        async with sessions() as session:
            unknown = select(CorrectionRow.owner, CorrectionRow.sha256).where(CorrectionRow.digest.is_(None))
            rows = (await session.execute(unknown.limit(_BATCH_SIZE))).all()
        if not rows:
            return found
        told = await asyncio.to_thread(lambda rows: [_former_and_size(storage, *row) for row in rows], rows)
        async with sessions.begin() as session:
            for (owner, audio), facts in zip(rows, told, strict=True):
                mine = CorrectionRow.owner == owner, CorrectionRow.sha256 == audio, CorrectionRow.digest.is_(None)
                if facts is None:
                    await session.execute(delete(CorrectionRow).where(*mine))
                    continue
                found += 1
                await session.execute(update(CorrectionRow).where(*mine).values(digest=facts[0], size=facts[1]))


def _former_and_size(storage: Storage, owner: str, audio: str) -> tuple[str, int] | None:
    digest = _former(storage, audio, owner)
    return None if digest is None else (digest, storage.size(correction_key(audio, digest)) or 0)


def _former(storage: Storage, audio: str, owner: str) -> str | None:
    """What a file says is the owner's current correction."""
    try:
        with storage.file(former_correction_key(audio, owner)) as path:
            return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
