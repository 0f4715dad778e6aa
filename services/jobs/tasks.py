"""Tasks: the pieces of jobs that workers do. Every change of state is a compare-and-set in the database.

A video is one plan task, then tasks for its segments and its sound, then a join task; a frame is a single task. A task
is *waiting* for other tasks, *ready*, *running* under a lease, or *done*. Which ready tasks workers are offered:
``services.jobs.turns``.

Transactions that change tasks and their job change the tasks first, which prevents deadlocks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import and_, case, delete, exists, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ecs_core import MotesError
from services.auth.account import settle
from services.database.clock import db_now, time_in
from services.database.engine import Sessions, advisory_lock, on_commit
from services.database.migrations import is_at_head
from services.database.models import OPEN, ArtefactRow, JobRow, TaskRow, id_timestamp, task_status_is, uuid7
from services.jobs.artefacts import Artefact, as_artefact, finished_result, has_sound, keys_left, publish
from services.jobs.events import progress_state
from services.jobs.fair_scheduler import current_virtual_time, segment_times
from services.jobs.outputs import release_plans
from services.jobs.render_spec import VERSION_LENGTH
from services.jobs.slots import may_hold
from services.jobs.task_memory import estimate_memory
from services.jobs.transitions import (
    changed,
    complete_job,
    done_by_kind,
    end_job,
    end_left_parts,
    of_kind,
    set_progress,
    tell,
    update_progress,
)
from services.jobs.turns import is_due, is_open
from services.observability import metrics
from services.storage.object_keys import SINGLE_TASK_KINDS

MAX_DEATHS = 3  # a task whose process dies this often fails its job
MAX_LOSSES = 20  # a task whose worker vanishes or fails this often fails its job
RETRY_DELAY = timedelta(seconds=5)  # wait before retrying a task that is blocked
# As good as status = 'running', but PostgreSQL must not read all that are running, as it does where it expects few.
_IS_HELD = TaskRow.lease_until.is_not(None)
TASK_KINDS = ("plan", "segment", "sound", "join", *SINGLE_TASK_KINDS)
_OTHER = aliased(TaskRow)  # made once, as that takes milliseconds
_LONGER = 1.0  # seconds by which a track may be longer than the default one
_WITHDRAWN = {"status": "ready", "worker": None, "queued_at": None, "lease_until": None}
_REQUEUED = {"status": "ready", "attempt": TaskRow.attempt + 1, "queued_at": None, "lease_until": None, "done": 0}


@dataclass(frozen=True)
class Claim:
    """A task that a worker holds, with what it needs to know about the job."""

    task: str
    attempt: int
    kind: str
    number: int
    job: str
    scene: dict[str, Any]
    scene_key: str
    plan: str | None = None  # the job's plan task; None for a frame
    traceparent: str | None = None
    owner: str = ""
    reopened: bool = False  # as its result, or the poster of that, was lost
    frames: int = 0  # of a segment
    seconds: float = 0.0  # of the job's video, 0 if it has none
    memory: int = 0  # bytes that it is expected to take


class Offered(NamedTuple):
    """A task that the dispatcher offers, and how many bytes it is expected to take."""

    task: str
    attempt: int
    memory: int


class Tasks:
    """The tasks of all jobs. ``lease`` is how many seconds a claim lasts without renewal.

    ``versions`` are the renderer versions that the caller can render (see ``services.jobs.render_spec``); None
    disables this filter.
    """

    def __init__(self, sessions: Sessions, *, lease: float, versions: Collection[str] | None = None) -> None:
        self._sessions, self._lease, self._versions = sessions, timedelta(seconds=lease), versions

    async def claim(
        self, worker: str, offered: tuple[str, int] | None = None, *, memory: int | None = None
    ) -> Claim | None:
        """Claim a task that the dispatcher offers; None if there is none for this worker.

        It is the one of this id and attempt, ``offered`` by the queue; if somebody else has that, or without, the one
        with the lowest virtual time. ``memory`` is how many bytes the worker has free: what is expected to take more
        stays ready, and is offered again. None takes any.

        Claims nothing from a database whose schema revision is not the one this version of Motes needs.
        """
        while True:  # a transaction for each try, as each may wait for the slots of another owner
            async with self._sessions.begin() as session:
                row = await self._take_next(session, worker, offered, memory)
                if row is None:
                    return None
                plan = select(TaskRow.id).where(of_kind(row.job_id, "plan")).scalar_subquery()
                job, plan_id = (await session.execute(select(JobRow, plan).where(JobRow.id == row.job_id))).one()
                if await may_hold(session, job):
                    await self._note_begin(session, row, job)
                    about = job.traceparent, job.owner, job.reopened_at is not None
                    rest = (plan_id, *about, row.frames, job.seconds, row.memory)
                    return Claim(row.id, row.attempt, row.kind, row.number, job.id, job.scene, job.scene_key, *rest)
                # Others took the last slot of its owner meanwhile.
                await session.execute(update(TaskRow).where(TaskRow.id == row.id).values(**_WITHDRAWN))

    async def next_offered(self, *, memory: int) -> Offered | None:
        """What :meth:`claim` would claim now."""
        async with self._sessions() as session:
            next_ = select(TaskRow.id, TaskRow.attempt, TaskRow.memory).where(*self._offered(TaskRow, memory))
            row = (await session.execute(next_.order_by(TaskRow.virtual_time, TaskRow.id).limit(1))).first()
            return None if row is None else Offered(*row)

    async def is_offered(self, offered: Offered) -> bool:
        """Whether nobody has claimed a task yet that was offered."""
        async with self._sessions() as session:
            mine = and_(TaskRow.id == offered.task, TaskRow.attempt == offered.attempt)
            found = select(TaskRow.id).where(mine, *self._offered(TaskRow, offered.memory))
            return await session.scalar(found) is not None

    async def _note_begin(self, session: AsyncSession, task: Any, job: JobRow) -> None:
        """Record that a job has begun, if the task that was claimed is its first."""
        if task.kind not in ("plan", *SINGLE_TASK_KINDS):
            return
        await session.refresh(job, with_for_update=True)
        begun = "rendering", "rendering" if task.kind == "frame" else "analysing"
        if job.status in OPEN and (job.status, job.stage) != begun:
            if job.status == "queued" and job.kind == "video":
                waited = await time_in(session) - id_timestamp(task.id)
                on_commit(session, partial(metrics.job_begun, max(0.0, waited.total_seconds())))
            job.status, job.stage = begun
            await tell(session, job)

    def _offered(self, task: Any, memory: int | None) -> list[Any]:
        """Conditions: the dispatcher offers the task, and this worker may claim it."""
        fits = [] if memory is None else [task.memory <= memory]
        own = [] if self._versions is None else [task.version.in_(self._versions)]
        ready = task_status_is("ready", task), task.queued_at.is_not(None), is_due(task)
        return [*ready, *own, *fits, is_open(task.job_id), is_at_head()]

    async def _take_next(
        self, session: AsyncSession, worker: str, offered: tuple[str, int] | None, memory: int | None
    ) -> Any:
        if offered is not None:
            exact = and_(TaskRow.id == offered[0], TaskRow.attempt == offered[1], *self._offered(TaskRow, memory))
            row = await self._take(session, worker, exact)
            if row is not None:
                return row
        best = select(_OTHER.id).where(*self._offered(_OTHER, memory))
        best = best.order_by(_OTHER.virtual_time, _OTHER.id).limit(1).with_for_update(skip_locked=True, of=_OTHER)
        return await self._take(session, worker, TaskRow.id == best.scalar_subquery())

    async def _take(self, session: AsyncSession, worker: str, which: Any) -> Any:
        """Claim the task that the condition names; returns what ``claim`` needs of its row. None: it was none."""
        taken = update(TaskRow).where(which, task_status_is("ready"))
        taken = taken.values(status="running", worker=worker, lease_until=db_now(self._lease), done=0)
        about = TaskRow.id, TaskRow.job_id, TaskRow.attempt, TaskRow.kind, TaskRow.number
        return (await session.execute(taken.returning(*about, TaskRow.frames, TaskRow.memory))).first()

    async def renew(self, held: Sequence[tuple[Claim, int]]) -> list[Claim]:
        """Extend the leases of claims and record their progress, all in one statement.

        Returns those that were lost or whose jobs are over. Progress is in frames for a segment, otherwise in percent.
        Only the tasks' own rows are written: others add up.
        """
        if not held:
            return []
        ids = [(claim.task, claim.attempt) for claim, _ in held]
        mine = TaskRow.id.in_([task for task, _ in ids]), tuple_(TaskRow.id, TaskRow.attempt).in_(ids), _IS_HELD
        done = case({claim.task: done for claim, done in held}, value=TaskRow.id)
        kept = update(TaskRow).where(*mine, is_open(TaskRow.job_id)).values(lease_until=db_now(self._lease), done=done)
        kept = kept.returning(TaskRow.id, TaskRow.attempt)
        async with self._sessions.begin() as session:
            found = {tuple(row) for row in await session.execute(kept)}
        return [claim for claim, _ in held if (claim.task, claim.attempt) not in found]

    async def record_plan(
        self,
        claim: Claim,
        segments: Sequence[int],
        *,
        sounds: int = 1,
        start: float | None = None,
        seconds: float | None = None,
    ) -> TaskRow | None:
        """Create the segment tasks (``segments``: frames of each), those of the sound and the join task; existing tasks
        stay.

        The sound is made in ``sounds`` pieces, if the video has any. Returns one that can begin; they take longest, so
        they come before the segments. ``start`` is the second of the song at which the video begins; ``seconds`` is
        what the video lasts, if that was not known before: the owner gets back what was charged beyond it.

        Raises:
            MotesError: the video would be longer than what the job was admitted for.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, claim.scene_key)  # Jobs that share segments record their plans one at a time.
            if not changed(await session.execute(_fenced_update(claim).values(done=100))):
                return None
            job = await session.get_one(JobRow, claim.job, with_for_update=True)
            if job.status not in OPEN:
                return None
            _check_admitted(job, sum(segments))
            before, at = progress_state(job), await time_in(session)
            job.frames, job.stage, job.rendering_at = sum(segments), "rendering", job.rendering_at or at
            job.start = start if start is not None else job.start
            if seconds is not None:
                await settle(session, job, seconds)
            known = set(await session.scalars(select(TaskRow.number).where(of_kind(job.id, "segment"))))
            keys = {number: keys_left(job.scene, job.scene_key, "segment", number) for number in range(len(segments))}
            pieces = range(sounds if has_sound(job.scene) else 0)
            of_sound = [keys_left(job.scene, job.scene_key, "sound", number) for number in pieces]
            used = chain(*of_sound, *keys.values())
            found = update(ArtefactRow).where(ArtefactRow.key.in_(used)).values(used_at=at)
            there = set(await session.scalars(found.returning(ArtefactRow.key)))
            # What is there of a segment in part, as a file was lost, is made anew. What was not there may be by now.
            parts = [key for of_one in keys.values() if not there.issuperset(of_one) for key in of_one if key in there]
            await session.execute(delete(ArtefactRow).where(ArtefactRow.key.in_(parts)))
            turns = segment_times(job, segments)

            def task(kind: str, after: int, **more: Any) -> TaskRow:
                row = TaskRow(id=uuid7(at, after), job_id=job.id, kind=kind, **{"status": "waiting", **more})
                row.memory = estimate_memory(job.scene, kind, seconds=job.seconds)
                row.version = job.scene_key[:VERSION_LENGTH]
                return row

            for number, (frames, turn) in enumerate(zip(segments, turns, strict=True)):
                row = task("segment", sounds + number, number=number, frames=frames, virtual_time=turn)
                if there.issuperset(keys[number]):
                    row.status, row.done = "done", frames
                if number not in known:
                    session.add(row)
            ready = None
            if not known:
                session.add(task("join", sounds + len(segments)))
                for number in pieces:
                    status = "done" if there.issuperset(of_sound[number]) else "ready"
                    row = task("sound", number, number=number, status=status, virtual_time=turns[0])
                    session.add(row)
                    ready = row if status == "ready" else ready
            await release_plans(session, job, analysed=True)
            await session.flush()
            await update_progress(session, job.id, before=before)
            return ready

    async def mark_ready(self, claim: Claim, number: int) -> TaskRow | None:
        """Mark a segment as ready, as its snapshot is stored; None if it was ready before."""
        async with self._sessions.begin() as session:
            found = select(TaskRow).where(of_kind(claim.job, "segment"), TaskRow.number == number)
            row = (await session.scalars(found.with_for_update())).one_or_none()
            if row is None or row.status != "waiting":  # the job may be over
                return None
            row.status = "ready"
            return row

    async def finish(self, claim: Claim, made: Artefact | None = None, *more: Artefact) -> bool:
        """Mark the claimed task as done, and publish what it made and what belongs to that, ``more``.

        False if what was made does not count and must be deleted.

        That is the case if the claim was lost, or if another attempt published the same artefact first.
        """
        async with self._sessions.begin() as session:
            done = _fenced_update(claim).values(status="done", lease_until=None, done=TaskRow.frames)
            if not changed(await session.execute(done)):
                return False
            counts = made is None or (await publish(session, made)).object == made.object
            for each in more if counts else ():
                await publish(session, each)
            # It works again, if it was blocked; the rest of its row waits until progress is added up.
            freed = update(JobRow).where(JobRow.id == claim.job, JobRow.error.is_not(None), JobRow.status.in_(OPEN))
            if changed(await session.execute(freed.values(error=None))):
                await tell(session, await session.get_one(JobRow, claim.job, populate_existing=True))
            return counts

    async def release_join(self, job: str) -> TaskRow | None:
        """Make the join task ready if all segments are done and nobody has done so before."""
        unfinished = exists().where(TaskRow.job_id == job, TaskRow.kind != "join", TaskRow.status != "done")
        async with self._sessions.begin() as session:
            can_begin = and_(of_kind(job, "join"), TaskRow.status == "waiting", ~unfinished)
            if await session.scalar(select(TaskRow.id).where(can_begin)) is None:
                return None
            turn = await current_virtual_time(session)
            flip = update(TaskRow).where(can_begin).values(status="ready", virtual_time=turn)
            if not changed(await session.execute(flip)):
                return None
            row = await session.get_one(JobRow, job, with_for_update=True)
            if row.status in OPEN:
                row.stage = "joining"
                set_progress(row, (await done_by_kind(session, [job])).get(job, {}))
                await tell(session, row)
            return (await session.scalars(select(TaskRow).where(of_kind(job, "join")))).one()

    async def jobs_awaiting_join(self) -> list[str]:
        """Jobs whose segments are all done but whose join task was never made ready, as the worker died just then."""
        rendered = and_(JobRow.stage == "rendering", JobRow.frames > 0, JobRow.frames_done == JobRow.frames)
        async with self._sessions() as session:
            found = select(JobRow.id).where(
                JobRow.status == "rendering", JobRow.kind.not_in(SINGLE_TASK_KINDS), rendered
            )
            return list(await session.scalars(found))

    async def to_join(self, claim: Claim) -> dict[tuple[str, int], list[Artefact | None]]:
        """What a join needs, by the kind and the number of the task that makes it, segments in order.

        Of each what :func:`keys_left` says; None for what was lost.
        """
        async with self._sessions() as session:
            tasks = select(TaskRow.kind, TaskRow.number).where(
                TaskRow.job_id == claim.job, TaskRow.kind.in_(("segment", "sound"))
            )
            made_by = {
                (kind, number): keys_left(claim.scene, claim.scene_key, kind, number)
                for kind, number in await session.execute(tasks.order_by(TaskRow.kind, TaskRow.number))
            }
            rows = await session.scalars(select(ArtefactRow).where(ArtefactRow.key.in_(chain(*made_by.values()))))
            found = {row.key: as_artefact(row) for row in rows}
        return {task: [found.get(key) for key in keys] for task, keys in made_by.items()}

    async def complete(self, claim: Claim, made: Artefact, *more: Artefact) -> bool:
        """Publish the result and what belongs to it, ``more``, and complete the job.

        False if what was made does not count and must be deleted.
        """
        async with self._sessions.begin() as session:
            done = _fenced_update(claim).values(status="done", lease_until=None, done=100)
            if not changed(await session.execute(done)):
                return False
            job = await session.get_one(JobRow, claim.job, with_for_update=True)
            if job.status not in OPEN:
                return False
            published = await publish(session, made)
            if (
                more and await finished_result(session, job) is None
            ):  # the poster was lost, and this video has another one
                for name, value in asdict(made).items():
                    setattr(published, name, value)
            if published.object == made.object:
                for each in more:
                    await publish(session, each)
            await complete_job(session, job, published)
            return published.object == made.object

    async def requeue(
        self, claim: Claim, *, died: str | None = None, wait: str | None = None, wrong: str | None = None
    ) -> bool:
        """Return the claimed task to the queue; False if the claim was lost or the task is done.

        ``died`` says how its process died; too many deaths fail the job. ``wait`` says what blocks the task: it is
        retried after a delay, any number of times. ``wrong`` says what is wrong with the worker: likewise, but too many
        of these fail the job.
        """
        async with self._sessions.begin() as session:
            later = db_now(RETRY_DELAY) if wait or wrong else None
            counted = {"deaths": TaskRow.deaths + (1 if died else 0), "losses": TaskRow.losses + (1 if wrong else 0)}
            given = _fenced_update(claim).values(**_REQUEUED, **counted, not_before=later)
            if not changed(await session.execute(given)):
                return False
            task = await session.get_one(TaskRow, claim.task)
            job = await session.get_one(JobRow, claim.job, with_for_update=True)
            what = f"{claim.kind} {claim.number}" if claim.kind == "segment" else claim.kind
            if job.status not in OPEN:
                return True
            reason = "died" if died else "wait" if wait else "wrong" if wrong else "stopped"
            on_commit(session, partial(metrics.task_retried, reason))
            if task.deaths >= MAX_DEATHS:
                await end_job(session, job, "failed", f"{what}: its process died {MAX_DEATHS} times ({died})")
            elif task.losses >= MAX_LOSSES:
                await end_job(session, job, "failed", f"{what}: failed {MAX_LOSSES} times ({wrong})")
            elif (obstacle := wait or wrong) is None:
                await update_progress(session, claim.job)
            elif job.error != obstacle:
                job.error = obstacle
                await tell(session, job)
            return True

    async def fail(self, claim: Claim, reason: str) -> bool:
        """Fail the job of the claimed task for good; False if the claim was lost or the job is over."""
        async with self._sessions.begin() as session:
            if not changed(await session.execute(_fenced_update(claim).values(status="done", lease_until=None))):
                return False
            job = await session.get_one(JobRow, claim.job)
            if not await end_job(session, job, "failed", reason):
                return False
        if job.whole_id is not None:
            await end_left_parts(self._sessions)
        return True

    async def expire_leases(self) -> int:
        """Requeue tasks whose lease has expired; returns how many."""
        async with self._sessions.begin() as session:
            over = and_(task_status_is("running"), TaskRow.lease_until < db_now())
            return await _requeue_running(session, over, "expired")

    async def reclaim(self, worker: str) -> int:
        """Requeue what a worker of this name held before it restarted; returns how many."""
        async with self._sessions.begin() as session:
            return await _requeue_running(
                session, and_(task_status_is("running"), TaskRow.worker == worker), "reclaimed"
            )

    async def unfinished(self, tasks: Collection[str]) -> set[tuple[str, int]]:
        """Those of the tasks that are ready or running, with their attempts."""
        async with self._sessions() as session:
            found = select(TaskRow.id, TaskRow.attempt).where(TaskRow.id.in_(tasks))
            found = found.where(TaskRow.status.in_(("ready", "running")))
            return {(task, attempt) for task, attempt in await session.execute(found)}


