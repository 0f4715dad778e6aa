"""Storage usage by owner and kind."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import (
    VIDEOS,
    AssetClaimRow,
    AssetRow,
    AudioRow,
    CorrectionRow,
    IdempotencyRow,
    ResumableUploadRow,
    SystemRow,
    UploadRow,
)
from services.database.tallies import tallies, totals
from services.storage.object_keys import SINGLE_TASK_KINDS, result_name

_KINDS = {"segments": "segment", "poster.png": "poster"} | {result_name(kind): kind for kind in SINGLE_TASK_KINDS}


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
    """Usage of all owners, or of one: results by kind, songs, assets, systems, corrections, answers, uploads.

    Answers are those to an ``Idempotency-Key``; uploads are not complete. Shared items count for every owner.
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
    systems = select(SystemRow.owner, literal("system"), func.count(), func.coalesce(func.sum(SystemRow.size), 0))
    systems = systems.group_by(SystemRow.owner)
    answers = select(IdempotencyRow.owner, literal("answer"), func.count(), func.sum(IdempotencyRow.size))
    answers = answers.where(IdempotencyRow.size > 0).group_by(IdempotencyRow.owner)
    corrections = select(CorrectionRow.owner, literal("correction"), func.count(), func.sum(CorrectionRow.size))
    corrections = corrections.where(CorrectionRow.digest.is_not(None)).group_by(CorrectionRow.owner)
    if owner is not None:
        systems, answers = systems.where(SystemRow.owner == owner), answers.where(IdempotencyRow.owner == owner)
        corrections = corrections.where(CorrectionRow.owner == owner)
    rows: Any = await session.execute(union_all(songs, assets, arriving, systems, corrections, answers))
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
    systems = select(literal("system"), func.count(), func.coalesce(func.sum(SystemRow.size), 0)).select_from(SystemRow)
    answers = select(literal("answer"), func.count(), func.coalesce(func.sum(IdempotencyRow.size), 0))
    corrections = select(literal("correction"), func.count(), func.coalesce(func.sum(CorrectionRow.size), 0))
    corrections = corrections.where(CorrectionRow.digest.is_not(None))
    queries = (songs, assets, systems, corrections, answers.where(IdempotencyRow.size > 0))
    rows: Any = await session.execute(union_all(*queries))
    return [
        *(Usage("", of, *sums) for of, sums in artefacts.items()),
        *(Usage("", of, int(number), int(size)) for of, number, size in rows),
    ]
