"""Storage usage by owner and kind."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all
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

_HEARD = "song analysis"  # that a render made; what somebody asked for is an "analysis"
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
    """Usage of all owners, or of one. Shared items count for every owner.

    Answers are those to an ``Idempotency-Key``; uploads are not complete, and count with all their bytes.
    """
    results: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for each in await tallies(session, "jobs", owner):
        if each.state == "completed" and each.kind != "whole":
            sums = results[each.owner, "video" if each.kind in VIDEOS else each.kind]
            sums[0] += each.number
            sums[1] += each.bytes
    theirs = (query if owner is None else query.where(of == owner) for of, query in _OWNED)
    rows: Any = await session.execute(union_all(*theirs))
    return [
        *(Usage(of, kind, *sums) for (of, kind), sums in results.items()),
        *(Usage(of, kind, int(number), int(size)) for of, kind, number, size in rows),
    ]


def _owned(kind: str, of: Any, number: Any, size: Any, *which: ColumnElement[bool]) -> tuple[Any, Select[Any]]:
    """The column of the owner, and a query for number and bytes of a kind by owner."""
    sums = select(of, literal(kind), number, func.coalesce(func.sum(size), 0)).where(*which)
    return of, sums.group_by(of)


_SONGS = UploadRow.sha256 == AudioRow.sha256
_OWNED = (
    _owned("song", UploadRow.owner, func.count(), AudioRow.size, _SONGS),
    _owned(_HEARD, UploadRow.owner, func.sum(AudioRow.analyses), AudioRow.analyses_size, _SONGS, AudioRow.analyses > 0),
    _owned("asset", AssetClaimRow.owner, func.count(), AssetRow.size, AssetClaimRow.sha256 == AssetRow.sha256),
    _owned("system", SystemRow.owner, func.count(), SystemRow.size),
    _owned("correction", CorrectionRow.owner, func.count(), CorrectionRow.size, CorrectionRow.digest.is_not(None)),
    _owned("answer", IdempotencyRow.owner, func.count(), IdempotencyRow.size, IdempotencyRow.size > 0),
    _owned(
        "upload", ResumableUploadRow.owner, func.count(), ResumableUploadRow.reserved, ResumableUploadRow.reserved > 0
    ),
)


async def usage_by_kind(session: AsyncSession) -> list[Usage]:
    """Usage by kind as the database knows it; every item counts once."""
    artefacts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for each in await totals(session, "artefacts"):
        sums = artefacts[_KINDS.get(each.kind, "video")]
        sums[0] += each.number
        sums[1] += each.bytes
    songs = select(literal("song"), func.count(), func.sum(AudioRow.size))
    heard = select(literal(_HEARD), func.sum(AudioRow.analyses), func.sum(AudioRow.analyses_size))
    assets = select(literal("asset"), func.count(), func.sum(AssetRow.size))
    arriving = select(literal("upload"), func.count(), func.sum(ResumableUploadRow.received))
    arriving = arriving.where(ResumableUploadRow.reserved > 0)
    systems = select(literal("system"), func.count(), func.sum(SystemRow.size))
    answers = select(literal("answer"), func.count(), func.sum(IdempotencyRow.size))
    corrections = select(literal("correction"), func.count(), func.sum(CorrectionRow.size))
    corrections = corrections.where(CorrectionRow.digest.is_not(None))
    queries = (songs, heard, assets, arriving, systems, corrections, answers.where(IdempotencyRow.size > 0))
    rows: Any = await session.execute(union_all(*queries))
    return [
        *(Usage("", of, *sums) for of, sums in artefacts.items()),
        *(Usage("", of, int(number or 0), int(size or 0)) for of, number, size in rows),
    ]
