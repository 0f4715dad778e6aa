"""A real stack: redis-server, the API and a worker, each a process of its own, on free ports and in an empty folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from ecs_core import MotesError
from services.supervisor import free_port, redis_server

ROOT = Path(__file__).parents[3]


@dataclass
class Stack:
    """The processes by name, and a client of the API."""

    folder: Path
    environment: dict[str, str]
    client: httpx.Client
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def start_worker(self) -> None:
        self.start("worker", sys.executable, "-m", "services.worker")

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(20)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_for(self, job: str, *statuses: str, seconds: float = 60.0) -> dict[str, object]:
        """The job, as soon as it has one of the statuses."""
        end = time.monotonic() + seconds
        while True:
            found: dict[str, object] = self.client.get(f"/jobs/{job}").json()
            if found["status"] in statuses:
                return found
            assert time.monotonic() < end, (found, self.log("worker"))
            time.sleep(0.05)


@pytest.fixture(scope="session")
def _redis() -> None:
    """Skip, loudly (see the marker), where there is no redis-server: no wheel brings one for this Python."""
    try:
        redis_server()
    except MotesError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, _redis: None) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    redis, api = free_port(), free_port()
    environment = {
        **os.environ,
        "MOTES_DATA": str(folder / "data"),
        "MOTES_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        "MOTES_MEDIA_ROOT": str(folder / "media"),
        "MOTES_LEASE_SECONDS": "3",
    }
    (folder / "media").mkdir()
    server = redis_server()
    with httpx.Client(base_url=f"http://127.0.0.1:{api}/particles", timeout=30) as client:
        stack = Stack(folder, environment, client)
        stack.start("redis", server, "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
        stack.start("api", sys.executable, "-m", "uvicorn", "--factory", "services.api:create_app", "--port", str(api))
        stack.start_worker()
        _until(lambda: client.get("/health").status_code == 200, stack)
        yield stack
        for name in list(stack.processes):
            stack.stop(name)


def _until(what: Callable[[], bool], stack: Stack) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            if what():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, stack.log("api")
        time.sleep(0.1)
