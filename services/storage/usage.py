"""Storage usage by owner and kind."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import (
    VIDEOS,
    ArtefactRow,
    AssetClaimRow,
    AssetRow,
    AudioRow,
    CorrectionRow,
    IdempotencyRow,
    JobRow,
    SystemRow,
    UploadRow,
    renders_itself,
)
from services.storage.object_keys import SINGLE_TASK_KINDS, result_name

SEGMENTS = ArtefactRow.key.like("scenes/%/segments/%")


class Usage(NamedTuple):
    """Number and bytes of one kind of item."""

    owner: str
    kind: str
    number: int
    bytes: int


def plural(kind: str) -> str:
    """Several of a kind."""
    return kind.removesuffix("is") + "es" if kind.endswith("is") else kind if kind.endswith("s") else f"{kind}s"


async def stored_bytes(session: AsyncSession, owner: str) -> int:
    """Bytes of everything that is stored of an owner. Shared items count for every owner and job."""
    return sum(each.bytes for each in await usage_by_owner(session, owner))


async def usage_by_owner(session: AsyncSession, owner: str | None = None) -> list[Usage]:
    """Usage of all owners, or of one: results by kind, songs, assets, systems, corrections, answers.

    Answers are those to an ``Idempotency-Key``. Shared items count for every owner.
    """
    size = func.coalesce(func.sum(JobRow.size), 0)
    of = case((JobRow.kind.in_(VIDEOS), "video"), else_=JobRow.kind)
    results = select(JobRow.owner, of, func.count(), size).group_by(JobRow.owner, of)
    results = results.where(JobRow.status == "completed", JobRow.expired_at.is_(None), renders_itself())
    songs = select(UploadRow.owner, literal("song"), func.count(), func.sum(AudioRow.size)).group_by(UploadRow.owner)
    songs = songs.join(AudioRow, AudioRow.sha256 == UploadRow.sha256)
    assets = select(AssetClaimRow.owner, literal("asset"), func.count(), func.sum(AssetRow.size))
    assets = assets.join(AssetRow, AssetRow.sha256 == AssetClaimRow.sha256).group_by(AssetClaimRow.owner)
    if owner is not None:
        results, songs = results.where(JobRow.owner == owner), songs.where(UploadRow.owner == owner)
        assets = assets.where(AssetClaimRow.owner == owner)
    systems = select(SystemRow.owner, literal("system"), func.count(), func.coalesce(func.sum(SystemRow.size), 0))
    systems = systems.group_by(SystemRow.owner)
    answers = select(IdempotencyRow.owner, literal("answer"), func.count(), func.sum(IdempotencyRow.size))
    answers = answers.where(IdempotencyRow.size > 0).group_by(IdempotencyRow.owner)
    if owner is not None:
        systems, answers = systems.where(SystemRow.owner == owner), answers.where(IdempotencyRow.owner == owner)
    corrections = select(CorrectionRow.owner, literal("correction"), func.count(), func.sum(CorrectionRow.size))
    corrections = corrections.where(CorrectionRow.digest.is_not(None)).group_by(CorrectionRow.owner)
    if owner is not None:
        corrections = corrections.where(CorrectionRow.owner == owner)
    queries = (results, songs, assets, systems, corrections, answers)
    rows = await session.execute(union_all(*queries))
    return [Usage(of, kind, int(number), int(size)) for of, kind, number, size in rows]


async def usage_by_kind(session: AsyncSession) -> list[Usage]:
    """Usage by kind as the database knows it; every item counts once."""
    kind = case(
        (SEGMENTS, "segment"),
        *((ArtefactRow.key.like(f"%/{result_name(kind)}"), kind) for kind in SINGLE_TASK_KINDS),
        (ArtefactRow.key.like("%/poster.png"), "poster"),
        else_="video",
    )
    artefacts = select(kind, func.count(), func.sum(ArtefactRow.size)).group_by(kind)
    songs = select(literal("song"), func.count(), func.coalesce(func.sum(AudioRow.size), 0))
    assets = select(literal("asset"), func.count(), func.coalesce(func.sum(AssetRow.size), 0))
    systems = select(literal("system"), func.count(), func.coalesce(func.sum(SystemRow.size), 0)).select_from(SystemRow)
    answers = select(literal("answer"), func.count(), func.coalesce(func.sum(IdempotencyRow.size), 0))
    corrections = select(literal("correction"), func.count(), func.coalesce(func.sum(CorrectionRow.size), 0))
    corrections = corrections.where(CorrectionRow.digest.is_not(None))
    queries = (artefacts, songs, assets, systems, corrections, answers.where(IdempotencyRow.size > 0))
    rows = await session.execute(union_all(*queries))
    return [Usage("", of, int(number), int(size)) for of, number, size in rows]
