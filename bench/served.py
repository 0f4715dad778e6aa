"""What bench/faults.py and others put under load: ``motes serve`` with its processes, and clients that submit jobs."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from redis_process import OwnRedis
from sqlalchemy import Select, text
from sqlalchemy.exc import SQLAlchemyError

from services.database.engine import open_database
from services.settings import ServiceSettings

HANG = 300.0  # seconds after which a request counts as lost, on any machine
PATIENCE = 900.0  # seconds that a client repeats a request, and that jobs may take once nothing disturbs them
RETRIED = (409, 503, 507)  # answers after which a client asks again: in use, not available just now, no room
TYPES = ("enhanced", "snow", "zen", "bouncing", "no_music")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
OPEN_JOBS = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'rendering')"
CLOCKED = str(Path(__file__).with_name("wrong_clock.py"))


def scene_of(number: int) -> tuple[str, dict[str, Any]]:
    """The particle type and config of job ``number``."""
    config = {"width": 320, "height": 180, "duration": 6.0 + number % 3, "particle_count": 200, "seed": number}
    return TYPES[number % len(TYPES)], config


# --- the stack ---


@dataclass
class Stack:
    """``motes serve`` and its child processes."""

    url: str
    pid: int
    data: Path
    settings: ServiceSettings
    redis: OwnRedis | None = None

    def __post_init__(self) -> None:
        self._engine, self._sessions = open_database(self.settings.database)
        self._loop, self._turn = asyncio.Runner(), threading.Lock()

    @property
    def is_on_postgresql(self) -> bool:
        """Whether its database is PostgreSQL rather than SQLite."""
        return self.settings.database.startswith("postgresql")

    def programs(self, name: str) -> list[tuple[int, str]]:
        """Its processes of this name, with their command lines."""
        found = []
        for pid in children(self.pid):
            line = command_line(pid)
            if f" {name} " in f" {line} " or f".{name} " in line:
                found.append((pid, line))
        return found

    def renderers(self) -> list[tuple[int, str]]:
        """Processes that do tasks, which the fork server has forked, with the task and the attempt that each does."""
        forked = [pid for fork_server, _ in self.programs("fork_server") for pid in children(fork_server)]
        lines = [(pid, command_line(pid)) for pid in forked]
        return [(pid, line) for pid, line in lines if line and "decoding_server" not in line]

    def rows(self, query: str | Select[Any]) -> list[tuple[Any, ...]]:
        """The rows of a query; it waits while the database does not answer."""

        async def ask() -> list[tuple[Any, ...]]:
            async with self._sessions() as session:
                asked = await session.execute(text(query) if isinstance(query, str) else query)
                return [tuple(row) for row in asked]

        end = time.monotonic() + PATIENCE
        while True:
            try:
                with self._turn:  # two threads use it
                    return self._loop.run(ask())
            except (OSError, SQLAlchemyError):
                if time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def close(self) -> None:
        """Close the connections to the database."""
        with self._turn:
            self._loop.run(self._engine.dispose())
            self._loop.close()


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_line(pid: int) -> str:
    """The command line of a process; empty if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    return ""


@contextmanager
def serving(
    data: Path, own: OwnRedis | None = None, *, clocks: Path | None = None, **environment: str
) -> Iterator[Stack]:
    """``motes serve`` while the context lasts, with a Redis or without, and with these variables besides.

    In ``clocks``, if it is given, files say by how much clocks of its processes are wrong (``wrong_clock.py``).
    """
    if own is not None:
        environment["MOTES_REDIS_URL"] = own.url
    workers = str(os.cpu_count() or 1)
    motes = ("-m", "services.cli.main") if clocks is None else (CLOCKED, str(clocks))
    command = (sys.executable, *motes, "serve", "--port", "0", "--workers", workers)
    with (data.parent / "serve.log").open("w") as log:
        process = subprocess.Popen(
            (*command, "--data", str(data)),
            env=ENVIRONMENT | environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        url = re.search(r"http://\S+/particles", process.stdout.readline())
        if url is None:
            raise SystemExit(f"motes serve did not start: {(data.parent / 'serve.log').read_text()}")
        given = {name.removeprefix("MOTES_").lower(): value for name, value in environment.items()}
        known = {name: value for name, value in given.items() if name in ServiceSettings.model_fields}
        settings = ServiceSettings(**{**known, "data": data})  # type: ignore[arg-type]
        with closing(Stack(url[0], process.pid, data, settings, own)) as stack:
            yield stack
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def key_of(owner: str, data: Path) -> str:
    """A new API key of an owner."""
    command: tuple[str, ...] = (
        sys.executable,
        "-m",
        "services.cli.main",
        "keys",
        "create",
        "--owner",
        owner,
        "--data",
        str(data),
    )
    for limit in ("requests_per_minute", "open_jobs", "queued_jobs", "rendered_seconds_per_day"):
        command += ("--limit", f"{limit}=1e9")  # measure the service, not its limits
    return subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]


def client_of(stack: Stack, key: str) -> httpx.Client:
    """An HTTP client with an API key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(base_url=stack.url, headers=headers, timeout=HANG, trust_env=False)


# --- clients: for them, faults may only cause retries ---


class Clients:
    """Submits jobs so that enough are open; failed requests are repeated with the same idempotency key.

    With ``download``, finished videos are downloaded now and then, which notices lost ones.
    """

    def __init__(self, stack: Stack, song: Path, count: int, *, download: random.Random | None = None) -> None:
        self._client = httpx.Client(base_url=stack.url, timeout=300, trust_env=False)
        self._stack, self._count, self._download = stack, count, download
        with song.open("rb") as file:
            self._audio = self._client.post("/audio", files={"file": ("song.wav", file)}).json()["audio_path"]
        self.jobs: dict[str, int] = {}
        self.done = threading.Event()

    def run(self) -> None:
        """Submit jobs until ``done`` is set."""
        self.done_well = False
        while not self.done.is_set():
            left = self._stack.rows(OPEN_JOBS)[0][0]
            for _ in range(max(0, self._count - left)):
                self._submit(len(self.jobs))
            if self._download is not None:
                self._look_at_one(self._download)
            self.done.wait(0.3)
        self.done_well = True

    def _submit(self, number: int) -> None:
        kind, config = scene_of(number)
        made = self.ask("POST", "/create", key=f"create-{number}", json={"particle_type": kind, "config": config})
        body = {"audio_path": self._audio} if number % 2 else {}
        path = f"/systems/{made.json()['system_id']}/render"
        self.jobs[self.ask("POST", path, key=f"render-{number}", json=body).json()["job_id"]] = number

    def _look_at_one(self, chance: random.Random) -> None:
        """Download the video of any job that is over, if it is there now."""
        over = [job for (job,) in self._stack.rows("SELECT id FROM jobs WHERE status = 'completed'")]
        if over:
            self._try("GET", f"/download/{chance.choice(over)}")

    def ask(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        """Send a request until it succeeds."""
        headers = {} if key is None else {"Idempotency-Key": key}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if (answer := self._try(method, path, headers=headers, **more)) is not None:
                return answer
            time.sleep(0.2)
        raise RuntimeError(f"{method} {path}: no success within {PATIENCE:g} s")

    def _try(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        """A request; None if it is to be repeated.

        Raises:
            RuntimeError: it was refused.
        """
        with suppress(httpx.TransportError):
            answer = self._client.request(method, path, **more)
            if answer.status_code < 400:
                return answer
            if answer.status_code not in RETRIED:
                raise RuntimeError(f"{method} {path}: {answer.status_code}: {answer.text}")
        return None
