"""The worker: takes tasks from the queue, lets a process of its own do each, and tells the database how it went."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.database import open_database
from services.jobs import Claim, Jobs
from services.queue import Queue
from services.settings import ServiceSettings
from services.storage import Storage

_log = logging.getLogger("motes.worker")
_LOOK_EVERY = 0.5  # seconds between looks for what is due and whose lease is over


class Nursery:
    """Processes that do tasks, forked by one that has loaded everything. Use as an asynchronous context manager."""

    def __init__(self, storage_url: str) -> None:
        self._storage_url = storage_url
        self._waiting: dict[str, asyncio.Future[Child]] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Nursery:
        self._folder = tempfile.TemporaryDirectory(prefix="motes-worker-")
        self._path = str(Path(self._folder.name) / "socket")
        self._server = await asyncio.start_unix_server(self._connected, self._path, limit=1 << 24)
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._server.close()
        self._folder.cleanup()

    async def child(self) -> Child:
        """A fresh process."""
        if self._process is None or self._process.returncode is not None:
            command = (sys.executable, "-m", "services.worker.nursery", self._path, self._storage_url)
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, env=environment, process_group=0
            )
        token = secrets.token_hex(8)
        self._waiting[token] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{token}\n".encode())
        try:
            return await asyncio.wait_for(self._waiting[token], 60)
        finally:
            del self._waiting[token]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = json.loads(await reader.readline() or b"{}")
        waiting = self._waiting.get(hello.get("token", ""))
        if waiting is None or waiting.done():
            writer.close()
            return
        waiting.set_result(Child(hello["pid"], reader, writer))


@dataclass
class Child:
    """A process that does one task."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def messages(self, spec: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Give it its task; yields what it tells, until it has done or died."""
        self.writer.write(json.dumps(spec).encode() + b"\n")
        while line := await self.reader.readline():
            yield json.loads(line)

    def kill(self) -> None:
        """Stop it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.writer.close()


class Worker:
    """Does tasks, ``size`` at a time."""

    def __init__(self, settings: ServiceSettings, *, size: int) -> None:
        self._settings, self._size = settings, size
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; what is unfinished then is given back."""
        engine, sessions = open_database(self._settings.database)
        self._jobs = Jobs(sessions, lease=self._settings.lease_seconds)
        self._storage = Storage(self._settings.storage)
        async with (
            Nursery(self._settings.storage) as self._nursery,
            Queue.open(self._settings.redis_url) as self._queue,
        ):
            looking = asyncio.create_task(self._look())
            consuming = asyncio.create_task(self._queue.consume(self.work, size=self._size))
            await stop.wait()
            for task in (looking, consuming, *self._running):
                task.cancel()
            await asyncio.gather(looking, consuming, *self._running, return_exceptions=True)
        await engine.dispose()

    async def _look(self) -> None:
        """Queue what is due; take over from workers that are gone."""
        while True:
            try:
                if lost := await self._jobs.reap():
                    _log.warning("took over %d tasks whose worker gave no sign of life", lost)
                for row in await self._jobs.due():
                    await self._queue.put(row.id, row.attempt)
            except Exception:
                _log.exception("looking for work failed; trying again")
            await asyncio.sleep(_LOOK_EVERY)

    async def work(self, task: str, attempt: int) -> None:
        """Do a task, if it can be had."""
        claim = await self._jobs.claim(task, attempt, self._name)
        if claim is None:
            return
        this = asyncio.current_task()
        assert this is not None
        self._running.add(this)
        try:
            async with self._child() as child:
                await self._supervise(claim, child)
        except asyncio.CancelledError:
            await asyncio.shield(self._jobs.give_back(claim))
            raise
        except Exception:
            _log.exception("%s %d of job %s went wrong here; given back", claim.kind, claim.number, claim.job)
            await self._jobs.give_back(claim, died="the worker could not do it")
        finally:
            self._running.discard(this)

    @asynccontextmanager
    async def _child(self) -> AsyncIterator[Child]:
        child = await self._nursery.child()
        try:
            yield child
        finally:
            child.kill()

    async def _supervise(self, claim: Claim, child: Child) -> None:
        done, over = 0, False
        renewing = asyncio.create_task(self._renew(claim, child, lambda: done))
        spec = {"kind": claim.kind, "number": claim.number, "scene": claim.scene, "scene_key": claim.scene_key}
        size = 0
        try:
            async for message in child.messages(spec):
                if "frames" in message:
                    done = message["frames"]
                elif "segments" in message:
                    await self._jobs.planned(claim, message["segments"])
                elif "snapshot" in message:
                    await self._queue_row(await self._jobs.ready(claim, message["snapshot"]))
                elif "rendered" in message:
                    await self._jobs.planned(claim, [])
                elif "size" in message:
                    size = message["size"]
                elif "error" in message:
                    _log.error("job %s failed: %s", claim.job, message.get("trace", message["error"]))
                    await self._jobs.fail(claim.job, message["error"])
                    await self._jobs.finish(claim)
                    over = True
                elif "done" in message:
                    over = True
                    if claim.kind == "join":
                        await self._jobs.complete(claim, size)
                    else:
                        await self._jobs.finish(claim)
                        await self._queue_row(await self._jobs.release(claim.job))
        finally:
            renewing.cancel()
        if not over:
            await self._jobs.give_back(claim, died="killed, or short of memory")

    async def _renew(self, claim: Claim, child: Child, done: Any) -> None:
        """Hold the claim; kill the child when it is lost or the job is cancelled."""
        while True:
            await asyncio.sleep(min(0.5, self._settings.lease_seconds / 3))
            try:
                if not await self._jobs.renew(claim, done()):
                    child.kill()
                    return
            except Exception:
                _log.exception("renewing a lease failed; trying again")

    async def _queue_row(self, row: Any) -> None:
        if row is not None:
            await self._queue.put(row.id, row.attempt)
