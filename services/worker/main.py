"""The worker: takes tasks from the queue, and claims as many at a time as it has slots.

``services.worker.task_executor`` does them. One worker dispatches for all (``services.jobs.dispatcher``), and runs
retention and webhooks meanwhile.
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
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.exc import DBAPIError

from ecs_core.plugin_api import particle_types
from services.database.clock_skew import SkewCheck
from services.database.engine import open_database
from services.database.migrations import NewerSchemaError, upgrade
from services.database.models import TaskRow
from services.jobs.dispatcher import Dispatcher
from services.jobs.render_spec import renderable_versions
from services.jobs.task_queue import open_queue
from services.jobs.tasks import Claim, Tasks
from services.jobs.turns import Turns
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
from services.worker.claims import Claims
from services.worker.exporter import serve_metrics
from services.worker.memory_budget import Held
from services.worker.task_executor import TaskExecutor

_log = logging.getLogger("motes.worker")
_POOL, _CLOSE_AFTER = 3, 0.3  # connections to PostgreSQL, and seconds until unused ones are closed: workers are many


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
        self._stopping = False
        self._running: set[asyncio.Task[Any]] = set()
        self._working: set[asyncio.Task[None]] = set()  # what may be claiming a task, or executes one

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then requeue unfinished tasks.

        Raises:
            NewerSchemaError: a newer Motes upgraded the database.
            LoopEndedError: a background loop ended, which the log explains.
        """
        traces.set_up()
        self._settings.data.mkdir(parents=True, exist_ok=True)
        await upgrade(self._settings.database)
        pool = self._settings.database_pool or _POOL
        engine, self._sessions = open_database(self._settings.database, pool=pool, close_after=_CLOSE_AFTER)
        self._versions = await asyncio.to_thread(renderable_versions)
        metrics.preset_types(particle_types().types)
        await check_sandbox(required=self._settings.sandbox_required(""))
        self._tasks = Tasks(self._sessions, lease=self._settings.lease_seconds, versions=self._versions)
        memory = self._settings.worker_memory or worker_memory(1)
        self._claims = Claims(self._sessions, self._tasks, worker=self._name, memory=memory)
        self._storage = Storage(self._settings.storage)
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
                    notify=self._call_dispatcher,
                )
                await self._tasks.reclaim(self._name)
                self._dispatcher = self._make_dispatcher()
                loops = Loops(on_end=stop.set)
                loops.start("dispatching", self._dispatch(stop))
                loops.start("taking", self._take())
                loops.start("renewing", self._executor.renew_leases())
                loops.start("clock", SkewCheck(self._sessions).run())
                loops.start("metrics", exporting())
                await stop.wait()
                self._stopping = True
                for task in self._working:
                    task.cancel()
                await asyncio.gather(loops.stop(), *self._working, return_exceptions=True)
                with contextlib.suppress(DBAPIError):  # it ends by itself
                    await self._dispatcher.stop()
                await self._queue.unregister(self._name)
                await self._tasks.reclaim(self._name)  # claims made while it was stopping
        await engine.dispose()
        if self._dispatcher.newer_schema is not None:
            raise NewerSchemaError(self._dispatcher.newer_schema)
        loops.check()

    def _make_dispatcher(self) -> Dispatcher:
        janitor = Janitor(self._settings, self._sessions, self._storage)
        return Dispatcher(
            self._sessions,
            self._queue,
            worker=self._name,
            tasks=self._tasks,
            turns=Turns(self._sessions),
            delete=Deleter(self._sessions, self._storage).delete_files,
            versions=self._versions,
            lease=self._settings.lease_seconds,
            beside=lambda: (janitor.run(), Deliverer(self._sessions, self._settings).run()),
        )

    async def _dispatch(self, stop: asyncio.Event) -> None:
        """Dispatch when nobody else does. Never returns: once a newer Motes has upgraded the database, it stops all."""
        await self._dispatcher.run()
        stop.set()
        await asyncio.Event().wait()

    def _metrics_server(self) -> contextlib.AbstractContextManager[Callable[[], Coroutine[Any, Any, None]]]:
        settings, fork_server = self._settings, self._fork_server
        return serve_metrics(
            host=settings.host,
            port=settings.metrics_port,
            slots=self._size,
            busy=lambda: len(self._running),
            children=fork_server.pids,
        )

    async def _take(self) -> None:
        """Take tasks from the queue, one for each free slot."""
        while True:
            await self._slots.acquire()
            offered = await self._queue.take(self._versions)
            task = asyncio.create_task(self._work(offered))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _work(self, offered: tuple[str, int] | None) -> None:
        """Do an offered task in a slot, and then others while they do not travel through the queue."""
        try:
            claimed = None if self._stopping else await self._claims.claim(offered)
            if claimed is None and offered is not None:
                await self._dispatcher.has_own_schema()
            while claimed is not None:
                await self._execute(*claimed)
                is_over = self._stopping or self._queue.carries_tasks()
                claimed = None if is_over else await self._claims.claim()
        except Exception:
            _log.exception("looking for work failed; it will be tried again")
        finally:
            self._slots.release()

    async def _execute(self, claim: Claim, held: Held) -> None:
        this = asyncio.current_task()
        assert this is not None
        self._running.add(this)
        try:
            if self._stopping:
                await self._executor.requeue(claim)
            else:
                await self._executor.execute(claim, held)
        finally:
            self._running.discard(this)
            held.release()

    async def _call_dispatcher(self, row: TaskRow | None) -> None:
        """Let a task that has become ready be offered."""
        if row is not None:
            await self._queue.call()


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
