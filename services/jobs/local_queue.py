"""The queue of one machine: named pipes wake its processes, so one machine needs no Redis.

A byte in the pipe ``ready`` means that a task has been offered. The kernel gives each byte to one waiting worker, which
claims the task whose turn is first; only workers with a free slot wait. A worker that crashes with a byte loses
nothing: the database knows the task, and it is offered again. A byte in the pipe ``due`` calls the dispatcher. Beside
the pipes there is a file for each live worker, one by which the dispatcher shows that it lives, and one with recent
durations for each kind of task.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Set
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import fmean
from urllib.parse import quote, urlsplit

from services.database.clock import uptime
from services.jobs.dispatching import Dispatching
from services.jobs.turns import Offer
from services.storage.private_folders import private_folder

_HEARTBEAT_TTL = 15.0  # seconds
_SILENT_AFTER = 4.0  # seconds after which a dispatcher that said nothing counts as gone
_DURATIONS_KEPT = 100  # for each kind of task
_DURATION = struct.Struct("<d")  # seconds
_MAX_FILE = 1 << 16  # bytes; a longer file of durations is cut to the latest
_ALL = 1 << 16  # bytes that a pipe holds
_DURATIONS = "durations-"  # followed by the kind of task


class LocalQueue:
    """A task queue in a folder that the processes of one machine share; see ``services.jobs.task_queue``."""

    def __init__(self, folder: Path, *, ready: int, due: int) -> None:
        self._folder, self._ready, self._due = folder, ready, due

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
        with contextlib.ExitStack() as stack:
            ready, due = (_open_pipe(folder / name, stack) for name in ("ready", "due"))
            yield LocalQueue(folder, ready=ready, due=due)

    async def call(self) -> None:
        """Call the dispatcher, which looks at once."""
        _write(self._due)

    async def called(self, seconds: float) -> None:
        """Wait until the dispatcher is called, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _read(self._due, _ALL)

    async def put(self, offer: Offer) -> bool:
        """Wake a worker for a ready task."""
        _write(self._ready)
        return True

    async def take(self, versions: Collection[str]) -> tuple[str, int] | None:
        """Wait until a task has been offered; which one is next, the database knows."""
        await _read(self._ready, 1)
        return None

    def carries_tasks(self) -> bool:
        """No: it only wakes."""
        return False

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

    async def heartbeat(self, worker: str) -> Dispatching | None:
        """Send a worker's heartbeat; returns what the dispatcher said in the last seconds, None if it was silent."""
        with contextlib.suppress(OSError):
            self._life(worker).touch()
            os.utime(self._life(worker), (uptime(), uptime()))  # nobody sets that clock
        said = self._folder / "dispatcher"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            if uptime() - said.stat().st_mtime < _SILENT_AFTER:
                return Dispatching.from_text(said.read_bytes())
        return None

    async def announce(self, dispatching: Dispatching | None) -> None:
        """Say who dispatches, every few seconds; None: nobody does any more."""
        said = self._folder / "dispatcher"
        with contextlib.suppress(OSError):  # a full disk: others look in the database
            if dispatching is None:
                said.unlink()
                return
            part = said.with_suffix(f".{os.getpid()}")
            part.write_text(dispatching.to_text())
            os.utime(part, (uptime(), uptime()))
            part.replace(said)

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


def _open_pipe(path: Path, stack: contextlib.ExitStack) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    # Open for reading and writing, so that it never reports end of file when other processes close it.
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, pipe)
    return pipe


def _write(pipe: int) -> None:
    with contextlib.suppress(BlockingIOError):  # the pipe is full: whoever reads it has enough to do
        os.write(pipe, b".")


async def _read(pipe: int, number: int) -> None:
    """Wait for bytes, and take at most so many."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            os.read(pipe, number)
            return
        except BlockingIOError:
            readable: asyncio.Future[None] = loop.create_future()
            loop.add_reader(pipe, _set, readable)
            try:
                await readable
            finally:
                loop.remove_reader(pipe)


def _set(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)
