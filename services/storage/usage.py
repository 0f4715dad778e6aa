"""Storage usage by owner and kind."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import (
    VIDEOS,
    ArtefactRow,
    AssetClaimRow,
    AssetRow,
    AudioRow,
    JobRow,
    ResumableUploadRow,
    UploadRow,
    renders_itself,
)

SEGMENTS = ArtefactRow.key.like("scenes/%/segments/%")


class Usage(NamedTuple):
    """Number and bytes of one kind of item."""

    owner: str
    kind: str
    number: int
    bytes: int


async def stored_bytes(session: AsyncSession, owner: str) -> int:
    """Bytes of an owner's songs, assets and results. Shared items count for every owner and job."""
    return sum(each.bytes for each in await usage_by_owner(session, owner))


async def usage_by_owner(session: AsyncSession, owner: str | None = None) -> list[Usage]:
    """Usage of all owners, or of one: videos, previews, frames, songs, assets, and uploads that are not complete.

    Shared items count for every owner.
    """
    size = func.coalesce(func.sum(JobRow.size), 0)
    of = case((JobRow.kind.in_(VIDEOS), "video"), else_=JobRow.kind)
    results = select(JobRow.owner, of, func.count(), size).group_by(JobRow.owner, of)
    results = results.where(JobRow.status == "completed", JobRow.expired_at.is_(None), renders_itself())
    songs = select(UploadRow.owner, literal("song"), func.count(), func.sum(AudioRow.size)).group_by(UploadRow.owner)
    songs = songs.join(AudioRow, AudioRow.sha256 == UploadRow.sha256)
    assets = select(AssetClaimRow.owner, literal("asset"), func.count(), func.sum(AssetRow.size))
    assets = assets.join(AssetRow, AssetRow.sha256 == AssetClaimRow.sha256).group_by(AssetClaimRow.owner)
    arriving = select(ResumableUploadRow.owner, literal("upload"), func.count(), func.sum(ResumableUploadRow.reserved))
    arriving = arriving.where(ResumableUploadRow.reserved > 0).group_by(ResumableUploadRow.owner)
    if owner is not None:
        arriving = arriving.where(ResumableUploadRow.owner == owner)
        results, songs = results.where(JobRow.owner == owner), songs.where(UploadRow.owner == owner)
        assets = assets.where(AssetClaimRow.owner == owner)
    rows = [row for each in (results, songs, assets, arriving) for row in await session.execute(each)]
    return [Usage(of, kind, int(number), int(size)) for of, kind, number, size in rows]


async def usage_by_kind(session: AsyncSession) -> list[Usage]:
    """Usage by kind as the database knows it; every item counts once."""
    kind = case(
        (SEGMENTS, "segment"),
        (ArtefactRow.key.like("%/frame.png"), "frame"),
        (ArtefactRow.key.like("%/poster.png"), "poster"),
        else_="video",
    )
    artefacts = select(kind, func.count(), func.sum(ArtefactRow.size)).group_by(kind)
    songs = select(literal("song"), func.count(), func.coalesce(func.sum(AudioRow.size), 0))
    assets = select(literal("asset"), func.count(), func.coalesce(func.sum(AssetRow.size), 0))
    rows = [*await session.execute(artefacts), *await session.execute(songs), *await session.execute(assets)]
    return [Usage("", of, int(number), int(size)) for of, number, size in rows]
