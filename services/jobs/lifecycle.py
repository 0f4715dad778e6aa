"""Jobs: how they come, are adopted, end and go. Every change of state is a compare-and-set in the database.

What becomes of their pieces in between is up to workers: ``services.jobs.tasks``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.quotas import NO_QUOTAS, Quotas, admit_bytes, admit_job, give_back_seconds, lock_of
from services.database.models import AGAIN, OPEN, ArtefactRow, JobRow, Sessions, TaskRow, after, alone, now
from services.jobs.artefacts import Forgotten, forget_scene
from services.jobs.events import log, note
from services.jobs.fair_scheduler import WEIGHTS, first_turn
from services.jobs.render_spec import VERSION
from services.jobs.transitions import RENDERER, begin, end, first_task, forget, of_kind, scene_of
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
        room: Callable[[AsyncSession], Awaitable[None]] | None = None,
    ) -> JobRow:
        """Store a new job of about so many tasks, and its first; where the same was done before it is over at once.

        Submitting a job again, by its id, changes nothing. ``room`` refuses what there is no room for.

        Raises:
            SceneError: its song is gone.
            QuotaError: its owner may not have it done now.
            NoRoomError: the disk is too full for it.
        """
        async with self._sessions.begin() as session:
            await alone(session, lock_of(job.owner or ""), job.flow, job.id, job.scene_key)
            if (before := await session.get(JobRow, job.id)) is not None:
                return before
            job.owner, job.seconds = job.owner or "", job.seconds or 0.0
            job.turn = await first_turn(session, job.flow, job.priority)
            job.cost = tasks / WEIGHTS[job.priority]
            job.status = job.stage = "queued"
            job.progress = job.stage_progress = job.frames = job.frames_done = 0
            job.created_at = now()
            done = await session.get(ArtefactRow, result_key(job.scene_key, job.kind))
            if done is None:
                if room is not None:
                    await room(session)
                await admit_job(session, job, quotas)
            else:
                await admit_bytes(session, job.owner, done.size, quotas)
            session.add(job)
            await session.flush()
            await begin(session, job)
            after(session, partial(log, job, "submitted"))
        return job

    async def fail(self, job: str, reason: str) -> bool:
        """The job has failed for good; False where it is over."""
        return await self._end(job, "failed", reason)

    async def cancel(self, job: str) -> bool:
        """Cancel a job; False where it is over."""
        return await self._end(job, "cancelled", None)

    async def _end(self, job: str, status: str, reason: str | None) -> bool:
        async with self._sessions.begin() as session:
            row = await session.get(JobRow, job)
            return row is not None and row.status in OPEN and await end(session, row, status, reason)

    async def retry(self, job: str, *, quotas: Quotas = NO_QUOTAS) -> bool:
        """Do a job that failed or was cancelled again; False where it did not. What is finished of it is kept.

        Raises:
            QuotaError: its owner may not have it done now.
        """
        async with self._sessions.begin() as session:
            await alone(
                session,
                lock_of(await session.scalar(select(JobRow.owner).where(JobRow.id == job)) or ""),
                await scene_of(session, job),  # or segments that are there now were removed soon
            )
            await session.execute(
                delete(TaskRow).where(TaskRow.job_id == job, exists().where(JobRow.id == job, JobRow.status.in_(AGAIN)))
            )
            row = await session.get(JobRow, job, with_for_update=True)
            if row is None or row.status not in AGAIN:
                return False
            await admit_job(session, row, quotas)
            row.status = row.stage = "queued"
            row.error = row.ended_at = row.rendering_at = None
            row.progress = row.stage_progress = row.frames_done = 0
            row.turn = await first_turn(session, row.flow, row.priority)
            session.add(first_task(row))
            note(session, row)
            return True

    async def left_alone(self, versions: Collection[str]) -> dict[str, list[JobRow]]:
        """Open jobs of none of these versions, and of whose version no task is running, by that version."""
        working = select(RENDERER).join(TaskRow, TaskRow.job_id == JobRow.id).where(TaskRow.status == "running")
        left: dict[str, list[JobRow]] = {}
        async with self._sessions() as session:
            others = select(JobRow).where(JobRow.status.in_(OPEN), RENDERER.not_in(versions), RENDERER.not_in(working))
            for job in await session.scalars(others):
                left.setdefault(job.scene_key[:VERSION], []).append(job)
        return left

    async def adopt(self, job: JobRow, scene: dict[str, Any], key: str) -> Forgotten | None:
        """Render a job as another version does, from its plan on.

        Returns what is to be deleted from storage; None where the job is over or was adopted by others.
        """
        async with self._sessions.begin() as session:
            await alone(session, *sorted((job.scene_key, key)))
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
            await begin(session, row)
            return await forget_scene(session, job.scene_key, plans)

    async def say(self, job: JobRow, obstacle: str) -> None:
        """What a job has to wait for."""
        async with self._sessions.begin() as session:
            row = await session.get(JobRow, job.id, with_for_update=True)
            if row is not None and row.status in OPEN and row.error != obstacle:
                row.error = obstacle
                note(session, row)

    async def delete(self, job: str) -> Forgotten | None:
        """Forget a job, its tasks and what was told of it; None where there is none.

        Returns what is to be deleted from storage. What other jobs have too stays.
        """
        async with self._sessions.begin() as session:
            scene_key = await scene_of(session, job)
            await alone(session, scene_key)  # or a job that is submitted now would take what is deleted for done
            plans = list(await session.scalars(select(TaskRow.id).where(of_kind(job, "plan"))))
            await session.execute(delete(TaskRow).where(TaskRow.job_id == job))
            row = await session.get(JobRow, job, with_for_update=True)
            if row is not None and row.status in OPEN:
                await give_back_seconds(session, row)
            if not await forget(session, [job]):
                return None
            return await forget_scene(session, scene_key, plans)
