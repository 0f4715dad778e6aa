"""The queue of one machine: wakes workers through a named pipe, so one machine needs no Redis.

A byte in the pipe means that a task is ready. The kernel gives each byte to one waiting worker, and only workers with a
free slot wait. A worker that crashes with a byte loses nothing: the database knows the task, and it is announced again.
Beside the pipe there is a file for each live worker and one with recent durations for each kind of task.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Set
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote, urlsplit

from services.database.clock import uptime
from services.storage.private_folders import private_folder

_log = logging.getLogger("motes.queue")
_HEARTBEAT_TTL = 15.0  # seconds
_DURATIONS_KEPT = 100  # for each kind of task
_DURATION = struct.Struct("<d")  # seconds
_MAX_FILE = 1 << 16  # bytes; a longer file of durations is cut to the latest
_DURATIONS = "durations-"  # followed by the kind of task


class LocalQueue:
    """A task queue in a folder that the processes of one machine share; see ``services.jobs.task_queue``."""

    def __init__(self, folder: Path, pipe: int) -> None:
        self._folder, self._pipe = folder, pipe

    @staticmethod
    @asynccontextmanager
    async def open(url: str) -> AsyncIterator[LocalQueue]:
        """Open the queue at ``local:///folder``, creating it if it is missing.

        Raises:
            MotesError: others can write to its folder.
            OSError: it cannot be created, for instance because the file system has no named pipes.
        """
        folder = private_folder(Path(urlsplit(url).path))
        private_folder(folder / "workers")
        with contextlib.suppress(FileExistsError):
            os.mkfifo(folder / "ready", 0o600)
        # Open for reading and writing, so that it never reports end of file when other processes close it.
        pipe = os.open(folder / "ready", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield LocalQueue(folder, pipe)
        finally:
            os.close(pipe)

    async def enqueue(self, task: str, attempt: int) -> bool:
        """Wake a worker for a ready task."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full: workers have enough to do
            os.write(self._pipe, b".")
        return True

    async def consume(self, work: Callable[[], Awaitable[Any]], *, size: int) -> None:
        """Call ``work`` for every byte, ``size`` at a time. Never returns."""
        slots, running = asyncio.Semaphore(size), set[asyncio.Task[None]]()

        async def called() -> None:
            try:
                await work()
            except Exception:
                _log.exception("a task failed unexpectedly")
            finally:
                slots.release()

        try:
            while True:
                await slots.acquire()
                await self._next()
                _log.debug("woken")
                task = asyncio.create_task(called())
                running.add(task)
                task.add_done_callback(running.discard)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _next(self) -> None:
        """Wait for a byte and take it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                os.read(self._pipe, 1)
                return
            except BlockingIOError:
                readable: asyncio.Future[None] = loop.create_future()
                loop.add_reader(self._pipe, _set, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(self._pipe)

    async def run_periodically(self, do: Callable[[], Awaitable[Any]], *, every: int) -> None:
        """Call ``do`` every ``every`` seconds in every worker, so ``do`` must be idempotent. Never returns.

        Raises:
            Exception: any that ``do`` raises.
        """
        while True:
            await asyncio.sleep(every - uptime() % every)
            await do()

    async def record_duration(self, kind: str, seconds: float) -> None:
        """Record the duration of a task."""
        path = self._folder / f"{_DURATIONS}{kind}"
        with contextlib.suppress(OSError):  # a full disk must not fail the task
            with path.open("ab", buffering=0) as file:
                file.write(_DURATION.pack(seconds))
                is_long = file.tell() > _MAX_FILE
            if is_long:
                part = path.with_suffix(f".{os.getpid()}")
                part.write_bytes(self._last(path))
                part.replace(path)

    async def mean_durations(self, kinds: Collection[str]) -> dict[str, float]:
        """Mean seconds of recent tasks by kind; unknown kinds are absent."""
        found = {kind: self._last(self._folder / f"{_DURATIONS}{kind}") for kind in kinds}
        return {kind: fmean(each for (each,) in _DURATION.iter_unpack(data)) for kind, data in found.items() if data}

    @staticmethod
    def _last(path: Path) -> bytes:
        """The latest durations."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return b""
        return data[-_DURATION.size * _DURATIONS_KEPT :]

    async def remove_finished(self, unfinished: Callable[[Collection[str]], Awaitable[Set[tuple[str, int]]]]) -> None:
        """Nothing to remove: a byte names no task."""

    async def heartbeat(self, worker: str) -> None:
        """Send a worker's heartbeat; call it every few seconds."""
        with contextlib.suppress(OSError):
            self._life(worker).touch()
            os.utime(self._life(worker), (uptime(), uptime()))  # nobody sets that clock

    async def unregister(self, worker: str) -> None:
        """Remove a worker that stops; a dead one is forgotten after its last heartbeat."""
        with contextlib.suppress(OSError):
            self._life(worker).unlink()

    def _life(self, worker: str) -> Path:
        return self._folder / "workers" / quote(worker, safe="")

    async def is_up(self) -> bool:
        """Whether workers can be woken."""
        return True

    async def workers(self) -> int:
        """Number of workers with a recent heartbeat."""
        alive = 0
        for path in (self._folder / "workers").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has just stopped
                alive += 0 <= uptime() - path.stat().st_mtime < _HEARTBEAT_TTL
        return alive


def _set(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)
