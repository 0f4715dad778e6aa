"""The queue of one machine: wakes workers through a named pipe, so that nobody needs a Redis.

A byte in the pipe says that a task is ready. The kernel gives each byte to one of the workers that wait for one, and
only workers with a free slot wait. Who dies with a byte loses nothing: the database knows the task, and it is
announced again. Beside the pipe lie a file for each live worker and the latest durations of each kind of task.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Set
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote, urlsplit

_log = logging.getLogger("motes.queue")
_HEARTBEAT_TTL = 15.0  # seconds for which a sign of life counts
_DURATIONS_KEPT = 100  # of a kind of task
_DURATION = struct.Struct("<d")  # seconds
_MAX_FILE = 1 << 16  # bytes of durations, until the old ones are cut off
_DURATIONS = "durations-"  # and the kind of task


class LocalQueue:
    """A folder that the processes of one machine share; see ``services.jobs.task_queue``."""

    def __init__(self, folder: Path, pipe: int) -> None:
        self._folder, self._pipe = folder, pipe

    @staticmethod
    @asynccontextmanager
    async def open(url: str) -> AsyncIterator[LocalQueue]:
        """Open the queue at ``local:///folder``, which is made if need be.

        Raises:
            OSError: it cannot be made; on a file system without named pipes, too.
        """
        folder = Path(urlsplit(url).path)
        (folder / "workers").mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(folder / "ready", 0o600)
        # Open for both, it never ends, whoever else comes and goes.
        pipe = os.open(folder / "ready", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield LocalQueue(folder, pipe)
        finally:
            os.close(pipe)

    async def enqueue(self, task: str, attempt: int) -> bool:
        """Wake a worker, as the task is ready."""
        with contextlib.suppress(BlockingIOError):  # thousands of bytes wait to be read: workers have enough to do
            os.write(self._pipe, b".")
        return True

    async def consume(self, work: Callable[[], Awaitable[Any]], *, size: int) -> None:
        """Call ``work``, which does what there is, for every byte; ``size`` at a time, for ever."""
        slots, running = asyncio.Semaphore(size), set[asyncio.Task[None]]()

        async def called() -> None:
            try:
                await work()
            except Exception:
                _log.exception("what was woken failed")
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
        """Take a byte; waits until there is one that no other worker takes."""
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
        """Call ``do`` every so many seconds, for ever, in every worker: what it does must happen once, however often.

        Raises:
            Exception: whatever ``do`` raises.
        """
        while True:
            await asyncio.sleep(every - time.time() % every)
            await do()

    async def record_duration(self, kind: str, seconds: float) -> None:
        """A task of this kind took so long."""
        path = self._folder / f"{_DURATIONS}{kind}"
        with contextlib.suppress(OSError):  # of a full disk: nobody's work shall fail for it
            with path.open("ab", buffering=0) as file:
                file.write(_DURATION.pack(seconds))
                is_long = file.tell() > _MAX_FILE
            if is_long:
                part = path.with_suffix(f".{os.getpid()}")
                part.write_bytes(self._last(path))
                part.replace(path)

    async def mean_durations(self, kinds: Collection[str]) -> dict[str, float]:
        """How many seconds a task of each kind took lately; nothing of a kind that nothing is known of."""
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
        """There is nothing to remove: a byte names no task."""

    async def heartbeat(self, worker: str) -> None:
        """A sign of life of a worker; to be given every few seconds."""
        with contextlib.suppress(OSError):
            self._life(worker).touch()

    async def unregister(self, worker: str) -> None:
        """A worker stops; who dies without a word is forgotten a little later."""
        with contextlib.suppress(OSError):
            self._life(worker).unlink()

    def _life(self, worker: str) -> Path:
        return self._folder / "workers" / quote(worker, safe="")

    async def is_up(self) -> bool:
        """Whether workers can be woken."""
        return True

    async def workers(self) -> int:
        """How many gave a sign of life lately."""
        alive = 0
        for path in (self._folder / "workers").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it stops at this moment
                alive += time.time() - path.stat().st_mtime < _HEARTBEAT_TTL
        return alive


def _set(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)
