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
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.database import TaskRow, open_database
from services.jobs import Artefact, Claim, Jobs
from services.keys import result_key, segment_key
from services.migrations import upgrade
from services.queue import Queue
from services.settings import ServiceSettings
from services.storage import Storage, workplace
from services.webhooks import Deliverer
from services.worker.children import Child, Nursery

_log = logging.getLogger("motes.worker")
_LOOK_EVERY = 0.5  # seconds between looks for what is due and whose lease is over
_RENEW_EVERY = 0.4  # seconds; also how old progress may be, and how soon a cancelled job stops


class Worker:
    """Does tasks, ``size`` at a time. A worker that is started again under its ``name`` gives back what it held."""

    def __init__(self, settings: ServiceSettings, *, size: int, name: str | None = None) -> None:
        self._settings, self._size = settings, size
        self._name = f"{socket.gethostname()}:{name or os.getpid()}"
        self._slots = asyncio.Semaphore(size)
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; what is unfinished then is given back."""
        self._settings.data.mkdir(parents=True, exist_ok=True)
        await upgrade(self._settings.database)
        engine, sessions = open_database(self._settings.database)
        self._jobs = Jobs(sessions, lease=self._settings.lease_seconds)
        self._storage = Storage(self._settings.storage)
        with workplace(self._storage.scratch, self._name) as self._folder:
            async with (
                Nursery(self._settings.storage) as self._nursery,
                Queue.open(self._settings.redis_url) as self._queue,
            ):
                await self._jobs.reclaim(self._name)
                looking = asyncio.create_task(self._look())
                consuming = asyncio.create_task(self._queue.consume(self.work, size=self._size))
                telling = asyncio.create_task(Deliverer(sessions, self._settings).run())
                await stop.wait()
                for task in (looking, consuming, telling, *self._running):
                    task.cancel()
                await asyncio.gather(looking, consuming, telling, *self._running, return_exceptions=True)
        await engine.dispose()

    async def _look(self) -> None:
        """Queue what is due; take over from workers that are gone."""
        while True:
            try:
                if lost := await self._jobs.reap():
                    _log.warning("took over %d tasks whose worker gave no sign of life", lost)
                forgotten = False
                for row in await self._jobs.due():
                    queued = await self._queue.put(row.id, row.attempt)
                    forgotten |= not queued or row.queued_at is not None
                if forgotten and not self._slots.locked():  # Redis is down, or nobody took what it had
                    task = asyncio.create_task(self.work())
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
            except Exception:
                _log.exception("looking for work failed; trying again")
            await asyncio.sleep(_LOOK_EVERY)

    async def work(self) -> None:
        """Do the task whose turn it is, if there is one."""
        async with self._slots:
            claim = await self._jobs.claim(self._name)
            if claim is None:
                return
            this = asyncio.current_task()
            assert this is not None
            self._running.add(this)
            try:
                if not await self._was_done(claim):
                    async with self._child() as (child, folder):
                        await self._supervise(claim, child, folder)
            except asyncio.CancelledError:
                await asyncio.shield(self._jobs.give_back(claim))
                raise
            except Exception:
                _log.exception("%s %d of job %s went wrong here; given back", claim.kind, claim.number, claim.job)
                await self._jobs.give_back(claim, died="the worker could not do it")
            finally:
                self._running.discard(this)

    async def _was_done(self, claim: Claim) -> bool:
        """Whether another job with the same scene made what the task is for."""
        if claim.kind == "segment":
            if await self._jobs.artefact(segment_key(claim.scene_key, claim.number)) is None:
                return False
            await self._jobs.finish(claim)
            await self._ring(await self._jobs.release(claim.job))
            return True
        made = await self._jobs.artefact(result_key(claim.scene_key, claim.kind))
        return made is not None and await self._jobs.complete(claim, made)

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[tuple[Child, Path]]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            child = await self._nursery.child()
            try:
                yield child, folder
            finally:
                child.kill()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _supervise(self, claim: Claim, child: Child, folder: Path) -> None:
        done, over = 0, False
        made: Artefact | None = None
        spec = {"task": claim.task, "attempt": claim.attempt, "kind": claim.kind, "number": claim.number}
        spec |= {"scene": claim.scene, "scene_key": claim.scene_key, "folder": str(folder)}
        if claim.kind == "join":
            spec["segments"] = await self._jobs.segments(claim)
        renewing = asyncio.create_task(self._renew(claim, child, lambda: done))
        try:
            async for message in child.messages(spec):
                if "progress" in message:
                    done = message["progress"]
                elif "segments" in message:
                    await self._jobs.planned(claim, message["segments"])
                elif "snapshot" in message:
                    await self._ring(await self._jobs.ready(claim, message["snapshot"]))
                elif "made" in message:
                    made = Artefact(**message["made"])
                elif "full" in message:
                    await self._jobs.give_back(claim, wait="the disk is full; trying again every few seconds")
                    over = True
                elif "error" in message:
                    _log.error("job %s failed: %s", claim.job, message.get("trace", message["error"]))
                    await self._jobs.fail(claim.job, message["error"])
                    await self._jobs.finish(claim)
                    over = True
                elif "done" in message:
                    over = True
                    await self._finish(claim, made)
        finally:
            renewing.cancel()
        if not over:
            await self._jobs.give_back(claim, died="killed, or short of memory")

    async def _finish(self, claim: Claim, made: Artefact | None) -> None:
        """Let what was made count, unless the claim was lost or somebody else was faster."""
        if claim.kind in ("join", "frame"):
            assert made is not None
            counts = await self._jobs.complete(claim, made)
        else:
            counts = await self._jobs.finish(claim, made)
            await self._ring(await self._jobs.release(claim.job))
        if not counts and made is not None:
            _log.warning("%s %d of job %s was done by somebody else too", claim.kind, claim.number, claim.job)
            await asyncio.to_thread(self._storage.delete, made.object)

    async def _renew(self, claim: Claim, child: Child, done: Any) -> None:
        """Hold the claim; kill the child when it is lost or the job is over."""
        while True:
            await asyncio.sleep(min(_RENEW_EVERY, self._settings.lease_seconds / 3))
            try:
                if not await self._jobs.renew(claim, done()):
                    child.kill()
                    return
            except Exception:
                _log.exception("renewing a lease failed; trying again")

    async def _ring(self, row: TaskRow | None) -> None:
        """Tell workers of a task that has become ready."""
        if row is not None:
            await self._queue.put(row.id, row.attempt)


def run(settings: ServiceSettings, *, size: int, name: str | None = None) -> None:
    """Run a worker until SIGINT or SIGTERM."""

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await Worker(settings, size=size, name=name).run(stop)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
