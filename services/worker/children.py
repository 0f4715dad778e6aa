"""The worker's side of its nursery: fresh processes, one for each task, and what they tell."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 60.0  # seconds until a process must have been forked, loading everything included
_LINE = 1 << 24  # bytes of a message


class Nursery:
    """Processes that do tasks, forked by one that has loaded everything. Use as an asynchronous context manager."""

    def __init__(self, storage_url: str) -> None:
        self._storage_url = storage_url
        self._waiting: dict[str, asyncio.Future[Child]] = {}
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Nursery:
        self._folder = tempfile.TemporaryDirectory(prefix="motes-worker-")
        self._path = str(Path(self._folder.name) / "socket")
        self._server = await asyncio.start_unix_server(self._connected, self._path, limit=_LINE)
        await self._start()  # loads everything while nothing is to be done yet
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._server.close()
        self._folder.cleanup()

    async def child(self) -> Child:
        """A fresh process."""
        process = await self._start()
        token = secrets.token_hex(8)
        self._waiting[token] = asyncio.get_running_loop().create_future()
        assert process.stdin is not None
        process.stdin.write(f"{token}\n".encode())
        gone = asyncio.create_task(process.wait())
        ready: set[asyncio.Future[Any]] = {self._waiting[token], gone}
        try:
            await asyncio.wait(ready, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            if not self._waiting[token].done():
                raise ChildProcessError("the process that forks others died, or takes too long")
            return self._waiting[token].result()
        finally:
            gone.cancel()
            del self._waiting[token]

    async def _start(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            command = (sys.executable, "-m", "services.worker.nursery", self._path, self._storage_url)
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, env=environment, process_group=0
            )
        return self._process

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
        with contextlib.suppress(ConnectionError):
            while line := await self.reader.readline():
                if line.endswith(b"\n"):  # else it died in the middle of it
                    yield json.loads(line)

    def kill(self) -> None:
        """Stop it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.writer.close()
