"""The dispatcher: puts ready tasks into the queue in the order of their turns, and does what one process does for all.

Any worker can be it. The one that holds a lease in the database is; it says so in the queue every few seconds, so that
the others need not ask the database, and when it falls silent one of them takes over. Whichever tasks it has offered,
the database knows: two dispatchers at a time, as after one was stopped for a while, offer nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from ecs_core.errors import MotesError
from services.database.engine import Sessions
from services.database.leases import acquire, release
from services.database.migrations import head_revision, schema_revision
from services.jobs.artefacts import FilesToDelete
from services.jobs.dispatching import Dispatching
from services.jobs.job_progress import Progress
from services.jobs.lifecycle import Jobs
from services.jobs.render_spec import migrate_spec, spec_key
from services.jobs.task_queue import TaskQueue
from services.jobs.tasks import Tasks
from services.jobs.turns import Turns

_log = logging.getLogger("motes.dispatcher")
_LEASE = "dispatcher"
_LEASE_SECONDS = 6.0
_KEEP_EVERY = 2.0  # seconds between renewals of the lease
_HEARTBEAT_EVERY = 5.0  # seconds, more or less, between heartbeats of those that do not dispatch
_LOOK_EVERY = 2.0  # seconds between looks for ready tasks, unless called
_SOON, _PAUSE = 0.05, 0.01  # seconds until the next look while tasks are being taken; at least, however often called
_ADD_UP_EVERY = 1.0  # seconds between sums of what is done
_EXPIRE_EVERY = 2.0  # seconds between looks for expired leases
_TIDY_EVERY = 5.0  # seconds between checks for what dead workers left undone


class _LostError(Exception):
    """Another process dispatches."""


class Dispatcher:
    """A worker's part in dispatching: it stands by until it is needed.

    ``delete`` deletes the files of jobs that are planned anew. ``beside`` makes what else one process at a time does:
    it runs while this one dispatches, and is cancelled after.
    """

    def __init__(
        self,
        sessions: Sessions,
        queue: TaskQueue,
        *,
        worker: str,
        tasks: Tasks,
        turns: Turns,
        delete: Callable[[FilesToDelete], Awaitable[object]],
        versions: Collection[str],
        lease: float,
        beside: Callable[[], Collection[Coroutine[Any, Any, None]]] = tuple,
    ) -> None:
        self._sessions, self._queue, self._worker = sessions, queue, worker
        self._tasks, self._turns, self._jobs, self._delete = tasks, turns, Jobs(sessions), delete
        self._versions, self._lease, self._beside = versions, lease, beside
        self._progress = Progress(sessions)
        self._stranded_since: dict[str, float] = {}  # by version: since when no worker has worked on it
        self._replanned: dict[str, str] = {}  # by version: up to which task
        self.newer_schema: str | None = None  # the revision that a newer Motes upgraded the database to

    async def run(self) -> None:
        """Dispatch when no other process does; returns when the database is no longer of this version's schema."""
        while self.newer_schema is None:
            if await _try(self._is_needed):
                await self._dispatch()
            if self.newer_schema is None:
                await asyncio.sleep(_HEARTBEAT_EVERY * secrets.SystemRandom().uniform(0.7, 1.3))

    async def _is_needed(self) -> bool:
        """Whether nobody else dispatches; then this process has the lease."""
        said = await self._queue.heartbeat(self._worker)
        if said is None or said.holder == self._worker:
            return await self.has_own_schema() and await self._acquire()
        if said.schema not in (None, head_revision()):
            await self.has_own_schema()
        return False

    async def stop(self) -> None:
        """Let another process dispatch at once, if this one did."""
        if await release(self._sessions, _LEASE, holder=self._worker):
            await self._queue.announce(None)

    async def has_own_schema(self) -> bool:
        """Whether the database has the schema of this version; otherwise ``newer_schema`` is set, and ``run`` ends."""
        found = await schema_revision(self._sessions)
        if found is not None and found != head_revision():
            self.newer_schema = found
        return self.newer_schema is None

    async def _acquire(self) -> bool:
        held = await acquire(self._sessions, _LEASE, holder=self._worker, seconds=_LEASE_SECONDS)
        return held is not None

    async def _dispatch(self) -> None:
        """Dispatch until the lease is lost.

        Raises:
            ExceptionGroup: a loop has ended that should not.
        """
        _log.info("this worker dispatches")
        self._progress = Progress(self._sessions)
        try:
            async with asyncio.TaskGroup() as group:
                for each in (self._keep(), self._offer(), self._look_after(), *self._beside()):
                    group.create_task(each)
        except* _LostError:
            _log.info("this worker dispatches no longer")

    async def _keep(self) -> None:
        """Renew the lease, and say so.

        Raises:
            _LostError: it is gone, or the database is.
        """
        while self.newer_schema is None:
            await self._queue.announce(Dispatching(self._worker, head_revision()))
            await self._queue.heartbeat(self._worker)
            await asyncio.sleep(_KEEP_EVERY)
            try:
                if not await self._acquire():
                    break
            except Exception as error:
                _log.warning("the lease cannot be renewed: %s", error)
                break
        raise _LostError

    async def _offer(self) -> None:
        """Offer ready tasks whenever called, as long as workers take them, and now and then."""
        wait = _SOON
        while True:
            offers = await _try(self._turns.next) or []
            for offer in offers:
                if not await self._queue.put(offer):
                    break
            wait = _SOON if offers else min(2 * wait, _LOOK_EVERY)
            await asyncio.sleep(_PAUSE)
            await self._queue.called(wait)

    async def _look_after(self) -> None:
        """Do what keeps jobs going whose workers died, and tell of progress."""
        expired = tidied = 0.0
        while True:
            if time.monotonic() - expired > _EXPIRE_EVERY:
                expired = time.monotonic()
                await _try(self._expire)
            await _try(self._progress.add_up)
            if time.monotonic() - tidied > _TIDY_EVERY:
                tidied = time.monotonic()
                for each in (
                    self.has_own_schema,
                    self._release_joins,
                    self._jobs.end_left_parts,
                    self._replan_stranded,
                ):
                    await _try(each)
                await _try(lambda: self._queue.remove_finished(self._tasks.unfinished))
            await asyncio.sleep(_ADD_UP_EVERY)

    async def _expire(self) -> None:
        if lost := await self._tasks.expire_leases():
            _log.warning("requeued %d tasks whose lease had expired", lost)
            await self._queue.call()

    async def _release_joins(self) -> None:
        await self._progress.add_up(everything=True)
        for job in await self._tasks.jobs_awaiting_join():
            if await self._tasks.release_join(job) is not None:
                await self._queue.call()

    async def _replan_stranded(self) -> None:
        """Replan a few jobs of each version that no worker has worked on for two leases; the next few in a while."""
        left, moment = await self._jobs.stranded_versions(self._versions), time.monotonic()
        self._stranded_since = {version: self._stranded_since.get(version, moment) for version in left}
        for version, since in self._stranded_since.items():
            if moment - since < 2 * self._lease:
                continue
            after = self._replanned.get(version, "")
            jobs, self._replanned[version] = await self._jobs.stranded_jobs(version, after=after)
            for job in jobs:
                try:
                    scene = await asyncio.to_thread(migrate_spec, job.scene)
                except MotesError as error:
                    obstacle = f"waiting for a worker of the version that accepted it; others cannot render it: {error}"
                    await self._jobs.set_blocked_reason(job, obstacle)
                    continue
                _log.info("job %s is replanned, as no worker of its version is left", job.id)
                if (gone := await self._jobs.replan(job, scene, spec_key(scene))) is not None:
                    await self._delete(gone)


async def _try(do: Callable[[], Awaitable[Any]]) -> Any:
    """Do it; if it fails, log why: it will be tried again."""
    try:
        return await do()
    except Exception:
        _log.exception("dispatching failed in part; it will be tried again")
        return None
