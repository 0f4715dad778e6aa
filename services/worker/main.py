"""The worker: takes the task whose turn it is, lets a process of its own do it, and tells the database how it went."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecs_core.errors import MotesError
from ecs_core.plugin_api import particle_types
from services.auth.limits import LimitError, check_scene
from services.database.engine import open_database
from services.database.migrations import NewerSchemaError, head_revision, schema_revision, upgrade
from services.database.models import TaskRow
from services.jobs.artefacts import Artefact, find_artefact
from services.jobs.lifecycle import Jobs
from services.jobs.render_spec import migrate_spec, renderable_versions, spec_key
from services.jobs.task_queue import open_queue
from services.jobs.tasks import Claim, Tasks
from services.observability import metrics, traces
from services.observability.logs import bound
from services.retention.deletion import Deleter
from services.retention.janitor import Janitor
from services.settings import ServiceSettings
from services.storage.object_keys import SINGLE_TASK_KINDS, attempt_key, result_key, segment_key
from services.storage.object_store import Storage, retry_reason, work_folder
from services.webhooks.delivery import Deliverer
from services.worker.child_processes import Child, ChildDiedError, ForkServer
from services.worker.exporter import serve_metrics

_log = logging.getLogger("motes.worker")
_POLL_INTERVAL = 0.5  # seconds between looks for what is due and whose lease is over
_TIDY_EVERY = 5.0  # seconds between looks for what a worker left undone when it died
_RENEW_EVERY = 0.4  # seconds; also how old progress may be, and how soon a cancelled job stops
_MAX_STRETCH = 3600.0  # seconds


@dataclass
class _Attempt:
    """A claim, the process that does it, and how much that has done: frames of a segment, else per cent."""

    claim: Claim
    child: Child | None = None
    done: int = 0
    began: float = field(default_factory=time.monotonic)


class Worker:
    """Does tasks, ``size`` at a time. A worker that is started again under its ``name`` gives back what it held."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        size: int,
        name: str | None = None,
        nice: int = 0,
        fork_server: socket.socket | None = None,
    ) -> None:
        self._settings, self._size, self._nice, self._shared = settings, size, nice, fork_server
        self._name = f"{socket.gethostname()}:{name or os.getpid()}"
        self._slots = asyncio.Semaphore(size)
        self._stopping = False
        self._running: set[asyncio.Task[Any]] = set()
        self._fallback_polls: set[asyncio.Task[Any]] = set()
        self._stranded_since: dict[str, float] = {}  # since when nobody works for a version
        self._outdated: NewerSchemaError | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; what is unfinished then is given back.

        Raises:
            NewerSchemaError: a newer Motes upgraded the database.
        """
        traces.set_up()
        self._settings.data.mkdir(parents=True, exist_ok=True)
        await upgrade(self._settings.database)
        engine, self._sessions = open_database(self._settings.database)
        self._versions = await asyncio.to_thread(renderable_versions)
        metrics.preset_types(particle_types().types)
        self._jobs = Jobs(self._sessions)
        self._tasks = Tasks(self._sessions, lease=self._settings.lease_seconds, versions=self._versions)
        self._storage = Storage(self._settings.storage)
        self._deleter = Deleter(self._sessions, self._storage)
        with work_folder(self._storage.scratch, self._name) as self._folder, contextlib.ExitStack() as telling_numbers:
            async with (
                ForkServer(self._settings.storage, nice=self._nice, shared=self._shared) as self._fork_server,
                open_queue(self._settings.redis_url) as self._queue,
            ):
                telling_numbers.enter_context(self._metrics_server())
                await self._tasks.reclaim(self._name)
                looking = asyncio.create_task(self._poll(stop))
                consuming = asyncio.create_task(self._queue.consume(self.work, size=self._size))
                telling = asyncio.create_task(Deliverer(self._sessions, self._settings).run())
                janitor = Janitor(self._settings, self._sessions, self._storage)
                ticking = asyncio.create_task(
                    self._queue.run_periodically(janitor.tick, every=self._settings.keep_every)
                )
                keeping = asyncio.create_task(janitor.run())
                await stop.wait()
                self._stopping = True
                busy = {looking, consuming, telling, ticking, keeping, *self._running, *self._fallback_polls}
                for task in busy:
                    task.cancel()
                await asyncio.gather(*busy, return_exceptions=True)
                await self._queue.unregister(self._name)
                await self._tasks.reclaim(self._name)  # what was being claimed when it was told to stop
        await engine.dispose()
        if self._outdated is not None:
            raise self._outdated

    def _metrics_server(self) -> contextlib.AbstractContextManager[None]:
        settings, fork_server = self._settings, self._fork_server
        return serve_metrics(
            host=settings.host,
            port=settings.metrics_port,
            slots=self._size,
            busy=lambda: len(self._running),
            children=fork_server.pids,
        )

    async def _poll(self, stop: asyncio.Event) -> None:
        """Queue what is due; take over from workers that are gone. Stops where the database is not for us any more."""
        tidied = time.monotonic()
        await self._queue.heartbeat(self._name)
        while True:
            try:
                found = await schema_revision(self._sessions)
                if found is not None and found != head_revision():
                    self._outdated = NewerSchemaError(found)
                    stop.set()
                    return
                if lost := await self._tasks.expire_leases():
                    _log.warning("took over %d tasks whose worker gave no sign of life", lost)
                for row in await self._tasks.next_to_enqueue():
                    if row.queued_at is not None:  # nobody took it
                        self._start_fallback_poll()
                    if not await self._enqueue(row):
                        break
                if time.monotonic() - tidied > _TIDY_EVERY:
                    tidied = time.monotonic()
                    await self._queue.heartbeat(self._name)
                    await self._queue.remove_finished(self._tasks.unfinished)
                    for job in await self._tasks.jobs_awaiting_join():
                        await self._enqueue(await self._tasks.release_join(job))
                    await self._replan_stranded()
            except Exception:
                _log.exception("looking for work failed; trying again")
            await asyncio.sleep(_POLL_INTERVAL)

    async def _replan_stranded(self) -> None:
        """Take over jobs of versions that no worker is left of: those on which nobody worked for two leases."""
        left, moment = await self._jobs.stranded_jobs(self._versions), time.monotonic()
        self._stranded_since = {version: self._stranded_since.get(version, moment) for version in left}
        for version, since in self._stranded_since.items():
            if moment - since < 2 * self._settings.lease_seconds:
                continue
            for job in left[version]:
                try:
                    scene = await asyncio.to_thread(migrate_spec, job.scene)
                except MotesError as error:
                    obstacle = f"waiting for a worker of the version that it was for; others cannot render it: {error}"
                    await self._jobs.set_blocked_reason(job, obstacle)
                    continue
                _log.info("no worker is left of the version that job %s was for; it is planned anew", job.id)
                if (gone := await self._jobs.replan(job, scene, spec_key(scene))) is not None:
                    await self._deleter.delete_files(gone)

    def _start_fallback_poll(self) -> None:
        """Do what there is without being told by Redis, which is down or forgot it."""
        while len(self._fallback_polls) < self._size:
            task = asyncio.create_task(self.work())
            self._fallback_polls.add(task)
            task.add_done_callback(self._fallback_polls.discard)

    async def work(self) -> None:
        """Do what there is, and not only what a message was sent for: those of tasks that were given back get lost."""
        began = time.monotonic()
        try:
            while await self._work_once() and time.monotonic() - began < _MAX_STRETCH:
                pass
        except Exception:
            _log.exception("looking for work failed; trying again")

    async def _work_once(self) -> bool:
        """Do the task whose turn it is; False if there is none."""
        async with self._slots:
            # Who waited for a slot is not cancelled with who had it: it would begin something new.
            claim = None if self._stopping else await self._tasks.claim(self._name)
            if claim is None:
                return False
            if self._stopping:
                await self._requeue(claim)
                return False
            this = asyncio.current_task()
            assert this is not None
            self._running.add(this)
            try:
                with bound(**_log_ids(claim)), _span(claim):
                    await self._work_on(claim)
            finally:
                self._running.discard(this)
            return True

    async def _work_on(self, claim: Claim) -> None:
        """Do a task, or give it back."""
        try:
            if not await self._reuse_result(claim) and not await self._run_in_child(claim):
                await self._discard(claim)
        except LimitError as error:  # taken by an API with other limits, or before they were set
            await self._tasks.fail(claim, str(error))
        except asyncio.CancelledError:
            await asyncio.shield(self._requeue(claim))
            raise
        except Exception as error:
            traces.annotate({}, failed=True)
            _log.exception("%s %d of job %s went wrong here; given back", claim.kind, claim.number, claim.job)
            if (reason := retry_reason(error)) is not None:
                await self._requeue(claim, wait=reason)
            else:
                await self._requeue(claim, wrong=f"the worker could not do it: {error}")

    async def _reuse_result(self, claim: Claim) -> bool:
        """Whether another job with the same scene made what the task is for."""
        if claim.kind == "segment":
            if await find_artefact(self._sessions, segment_key(claim.scene_key, claim.number)) is None:
                return False
            await self._tasks.finish(claim)
            await self._enqueue(await self._tasks.release_join(claim.job))
            return True
        made = await find_artefact(self._sessions, result_key(claim.scene_key, claim.kind))
        return made is not None and await self._tasks.complete(claim, made)

    async def _run_in_child(self, claim: Claim) -> bool:
        """Let a process do the task; whether what it made counts.

        Raises:
            LimitError: it is more than this worker does for anybody.
        """
        if claim.kind in ("plan", "frame"):
            check_scene(self._settings, claim.scene["config"])
        attempt = _Attempt(claim)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        holding = asyncio.create_task(self._renew_lease(attempt))
        try:
            kept = self._fork_server.idle_child() if claim.kind == "segment" else None
            attempt.child = kept or await self._fork_server.fork()
            return await self._supervise(attempt, attempt.child, folder)
        except ChildDiedError as death:
            traces.annotate({}, failed=True)
            await self._tasks.requeue(claim, died=str(death))
            return False
        finally:
            holding.cancel()
            if attempt.child is not None:
                if claim.kind == "segment" and attempt.child.done:
                    self._fork_server.keep_idle(attempt.child)
                else:
                    await attempt.child.stop()
            shutil.rmtree(folder, ignore_errors=True)

    async def _supervise(self, attempt: _Attempt, child: Child, folder: Path) -> bool:
        claim = attempt.claim
        made: Artefact | None = None
        spec: dict[str, Any] = {"task": claim.task, "attempt": claim.attempt, "plan": claim.plan}
        spec |= {"kind": claim.kind, "number": claim.number}
        spec |= {"scene": claim.scene, "scene_key": claim.scene_key, "folder": str(folder)}
        if claim.kind == "join":
            spec["segments"] = await self._tasks.segment_objects(claim)
        async for message in child.messages(spec):
            if "progress" in message:
                attempt.done = message["progress"]
            elif "segments" in message:
                await self._tasks.record_plan(claim, message["segments"])
            elif "snapshot" in message:
                await self._enqueue(await self._tasks.mark_ready(claim, message["snapshot"]))
            elif "made" in message:
                made = Artefact(**message["made"])
            elif "warning" in message:
                _log.warning("job %s: %s", claim.job, message["warning"])
            elif "wait" in message:
                _log.warning("%s %d of job %s must wait: %s", claim.kind, claim.number, claim.job, message["trace"])
                await self._tasks.requeue(claim, wait=message["wait"])
                return False
            elif "error" in message:
                traces.annotate({}, failed=True)
                _log.error("job %s failed: %s", claim.job, message.get("trace", message["error"]))
                await self._tasks.fail(claim, message["error"])
                return False
            elif "done" in message:
                counts = await self._finish(claim, made)
                if counts:
                    await self._record_stats(attempt, message["spent"])
                return counts
        raise ChildDiedError("killed, or short of memory")

    async def _finish(self, claim: Claim, made: Artefact | None) -> bool:
        """Let what was made count; False where the claim was lost or somebody else was faster."""
        if claim.kind in ("join", *SINGLE_TASK_KINDS):
            assert made is not None
            return await self._tasks.complete(claim, made)
        counts = await self._tasks.finish(claim, made)
        await self._enqueue(await self._tasks.release_join(claim.job))
        return counts

    async def _record_stats(self, attempt: _Attempt, spent: dict[str, Any]) -> None:
        """Tell what came of an attempt, and where its time went."""
        claim, seconds = attempt.claim, time.monotonic() - attempt.began
        metrics.task_done(claim.kind, claim.scene["type"], seconds=seconds, **spent)
        traces.annotate({f"motes.seconds.{stage}": spent for stage, spent in spent["stages"].items()})
        _log.info("%s %d done in %.2f s", claim.kind, claim.number, seconds)
        await self._queue.record_duration(claim.kind, seconds)

    async def _requeue(self, claim: Claim, **why: str) -> None:
        """As far as the claim still holds, and the database answers; else its lease runs out."""
        try:
            if await self._tasks.requeue(claim, **why):
                await self._discard(claim)
        except Exception:
            _log.exception("%s %d of job %s cannot be given back", claim.kind, claim.number, claim.job)

    async def _discard(self, claim: Claim) -> None:
        """Delete the file that an attempt may have made, as it does not count."""
        if claim.kind == "plan":
            return
        segment = claim.kind == "segment"
        key = segment_key(claim.scene_key, claim.number) if segment else result_key(claim.scene_key, claim.kind)
        await asyncio.to_thread(self._storage.delete, [attempt_key(key, claim.task, claim.attempt)])

    async def _renew_lease(self, attempt: _Attempt) -> None:
        """Renew the lease; kill the child once the claim is lost or the job is over."""
        while True:
            await asyncio.sleep(min(_RENEW_EVERY, self._settings.lease_seconds / 3))
            try:
                if not await self._tasks.renew(attempt.claim, attempt.done) and attempt.child is not None:
                    attempt.child.kill()
            except Exception:
                _log.exception("renewing a lease failed; trying again")

    async def _enqueue(self, row: TaskRow | None) -> bool:
        """Tell workers of a task that has become ready; False where Redis is down."""
        told = row is None or await self._queue.enqueue(row.id, row.attempt)
        if not told:
            self._start_fallback_poll()
        return told


def _log_ids(claim: Claim) -> dict[str, str]:
    """What is logged of a claim."""
    ids = {"job": claim.job, "task": claim.task, "kind": claim.kind, "attempt": str(claim.attempt)}
    return ids | ({"segment": str(claim.number)} if claim.kind == "segment" else {})


def _span(claim: Claim) -> contextlib.AbstractContextManager[None]:
    """What is traced of a claim."""
    parent = {} if claim.traceparent is None else {"traceparent": claim.traceparent}
    about = {f"motes.{name}": value for name, value in _log_ids(claim).items()}
    return traces.span(claim.kind, "consumer", parent=parent, attributes=about)


def run(
    settings: ServiceSettings,
    *,
    size: int,
    name: str | None = None,
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
        await Worker(settings, size=size, name=name, nice=nice, fork_server=fork_server).run(stop)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
