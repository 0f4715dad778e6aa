"""Transitions of a job within a transaction: start, progress, completion, end, deletion."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import CursorResult, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ecs_core import SceneError
from ecs_core.flashes.flashing import Flashing, flash_warning
from ecs_core.rendering.overdraw import overdraw_warning
from services.auth.account import refund
from services.database.clock import db_now, time_in
from services.database.engine import Sessions, advisory_lock, on_commit
from services.database.models import (
    OPEN,
    RETRYABLE,
    ArtefactRow,
    AssetClaimRow,
    AssetRow,
    AudioRow,
    DeliveryRow,
    EventRow,
    JobAssetRow,
    JobRow,
    TaskRow,
    UploadRow,
    is_open,
    renders_itself,
    uuid7,
)
from services.jobs.artefacts import finished_result, result_size
from services.jobs.events import log_job, progress_state, record_event, report_end, to_payload
from services.jobs.outputs import (
    ids_with_parts,
    is_whole,
    may_plan,
    named_error,
    outputs_from,
    parts_of,
    release_plans,
    state_of_parts,
)
from services.jobs.render_spec import VERSION_LENGTH
from services.jobs.task_memory import estimate_memory
from services.observability import metrics
from services.storage.object_keys import SINGLE_TASK_KINDS, asset_lock, song_lock
from services.webhooks.fair_claims import host_of


async def start_job(session: AsyncSession, job: JobRow) -> None:
    """Add the first task of a job; if the result exists, complete the job at once.

    Raises:
        SceneError: the song or an asset is gone.
    """
    done = await finished_result(session, job)
    if done is None:
        await use_song(session, job.scene.get("audio"), job.owner)
        await use_assets(session, job.scene.get("assets", {}), job.owner)
        session.add(await first_task(session, job))
        await tell(session, job)
    else:
        await complete_job(session, job, done)


async def first_task(session: AsyncSession, job: JobRow) -> TaskRow:
    """The first task of a job: its plan, or its only task."""
    kind = job.kind if job.kind in SINGLE_TASK_KINDS else "plan"
    return TaskRow(
        id=uuid7(await time_in(session)),
        job_id=job.id,
        kind=kind,
        version=job.scene_key[:VERSION_LENGTH],
        memory=estimate_memory(job.scene, kind, seconds=await _seconds(session, job)),
        virtual_time=job.virtual_time,
        status="ready" if await may_plan(session, job) else "waiting",
    )


async def _seconds(session: AsyncSession, job: JobRow) -> float:
    """How long a job's video is, or the song that it analyses."""
    if job.kind in ("frame", "analysis", "curves") and job.scene.get("audio") is not None:
        song = await session.get(AudioRow, job.scene["audio"])
        return 0.0 if song is None else song.duration
    return float(job.scene.get("at", job.seconds or 0.0))


async def tell(session: AsyncSession, job: JobRow) -> None:
    """Record what has become of a job as an event; that of a part changes its whole, whose event it is."""
    if job.whole_id is None:
        await record_event(session, job)
    else:
        await follow_parts(session, job.whole_id)


async def follow_parts(session: AsyncSession, whole_id: str) -> None:
    """Bring a job up to date with its parts; with the last one it is completed, and it fails with any.

    If it is over, only its outputs change.
    """
    await session.flush()
    whole = await session.get(JobRow, whole_id, with_for_update=True, populate_existing=True)
    if whole is None:
        return
    parts = await parts_of(session, whole)
    if whole.status not in OPEN:
        whole.outputs = outputs_from(whole, parts)
        return
    before, was_queued = progress_state(whole), whole.status == "queued"
    for name, value in state_of_parts(whole, parts).items():
        setattr(whole, name, value)
    whole.outputs = outputs_from(whole, parts)
    if was_queued and whole.status != "queued" and whole.reopened_at is None:
        waited = await time_in(session) - whole.created_at
        on_commit(session, partial(metrics.job_begun, max(0.0, waited.total_seconds())))
    over = next((part for part in parts if part.status in RETRYABLE), None)
    if over is not None:
        name = next(each["name"] for each in whole.outputs if each["job"] == over.id)
        whole.error = None if over.error is None else named_error(name, over.error)
        await _finish(session, whole, over.status)
        whole.outputs = outputs_from(whole, parts)  # again, as those that are open will be cancelled
        await _record_end(session, whole)
    elif all(part.status == "completed" for part in parts):
        await _finish(session, whole, "completed")
        await _record_end(session, whole)
    elif progress_state(whole) != before:
        await record_event(session, whole)


