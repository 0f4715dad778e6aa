"""A real stack: redis-server, the API and a worker, each a process of its own, on free ports and in an empty folder."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from obstore.store import from_url
from sqlalchemy import text

from services.database.models import open_database
from services.processes.supervisor import free_port, redis_server
from tests.service import forked, redis_or_skip, wait_for
from tests.services.servers import BUCKET, Postgres

ROOT = Path(__file__).parents[3]
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LEASE = 3.0  # seconds


@dataclass
class Stack:
    """The processes by name, and a client of the API."""

    folder: Path
    environment: dict[str, str]
    client: httpx.Client
    redis_port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def database(self) -> str:
        return self.environment.get("MOTES_DATABASE_URL") or f"sqlite+aiosqlite:///{self.folder / 'data' / 'motes.db'}"

    @property
    def scratch(self) -> Path:
        """Where files are on their way."""
        if "MOTES_STORAGE_URL" in self.environment:
            return Path(self.environment["TMPDIR"]) / f"motes-scratch-{os.getuid()}"
        return self.folder / "data" / "storage" / ".scratch"

    def start(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def start_redis(self) -> None:
        """It keeps nothing: when it is killed, everything in it is lost."""
        options = ("--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder))
        self.start("redis", redis_server(), "--port", str(self.redis_port), *options)

    def start_api(self) -> None:
        """Returns when it answers."""
        port = str(self.client.base_url.port)
        command = (sys.executable, "-m", "uvicorn", "--factory", "services.api:create_app", "--no-access-log")
        self.start("api", *command, "--port", port)
        until(lambda: self.client.get("/health").status_code == 200, self)

    def start_worker(self, name: str = "worker", size: int = 2) -> None:
        self.start(name, sys.executable, "-m", "services.cli.main", "worker", "--name", name, "--size", str(size))

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        if number != signal.SIGKILL:
            process.send_signal(signal.SIGCONT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
            raise

    def children(self, name: str = "worker") -> list[int]:
        """Processes that do a worker's tasks: forked by the nursery, which it started."""
        return [task for nursery in forked(self.processes[name].pid) for task in forked(nursery)]

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

    def wait_for(self, job: str, *statuses: str, seconds: float = 60.0) -> dict[str, object]:
        """The job, as soon as it has one of the statuses."""
        found: dict[str, object] = {}

        def has_it() -> bool:
            found.update(self.client.get(f"/jobs/{job}").json())
            return found["status"] in statuses

        until(has_it, self, seconds=seconds, job=found)
        return found


def until(what: Callable[[], Any], stack: Stack, *, seconds: float = 60.0, **told: object) -> Any:
    """What it says, as soon as that is true; an answer that does not come is not."""

    def logs() -> object:
        return told, *(path.read_text()[-4000:] for path in stack.folder.glob("*.log"))

    return wait_for(what, seconds, why=logs)


@contextmanager
def running_stack(folder: Path, **more: str) -> Iterator[Stack]:
    """A stack that stops in the end, whatever happens."""
    redis, api = free_port(), free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MOTES_", "AWS_"))},
        "MOTES_DATA": str(folder / "data"),
        "MOTES_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        "MOTES_MEDIA_ROOT": str(folder / "media"),
        "MOTES_LEASE_SECONDS": f"{LEASE:g}",
        "MOTES_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "MOTES_WEBHOOK_PRIVATE_TARGETS": "true",
        **more,
    }
    (folder / "media").mkdir()
    with httpx.Client(base_url=f"http://127.0.0.1:{api}/particles", timeout=30, trust_env=False) as client:
        stack = Stack(folder, environment, client, redis)
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


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, _redis: None) -> Iterator[Stack]:
    """SQLite and a local folder."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="module")
def stack_on_servers(
    tmp_path_factory: pytest.TempPathFactory, _redis: None, postgres_server: Postgres, s3_server: dict[str, str]
) -> Iterator[Stack]:
    """PostgreSQL and S3."""
    folder = tmp_path_factory.mktemp("servers")
    (folder / "tmp").mkdir()
    places = {
        "MOTES_DATABASE_URL": postgres_server.url(postgres_server.create()),
        "MOTES_STORAGE_URL": f"s3://{BUCKET}/{folder.name}",
        "TMPDIR": str(folder / "tmp"),
    }
    with running_stack(folder, **places, **s3_server) as stack:
        yield stack
