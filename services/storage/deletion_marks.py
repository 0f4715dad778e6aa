"""Marks of songs and assets whose files are being deleted, for whoever stores the same again at that moment.

Their files are named by content, so a deletion could take away what was put again just now. It leaves a mark before it
looks whether there is a row, and until the files are gone. Who puts a file looks for a mark in the transaction that
makes the row, and puts it once more if there is one, or if the file is gone after it. So neither needs to use storage
within a transaction. A mark is a lease: it ends by itself when its process vanishes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.clock import db_now
from services.database.engine import Sessions
from services.database.leases import acquire
from services.database.models import LeaseRow, new_id

_SECONDS = 60.0  # that deleting a file may take
_POLL_INTERVAL = 0.2


@asynccontextmanager
async def deleting(sessions: Sessions, name: str) -> AsyncIterator[bool]:
    """Hold the mark of a song or an asset, by the name of its lock; False if another process deletes it already."""
    holder = new_id()
    if await acquire(sessions, _lease(name), holder=holder, seconds=_SECONDS) is None:
        yield False
        return
    try:
        yield True
    finally:
        async with sessions.begin() as session:
            mine = LeaseRow.name == _lease(name), LeaseRow.holder == holder
            await session.execute(delete(LeaseRow).where(*mine))


async def is_being_deleted(session: AsyncSession, name: str) -> bool:
    """Whether files of this song or asset are being deleted."""
    held = exists().where(LeaseRow.name == _lease(name), LeaseRow.until > db_now())
    return bool(await session.scalar(select(held)))


async def until_deleted(sessions: Sessions, name: str) -> None:
    """Wait until no files of this song or asset are being deleted."""
    while True:
        async with sessions() as session:
            if not await is_being_deleted(session, name):
                return
        await asyncio.sleep(_POLL_INTERVAL)


def _lease(name: str) -> str:
    return f"deleting {hashlib.sha256(name.encode()).hexdigest()[:40]}"