async def end_left_parts(sessions: Sessions) -> int:
    """Cancel the open parts of jobs that are over; returns how many there were."""
    whole = aliased(JobRow)
    left = select(JobRow.id, JobRow.scene_key).join(whole, whole.id == JobRow.whole_id)
    async with sessions() as session:
        of_those = left.where(is_open(), JobRow.whole_id.is_not(None), whole.status.not_in(OPEN)).order_by(JobRow.id)
        found = (await session.execute(of_those)).all()
    for part, scene in found:
        async with sessions.begin() as session:
            await advisory_lock(session, scene)  # otherwise it could be retried or deleted meanwhile
            row = await session.get(JobRow, part)
            if row is not None and row.status in OPEN and not await whole_is_open(session, row):
                await end_job(session, row, "cancelled", None)
    return len(found)


async def update_progress(session: AsyncSession, job_id: str, *, before: tuple[Any, ...] | None = None) -> bool:
    """Compute the job's progress and record an event if it changed; False if the job is over.

    ``before`` is the state to compare with, if the caller has changed the job already.
    """
    job = await session.get_one(JobRow, job_id, with_for_update=True, populate_existing=True)
    if job.status not in OPEN:
        return False
    before = before or progress_state(job)
    set_progress(job, (await done_by_kind(session, [job_id])).get(job_id, {}))
    if progress_state(job) != before:
        await tell(session, job)
    return await whole_is_open(session, job)


async def done_by_kind(session: AsyncSession, jobs: Collection[str]) -> dict[str, dict[str, int]]:
    """What is done of each job's plan and join, in percent, and of its segments, in frames, by kind of task."""
    kinds = TaskRow.kind.in_(("plan", "segment", "join"))
    sums = select(TaskRow.job_id, TaskRow.kind, func.sum(TaskRow.done)).where(TaskRow.job_id.in_(jobs), kinds)
    found: dict[str, dict[str, int]] = {}
    for job, kind, done in await session.execute(sums.group_by(TaskRow.job_id, TaskRow.kind)):
        found.setdefault(job, {})[kind] = int(done or 0)
    return found


def set_progress(job: JobRow, done: Mapping[str, int]) -> bool:
    """Set the progress of an open job, from what is done by kind of task; whether followers must be told."""
    before = progress_state(job)
    job.frames_done = done.get("segment", 0)
    if job.stage == "rendering":
        job.stage_progress = 100 * job.frames_done // max(1, job.frames)
    elif job.stage in ("analysing", "joining"):
        job.stage_progress = done.get("plan" if job.stage == "analysing" else "join", 0)
    job.progress = 99 * job.frames_done // max(1, job.frames)  # the last percent is for joining
    return progress_state(job) != before


async def whole_is_open(session: AsyncSession, job: JobRow) -> bool:
    """Whether what a job is part of is not over; true of a job that is no part."""
    if job.whole_id is None:
        return True
    return await session.scalar(select(JobRow.status).where(JobRow.id == job.whole_id)) in OPEN


async def complete_job(session: AsyncSession, job: JobRow, result: ArtefactRow) -> None:
    """Complete a job, as its result exists; another job of the same scene may have made it."""
    result.used_at = db_now()
    if not job.frames:
        alike = select(func.max(JobRow.frames)).where(JobRow.scene_key == job.scene_key, renders_itself())
        job.frames = await session.scalar(alike) or 0
    if job.start is None:
        job.start = await session.scalar(select(func.max(JobRow.start)).where(JobRow.scene_key == job.scene_key))
    job.frames_done = job.frames
    told = [overdraw_warning(result.overdrawn)] if result.overdrawn else []
    if result.flashes:
        told.append(flash_warning([Flashing(**each) for each in result.flashes]))
    # Both are assigned, as changes within JSON go unnoticed.
    job.warnings = [*job.warnings, *(warning for warning in told if warning not in job.warnings)]
    job.flashes = result.flashes
    await release_plans(session, job, analysed=False)
    await _close(session, job, "completed", size=await result_size(session, job.scene_key, job.kind))


async def end_job(session: AsyncSession, job: JobRow, status: str, reason: str | None) -> bool:
    """Fail or cancel the job; False if it was over before."""
    left = and_(TaskRow.job_id == job.id, TaskRow.status.in_(("waiting", "ready")))
    await session.execute(update(TaskRow).where(left).values(status="done"))
    await session.refresh(job, with_for_update=True)
    if job.status not in OPEN:
        return False
    job.error = reason
    await refund(session, job, failed=status == "failed")
    await _close(session, job, status)
    return True


