"""Jobs: submitting, cancelling, retrying, replanning and deleting them, each as a compare-and-set in the database.

Workers do the rest through ``services.jobs.tasks``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.quotas import NO_QUOTAS, Quotas, admit_bytes, admit_job, owner_lock, refund_seconds
from services.database.engine import Sessions, advisory_lock, on_commit
from services.database.models import OPEN, RETRYABLE, ArtefactRow, JobRow, TaskRow, now
from services.jobs.artefacts import FilesToDelete, delete_scene_rows, result_size
from services.jobs.events import log_job, record_event
from services.jobs.fair_scheduler import WEIGHTS, start_virtual_time
from services.jobs.render_spec import VERSION_LENGTH
from services.jobs.transitions import (
    RENDERER_VERSION,
    delete_jobs,
    end_job,
    first_task,
    of_kind,
    scene_key_of,
    start_job,
)
from services.storage.object_keys import result_key


class Jobs:
    """All jobs."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def submit(
        self,
        job: JobRow,
        *,
        tasks: int,
        quotas: Quotas = NO_QUOTAS,
        admit: Callable[[AsyncSession], Awaitable[None]] | None = None,
    ) -> JobRow:
        """Store a new job of about ``tasks`` tasks, and its first task; if the result exists, the job completes.

        Submitting a job again under the same id changes nothing. ``admit`` refuses jobs that the disk has no room for.

        Raises:
            SceneError: the song is gone.
            QuotaError: the owner has exceeded a quota.
            InsufficientStorageError: the disk has no room for it.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, owner_lock(job.owner or ""), job.fairness_key, job.id, job.scene_key)
            if (before := await session.get(JobRow, job.id)) is not None:
                return before
            job.owner, job.seconds = job.owner or "", job.seconds or 0.0
            job.virtual_time = await start_virtual_time(session, job.fairness_key, job.priority)
            job.cost = tasks / WEIGHTS[job.priority]
            job.status = job.stage = "queued"
            job.progress = job.stage_progress = job.frames = job.frames_done = 0
            job.created_at = now()
            done = await session.get(ArtefactRow, result_key(job.scene_key, job.kind))
            if done is None:
                if admit is not None:
                    await admit(session)
                await admit_job(session, job, quotas)
            else:
                await admit_bytes(session, job.owner, await result_size(session, job.scene_key, job.kind), quotas)
            session.add(job)
            await session.flush()
            await start_job(session, job)
            on_commit(session, partial(log_job, job, "submitted"))
        return job

    async def fail(self, job: str, reason: str) -> bool:
        """Fail the job for good; False if it is over."""
        return await self._end(job, "failed", reason)

    async def cancel(self, job: str) -> bool:
        """Cancel the job; False if it is over."""
        return await self._end(job, "cancelled", None)

    async def _end(self, job: str, status: str, reason: str | None) -> bool:
        async with self._sessions.begin() as session:
            row = await session.get(JobRow, job)
            return row is not None and row.status in OPEN and await end_job(session, row, status, reason)

    async def retry(self, job: str, *, quotas: Quotas = NO_QUOTAS) -> bool:
        """Run a failed or cancelled job again; False if it is neither. Finished segments are kept.

        Raises:
            QuotaError: the owner has exceeded a quota.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(
                session,
                owner_lock(await session.scalar(select(JobRow.owner).where(JobRow.id == job)) or ""),
                await scene_key_of(session, job),  # otherwise the segments that exist could be deleted at once
            )
            await session.execute(
                delete(TaskRow).where(
                    TaskRow.job_id == job, exists().where(JobRow.id == job, JobRow.status.in_(RETRYABLE))
                )
            )
            row = await session.get(JobRow, job, with_for_update=True)
            if row is None or row.status not in RETRYABLE:
                return False
            await admit_job(session, row, quotas)
            row.status = row.stage = "queued"
            row.error = row.ended_at = row.rendering_at = None
            row.progress = row.stage_progress = row.frames_done = 0
            row.virtual_time = await start_virtual_time(session, row.fairness_key, row.priority)
            session.add(first_task(row))
            record_event(session, row)
            return True

    async def stranded_jobs(self, versions: Collection[str]) -> dict[str, list[JobRow]]:
        """Open jobs by renderer version, of versions other than these that no worker is working on."""
        working = select(RENDERER_VERSION).join(TaskRow, TaskRow.job_id == JobRow.id).where(TaskRow.status == "running")
        left: dict[str, list[JobRow]] = {}
        async with self._sessions() as session:
            others = select(JobRow).where(
                JobRow.status.in_(OPEN), RENDERER_VERSION.not_in(versions), RENDERER_VERSION.not_in(working)
            )
            for job in await session.scalars(others):
                left.setdefault(job.scene_key[:VERSION_LENGTH], []).append(job)
        return left

    async def replan(self, job: JobRow, scene: dict[str, Any], key: str) -> FilesToDelete | None:
        """Replan a job for another renderer version.

        Returns the files to delete from storage; None if the job is over or was replanned by another worker.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, *sorted((job.scene_key, key)))
            plans = list(await session.scalars(select(TaskRow.id).where(of_kind(job.id, "plan"))))
            same = exists().where(JobRow.id == job.id, JobRow.status.in_(OPEN), JobRow.scene_key == job.scene_key)
            await session.execute(delete(TaskRow).where(TaskRow.job_id == job.id, same))
            row = await session.get(JobRow, job.id, with_for_update=True)
            if row is None or row.status not in OPEN or row.scene_key != job.scene_key:
                return None
            row.scene, row.scene_key, row.status, row.stage = scene, key, "queued", "queued"
            row.error = row.rendering_at = None
            row.progress = row.stage_progress = row.frames = row.frames_done = 0
            await session.flush()
            await start_job(session, row)
            return await delete_scene_rows(session, job.scene_key, plans)

    async def set_blocked_reason(self, job: JobRow, obstacle: str) -> None:
        """Record why an open job cannot proceed."""
        async with self._sessions.begin() as session:
            row = await session.get(JobRow, job.id, with_for_update=True)
            if row is not None and row.status in OPEN and row.error != obstacle:
                row.error = obstacle
                record_event(session, row)

    async def delete(self, job: str) -> FilesToDelete | None:
        """Delete a job with its tasks and events; None if it does not exist.

        Returns the files to delete from storage. What other jobs share stays.
        """
        async with self._sessions.begin() as session:
            scene_key = await scene_key_of(session, job)
            await advisory_lock(session, scene_key)  # otherwise a job submitted now could take the result for finished
            plans = list(await session.scalars(select(TaskRow.id).where(of_kind(job, "plan"))))
            await session.execute(delete(TaskRow).where(TaskRow.job_id == job))
            row = await session.get(JobRow, job, with_for_update=True)
            if row is not None and row.status in OPEN:
                await refund_seconds(session, row)
            if not await delete_jobs(session, [job]):
                return None
            return await delete_scene_rows(session, scene_key, plans)
