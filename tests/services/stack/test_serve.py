"""``motes serve``: one command runs everything, starts again what dies, and stops cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.supervisor import free_port

pytestmark = pytest.mark.debian("redis-server")


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while True:
        try:
            if found := what():
                return found
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def programs(pid: int) -> dict[str, int]:
    """The processes that a process started, by what they run."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        name = next((name for name in ("redis-server", "uvicorn", "services.worker") if name in " ".join(words)), "?")
        found[name] = int(child)
    return found


@pytest.mark.usefixtures("_redis")
def test_one_command_runs_everything(tmp_path: Path) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
    command = (sys.executable, "-m", "services.cli.main", "serve", "--workers", "1", "--port", str(port))
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen((*command, "--data", tmp_path / "data"), env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/particles") as client:
            wait_for(lambda: client.get("/health").json()["status"] == "healthy")
            before = programs(process.pid)
            assert set(before) == {"redis-server", "uvicorn", "services.worker"}
            config = {"width": 160, "height": 90, "duration": 1.0}
            created = client.post("/create", json={"particle_type": "snow", "config": config}).json()
            for name in ("services.worker", "redis-server"):
                os.kill(before[name], signal.SIGKILL)
            wait_for(lambda: {"redis-server", "services.worker"} <= set(programs(process.pid)))
            job = client.post(f"/systems/{created['system_id']}/render", json={}).json()["job_id"]
            wait_for(lambda: client.get(f"/jobs/{job}").json()["status"] == "completed", 60)
        started = programs(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in started.values())
    finally:
        process.kill()
        process.wait()
        print((tmp_path / "log").read_text())
