"""Usage: how many bytes are stored, of what kind and whose."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import ArtefactRow, AudioRow, JobRow, UploadRow

SEGMENTS = ArtefactRow.key.like("scenes/%/segments/%")


class Usage(NamedTuple):
    """So many things of a kind, and their bytes."""

    owner: str
    kind: str
    number: int
    bytes: int


async def stored_bytes(session: AsyncSession, owner: str) -> int:
    """Bytes of an owner's songs and results. What several jobs or owners share counts for each of them."""
    return sum(each.bytes for each in await usage_by_owner(session, owner))


async def usage_by_owner(session: AsyncSession, owner: str | None = None) -> list[Usage]:
    """What owners have, or one of them: videos, previews, frames and songs, each as often as somebody has it."""
    size = func.coalesce(func.sum(JobRow.size), 0)
    results = select(JobRow.owner, JobRow.kind, func.count(), size).group_by(JobRow.owner, JobRow.kind)
    results = results.where(JobRow.status == "completed", JobRow.expired_at.is_(None))
    songs = select(UploadRow.owner, literal("song"), func.count(), func.sum(AudioRow.size)).group_by(UploadRow.owner)
    songs = songs.join(AudioRow, AudioRow.sha256 == UploadRow.sha256)
    if owner is not None:
        results, songs = results.where(JobRow.owner == owner), songs.where(UploadRow.owner == owner)
    rows = [*await session.execute(results), *await session.execute(songs)]
    return [Usage(of, kind, int(number), int(size)) for of, kind, number, size in rows]


async def usage_by_kind(session: AsyncSession) -> list[Usage]:
    """What lies in storage by the database, everything once and nobody's."""
    kind = case((SEGMENTS, "segment"), (ArtefactRow.key.like("%/frame.png"), "frame"), else_="video")
    artefacts = select(kind, func.count(), func.sum(ArtefactRow.size)).group_by(kind)
    songs = select(literal("song"), func.count(), func.coalesce(func.sum(AudioRow.size), 0))
    rows = [*await session.execute(artefacts), *await session.execute(songs)]
    return [Usage("", of, int(number), int(size)) for of, number, size in rows]
