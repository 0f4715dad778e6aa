"""Jobs: submitting, cancelling, retrying, replanning and deleting them, each as a compare-and-set in the database.

Workers do the rest through ``services.jobs.tasks``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core import MotesError
from services.auth.account import refund
from services.auth.quotas import NO_QUOTAS, Quotas, admit_bytes, admit_job, owner_lock
from services.database.clock import time_in
from services.database.engine import Sessions, advisory_lock, on_commit
from services.database.models import OPEN, RETRYABLE, ArtefactRow, JobRow, TaskRow, task_status_is
from services.jobs.artefacts import FilesToDelete, delete_scene_rows, result_size
from services.jobs.events import log_job, record_event
from services.jobs.fair_scheduler import WEIGHTS, start_virtual_time
from services.jobs.outputs import ids_with_parts, is_whole, outputs_from, parts_of
from services.jobs.render_spec import VERSION_LENGTH
from services.jobs.transitions import (
    delete_jobs,
    end_job,
    end_left_parts,
    first_task,
    follow_parts,
    need_assets,
    of_kind,
    scene_keys_of,
    start_job,
    tell,
)
from services.jobs.turns import ready_versions
from services.storage.object_keys import result_key

_version_of_job = func.substr(JobRow.scene_key, 1, VERSION_LENGTH)  # the version that renders it
_STRANDED = 50  # ready tasks whose jobs are read together; their specs are large
Admission: TypeAlias = Callable[[AsyncSession, Sequence[JobRow]], Awaitable[None]]


@dataclass(frozen=True)
class Submission:
    """A new job, what it costs, and its parts, each with what it costs; see :meth:`Jobs.submit`."""

    job: JobRow
    tasks: float
    parts: Sequence[tuple[JobRow, float]] = ()

    @property
    def rendered(self) -> list[JobRow]:
        """The jobs that render it."""
        return [part for part, _ in self.parts] or [self.job]


class BatchError(Exception):
    """The submission of this number, of several, is refused, and so are all of them."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _UndoneError(Exception):
    """What was tried is to be undone."""


async def lock(session: AsyncSession, jobs: Sequence[tuple[JobRow, Sequence[JobRow]]]) -> None:
    """Lock what the submission of jobs of one owner needs, each with the jobs that render it."""
    flows, ids = ({getattr(job, name) for job, _ in jobs} for name in ("fairness_key", "id"))
    scenes = {row.scene_key for _, rendered in jobs for row in rendered}
    await advisory_lock(session, owner_lock(jobs[0][0].owner or ""), *sorted(flows), *sorted(ids), *sorted(scenes))


async def replan_within(
    session: AsyncSession, job: str, present_key: str, scene: dict[str, Any], key: str
) -> FilesToDelete | None:
    """Replan an open job that has the present key; see :meth:`Jobs.replan`. Its scenes are locked."""
    plans = list(await session.scalars(select(TaskRow.id).where(of_kind(job, "plan"))))
    same = exists().where(JobRow.id == job, JobRow.status.in_(OPEN), JobRow.scene_key == present_key)
    await session.execute(delete(TaskRow).where(TaskRow.job_id == job, same))
    row = await session.get(JobRow, job, with_for_update=True)
    if row is None or row.status not in OPEN or row.scene_key != present_key:
        return None
    row.scene, row.scene_key, row.status, row.stage = scene, key, "queued", "queued"
    row.error = row.rendering_at = None
    row.progress = row.stage_progress = row.frames = row.frames_done = 0
    await session.flush()
    await start_job(session, row)
    return await delete_scene_rows(session, present_key, plans)