async def _close(session: AsyncSession, job: JobRow, status: str, *, size: int | None = None) -> None:
    await _finish(session, job, status)
    job.size = size
    if is_whole(job):
        job.outputs = outputs_from(job, await parts_of(session, job))
    if job.whole_id is None:
        await _record_end(session, job)
    else:
        await follow_parts(session, job.whole_id)


async def need_assets(session: AsyncSession, job: JobRow) -> None:
    """Record which assets a job needs while it is open."""
    await session.flush()
    await session.execute(delete(JobAssetRow).where(JobAssetRow.job_id == job.id))
    session.add_all(JobAssetRow(job_id=job.id, sha256=sha256) for sha256 in sorted(job.scene.get("assets") or ()))


async def _finish(session: AsyncSession, job: JobRow, status: str) -> None:
    await session.execute(delete(JobAssetRow).where(JobAssetRow.job_id == job.id))
    job.has_history = True
    job.status = job.stage = status
    job.ended_at = await time_in(session)
    if status == "completed":
        job.progress = job.stage_progress = 100
        job.error = None


async def _record_end(session: AsyncSession, job: JobRow) -> None:
    await record_event(session, job)
    again = job.reopened_at is not None and job.status == "completed"
    on_commit(session, partial(log_job, job, "completed again") if again else partial(report_end, job))
    if job.webhook_url is not None and not (again and await _was_told(session, job)):
        assert job.ended_at is not None
        payload = {
            "type": f"job.{job.status}",
            "timestamp": job.ended_at.isoformat(),
            "data": {"job_id": job.id, **to_payload(job, job.ended_at)},
        }
        lane = {"owner": job.owner, "host": host_of(job.webhook_url)}
        event = f"job.{job.status}"
        session.add(DeliveryRow(job_id=job.id, url=job.webhook_url, event=event, payload=payload, **lane))


async def _was_told(session: AsyncSession, job: JobRow) -> bool:
    """Whether the last that a job's webhook was told is what there is to tell."""
    last = select(DeliveryRow.event).where(DeliveryRow.job_id == job.id).order_by(DeliveryRow.created_at.desc())
    return await session.scalar(last.limit(1)) == f"job.{job.status}"


async def delete_jobs(session: AsyncSession, jobs: Sequence[str]) -> bool:
    """Delete jobs with their parts, tasks, events and webhooks; False if there were none."""
    jobs = await ids_with_parts(session, jobs)
    for of_jobs in (TaskRow, EventRow, DeliveryRow):
        await session.execute(delete(of_jobs).where(of_jobs.job_id.in_(jobs)))
    return changed(await session.execute(delete(JobRow).where(JobRow.id.in_(jobs))))


async def scene_keys_of(session: AsyncSession, job: str) -> list[str]:
    """The scene keys of a job and its parts, sorted; none if there is no such job."""
    return sorted(
        set(await session.scalars(select(JobRow.scene_key).where((JobRow.id == job) | (JobRow.whole_id == job))))
    )


async def use_song(session: AsyncSession, sha256: str | None, owner: str) -> None:
    """Keep a song from being deleted until the end of the transaction, and mark it as used by the owner.

    Raises:
        SceneError: the song is gone.
    """
    if sha256 is None:
        return
    await advisory_lock(session, song_lock(sha256))
    if await session.get(AudioRow, sha256) is None:
        raise SceneError("the song is gone; upload it again")
    mine = update(UploadRow).where(UploadRow.sha256 == sha256, UploadRow.owner == owner)
    await session.execute(mine.values(used_at=db_now()))


async def use_assets(session: AsyncSession, assets: Mapping[str, str], owner: str) -> None:
    """Keep assets from being deleted until the end of the transaction, and mark them as used by the owner.

    Raises:
        SceneError: one is gone.
    """
    if not assets:
        return
    await advisory_lock(session, *map(asset_lock, sorted(assets)))
    for sha256, digest in assets.items():
        row = await session.get(AssetRow, sha256)
        if row is None or row.digest != digest:
            raise SceneError(f"asset:{sha256} is gone; upload it again")
    mine = update(AssetClaimRow).where(AssetClaimRow.sha256.in_(assets), AssetClaimRow.owner == owner)
    await session.execute(mine.values(used_at=db_now()))


def of_kind(job: str, kind: str) -> Any:
    """Condition: tasks of this job and kind."""
    return and_(TaskRow.job_id == job, TaskRow.kind == kind)


def changed(result: Any) -> bool:
    """Whether a statement changed any row."""
    assert isinstance(result, CursorResult)
    return result.rowcount > 0
