"""The worker: looks for work, claims tasks up to its size, and runs retention and webhooks beside them.

``services.worker.task_executor`` does the tasks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from ecs_core.errors import MotesError
from ecs_core.plugin_api import particle_types
from services.database.clock_skew import SkewCheck
from services.database.engine import open_database
from services.database.migrations import NewerSchemaError, head_revision, schema_revision, upgrade
from services.database.models import TaskRow
from services.jobs.lifecycle import Jobs
from services.jobs.render_spec import migrate_spec, renderable_versions, spec_key
from services.jobs.task_queue import open_queue
from services.jobs.tasks import Tasks
from services.media.sandbox.self_check import check_sandbox
from services.observability import metrics, traces
from services.processes.loops import LoopEndedError, Loops
from services.processes.memory_limit import worker_memory
from services.retention.deletion import Deleter
from services.retention.janitor import Janitor
from services.settings import ServiceSettings
from services.storage.object_store import Storage
from services.storage.work_folders import work_folder
from services.webhooks.delivery import Deliverer
from services.worker.child_processes import ForkServer
from services.worker.exporter import serve_metrics
from services.worker.memory_budget import MemoryBudget
from services.worker.task_executor import TaskExecutor

_log = logging.getLogger("motes.worker")
_POLL_INTERVAL = 0.5  # seconds between polls for due tasks and expired leases
_TIDY_EVERY = 5.0  # seconds between checks for what dead workers left undone
_MAX_STRETCH = 3600.0  # seconds that one message may keep a slot


class Worker:
    """Does ``size`` tasks at a time.

    ``name`` is for people. ``identity`` is made anew at each start; only who knows that its last bearer is dead, as the
    supervisor does, gives the same again: the worker then requeues what that held.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        size: int,
        name: str | None = None,
        identity: str | None = None,
        nice: int = 0,
        fork_server: socket.socket | None = None,
    ) -> None:
        self._settings, self._size, self._nice, self._shared = settings, size, nice, fork_server
        self._name = f"{socket.gethostname()}:{name or os.getpid()}:{identity or secrets.token_hex(8)}"
        self._slots = asyncio.Semaphore(size)
        self._memory = MemoryBudget(settings.worker_memory or worker_memory(1))
        self._stopping = False
        self._running: set[asyncio.Task[Any]] = set()
        self._fallback_polls: set[asyncio.Task[Any]] = set()
        self._stranded_since: dict[str, float] = {}  # by version: since when no worker has worked on it
        self._outdated: NewerSchemaError | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then requeue unfinished tasks.

        Raises:
            NewerSchemaError: a newer Motes upgraded the database.
            LoopEndedError: a background loop ended, which the log explains.
        """
        traces.set_up()
        self._settings.data.mkdir(parents=True, exist_ok=True)
        await upgrade(self._settings.database)
        engine, self._sessions = open_database(self._settings.database)
        self._versions = await asyncio.to_thread(renderable_versions)
        metrics.preset_types(particle_types().types)
        await check_sandbox(required=self._settings.sandbox_required(""))
        self._jobs = Jobs(self._sessions)
        self._tasks = Tasks(self._sessions, lease=self._settings.lease_seconds, versions=self._versions)
        self._storage = Storage(self._settings.storage)
        self._deleter = Deleter(self._sessions, self._storage)
        with work_folder(self._storage.scratch, self._name) as folder, contextlib.ExitStack() as metrics_server:
            async with (
                ForkServer(self._settings.storage, nice=self._nice, shared=self._shared) as self._fork_server,
                open_queue(self._settings.redis_url) as self._queue,
            ):
                exporting = metrics_server.enter_context(self._metrics_server())
                self._executor = TaskExecutor(
                    self._settings,
                    self._sessions,
                    self._tasks,
                    self._storage,
                    fork_server=self._fork_server,
                    queue=self._queue,
                    folder=folder,
                    notify=self._enqueue,
                )
                await self._tasks.reclaim(self._name)
                loops = Loops(on_end=stop.set)
                self._start(loops, stop, exporting)
                await stop.wait()
                self._stopping = True
                busy = {*self._running, *self._fallback_polls}
                for task in busy:
                    task.cancel()
                await asyncio.gather(loops.stop(), *busy, return_exceptions=True)
                await self._queue.unregister(self._name)
                await self._tasks.reclaim(self._name)  # claims made while it was stopping
        await engine.dispose()
        if self._outdated is not None:
            raise self._outdated
        loops.check()

    def _start(self, loops: Loops, stop: asyncio.Event, exporting: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start everything that goes on until the worker stops."""
        janitor = Janitor(self._settings, self._sessions, self._storage)
        loops.start("polling", self._poll(stop))
        loops.start("consuming", self._queue.consume(self.work, size=self._size))
        loops.start("delivering", Deliverer(self._sessions, self._settings).run())
        loops.start("housekeeping", self._queue.run_periodically(janitor.tick, every=self._settings.keep_every))
        loops.start("cleaning", janitor.run())
        loops.start("clock", SkewCheck(self._sessions).run())
        loops.start("metrics", exporting())

    def _metrics_server(self) -> contextlib.AbstractContextManager[Callable[[], Coroutine[Any, Any, None]]]:
        settings, fork_server = self._settings, self._fork_server
        return serve_metrics(
            host=settings.host,
            port=settings.metrics_port,
            slots=self._size,
            busy=lambda: len(self._running),
            children=fork_server.pids,
        )

    async def _poll(self, stop: asyncio.Event) -> None:
        """Enqueue due tasks and take over from dead workers; stops if the schema is no longer ours."""
        tidied = time.monotonic()
        await self._queue.heartbeat(self._name)
        while True:
            try:
                found = await schema_revision(self._sessions)
                if found is not None and found != head_revision():
                    self._outdated = NewerSchemaError(found)
                    stop.set()
                    await asyncio.Event().wait()  # until it is stopped
                if lost := await self._tasks.expire_leases():
                    _log.warning("requeued %d tasks whose lease had expired", lost)
                for row in await self._tasks.next_to_enqueue():
                    if row.queued_at is not None:  # no worker took it
                        self._start_fallback_poll()
                    if not await self._enqueue(row):
                        break
                if time.monotonic() - tidied > _TIDY_EVERY:
                    tidied = time.monotonic()
                    await self._queue.heartbeat(self._name)
                    await self._queue.remove_finished(self._tasks.unfinished)
                    for job in await self._tasks.jobs_awaiting_join():
                        await self._enqueue(await self._tasks.release_join(job))
                    await self._jobs.end_left_parts()
                    await self._replan_stranded()
            except Exception:
                _log.exception("looking for work failed; it will be tried again")
            await asyncio.sleep(_POLL_INTERVAL)

    async def _replan_stranded(self) -> None:
        """Replan jobs of versions that no worker has worked on for two leases."""
        left, moment = await self._jobs.stranded_jobs(self._versions), time.monotonic()
        self._stranded_since = {version: self._stranded_since.get(version, moment) for version in left}
        for version, since in self._stranded_since.items():
            if moment - since < 2 * self._settings.lease_seconds:
                continue
            for job in left[version]:
                try:
                    scene = await asyncio.to_thread(migrate_spec, job.scene)
                except MotesError as error:
                    obstacle = f"waiting for a worker of the version that accepted it; others cannot render it: {error}"
                    await self._jobs.set_blocked_reason(job, obstacle)
                    continue
                _log.info("job %s is replanned, as no worker of its version is left", job.id)
                if (gone := await self._jobs.replan(job, scene, spec_key(scene))) is not None:
                    await self._deleter.delete_files(gone)

    def _start_fallback_poll(self) -> None:
        """Look for work without the queue, which is down or has lost a message."""
        while len(self._fallback_polls) < self._size:
            task = asyncio.create_task(self.work())
            self._fallback_polls.add(task)
            task.add_done_callback(self._fallback_polls.discard)

    async def work(self) -> None:
        """Do tasks while there are any, not only one per message: messages of requeued tasks get lost."""
        began = time.monotonic()
        try:
            while await self._work_once() and time.monotonic() - began < _MAX_STRETCH:
                pass
        except Exception:
            _log.exception("looking for work failed; it will be tried again")

    async def _work_once(self) -> bool:
        """Claim and do the next task; False if there is none."""
        async with self._slots:
            # Waiters for a slot are not cancelled with its holder, and must not begin anything new.
            async with self._memory.claiming:
                claim = None if self._stopping else await self._tasks.claim(self._name, memory=self._memory.free)
                if claim is None:
                    return False
                held = self._memory.take(claim.memory)
            try:
                if self._stopping:
                    await self._executor.requeue(claim)
                    return False
                this = asyncio.current_task()
                assert this is not None
                self._running.add(this)
                try:
                    await self._executor.execute(claim, held)
                finally:
                    self._running.discard(this)
                return True
            finally:
                held.release()

    async def _enqueue(self, row: TaskRow | None) -> bool:
        """Notify workers of a task that has become ready; False if the queue is down."""
        queued = row is None or await self._queue.enqueue(row.id, row.attempt)
        if not queued:
            self._start_fallback_poll()
        return queued


def run(
    settings: ServiceSettings,
    *,
    size: int,
    name: str | None = None,
    identity: str | None = None,
    nice: int = 0,
    fork_server: socket.socket | None = None,
) -> None:
    """Run a worker until SIGINT or SIGTERM. ``nice`` is how far the processes that render give way to others.

    They come from a fork server: from that at the other end of a socket, or else from one of its own.

    The worker itself gives way to nobody: the API would wait for a row or a database that it has locked.
    """

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        worker = Worker(settings, size=size, name=name, identity=identity, nice=nice, fork_server=fork_server)
        await worker.run(stop)

    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(main())
    except LoopEndedError:  # which is in the log
        sys.exit(1)
