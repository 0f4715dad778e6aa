"""Processes of Motes, forked from one that has imported everything.

They are as real as any: each has its own pid, session, environment, output and signals, and ends as if it had been
started with ``python -m``. Only the seconds that imports take are saved, and the kernels are loaded. How processes
really start is tested with ``motes serve``, in ``tests/services/stack/test_serve.py``.

``python -m tests.fork_server`` is the process that forks; ``ForkServer`` is how tests ask it to.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.waiting import HANG

ROOT = Path(__file__).parents[1]
_LARGEST = 1 << 20  # bytes of a request

# --- the side of the tests ---


@dataclass
class Forked:
    """A process that was forked, with the methods of ``subprocess.Popen`` that tests use."""

    pid: int
    _news: socket.socket  # tells the exit code, once
    returncode: int | None = field(default=None, init=False)

    def poll(self) -> int | None:
        """Its exit code if it has ended; the number of a signal that killed it is negative."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float = HANG) -> int:
        """Its exit code, when it has ended."""
        if self.returncode is None:
            if not select.select([self._news], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self.returncode = int(self._news.recv(100) or b"-9")  # nothing if the fork server was killed with it
            self._news.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Asks for processes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def start(
        self,
        *words: str,
        environment: Mapping[str, str],
        stdout: IO[Any],
        stderr: IO[Any] | None = None,
        pass_fds: Sequence[int] | Mapping[int, int] = (),
    ) -> Forked:
        """Run ``python -m WORDS``, in the folder of the sources.

        ``pass_fds`` are files that it inherits, under their numbers or under those that map to them.
        """
        ours, theirs = socket.socketpair()
        inherited = pass_fds if isinstance(pass_fds, Mapping) else dict(zip(pass_fds, pass_fds, strict=True))
        targets = [1, 2, *inherited]
        files = [stdout.fileno(), (stderr or stdout).fileno(), *inherited.values()]
        request = json.dumps({"words": words, "environment": dict(environment), "targets": targets}).encode()
        with theirs:
            socket.send_fds(self._control, [request], [theirs.fileno(), *files])
        return Forked(int(ours.recv(100)), ours)

    def run(self, *words: str, environment: Mapping[str, str], check: bool = True) -> subprocess.CompletedProcess[str]:
        """The same, until it ends: what it wrote, and its exit code."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = self.start(*words, environment=environment, stdout=out, stderr=err).wait()
            for file in (out, err):
                file.seek(0)
            done = subprocess.CompletedProcess(words, code, out.read(), err.read())
        assert code == 0 or not check, done
        return done


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """One that runs until the end of the context, with all that it forked."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MOTES_", "AWS_"))}
        process = subprocess.Popen(
            (sys.executable, "-m", "tests.fork_server"), cwd=ROOT, stdin=theirs.fileno(), env=environment
        )
    try:
        yield ForkServer(ours)
    finally:
        ours.close()
        process.wait()


# --- the process that forks ---


def _load() -> None:
    """Import whatever the API, a worker and commands import, and load the kernels."""
    from ecs_core.rendering.pool import ENVIRONMENT

    os.environ.update(ENVIRONMENT)  # before NumPy is loaded: no threads of its own
    import gc
    import importlib

    modules = """aiosqlite alembic.command arq asyncpg httpx obstore.store sqlalchemy.dialects.postgresql.asyncpg
        uvicorn uvicorn.lifespan.on uvicorn.loops.auto uvicorn.protocols.http.auto uvicorn.protocols.websockets.auto
        services.api services.cli.main services.database.migrations services.worker.main services.worker.fork_server
        services.worker.task_runner"""
    for name in modules.split():
        importlib.import_module(name)
    from ecs_core.warmup import load_kernels
    from services.jobs.render_spec import renderable_versions

    renderable_versions()
    load_kernels()
    gc.collect()  # as services.worker.fork_server: no frame with threads of FFmpeg may be inherited
    gc.freeze()


