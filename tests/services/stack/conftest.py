"""A real stack: redis-server, the API and a worker, each a process of its own, in an empty folder.

One stack is shared by all modules that a test process runs, one after the other; ``running_stack`` makes one with
settings of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from obstore.store import from_url
from redis import Redis, RedisError
from sqlalchemy import text

from services.database.engine import open_database
from tests.fork_server import HANG, Forked, ForkServer
from tests.service import command_of, forked, redis_or_skip, wait_for
from tests.services.servers import BUCKET, Postgres

ROOT = Path(__file__).parents[3]
MOTES = "services.cli.main"
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OWN = ("redis", "worker", "api")  # the processes of a stack


@dataclass
class Stack:
    """The processes by name, and a client of the API."""

    folder: Path
    environment: dict[str, str]
    client: httpx.Client
    listener: socket.socket  # of the API, open as long as the stack: requests wait while the API is started again
    forks: ForkServer
    processes: dict[str, Forked | subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def database(self) -> str:
        return self.environment.get("MOTES_DATABASE_URL") or f"sqlite+aiosqlite:///{self.folder / 'data' / 'motes.db'}"

    @property
    def scratch(self) -> Path:
        """Where files are on their way."""
        if "MOTES_STORAGE_URL" in self.environment:
            [scratch] = Path(self.environment["TMPDIR"]).glob(f"motes-scratch-{os.getuid()}-*")
            return scratch
        return self.folder / "data" / "storage" / ".scratch"

    def start(self, name: str, *words: str, listener: socket.socket | None = None) -> None:
        """Start ``python -m WORDS``."""
        inherited = [] if listener is None else [listener.fileno()]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = self.forks.start(
                *words, environment=self.environment, stdout=log, pass_fds=inherited
            )

    def start_redis(self) -> None:
        """It keeps nothing: when it is killed, everything in it is lost. Returns when it answers."""
        path = self.environment["MOTES_REDIS_URL"].removeprefix("unix://")
        options = ("--port", "0", "--unixsocket", path, "--save", "", "--dir", str(self.folder))
        with (self.folder / "redis.log").open("ab") as log:
            self.processes["redis"] = subprocess.Popen(
                (redis_or_skip(), *options), stdout=log, stderr=log, start_new_session=True
            )
        until(self.redis_answers, self)

    def redis_answers(self) -> bool:
        """Whether Redis does."""
        with suppress(RedisError), self.redis() as redis:
            return bool(redis.ping())
        return False

    def redis(self) -> Redis:
        """A client of Redis, to be closed."""
        return Redis.from_url(self.environment["MOTES_REDIS_URL"])

    def start_api(self) -> None:
        """Returns when it answers."""
        self.start("api", MOTES, "api", "--fd", str(self.listener.fileno()), listener=self.listener)
        until(lambda: self.client.get("/health").status_code == 200, self)

    def start_worker(self, name: str = "worker", size: int = 2) -> None:
        self.start(name, MOTES, "worker", "--name", name, "--size", str(size))

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        if number != signal.SIGKILL:
            process.send_signal(signal.SIGCONT)
        process.wait(HANG)

    def repair(self) -> None:
        """Have the three processes run, no other one, and no job open, whatever a test left."""
        for name, process in list(self.processes.items()):
            if name not in OWN:
                self.stop(name, signal.SIGKILL)
            elif process.poll() is not None:
                del self.processes[name]
        starts = {"redis": self.start_redis, "worker": self.start_worker, "api": self.start_api}
        for name in OWN:
            if name not in self.processes:
                starts[name]()
        for status in ("queued", "rendering"):
            while jobs := self.client.get("/jobs", params={"status": status, "limit": 100}).json():
                for job in jobs:
                    self.client.post(f"/jobs/{job['job_id']}/cancel")

    def motes(self, *words: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command, with these settings besides those of the stack."""
        return self.forks.run(MOTES, *words, environment=self.environment | environment, check=check)

    def children(self, name: str = "worker") -> list[int]:
        """Processes that do a worker's tasks: forked by the fork server, which it started."""
        return [each for each in self._forked(name) if "decoding_server" not in command_of(each)]

    def decoding_servers(self, name: str = "worker") -> list[int]:
        """The process that a worker's decoders are forked from; the fork server started it, too."""
        return [each for each in self._forked(name) if "decoding_server" in command_of(each)]

    def _forked(self, name: str) -> list[int]:
        return [each for server in forked(self.processes[name].pid) for each in forked(server)]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def rows(self, query: str, **values: Any) -> list[Mapping[str, Any]]:
        """What the database says."""

        async def ask() -> list[Mapping[str, Any]]:
            engine, sessions = open_database(self.database)
            async with sessions() as session:
                found = [dict(row) for row in (await session.execute(text(query), values)).mappings()]
            await engine.dispose()
            return found

        return asyncio.run(ask())

    def files(self, folder: str = "scenes") -> list[str]:
        """What lies in storage, by key."""
        url = self.environment.get("MOTES_STORAGE_URL")
        if url is None:
            root = self.folder / "data" / "storage"
            return sorted(str(path.relative_to(root)) for path in (root / folder).rglob("*") if path.is_file())
        keys = {name.lower(): value for name, value in self.environment.items() if name.startswith("AWS_")}
        keys.pop("aws_allow_http", None)
        store = from_url(url, client_options={"allow_http": True}, **keys)
        return sorted(each["path"] for batch in obstore.list(store, folder) for each in batch)

    def wait_for(self, job: str, *statuses: str) -> dict[str, object]:
        """The job, as soon as it has one of the statuses."""
        found: dict[str, object] = {}

        def has_it() -> bool:
            found.update(self.client.get(f"/jobs/{job}").json())
            return found["status"] in statuses

        until(has_it, self, job=found)
        return found


