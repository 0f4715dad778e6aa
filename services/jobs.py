"""Jobs and their tasks: every change of state, each a compare-and-set in the database.

A video is a plan, then segments, then joining them; a frame is one task. A task is *waiting* for others, *ready*,
*running* under a lease, or *done*. Redis only says that something is ready: whatever it loses is said again.

Where a transaction changes tasks and their job, it changes the tasks first, so that no two wait for each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services import metrics
from services.artefacts import Artefact, Forgotten, forget_scene, publish
from services.database import (
    AGAIN,
    OPEN,
    ArtefactRow,
    JobRow,
    Sessions,
    TaskRow,
    after,
    alone,
    made_at,
    now,
)
from services.job_steps import (
    LOSSES,
    READY_AGAIN,
    begin,
    changed,
    complete,
    end,
    forget,
    of_kind,
    progress,
    scene_of,
    take,
)
from services.keys import ALONE, result_key, segment_key
from services.migrations import is_newest
from services.news import log, note, state
from services.quotas import NO_QUOTAS, Quotas, admit_bytes, admit_job, give_back_seconds, lock_of
from services.scenes import VERSION
from services.turns import WEIGHTS, first_turn, present_turn, turns_of

DEATHS = 3  # a task that takes its process down this often fails its job
OLDEST_EVERY = 16  # of so many claims one takes the oldest task, whosesoever turn it is
QUEUED_AT_ONCE = 64  # tasks in the queue; the others follow, so that their turns count
REQUEUE_AFTER = timedelta(seconds=5)  # a ready task that nobody took is put into the queue again
WAIT = timedelta(seconds=5)  # before something is tried again that cannot be done at the moment
KINDS = ("plan", "segment", "join", *ALONE)  # of tasks
_RENDERER = func.substr(JobRow.scene_key, 1, VERSION)  # the version that renders a job


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
    plan: str | None = None  # the task that plans the job; a frame has none
    traceparent: str | None = None


class Jobs:
    """All changes of jobs and tasks. ``lease`` is how many seconds a claim holds without being renewed.

    ``versions`` are those that whoever claims can render, see ``services.scenes``; None where that is not asked.
    """

    def __init__(self, sessions: Sessions, *, lease: float, versions: Collection[str] | None = None) -> None:
        self._sessions, self._lease, self._versions = sessions, timedelta(seconds=lease), versions
        self._claims = 0

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

    async def claim(self, worker: str) -> Claim | None:
        """Take the ready task whose turn it is; None where there is none that is for us.

        That is none at all in a database with a structure that this Motes does not know.
        """
        order = (TaskRow.id,) if self._claims % OLDEST_EVERY == OLDEST_EVERY - 1 else (TaskRow.turn, TaskRow.id)
        async with self._sessions.begin() as session:
            best = select(TaskRow).join(JobRow, JobRow.id == TaskRow.job_id).order_by(*order).limit(1)
            best = best.where(TaskRow.status == "ready", _may_begin(), self._ours(), is_newest())
            best = best.with_for_update(skip_locked=True, of=TaskRow)
            while (row := (await session.scalars(best)).first()) is not None:
                job = await session.get_one(JobRow, row.job_id)
                if job.status not in OPEN:
                    row.status = "done"
                    await session.flush()
                    continue
                row.status, row.worker, row.lease_until, row.done = "running", worker, now() + self._lease, 0
                if row.kind == "plan" or row.kind in ALONE:
                    await session.refresh(job, with_for_update=True)
                    begun = "rendering", "rendering" if row.kind == "frame" else "analysing"
                    if job.status in OPEN and (job.status, job.stage) != begun:
                        if job.status == "queued" and job.kind == "video":
                            waited = max(0.0, (now() - made_at(row.id)).total_seconds())
                            after(session, partial(metrics.job_begun, waited))
                        job.status, job.stage = begun
                        note(session, job)
                self._claims += 1
                plan = await session.scalar(select(TaskRow.id).where(of_kind(job.id, "plan")))
                what = (row.id, row.attempt, row.kind, row.number)
                return Claim(*what, job.id, job.scene, job.scene_key, plan, job.traceparent)
        return None

    async def renew(self, claim: Claim, done: int) -> bool:
        """Hold the claim for longer and note how much is done; False where it was lost or the job is over.

        ``done`` is in frames for a segment, else in per cent.
        """
        async with self._sessions.begin() as session:
            kept = _held(claim).values(lease_until=now() + self._lease, done=done)
            if not changed(await session.execute(kept)):
                return False
            return await progress(session, claim.job)

    async def planned(self, claim: Claim, segments: Sequence[int]) -> None:
        """The segments, by their numbers of frames, and joining them, all waiting; what stands already stays."""
        async with self._sessions.begin() as session:
            await alone(session, claim.scene_key)  # of jobs with the same segments one notes at a time that it has them
            if not changed(await session.execute(_held(claim).values(done=100))):
                return
            job = await session.get_one(JobRow, claim.job, with_for_update=True)
            if job.status not in OPEN:
                return
            before = state(job)
            job.frames, job.stage, job.rendering_at = sum(segments), "rendering", job.rendering_at or now()
            known = set(await session.scalars(select(TaskRow.number).where(of_kind(job.id, "segment"))))
            keys = {number: segment_key(job.scene_key, number) for number in range(len(segments))}
            found = update(ArtefactRow).where(ArtefactRow.key.in_(keys.values())).values(used_at=now())
            there = set(await session.scalars(found.returning(ArtefactRow.key)))
            turns = turns_of(job.turn, job.priority, len(segments) + 1)[1:]
            for number, (frames, turn) in enumerate(zip(segments, turns, strict=True)):
                row = TaskRow(job_id=job.id, kind="segment", number=number, frames=frames, turn=turn, status="waiting")
                if keys[number] in there:
                    row.status, row.done = "done", frames
                if number not in known:
                    session.add(row)
            if not known:
                session.add(TaskRow(job_id=job.id, kind="join", status="waiting"))
            await session.flush()
            await progress(session, job.id, before=before)

    async def ready(self, claim: Claim, number: int) -> TaskRow | None:
        """A segment whose snapshot is there can be rendered; None where it could be before."""
        async with self._sessions.begin() as session:
            found = select(TaskRow).where(of_kind(claim.job, "segment"), TaskRow.number == number)
            row = (await session.scalars(found.with_for_update())).one_or_none()
            if row is None or row.status != "waiting":  # the job may be over
                return None
            row.status, row.queued_at = "ready", now()
            return row

    async def finish(self, claim: Claim, made: Artefact | None = None) -> bool:
        """The claimed task is done. False where what was ``made`` does not count and its file must be deleted.

        That is so where the claim was lost, and where the same was finished before.
        """
        async with self._sessions.begin() as session:
            done = _held(claim).values(status="done", lease_until=None, done=TaskRow.frames)
            if not changed(await session.execute(done)):
                return False
            counts = made is None or (await publish(session, made)).object == made.object
            await progress(session, claim.job, worked=True)
            return counts

    async def release(self, job: str) -> TaskRow | None:
        """Let the segments be joined if all of them are done and nobody did before."""
        unfinished = exists().where(TaskRow.job_id == job, TaskRow.kind != "join", TaskRow.status != "done")
        async with self._sessions.begin() as session:
            flip = update(TaskRow).where(of_kind(job, "join"), TaskRow.status == "waiting", ~unfinished)
            turn = await present_turn(session)
            if not changed(await session.execute(flip.values(status="ready", turn=turn, queued_at=now()))):
                return None
            row = await session.get_one(JobRow, job, with_for_update=True)
            if row.status in OPEN:
                row.stage, row.stage_progress = "joining", 0
                note(session, row)
            return (await session.scalars(select(TaskRow).where(of_kind(job, "join")))).one()

    async def unreleased(self) -> list[str]:
        """Jobs that wait to be joined although all is done: who was to release them died just before."""
        rendered = and_(JobRow.stage == "rendering", JobRow.frames > 0, JobRow.frames_done == JobRow.frames)
        async with self._sessions() as session:
            found = select(JobRow.id).where(JobRow.status == "rendering", JobRow.kind.not_in(ALONE), rendered)
            return list(await session.scalars(found))

    async def complete(self, claim: Claim, made: Artefact) -> bool:
        """The result is in its place, and the job completed. False where what was made must be deleted."""
        async with self._sessions.begin() as session:
            done = _held(claim).values(status="done", lease_until=None, done=100)
            if not changed(await session.execute(done)):
                return False
            job = await session.get_one(JobRow, claim.job, with_for_update=True)
            if job.status not in OPEN:
                return False
            published = await publish(session, made)
            await complete(session, job, published)
            return published.object == made.object

    async def give_back(
        self, claim: Claim, *, died: str | None = None, wait: str | None = None, wrong: str | None = None
    ) -> bool:
        """The claimed task shall be done by somebody else; False where the claim was lost, or the task is done.

        If its process ``died``, and how, too often, the job has failed. If it has to ``wait``, and why, it is done in
        some seconds, however often; also if something is ``wrong`` with the worker, but not that often.
        """
        async with self._sessions.begin() as session:
            later = now() + WAIT if wait or wrong else None
            counted = {"deaths": TaskRow.deaths + (1 if died else 0), "losses": TaskRow.losses + (1 if wrong else 0)}
            given = _held(claim).values(**READY_AGAIN, **counted, not_before=later)
            if not changed(await session.execute(given)):
                return False
            task = await session.get_one(TaskRow, claim.task)
            job = await session.get_one(JobRow, claim.job, with_for_update=True)
            what = f"{claim.kind} {claim.number}" if claim.kind == "segment" else claim.kind
            if job.status not in OPEN:
                return True
            reason = "died" if died else "wait" if wait else "wrong" if wrong else "stopped"
            after(session, partial(metrics.task_retried, reason))
            if task.deaths >= DEATHS:
                await end(session, job, "failed", f"the process that does {what} died {DEATHS} times ({died})")
            elif task.losses >= LOSSES:
                await end(session, job, "failed", f"{what} was given up after {LOSSES} attempts ({wrong})")
            elif (obstacle := wait or wrong) is None:
                await progress(session, claim.job)
            elif job.error != obstacle:
                job.error = obstacle
                note(session, job)
            return True

    async def fail(self, job: str, reason: str, *, by: Claim | None = None) -> bool:
        """The job has failed for good; False where it is over, or where who says so has lost its claim."""
        return await self._end(job, "failed", reason, by=by)

    async def cancel(self, job: str) -> bool:
        """Cancel a job; False where it is over."""
        return await self._end(job, "cancelled", None)

    async def _end(self, job: str, status: str, reason: str | None, *, by: Claim | None = None) -> bool:
        async with self._sessions.begin() as session:
            if by is not None and not changed(await session.execute(_held(by).values(attempt=by.attempt))):
                return False
            row = await session.get(JobRow, job)
            if row is None or row.status not in OPEN:
                return False
            return await end(session, row, status, reason)

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
            session.add(TaskRow(job_id=job, kind=row.kind if row.kind in ALONE else "plan", turn=row.turn))
            note(session, row)
            return True

    async def reap(self) -> int:
        """Give the tasks of workers that gave no sign of life to others; returns how many."""
        async with self._sessions.begin() as session:
            # A lease that ends later than any can means that the clock was put back.
            over = or_(TaskRow.lease_until < now(), TaskRow.lease_until > now() + 2 * self._lease)
            return await take(session, and_(TaskRow.status == "running", over), "expired")

    async def reclaim(self, worker: str) -> int:
        """Give back what a worker of this name held before it was started again; returns how many."""
        async with self._sessions.begin() as session:
            return await take(session, and_(TaskRow.status == "running", TaskRow.worker == worker), "reclaimed")

    async def due(self) -> list[TaskRow]:
        """The next ready tasks that may not be in the queue; noted as queued now."""
        async with self._sessions() as session:
            first = select(TaskRow).join(JobRow, JobRow.id == TaskRow.job_id).order_by(TaskRow.turn, TaskRow.id)
            first = first.where(TaskRow.status == "ready", _may_begin(), self._ours())
            rows = list(await session.scalars(first.limit(QUEUED_AT_ONCE)))
        rows = [row for row in rows if row.queued_at is None or abs(now() - row.queued_at) > REQUEUE_AFTER]
        if rows:
            async with self._sessions.begin() as session:
                mine = update(TaskRow).where(TaskRow.id.in_([row.id for row in rows]), TaskRow.status == "ready")
                await session.execute(mine.values(queued_at=now()))
        return rows

    async def unfinished(self, tasks: Collection[str]) -> set[tuple[str, int]]:
        """Which of the tasks are ready or running, with their attempts."""
        async with self._sessions() as session:
            found = select(TaskRow.id, TaskRow.attempt).where(TaskRow.id.in_(tasks))
            found = found.where(TaskRow.status.in_(("ready", "running")))
            return {(task, attempt) for task, attempt in await session.execute(found)}

    async def left_alone(self) -> dict[str, list[JobRow]]:
        """Open jobs that we cannot render and of whose version no task is running, by that version."""
        working = select(_RENDERER).join(TaskRow, TaskRow.job_id == JobRow.id).where(TaskRow.status == "running")
        alone: dict[str, list[JobRow]] = {}
        async with self._sessions() as session:
            others = select(JobRow).where(JobRow.status.in_(OPEN), ~self._ours(), _RENDERER.not_in(working))
            for job in await session.scalars(others):
                alone.setdefault(job.scene_key[:VERSION], []).append(job)
        return alone

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

    def _ours(self) -> ColumnElement[bool]:
        """Whether a job is of a version that we can render."""
        return true() if self._versions is None else _RENDERER.in_(self._versions)

    async def segments(self, claim: Claim) -> list[str]:
        """Where the segments to be joined lie in storage, in their order."""
        async with self._sessions() as session:
            count = await session.scalar(select(func.count()).where(of_kind(claim.job, "segment")))
            keys = [segment_key(claim.scene_key, number) for number in range(count or 0)]
            rows = await session.scalars(select(ArtefactRow).where(ArtefactRow.key.in_(keys)))
            objects = {row.key: row.object for row in rows}
        return [objects[key] for key in keys]

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


def _may_begin() -> Any:
    """Which tasks need not wait, or only because the clock was put back."""
    moment = TaskRow.not_before
    return or_(moment.is_(None), moment <= now(), moment > now() + 2 * WAIT)


def _held(claim: Claim) -> Any:
    """An update of the claimed task, as long as the claim holds."""
    return update(TaskRow).where(
        TaskRow.id == claim.task, TaskRow.attempt == claim.attempt, TaskRow.status == "running"
    )
