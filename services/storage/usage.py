"""Storage usage by owner and kind."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import (
    VIDEOS,
    AssetClaimRow,
    AssetRow,
    AudioRow,
    ResumableUploadRow,
    UploadRow,
)
from services.database.tallies import tallies, totals

_KINDS = {"segments": "segment", "frame.png": "frame", "poster.png": "poster"}  # by name of the file


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
    results: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for each in await tallies(session, "jobs", owner):
        if each.state == "completed" and each.kind != "whole":
            sums = results[each.owner, "video" if each.kind in VIDEOS else each.kind]
            sums[0] += each.number
            sums[1] += each.bytes
    songs = select(UploadRow.owner, literal("song"), func.count(), func.sum(AudioRow.size)).group_by(UploadRow.owner)
    songs = songs.join(AudioRow, AudioRow.sha256 == UploadRow.sha256)
    assets = select(AssetClaimRow.owner, literal("asset"), func.count(), func.sum(AssetRow.size))
    assets = assets.join(AssetRow, AssetRow.sha256 == AssetClaimRow.sha256).group_by(AssetClaimRow.owner)
    arriving = select(ResumableUploadRow.owner, literal("upload"), func.count(), func.sum(ResumableUploadRow.reserved))
    arriving = arriving.where(ResumableUploadRow.reserved > 0).group_by(ResumableUploadRow.owner)
    if owner is not None:
        arriving = arriving.where(ResumableUploadRow.owner == owner)
        songs = songs.where(UploadRow.owner == owner)
        assets = assets.where(AssetClaimRow.owner == owner)
    rows = [row for each in (songs, assets, arriving) for row in await session.execute(each)]
    return [
        *(Usage(of, kind, *sums) for (of, kind), sums in results.items()),
        *(Usage(of, kind, int(number), int(size)) for of, kind, number, size in rows),
    ]


async def usage_by_kind(session: AsyncSession) -> list[Usage]:
    """Usage by kind as the database knows it; every item counts once."""
    artefacts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in await totals(session, "artefacts"):
        sums = artefacts[_KINDS.get(each.kind, "video")]
        sums[0] += each.number
        sums[1] += each.bytes
    songs = select(literal("song"), func.count(), func.coalesce(func.sum(AudioRow.size), 0))
    assets = select(literal("asset"), func.count(), func.coalesce(func.sum(AssetRow.size), 0))
    rows = [*await session.execute(songs), *await session.execute(assets)]
    return [
        *(Usage("", of, *sums) for of, sums in artefacts.items()),
        *(Usage("", of, int(number), int(size)) for of, number, size in rows),
    ]
