"""Lost files: what the database says is in storage, but is gone, short or changed, is forgotten and made again.

Whoever meets such a file comes here, and no client has to know: a completed job begins again, a join waits for the
segments or the sound that it lacks, and a job whose plan was lost is planned again. Its owner is neither charged for
that nor refunded. A job that loses files too often fails, as the storage is not sound; and so does one that cannot be
rendered again, as its song was deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Sequence
from functools import partial

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core import SceneError
from services.auth.quotas import owner_lock
from services.database.clock import time_in
from services.database.engine import Sessions, advisory_lock, on_commit
from services.database.models import OPEN, ArtefactRow, JobRow, TaskRow, renders_itself
from services.jobs.artefacts import Artefact, FilesToDelete, find_artefact, finished_result
from services.jobs.fair_scheduler import start_virtual_time
from services.jobs.lifecycle import replan_within
from services.jobs.outputs import is_whole
from services.jobs.tasks import Claim, holds, wait_for
from services.jobs.transitions import (
    changed,
    end_job,
    end_left_parts,
    need_assets,
    scene_keys_of,
    start_job,
    update_progress,
)
from services.observability import metrics
from services.storage.object_keys import poster_key, result_key
from services.storage.object_store import Storage

MAX_REMADE = 3  # times that a job makes again what was lost
_log = logging.getLogger("motes.jobs")


async def intact(sessions: Sessions, storage: Storage, key: str) -> Artefact | None:
    """The artefact with this key, if its file is there with its size; otherwise it is forgotten."""
    made = await find_artefact(sessions, key)
    if made is None or await asyncio.to_thread(storage.size, made.object) == made.size:
        return made
    await forget(sessions, [made])
    return None


async def all_intact(sessions: Sessions, storage: Storage, keys: Iterable[str]) -> bool:
    """Whether there are artefacts with all these keys, which belong together; otherwise all of them are forgotten."""
    found = [await intact(sessions, storage, key) for key in keys]
    if None not in found:
        return True
    await forget(sessions, [made for made in found if made is not None], lost=False)
    return False


async def forget(sessions: Sessions, artefacts: Sequence[Artefact], *, lost: bool = True) -> None:
    """Forget artefacts whose files were lost, unless others have taken their place; or without ``lost``, what belongs
    to such a file.
    """
    if not artefacts:
        return
    async with sessions.begin() as session:
        await advisory_lock(session, *sorted({made.key.split("/")[1] for made in artefacts}))
        await _forget(session, artefacts, lost=lost)


async def _forget(session: AsyncSession, artefacts: Sequence[Artefact], *, lost: bool = True) -> None:
    for made in artefacts:
        same = delete(ArtefactRow).where(ArtefactRow.key == made.key, ArtefactRow.object == made.object)
        if not changed(await session.execute(same)):
            continue
        scene_key = made.key.split("/")[1]
        if made.key == result_key(scene_key, "video"):  # its poster goes with it, and nothing else would delete that
            await session.execute(delete(ArtefactRow).where(ArtefactRow.key == poster_key(scene_key)))
        if lost:
            on_commit(session, partial(_report, made.object))


def _report(file: str) -> None:
    _log.error("the file %s is gone, short or changed in storage; it is made again when it is needed", file)
    metrics.FILES_LOST.inc()


async def forget_lost_results(sessions: Sessions, storage: Storage, jobs: Iterable[JobRow]) -> None:
    """Forget the results of jobs that are about to be submitted, if their files were lost; those are made for nothing,
    as they were paid for.
    """
    for job in jobs:
        key = result_key(job.scene_key, job.kind)
        if await find_artefact(sessions, key) is not None and await intact(sessions, storage, key) is None:
            async with sessions() as session:
                job.reopened_at = await time_in(session)


async def reopen(sessions: Sessions, job_id: str) -> bool:
    """Begin a completed job again whose result was forgotten; False if there is nothing to be made again.

    It fails if that is impossible. Of a job with parts, those begin again that lost theirs.
    """
    async with sessions.begin() as session:
        owner = await session.scalar(select(JobRow.owner).where(JobRow.id == job_id))
        await advisory_lock(session, owner_lock(owner or ""), *await scene_keys_of(session, job_id))
        mine = or_(JobRow.whole_id == job_id, and_(JobRow.id == job_id, renders_itself()))
        completed = select(JobRow).where(mine, JobRow.status == "completed", JobRow.expired_at.is_(None))
        rows = list(await session.scalars(completed.order_by(JobRow.virtual_time, JobRow.id)))
        lost = [row for row in rows if await finished_result(session, row, reopened=True) is None]
        if not lost:
            return False
        await session.execute(delete(TaskRow).where(TaskRow.job_id.in_([row.id for row in lost])))
        turn, moment = await start_virtual_time(session, lost[0].fairness_key, lost[0].priority), await time_in(session)
        for row in lost:
            row.status = row.stage = "queued"
            row.error = row.ended_at = row.rendering_at = None
            row.progress = row.stage_progress = row.frames = row.frames_done = 0
            row.reopened_at, row.virtual_time = moment, turn
            turn += row.cost
        await session.flush()
        whole = await session.get_one(JobRow, job_id, with_for_update=True)
        if is_whole(whole) and whole.status == "completed":
            whole.status = whole.stage = "rendering"
            whole.ended_at, whole.reopened_at = None, moment
            await session.flush()
        for row in lost:
            await need_assets(session, row)
            if await _may_remake(session, row, "its result"):
                try:
                    await start_job(session, row)
                except SceneError as error:
                    await end_job(session, row, "failed", f"its result was lost and cannot be made again: {error}")
    await end_left_parts(sessions)
    return True


async def make_again(
    sessions: Sessions, claim: Claim, tasks: Collection[tuple[str, int]], lost: Sequence[Artefact]
) -> bool:
    """Have segments or the sound made again that a claimed join lacks, which waits for them; False if the claim was
    lost.

    ``tasks`` are their kinds and numbers, ``lost`` is what there was of them.
    """
    async with sessions.begin() as session:
        await advisory_lock(session, claim.scene_key)
        if not await wait_for(session, claim, tasks):
            return False
        await _forget(session, lost)
        job = await session.get_one(JobRow, claim.job, with_for_update=True)
        if job.status not in OPEN:
            return False
        segments = [number for kind, number in tasks if kind == "segment"]
        what = "its sound" if not segments else f"segment {segments[0]}" if len(tasks) == 1 else f"{len(tasks)} files"
        if await _may_remake(session, job, what):
            job.stage = "rendering"
            await session.flush()
            await update_progress(session, claim.job)
    await end_left_parts(sessions)
    return True


async def plan_again(sessions: Sessions, claim: Claim) -> FilesToDelete | None:
    """Plan the job of a claimed task again, whose plan or snapshot was lost; what is rendered stays.

    Returns the files to delete from storage; None if the claim was lost, or the job is over.
    """
    gone = None
    async with sessions.begin() as session:
        await advisory_lock(session, claim.scene_key)
        if not await holds(session, claim):
            return None
        job = await session.get_one(JobRow, claim.job, with_for_update=True)
        if job.status in OPEN and await _may_remake(session, job, "its plan"):
            try:
                gone = await replan_within(session, job.id, job.scene_key, job.scene, job.scene_key)
            except SceneError as error:
                await end_job(session, job, "failed", f"its plan was lost and cannot be made again: {error}")
    await end_left_parts(sessions)
    return gone


async def _may_remake(session: AsyncSession, job: JobRow, what: str) -> bool:
    """Count that an open job has to make something again; False if that was too often, and it has failed."""
    job.remade += 1
    await session.flush()
    if job.remade <= MAX_REMADE:
        return True
    reason = f"files of it were lost in storage {job.remade} times, now {what}: what stores them is not sound"
    await end_job(session, job, "failed", reason)
    return False