class _Server:
    """Forks for requests, and tells how processes ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._news: dict[int, socket.socket] = {}
        self._awake, self._waker = socket.socketpair()
        for each in (self._awake, self._waker):
            each.setblocking(False)

    def serve(self) -> _Request | None:
        """Until the tests are over; in a process that was forked, what that has to do."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self._control, self._awake], [], [])
            if self._awake in ready:
                self._awake.recv(1000)
                self._reap()
            if self._control in ready:
                request = _Request.receive(self._control)
                if request is None:
                    return None
                news = socket.socket(fileno=request.files.pop(0))
                parent = os.getpid()
                if (pid := os.fork()) == 0:
                    os.setsid()
                    news.send(str(os.getpid()).encode())  # only now, as its group may be killed at once
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for each in (self._control, self._awake, self._waker, news, *self._news.values()):
                        each.close()
                    _end_with(parent)
                    return request
                for file in request.files:
                    os.close(file)
                self._news[pid] = news

    def _reap(self) -> None:
        while self._news:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            with self._news.pop(pid) as news, suppress(OSError):
                news.send(str(os.waitstatus_to_exitcode(status)).encode())


@dataclass
class _Request:
    """What to run: the words after ``python -m``, the environment, and open files with the numbers they shall have."""

    words: list[str]
    environment: dict[str, str]
    targets: list[int]
    files: list[int]

    @classmethod
    def receive(cls, control: socket.socket) -> _Request | None:
        data, files, _, _ = socket.recv_fds(control, _LARGEST, 16)
        return cls(**json.loads(data), files=files) if data else None

    def run(self) -> None:
        """Be that process."""
        high = [_moved_up(file) for file in self.files]
        for file, target in zip(high, self.targets, strict=True):
            os.dup2(file, target, inheritable=True)
            os.close(file)
        if 0 not in self.targets:
            with Path(os.devnull).open() as nothing:
                os.dup2(nothing.fileno(), 0)
        os.environ.clear()
        os.environ.update(self.environment)
        if "MOTES_PLUGIN_PATH" in self.environment:
            from ecs_core.plugin_api import particle_types

            particle_types.cache_clear()
        os.chdir(ROOT)
        tempfile.tempdir = None
        signal.signal(signal.SIGINT, signal.default_int_handler)
        module, *arguments = self.words
        if self.words[:2] == ["services.cli.main", "worker"]:
            _fork_first_subprocess_now()
        sys.argv = [module, *arguments]
        sys.modules.pop(module, None)  # or runpy would warn that it was imported before
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _moved_up(file: int) -> int:
    import fcntl

    moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 500)
    os.close(file)
    return moved


def _end_with(parent: int) -> None:
    from services.processes.parent_death import end_with_parent

    end_with_parent(parent, signal.SIGKILL)


class _Child:
    """What asyncio.subprocess.Process is, of a process that was forked; for an event loop."""

    def __init__(self, pid: int) -> None:
        self.pid, self.returncode = pid, None
        self._ended = asyncio.Event()
        self._file = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._file, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._ended.set()

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


def _fork_first_subprocess_now() -> None:
    """Fork what the worker will start for its tasks while there is one thread; it waits until it is told what to be."""
    parent = os.getpid()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if (pid := os.fork()) == 0:
        os.setpgid(0, 0)
        _end_with(parent)
        ours.close()
        request = _Request.receive(theirs)
        theirs.close()
        if request is not None:
            request.run()
        raise SystemExit(0)
    theirs.close()
    start = asyncio.create_subprocess_exec
    left = [ours]

    async def start_or_tell(*command: Any, **options: Any) -> Any:
        if command[1] != "-m" or not left or options.keys() != {"stdin", "env", "process_group"}:
            return await start(*command, **options)
        request = {"words": command[2:], "environment": options["env"], "targets": [0]}
        with left.pop() as control:
            socket.send_fds(control, [json.dumps(request).encode()], [options["stdin"]])
        return _Child(pid)

    asyncio.create_subprocess_exec = start_or_tell


def main() -> None:
    """Serve on standard input."""
    control = socket.socket(fileno=os.dup(0))
    _load()
    request = _Server(control).serve()
    if request is not None:
        request.run()


if __name__ == "__main__":
    main()
