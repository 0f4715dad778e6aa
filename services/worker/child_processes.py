"""The worker's side of the fork server: a new process for each task, and the messages it sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.processes.fork_server_command import fork_server_command, fork_server_environment

_EXIT_TIMEOUT = 0.2  # seconds for a killed process to exit
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
        self._ending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ForkServer:
        if self._shared is None:
            await self._start()  # loads everything before there is work
        return self

    async def __aexit__(self, *reason: object) -> None:
        for child in list(self._idle):
            self._end(child)
        await asyncio.gather(*self._ending)
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
        task = asyncio.get_running_loop().create_task(child.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

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


@dataclass(eq=False)
class Child:
    """A process that does tasks, identified by a pidfd, as pids are reused."""

    pid: int
    process: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    done: bool = False  # has finished its last task and can take another

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
        if self.writer.is_closing():
            return False
        death = select.poll()
        death.register(self.process, select.POLLIN)
        return not death.poll(0)

    def kill(self) -> None:
        """Kill it; its messages end once it is gone."""
        self.done = False  # it is dying, so it must not be given another task
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.process, signal.SIGKILL)

    async def stop(self) -> None:
        """Kill it and wait until it is gone and writes no more files."""
        self.kill()
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass
        self.writer.close()
        os.close(self.process)
