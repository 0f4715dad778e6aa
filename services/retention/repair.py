"""Repair of a database: what it names, and storage has lost, is forgotten, and made again when it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import delete, func, select, tuple_, update

from services.database.engine import Sessions, open_database
from services.database.models import (
    OPEN,
    ArtefactRow,
    AssetRow,
    AudioRow,
    CorrectionRow,
    JobRow,
    SystemRow,
    renders_itself,
)
from services.database.tallies import recount
from services.jobs.artefacts import Artefact
from services.jobs.lifecycle import Jobs
from services.jobs.lost_files import forget
from services.retention.named_files import Named, NamedFile, damaged, damaged_analyses, named_files
from services.storage.object_keys import result_key
from services.storage.object_store import Storage
from services.storage.song_analyses import count_unknown_analyses

K = TypeVar("K")
_BATCH_SIZE = 1000  # values in a statement


@dataclass(frozen=True)
class RepairResult:
    """What was forgotten, as its files are damaged; their keys; and how many jobs were replanned.

    ``videos`` are completed renders that are made again when somebody downloads them.
    """

    songs: int
    assets: int
    artefacts: int
    corrections: int
    analyses: int
    videos: int
    jobs: int
    damaged: tuple[str, ...]


async def repair(url: str, storage: Storage, *, deep: bool = False) -> RepairResult:
    """Make an unused database consistent with its storage; if ``deep``, every file is read.

    Forgets songs, assets, artefacts and corrections whose files are gone, short or changed, deletes analyses that
    cannot be read, replans unfinished jobs, and counts afresh what tallies and songs' rows count. Results are made
    again when somebody asks for them.
    """
    engine, sessions = open_database(url)
    try:
        async with sessions() as session:
            named = await named_files(session)
        bad = await damaged(storage, named.files(), deep=deep)
        songs, assets = _of(named.songs, bad), _of(named.assets, bad)
        artefacts, corrections = _of(named.artefacts, bad), _of(named.corrections, bad)
        for keys in _batched(artefacts):
            files = [named.artefacts[key] for key in keys]
            made = [Artefact(key, file.key, file.size or 0) for key, file in zip(keys, files, strict=True)]
            await forget(sessions, made, lost=False)
        async with sessions.begin() as session:
            for some in _batched(songs):
                await session.execute(delete(AudioRow).where(AudioRow.sha256.in_(some)))
                await session.execute(update(SystemRow).where(SystemRow.audio.in_(some)).values(audio=None))
            for some in _batched(assets):
                await session.execute(delete(AssetRow).where(AssetRow.sha256.in_(some)))
            for pairs in _batched(corrections):
                mine = tuple_(CorrectionRow.owner, CorrectionRow.sha256).in_(pairs)
                await session.execute(delete(CorrectionRow).where(mine))
        analyses = await asyncio.to_thread(lambda: list(damaged_analyses(storage))) if deep else []
        await asyncio.to_thread(storage.delete, analyses)
        jobs = await _replan_unfinished(sessions, named, bad)
        videos = await _to_be_made_again(sessions)
        await recount(sessions)
        async with sessions.begin() as session:
            await session.execute(update(AudioRow).values(analyses=None, analyses_size=None))
        await count_unknown_analyses(sessions, storage)
        return RepairResult(
            songs=len(songs),
            assets=len(assets),
            artefacts=len(artefacts),
            corrections=len(corrections),
            analyses=len(analyses),
            videos=videos,
            jobs=jobs,
            damaged=tuple(sorted({*(file.key for file in bad), *analyses})),
        )
    finally:
        await engine.dispose()


async def _replan_unfinished(sessions: Sessions, named: Named, bad: set[NamedFile]) -> int:
    """Replan unfinished jobs, or fail those that cannot be rendered any more; returns how many there were."""
    jobs = Jobs(sessions)
    async with sessions() as session:
        still_open = select(JobRow).where(JobRow.status.in_(OPEN), renders_itself())
        unfinished = list(await session.scalars(still_open.order_by(JobRow.virtual_time, JobRow.id)))
        there = set(await session.scalars(select(AudioRow.sha256)))
        whole = {row.sha256: row.digest for row in await session.scalars(select(AssetRow))}
    for job in unfinished:
        if job.scene.get("audio") not in {None, *there}:
            await jobs.fail(job.id, "its song is gone")
        elif not job.scene.get("assets", {}).items() <= whole.items():
            await jobs.fail(job.id, "an asset of it is gone")
        elif named.needed.get(job.id) in bad:
            await jobs.fail(job.id, "the correction of its song's analysis is gone")
        else:
            await jobs.replan(job, job.scene, job.scene_key)
    return len(unfinished)


async def _to_be_made_again(sessions: Sessions) -> int:
    """How many completed renders have no result."""
    async with sessions() as session:
        over = select(JobRow.scene_key, JobRow.kind, func.count()).where(
            JobRow.status == "completed", JobRow.expired_at.is_(None), renders_itself()
        )
        results = (await session.execute(over.group_by(JobRow.scene_key, JobRow.kind))).all()
        there = set(await session.scalars(select(ArtefactRow.key)))
    return sum(number for scene, kind, number in results if result_key(scene, kind) not in there)


def _of(named: Mapping[K, NamedFile], bad: set[NamedFile]) -> list[K]:
    return [key for key, file in named.items() if file in bad]


def _batched(keys: Sequence[K]) -> Iterator[Sequence[K]]:
    """Batches small enough for one statement."""
    return (keys[start : start + _BATCH_SIZE] for start in range(0, len(keys), _BATCH_SIZE))
