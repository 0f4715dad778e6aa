"""One machine without a Redis: workers are woken by the API and by each other, and nothing is lost with any of them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service import MOTES, ROOT, environment_of, serving, wait_for

SMALL = {"width": 160, "height": 90, "duration": 3.0, "particle_count": 50}
# A worker that, if it dispatches, looks for work once and then only when it is called.
_DEAF = """
import sys
from services.cli.main import main
from services.jobs import dispatcher
dispatcher._SOON = dispatcher._LOOK_EVERY = 1e9
sys.exit(main(["worker", "--size", "1", "--name", sys.argv[1]]))
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes of a service whose queue is a folder."""
    more = {"MOTES_REDIS_URL": f"local://{tmp_path}/queue", "MOTES_LOG_LEVEL": "warning"}
    environment = environment_of(tmp_path, more)
    with ExitStack() as stack:

        def started(*command: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            if process.stdout is not None:
                stack.callback(process.stdout.close)
            return process

        yield started


def address(api: subprocess.Popen[str]) -> str:
    assert api.stdout is not None
    found = re.search(r"http://\S+/particles", api.stdout.readline())
    assert found is not None
    return found[0]


def render(client: httpx.Client) -> str:
    system = client.post("/create", json={"particle_type": "snow", "config": SMALL}).raise_for_status().json()
    return str(client.post(f"/systems/{system['system_id']}/render", json={}).raise_for_status().json()["job_id"])


def job(client: httpx.Client, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/jobs/{id_}").json()
    return found


def workers(folder: Path) -> int:
    return len(list((folder / "queue/workers").glob("*"))) if (folder / "queue/workers").is_dir() else 0


def test_workers_without_polling_are_woken_for_every_task(tmp_path: Path, start: Start) -> None:
    url = address(start(*MOTES, "api", "--port", "0"))
    for name in ("one", "two"):
        start(sys.executable, "-c", _DEAF, name)
    wait_for(lambda: workers(tmp_path) == 2)  # they have looked, and there was nothing
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        health = client.get("/health").json()
        assert (health["status"], health["redis"]) == ("healthy", True)
        for _ in range(2):
            video = render(client)
            wait_for(lambda video=video: job(client, video)["status"] == "completed")


def test_killed_worker_and_api_lose_no_jobs(tmp_path: Path, start: Start) -> None:
    api, worker = start(*MOTES, "api", "--port", "0"), start(*MOTES, "worker", "--size", "1", "--name", "one")
    with httpx.Client(base_url=address(api), timeout=60, trust_env=False) as client:
        video = render(client)
        wait_for(lambda: job(client, video)["status"] == "rendering")
    for process in (worker, api):
        process.send_signal(signal.SIGKILL)
        process.wait()
    api = start(*MOTES, "api", "--port", "0")
    start(*MOTES, "worker", "--size", "1", "--name", "one")
    with httpx.Client(base_url=address(api), timeout=60, trust_env=False) as client:
        wait_for(lambda: job(client, video)["status"] == "completed")


def test_serve_explains_when_redis_is_needed(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        assert service.process.stdout is not None
        said = service.process.stdout.readline()
    advice = "set MOTES_REDIS_URL to share work between them"
    assert said == f"Running without Redis, which only several machines need: {advice}\n"