def until(what: Callable[[], Any], stack: Stack, **told: object) -> Any:
    """What it says, as soon as that is true; an answer that does not come is not."""

    def logs() -> object:
        return told, *(path.read_text()[-4000:] for path in stack.folder.glob("*.log"))

    return wait_for(what, why=logs)


def listening() -> socket.socket:
    """A socket that listens on a port of this machine."""
    return socket.create_server(("127.0.0.1", 0), backlog=2048)


@contextmanager
def running_stack(folder: Path, forks: ForkServer, **more: str) -> Iterator[Stack]:
    """A stack that stops in the end, whatever happens."""
    with (
        tempfile.TemporaryDirectory(prefix="motes-", dir="/tmp") as private,  # the path of a socket must be short
        listening() as listener,
        httpx.Client(
            base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/particles", timeout=HANG, trust_env=False
        ) as client,
    ):
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MOTES_", "AWS_"))},
            "MOTES_DATA": str(folder / "data"),
            "MOTES_REDIS_URL": f"unix://{private}/redis",
            "MOTES_MEDIA_ROOT": str(folder / "media"),
            "MOTES_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "MOTES_WEBHOOK_PRIVATE_TARGETS": "true",
            **more,
        }
        (folder / "media").mkdir()
        stack = Stack(folder, environment, client, listener, forks)
        try:
            stack.start_redis()
            stack.start_worker()
            stack.start_api()
            yield stack
        finally:
            for name in sorted(stack.processes, key=lambda name: name == "redis"):
                stack.stop(name)


@pytest.fixture(scope="session")
def _redis() -> None:
    """Skip, loudly (see the marker), where there is no redis-server: no wheel brings one for this Python."""
    redis_or_skip()


@pytest.fixture(scope="package")
def _shared_stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), forks) as stack:
        yield stack


@pytest.fixture(scope="module")
def stack(_shared_stack: Stack) -> Stack:
    """SQLite and a local folder; shared, with nothing to do."""
    _shared_stack.repair()
    return _shared_stack


@pytest.fixture(scope="package")
def _shared_stack_on_servers(
    tmp_path_factory: pytest.TempPathFactory,
    forks: ForkServer,
    _redis: None,
    postgres_server: Postgres,
    s3_server: dict[str, str],
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("servers")
    (folder / "tmp").mkdir()
    places = {
        "MOTES_DATABASE_URL": postgres_server.url(postgres_server.create()),
        "MOTES_STORAGE_URL": f"s3://{BUCKET}/{folder.name}",
        "TMPDIR": str(folder / "tmp"),
    }
    with running_stack(folder, forks, **places, **s3_server) as stack:
        yield stack


@pytest.fixture(scope="module")
def stack_on_servers(_shared_stack_on_servers: Stack) -> Stack:
    """PostgreSQL and S3; shared, with nothing to do."""
    _shared_stack_on_servers.repair()
    return _shared_stack_on_servers