class Jobs:
    """All jobs."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def submit(
        self,
        job: JobRow,
        *,
        tasks: float,
        parts: Sequence[tuple[JobRow, float]] = (),
        quotas: Quotas = NO_QUOTAS,
        admit: Admission | None = None,
        within: AsyncSession | None = None,
    ) -> JobRow:
        """Store a new job and its first task; if the result exists, the job completes.

        ``tasks`` is what it costs, in tasks of a standard video (``services.jobs.cost``). ``parts`` are the outputs
        that render a job with variants (``services.jobs.outputs``), each with what it costs. Submitting a job again
        under the same id changes nothing. ``admit`` refuses jobs that the disk has no room for. ``within`` is the
        transaction, if the job is not the only one in it.

        Raises:
            SceneError: the song is gone.
            QuotaError: the owner has exceeded a quota.
            InsufficientStorageError: the disk has no room for it.
        """
        rendered = parts or [(job, tasks)]
        async with self._sessions.begin() if within is None else nullcontext(within) as session:
            await lock(session, [(job, [row for row, _ in rendered])])
            if (before := await session.get(JobRow, job.id)) is not None:
                return before
            turn, at = await start_virtual_time(session, job.fairness_key, job.priority), await time_in(session)
            for row in (job, *(part for part, _ in parts)):
                row.owner, row.seconds = row.owner or "", row.seconds or 0.0
                row.virtual_time, row.cost = turn, 0.0
                row.charged, row.charged_on, row.spent = 0.0, None, 0.0
                row.status = row.stage = "queued"
                row.progress = row.stage_progress = row.frames = row.frames_done = 0
                row.created_at = at
                row.audio = row.scene.get("audio")
            for row, number in rendered:  # one output after the other
                row.virtual_time, row.cost = turn, number / WEIGHTS[row.priority]
                turn += row.cost
            keys = {row.id: result_key(row.scene_key, row.kind) for row, _ in rendered}
            there = set(await session.scalars(select(ArtefactRow.key).where(ArtefactRow.key.in_(keys.values()))))
            new = [row for row, _ in rendered if keys[row.id] not in there]
            sizes = [
                await result_size(session, row.scene_key, row.kind) for row, _ in rendered if keys[row.id] in there
            ]
            if new:
                if admit is not None:
                    await admit(session, new)
                await admit_job(session, job, quotas, parts=new)
            if sizes:
                await admit_bytes(session, job.owner, sum(sizes), quotas)
            session.add(job)
            if parts:
                job.outputs = [{**each, "status": "queued", "progress": 0} for each in job.outputs or ()]
                session.add_all(part for part, _ in parts)
            for row in (job, *(part for part, _ in parts)):
                await need_assets(session, row)
            if parts:
                await record_event(session, job)
            for row, _ in rendered:
                await start_job(session, row)
            on_commit(session, partial(log_job, job, "submitted"))
        return job

    async def would_charge(
        self, submission: Submission, *, quotas: Quotas = NO_QUOTAS, admit: Admission | None = None
    ) -> list[float]:
        """What :meth:`submit` would charge for each job that renders it, in rendered seconds; nothing is stored.

        Raises:
            MotesError: as :meth:`submit`.
        """
        with suppress(_UndoneError):
            async with self._sessions.begin() as session:
                await self.submit(
                    submission.job,
                    tasks=submission.tasks,
                    parts=submission.parts,
                    quotas=quotas,
                    admit=admit,
                    within=session,
                )
                charged = [row.charged or 0.0 for row in submission.rendered]
                raise _UndoneError
        return charged

    async def submit_all(
        self, submissions: Sequence[Submission], *, quotas: Quotas = NO_QUOTAS, admit: Admission | None = None
    ) -> list[JobRow]:
        """Store several new jobs of one owner, or none of them; see :meth:`submit`.

        Raises:
            BatchError: one of them is refused; its cause says why.
        """
        stored = []
        async with self._sessions.begin() as session:
            await lock(session, [(each.job, each.rendered) for each in submissions])
            for number, each in enumerate(submissions):
                try:
                    stored.append(
                        await self.submit(
                            each.job, tasks=each.tasks, parts=each.parts, quotas=quotas, admit=admit, within=session
                        )
                    )
                except MotesError as error:
                    raise BatchError(number) from error
        return stored

    async def fail(self, job: str, reason: str) -> bool:
        """Fail the job for good; False if it is over."""
        return await self._end(job, "failed", reason)

    async def cancel(self, job: str) -> bool:
        """Cancel the job; False if it is over."""
        return await self._end(job, "cancelled", None)

    async def _end(self, job: str, status: str, reason: str | None) -> bool:
        async with self._sessions.begin() as session:
            row = await session.get(JobRow, job)
            if row is None or row.status not in OPEN or not await end_job(session, row, status, reason):
                return False
            has_others = is_whole(row) or row.whole_id is not None
        if has_others:
            await end_left_parts(self._sessions)
        return True

    async def end_left_parts(self) -> int:
        """Cancel the open parts of jobs that are over; returns how many there were."""
        return await end_left_parts(self._sessions)

    async def retry(self, job: str, *, quotas: Quotas = NO_QUOTAS) -> bool:
        """Run a failed or cancelled job again; False if it is neither. Finished segments and outputs are kept.

        Raises:
            QuotaError: the owner has exceeded a quota.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(
                session,
                owner_lock(await session.scalar(select(JobRow.owner).where(JobRow.id == job)) or ""),
                *await scene_keys_of(session, job),  # otherwise the segments that exist could be deleted at once
            )
            is_over = exists().where(JobRow.id == job, JobRow.status.in_(RETRYABLE))
            unfinished = or_(JobRow.status != "completed", JobRow.expired_at.is_not(None))
            again = select(JobRow.id).where(or_(JobRow.id == job, (JobRow.whole_id == job) & unfinished))
            await session.execute(
                delete(TaskRow).where(TaskRow.job_id.in_(again), is_over).execution_options(synchronize_session=False)
            )
            parts = select(JobRow).where(JobRow.whole_id == job, unfinished).order_by(JobRow.virtual_time, JobRow.id)
            rows = list(await session.scalars(parts.with_for_update()))
            row = await session.get(JobRow, job, with_for_update=True)
            if row is None or row.status not in RETRYABLE:
                return False
            for each in rows:
                if each.status in OPEN:  # it was to be cancelled with the whole
                    await refund(session, each)
            await admit_job(session, row, quotas, parts=rows)
            turn = await start_virtual_time(session, row.fairness_key, row.priority)
            for each in (*rows, row):
                each.status = each.stage = "queued"
                each.error = each.ended_at = each.rendering_at = each.expired_at = None
                each.progress = each.stage_progress = each.frames_done = 0
                each.virtual_time = turn
                turn += each.cost
            whole = is_whole(row)
            for each in (*rows, row):
                await need_assets(session, each)
            for each in rows if whole else [row]:
                session.add(await first_task(session, each))
            row.outputs = outputs_from(row, await parts_of(session, row)) if whole else row.outputs
            await record_event(session, row)
            if whole:
                await follow_parts(session, row.id)
            return True

    async def stranded_versions(self, versions: Collection[str]) -> list[str]:
        """Renderer versions other than these that ready tasks wait for, and that no worker is working on."""
        async with self._sessions() as session:
            others = [version for version in await ready_versions(session) if version and version not in versions]
            if not others:
                return []
            running = select(_version_of_job).join(TaskRow, TaskRow.job_id == JobRow.id)
            working = set(await session.scalars(running.where(task_status_is("running")).distinct()))
            return [version for version in others if version not in working]

    async def stranded_jobs(self, version: str, *, after: str = "") -> tuple[list[JobRow], str]:
        """A few of the open jobs of a version: those of its next ready tasks behind ``after``, and their other parts.

        And the task behind which the next few are; empty after the last ones.
        """
        async with self._sessions() as session:
            ready = select(TaskRow.id, TaskRow.job_id).where(task_status_is("ready"), TaskRow.version == version)
            ready = ready.where(TaskRow.id > after).order_by(TaskRow.id).limit(_STRANDED)
            tasks = (await session.execute(ready)).all()
            jobs = select(JobRow).where(_version_of_job == version)
            found = list(await session.scalars(jobs.where(JobRow.id.in_({job for _, job in tasks}))))
            wholes = {row.whole_id for row in found if row.whole_id is not None}
            found += await session.scalars(jobs.where(JobRow.whole_id.in_(wholes))) if wholes else []
        rows = {row.id: row for row in found if row.status in OPEN}
        return list(rows.values()), tasks[-1].id if len(tasks) == _STRANDED else ""

    async def replan(self, job: JobRow, scene: dict[str, Any], key: str) -> FilesToDelete | None:
        """Replan a job for another renderer version.

        Returns the files to delete from storage; None if the job is over or was replanned by another worker.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, *sorted((job.scene_key, key)))
            return await replan_within(session, job.id, job.scene_key, scene, key)

    async def set_blocked_reason(self, job: JobRow, obstacle: str) -> None:
        """Record why an open job cannot proceed."""
        async with self._sessions.begin() as session:
            row = await session.get(JobRow, job.id, with_for_update=True)
            if row is not None and row.status in OPEN and row.error != obstacle:
                row.error = obstacle
                await tell(session, row)

    async def delete(self, job: str) -> FilesToDelete | None:
        """Delete a job with its tasks and events; None if it does not exist.

        Returns the files to delete from storage. What other jobs share stays.
        """
        async with self._sessions.begin() as session:
            scenes = await scene_keys_of(session, job)
            if not scenes:
                return None
            await advisory_lock(session, *scenes)  # otherwise a job submitted now could take a result for finished
            jobs = await ids_with_parts(session, [job])
            plans: dict[str, list[str]] = {}
            found = select(JobRow.scene_key, TaskRow.id).join(TaskRow, TaskRow.job_id == JobRow.id)
            for scene, plan in await session.execute(found.where(TaskRow.kind == "plan", JobRow.id.in_(jobs))):
                plans.setdefault(scene, []).append(plan)
            await session.execute(delete(TaskRow).where(TaskRow.job_id.in_(jobs)))
            for each in jobs:
                row = await session.get(JobRow, each, with_for_update=True)
                if row is not None and row.status in OPEN:
                    await refund(session, row)
            if not await delete_jobs(session, [job]):
                return None
            gone = [await delete_scene_rows(session, scene, plans.get(scene, [])) for scene in scenes]
            return FilesToDelete(
                tuple(artefact for each in gone for artefact in each.artefacts),
                tuple(folder for each in gone for folder in each.folders),
            )
