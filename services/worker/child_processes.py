"""The worker's side of the fork server: a new process for each task, and the messages it sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import select
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from services.observability import metrics
from services.processes.fork_server_command import fork_server_command, fork_server_environment

_log = logging.getLogger("motes.worker")
T = TypeVar("T")

_EXIT_TIMEOUT = 0.2  # seconds for a killed process to exit
_KILL_TIMEOUT = 20.0  # seconds for a killed process of a task to exit; it may hold gigabytes
_TIMEOUT = 60.0  # seconds to fork a process, including the start of the fork server
_MAX_LINE = 1 << 24  # bytes of a message
_IDLE_SECONDS = 1.0  # seconds that an idle process waits for another segment


class ChildDiedError(Exception):
    """A process died before it finished its task."""


class ForkServer:
    """Processes for tasks, forked by one that has loaded everything. Use as an asynchronous context manager.

    A process that has rendered a segment is kept briefly for the next one: reusing its encoder's memory saves a tenth
    of the work. All others handle clients' data and are used once.

    ``shared`` is a socket to a fork server that somebody else starts and restarts, possibly for several workers.
    Without it, one with this ``nice`` is started and ended here.
    """

    def __init__(self, storage_url: str, *, nice: int = 0, shared: socket.socket | None = None) -> None:
        self._storage_url, self._nice, self._shared = storage_url, nice, shared
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._children: set[Child] = set()
        self._starting = asyncio.Lock()  # of two tasks that find it dead only one restarts it
        self._idle: dict[Child, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[Any]] = set()
        self._left: set[asyncio.Task[Any]] = set()  # each waits for a child that cannot be killed

    async def __aenter__(self) -> ForkServer:
        if self._shared is None:
            await self._start()  # loads everything before there is work
        return self

    async def __aexit__(self, *reason: object) -> None:
        for child in list(self._idle):
            self._end(child)
        await asyncio.gather(*self._ending)
        for task in self._left:
            task.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._control is not None:
            self._control.close()

    def pids(self) -> list[int]:
        """Pids of the fork server, if it is ours, and of its processes that work for us."""
        if self._process is None:
            return [child.pid for child in list(self._children) if child.is_alive()]
        one = self._process.pid
        with contextlib.suppress(OSError):
            return [one, *map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())]
        return []

    def keep_idle(self, child: Child) -> None:
        """Keep the child for a segment that may come soon."""
        self._idle[child] = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._end, child)

    def idle_child(self) -> Child | None:
        """A child that has rendered a segment and can render another."""
        while self._idle:
            child, timer = self._idle.popitem()
            timer.cancel()
            if child.is_alive():
                return child
            self._idle[child] = timer
            self._end(child)
        return None

    def _end(self, child: Child) -> None:
        self._idle.pop(child).cancel()
        _keep(asyncio.get_running_loop().create_task(self.stop(child)), self._ending)

    async def stop(self, child: Child) -> asyncio.Task[None] | None:
        """End a child. If it cannot be killed it is left behind: then a task that ends when it does."""
        if await child.stop():
            return None
        _log.error("process %d was killed and does not end: it is left behind", child.pid)
        metrics.child_given_up()
        return _keep(asyncio.get_running_loop().create_task(child.gone()), self._left)

    async def fork(self) -> Child:
        """Fork a new process.

        Raises:
            ChildDiedError: it was killed at once.
            ConnectionError: the fork server died, and so did the next one.
            TimeoutError: it takes too long.
        """
        with contextlib.suppress(ConnectionError):  # once: the fork server is restarted
            return await self._fork()
        try:
            return await self._fork()
        except ConnectionError:
            if self._shared is None:
                raise
            # with a shared one it is unknown which of them died
            raise ChildDiedError("killed, or out of memory") from None

    async def _fork(self) -> Child:
        process, control = (None, self._shared) if self._shared is not None else await self._start()
        ours, theirs = socket.socketpair()
        with theirs:  # only the child keeps this end, so its death closes it
            try:
                socket.send_fds(control, [b"."], [theirs.fileno()])
            except OSError:
                ours.close()
                if process is not None:
                    await process.wait()  # otherwise the next caller would not know that it is dead
                raise ConnectionError("the fork server died") from None
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_MAX_LINE)
        try:
            async with asyncio.timeout(_TIMEOUT):
                hello = json.loads(await reader.readline())
            child = Child(hello["pid"], os.pidfd_open(hello["pid"]), reader, writer)
            self._children = {each for each in (*self._children, child) if each.is_alive()}
            return child
        except TimeoutError:
            writer.close()
            if process is not None and process.returncode is None:
                process.kill()  # it hangs; the next one does not
            raise TimeoutError("the fork server takes too long") from None
        except (ValueError, ConnectionError, ProcessLookupError):  # it died before it sent anything
            writer.close()
            with contextlib.suppress(TimeoutError):
                if process is not None:
                    await asyncio.wait_for(process.wait(), _EXIT_TIMEOUT)
                raise ConnectionError("the fork server died") from None
            raise ChildDiedError("killed, or out of memory") from None
        except BaseException:
            writer.close()
            raise

    async def _start(self) -> tuple[asyncio.subprocess.Process, socket.socket]:
        async with self._starting:
            if self._process is None or self._control is None or self._process.returncode is not None:
                if self._control is not None:
                    self._control.close()
                command = fork_server_command(nice=self._nice, parent=os.getpid())
                environment = fork_server_environment(os.environ, storage_url=self._storage_url)
                self._control, theirs = socket.socketpair()
                with theirs:
                    self._process = await asyncio.create_subprocess_exec(
                        *command, stdin=theirs.fileno(), env=environment, process_group=0
                    )
            return self._process, self._control


def _keep(task: asyncio.Task[T], among: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    """Keep a task until it has ended: the loop alone does not."""
    among.add(task)
    task.add_done_callback(among.discard)
    return task


@dataclass(eq=False)
class Child:
    """A process that does tasks, identified by a pidfd, as pids are reused."""

    pid: int
    process: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    done: bool = False  # has finished its last task and can take another
    is_given_up: bool = False  # was killed, and runs on
    _timer: asyncio.TimerHandle | None = None

    async def messages(self, spec: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Give it a task; yield its messages until it has finished or died."""
        self.done = False
        self.writer.write(json.dumps(spec).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            while not self.done and (line := await self.reader.readline()):
                if line.endswith(b"\n"):  # otherwise it died within a message
                    message = json.loads(line)
                    self.done = "done" in message
                    yield message

    def is_alive(self) -> bool:
        """Whether it can take a task."""
        return not self.writer.is_closing() and self._is_running()

    def _is_running(self) -> bool:
        death = select.poll()
        death.register(self.process, select.POLLIN)
        return not death.poll(0)

    def kill(self) -> None:
        """Kill it; its messages end once it is gone, or in a while: where the kernel waits for a dead disk, nothing
        can kill it.
        """
        self.done = False  # it is dying, so it must not be given another task
        with contextlib.suppress(ProcessLookupError):
            self._send_kill()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_KILL_TIMEOUT, self._give_up)

    def _send_kill(self) -> None:
        signal.pidfd_send_signal(self.process, signal.SIGKILL)

    def _give_up(self) -> None:
        self.is_given_up = self._is_running()
        self.writer.transport.abort()

    async def stop(self) -> bool:
        """Kill it and wait until it is gone and writes no more files; False if nothing can kill it now."""
        self.kill()
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass
        assert self._timer is not None
        self._timer.cancel()
        self.writer.close()
        if self.is_given_up:
            return False
        os.close(self.process)
        return True

    async def gone(self) -> None:
        """Wait until a process that was given up has ended after all."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.process, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self.process)
            os.close(self.process)
