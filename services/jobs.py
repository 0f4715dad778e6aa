"""Jobs and their tasks: every change of state, each a compare-and-set in the database.

A job is a plan, then segments, then joining them; each of these is a task. A task is *waiting* for others, *ready*,
*running* under a lease, or *done*. Redis only carries the ids of ready tasks: whatever it loses is queued again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, and_, delete, exists, func, or_, select, update

from services.database import JobRow, Sessions, TaskRow, new_id, now

DEATHS = 3  # a task that takes its process down this often fails its job
REQUEUE_AFTER = timedelta(seconds=10)  # a ready task that nobody took is put into the queue again
OPEN = ("queued", "rendering")


@dataclass(frozen=True)
class Claim:
    """A task that a worker holds, with what it needs to know of its job."""

    task: str
    attempt: int
    kind: str
    number: int
    job: str
    scene: dict[str, Any]
    scene_key: str


class Jobs:
    """All changes of jobs and tasks. ``lease`` is how many seconds a claim holds without being renewed."""

    def __init__(self, sessions: Sessions, *, lease: float) -> None:
        self._sessions, self._lease = sessions, timedelta(seconds=lease)

    async def submit(self, system_id: str, scene: dict[str, Any], scene_key: str, output_path: str) -> JobRow:
        """A new job and its first task."""
        job = JobRow(id=new_id(), system_id=system_id, scene=scene, scene_key=scene_key, output_path=output_path)
        async with self._sessions.begin() as session:
            session.add(job)
            await session.flush()
            session.add(TaskRow(job_id=job.id, kind="plan"))
        return job

    async def claim(self, task: str, attempt: int, worker: str) -> Claim | None:
        """Take a ready task; None where somebody else has it, or its job needs it no more."""
        async with self._sessions.begin() as session:
            taken = update(TaskRow).where(TaskRow.id == task, TaskRow.attempt == attempt, TaskRow.status == "ready")
            values = {"status": "running", "worker": worker, "lease_until": now() + self._lease, "done": 0}
            if not _changed(await session.execute(taken.values(**values))):
                return None
            row = await session.get_one(TaskRow, task)
            job = await session.get_one(JobRow, row.job_id)
            if job.status not in OPEN or job.cancel:
                row.status = "done"
                return None
            if job.status == "queued":
                job.status, job.stage = "rendering", "analysing"
            return Claim(task, attempt, row.kind, row.number, job.id, job.scene, job.scene_key)

    async def renew(self, claim: Claim, done: int) -> bool:
        """Hold the claim for longer and note how many frames are done; False where it was lost or the job is over."""
        async with self._sessions.begin() as session:
            kept = _held(claim).values(lease_until=now() + self._lease, done=done)
            if not _changed(await session.execute(kept)):
                return False
            job = await session.get_one(JobRow, claim.job)
            return job.status in OPEN and not job.cancel

    async def planned(self, claim: Claim, segments: Sequence[int]) -> None:
        """The segments, by their numbers of frames, and joining them, all waiting; what stands already stays."""
        async with self._sessions.begin() as session:
            held = update(JobRow).where(JobRow.id == claim.job, JobRow.status.in_(OPEN))
            if not _changed(await session.execute(held.values(frames=sum(segments), stage="rendering"))):
                return
            known = set(await session.scalars(select(TaskRow.number).where(_of(claim.job, "segment"))))
            for number, frames in enumerate(segments):
                if number not in known:
                    session.add(
                        TaskRow(job_id=claim.job, kind="segment", number=number, frames=frames, status="waiting")
                    )
            if not known:
                session.add(TaskRow(job_id=claim.job, kind="join", status="waiting"))

    async def ready(self, claim: Claim, number: int) -> TaskRow | None:
        """A segment whose snapshot is there can be rendered."""
        async with self._sessions.begin() as session:
            flip = update(TaskRow).where(
                _of(claim.job, "segment"), TaskRow.number == number, TaskRow.status == "waiting"
            )
            if not _changed(await session.execute(flip.values(status="ready", queued_at=now()))):
                return None
            found = select(TaskRow).where(_of(claim.job, "segment"), TaskRow.number == number)
            return (await session.scalars(found)).one()

    async def finish(self, claim: Claim) -> bool:
        """The claimed task is done; False where the claim was lost and the work does not count."""
        async with self._sessions.begin() as session:
            finished = _held(claim).values(status="done", lease_until=None, done=TaskRow.frames)
            if not _changed(await session.execute(finished)):
                return False
        await self.release(claim.job)
        return True

    async def release(self, job: str) -> TaskRow | None:
        """Let the segments be joined when the last of them is done."""
        unfinished = exists().where(TaskRow.job_id == job, TaskRow.kind != "join", TaskRow.status != "done")
        async with self._sessions.begin() as session:
            flip = update(TaskRow).where(_of(job, "join"), TaskRow.status == "waiting", ~unfinished)
            if not _changed(await session.execute(flip.values(status="ready"))):
                return None
            await session.execute(update(JobRow).where(JobRow.id == job).values(stage="joining"))
            return (await session.scalars(select(TaskRow).where(_of(job, "join")))).one()

    async def complete(self, claim: Claim, size: int) -> bool:
        """The video is in its place."""
        async with self._sessions.begin() as session:
            if not _changed(await session.execute(_held(claim).values(status="done", lease_until=None))):
                return False
            over = update(JobRow).where(JobRow.id == claim.job, JobRow.status.in_(OPEN), JobRow.cancel.is_(False))
            done = over.values(status="completed", stage="completed", completed_at=now(), size=size)
            return _changed(await session.execute(done))

    async def give_back(self, claim: Claim, *, died: str | None = None) -> None:
        """The claimed task shall be done by somebody else; if it ``died`` too often, and how, its job has failed."""
        async with self._sessions.begin() as session:
            values = {"status": "ready", "attempt": claim.attempt + 1, "queued_at": None, "lease_until": None}
            deaths = TaskRow.deaths + (1 if died else 0)
            if not _changed(await session.execute(_held(claim).values(**values, deaths=deaths))):
                return
            row = await session.get_one(TaskRow, claim.task)
            too_often = row.deaths >= DEATHS
        if too_often:
            await self.fail(
                claim.job, f"the process that does {claim.kind} {claim.number} died {DEATHS} times ({died})"
            )

    async def fail(self, job: str, reason: str) -> None:
        """The job has failed for good."""
        async with self._sessions.begin() as session:
            over = update(JobRow).where(JobRow.id == job, JobRow.status.in_(OPEN))
            await session.execute(over.values(status="failed", stage="failed", failed_at=now(), error=reason))

    async def cancel(self, job: str) -> bool:
        """Cancel a job that is not over; False where it is."""
        async with self._sessions.begin() as session:
            over = update(JobRow).where(JobRow.id == job, JobRow.status.in_(OPEN))
            return _changed(await session.execute(over.values(cancel=True, status="cancelled", stage="cancelled")))

    async def reap(self) -> int:
        """Give the tasks of workers that gave no sign of life to others; returns how many."""
        async with self._sessions.begin() as session:
            lost = update(TaskRow).where(TaskRow.status == "running", TaskRow.lease_until < now())
            values = {"status": "ready", "attempt": TaskRow.attempt + 1, "queued_at": None, "lease_until": None}
            result: Any = await session.execute(lost.values(**values))
            return int(result.rowcount)

    async def due(self) -> list[TaskRow]:
        """Ready tasks that ought to be in the queue and may not be; noted as queued now."""
        async with self._sessions.begin() as session:
            stale = or_(TaskRow.queued_at.is_(None), TaskRow.queued_at < now() - REQUEUE_AFTER)
            await session.execute(
                update(TaskRow).where(TaskRow.status == "ready", stale, ~_open_job()).values(status="done")
            )
            rows = list(await session.scalars(select(TaskRow).where(TaskRow.status == "ready", stale).limit(1000)))
            for row in rows:
                row.queued_at = now()
            return rows

    async def progress(self, job: JobRow) -> int:
        """How much of a job is done, 0–100: frames rendered over frames to render, less what joining takes."""
        if job.status == "completed":
            return 100
        if not job.frames:
            return 0
        async with self._sessions() as session:
            done = await session.scalar(select(func.sum(TaskRow.done)).where(_of(job.id, "segment")))
        return int(99 * (done or 0) / job.frames)

    async def delete(self, job: str) -> None:
        """Forget a job and its tasks."""
        async with self._sessions.begin() as session:
            await session.execute(delete(TaskRow).where(TaskRow.job_id == job))
            await session.execute(delete(JobRow).where(JobRow.id == job))


def _held(claim: Claim) -> Any:
    """An update of the claimed task, as long as the claim holds."""
    return update(TaskRow).where(
        TaskRow.id == claim.task, TaskRow.attempt == claim.attempt, TaskRow.status == "running"
    )


def _of(job: str, kind: str) -> Any:
    return and_(TaskRow.job_id == job, TaskRow.kind == kind)


def _open_job() -> Any:
    return exists().where(JobRow.id == TaskRow.job_id, JobRow.status.in_(OPEN))


def _changed(result: Any) -> bool:
    assert isinstance(result, CursorResult)
    return result.rowcount > 0