async def _requeue_running(session: AsyncSession, which: Any, reason: str) -> int:
    """Requeue running tasks; a task that was lost too often fails its job."""
    taken = update(TaskRow).where(which).values(**_REQUEUED, losses=TaskRow.losses + 1)
    rows = (await session.execute(taken.returning(TaskRow.losses, TaskRow.job_id))).all()
    on_commit(session, partial(metrics.leases_lost, reason, len(rows)))
    for losses, job_id in rows:
        if losses >= MAX_LOSSES:
            job = await session.get_one(JobRow, job_id, with_for_update=True)
            if job.status in OPEN:
                await end_job(session, job, "failed", f"its workers vanished {MAX_LOSSES} times")
    return len(rows)


def _fenced_update(claim: Claim) -> Any:
    """An UPDATE of the claimed task that changes nothing once the claim is lost."""
    return update(TaskRow).where(
        TaskRow.id == claim.task, TaskRow.attempt == claim.attempt, TaskRow.status == "running"
    )


def _check_admitted(job: JobRow, frames: int) -> None:
    """Refuse a video that is longer than what the job was admitted for, as only the default track was measured."""
    config = job.scene.get("config", {})
    if config.get("track") is not None and frames > (job.seconds + _LONGER) * Fraction(config["fps"]):
        raise MotesError(
            f"track {config['track']}: is longer than the {job.seconds:g} s of the song's default track; "
            "give a duration in seconds"
        )


async def holds(session: AsyncSession, claim: Claim) -> bool:
    """Whether the claim was not lost; until the end of the transaction it cannot be."""
    return changed(await session.execute(_fenced_update(claim).values(done=0)))


async def wait_for(session: AsyncSession, claim: Claim, tasks: Collection[tuple[str, int]]) -> bool:
    """Have a claimed join wait until tasks of these kinds and numbers are done again; False if the claim was lost."""
    if not changed(await session.execute(_fenced_update(claim).values({**_REQUEUED, "status": "waiting"}))):
        return False
    again = update(TaskRow).where(TaskRow.job_id == claim.job, tuple_(TaskRow.kind, TaskRow.number).in_(tasks))
    await session.execute(again.where(TaskRow.status == "done").values(_REQUEUED))
    return True
