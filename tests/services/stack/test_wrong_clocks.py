"""Processes with wrong and jumping clocks work beside others: nobody loses a lease or a file, and they say so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from bench.wrong_clock import EVERYBODY, set_clock
from tests.fork_server import ForkServer
from tests.services.stack.api_calls import create, submit
from tests.services.stack.conftest import Stack, listening, running_stack, until
from tests.waiting import HANG

pytestmark = pytest.mark.debian("redis-server")
MODULE = "bench.wrong_clock"
VIDEO = {"width": 320, "height": 180, "duration": 8.0, "particle_count": 2000}
MONTH = 31 * 24 * 3600.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
    """Its workers look for what has expired all the time."""
    settings = {"MOTES_KEEP_EVERY": "1", "MOTES_LEASE_SECONDS": "60"}  # long, as a busy machine is no wrong clock
    with running_stack(tmp_path_factory.mktemp("clocks"), forks, **settings) as stack:
        yield stack


def wrong_clock(stack: Stack, name: str, wrong: float) -> Path:
    """The folder that says by how much the clock of a process is wrong."""
    folder = stack.folder / f"{name}-clock"
    folder.mkdir()
    set_clock(folder, EVERYBODY, wrong)
    return folder


@contextmanager
def worker(stack: Stack, name: str, wrong: float) -> Iterator[Path]:
    """A worker whose clock is wrong; yields the folder that says by how much."""
    folder = wrong_clock(stack, name, wrong)
    stack.start(name, MODULE, str(folder), "worker", "--name", name, "--size", "1")
    try:
        yield folder
    finally:
        stack.stop(name)


def test_workers_with_wrong_clocks_render_with_others(stack: Stack) -> None:
    """Each of them looks twice a second for leases that have expired, and each second for what may be deleted."""
    first = submit(stack, create(stack, **VIDEO))
    assert stack.wait_for(first, "completed", "failed")["status"] == "completed"
    with ExitStack() as held:
        wrongs = {"ahead": 3600.0, "behind": -3600.0, "month": MONTH}
        for name, wrong in wrongs.items():
            held.enter_context(worker(stack, name, wrong))
        jumping = held.enter_context(worker(stack, "jumping", 0.0))
        for name, where in (("ahead", "ahead of"), ("behind", "behind"), ("month", "ahead of")):
            until(lambda name=name, where=where: f"{where} the database's" in stack.log(name), stack)
        stack.stop("worker")
        jumps = itertools.cycle((7200.0, -7200.0, MONTH, 0.0))
        jobs = [submit(stack, create(stack, **VIDEO, seed=seed)) for seed in range(3)]
        for job in jobs:

            def is_over(job: str = job) -> bool:
                set_clock(jumping, EVERYBODY, next(jumps))
                return stack.client.get(f"/jobs/{job}").json()["status"] not in ("queued", "rendering")

            until(is_over, stack)
        stack.start_worker()
    for job in (first, *jobs):
        assert stack.client.get(f"/jobs/{job}").json()["status"] == "completed"
        assert stack.client.get(f"/download/{job}").status_code == 200
    assert stack.rows("SELECT id FROM tasks WHERE attempt > 1 OR losses > 0") == []


def test_api_with_a_wrong_clock_says_so(stack: Stack) -> None:
    folder = wrong_clock(stack, "api", -3600.0)
    with listening() as listener:
        stack.start("late", MODULE, str(folder), "api", "--fd", str(listener.fileno()), listener=listener)
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=HANG) as client:
            until(lambda: abs(client.get("/particles/health").json()["clock"]["skew"] + 3600) < 60, stack)
            health = client.get("/particles/health").json()
            assert health["status"] == "degraded"
            assert "behind the database's" in health["clock"]["warning"]
            assert "motes_clock_skew_seconds -3" in client.get("/metrics").text
            late = client.post("/particles/create", json={"particle_type": "snow"}).json()["created_at"]
        stack.stop("late")
    right = stack.client.post("/create", json={"particle_type": "snow"}).json()["created_at"]
    assert abs(datetime.fromisoformat(right) - datetime.fromisoformat(late)) < timedelta(minutes=10)
    assert stack.client.get("/health").json()["clock"]["warning"] is None
