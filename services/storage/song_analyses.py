"""What the analyses that renders made of songs take: a song's row says it, so they count for all who have the song.

It says NULL where nobody has counted yet, such as of a song of older versions.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import select, update

from services.database.engine import Sessions
from services.database.models import AudioRow
from services.storage.object_keys import analyses_folder, is_analysis
from services.storage.object_store import Storage

_BATCH_SIZE = 1000  # songs


async def count_analyses(sessions: Sessions, storage: Storage, song: str) -> None:
    """Count the analyses of a song; to be called after every change of them."""
    noted: tuple[int, int] | None = None
    while (found := await asyncio.to_thread(_analyses, storage, song)) != noted:  # somebody else may count, too
        noted = found
        async with sessions.begin() as session:
            counted = {"analyses": found[0], "analyses_size": found[1]}
            await session.execute(update(AudioRow).where(AudioRow.sha256 == song).values(counted))


async def count_unknown_analyses(sessions: Sessions, storage: Storage) -> None:
    """Count the analyses of all songs of which nobody has."""
    while True:
        async with sessions() as session:
            unknown = select(AudioRow.sha256).where(AudioRow.analyses_size.is_(None))
            songs = list(await session.scalars(unknown.limit(_BATCH_SIZE)))
        for song in songs:
            await count_analyses(sessions, storage, song)
        if len(songs) < _BATCH_SIZE:
            return


def _analyses(storage: Storage, song: str) -> tuple[int, int]:
    """Number and bytes of the analyses of a song. Blocking."""
    listed = (each for batch in storage.list(analyses_folder(song)) for each in batch)
    sizes = [each.size for each in listed if is_analysis(each.key)]
    return len(sizes), sum(sizes)
