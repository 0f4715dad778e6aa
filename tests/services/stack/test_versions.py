"""Two versions of Motes on one queue: workers that are processes of their own, one of which takes itself for newer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from services.database.engine import open_database
from services.database.migrations import head_revision
from services.jobs.render_spec import VERSION_LENGTH, renderable_versions
from tests.fork_server import ForkServer
from tests.services.stack.api_calls import SMALL, create, rendered, submit
from tests.services.stack.conftest import MOTES, ROOT, Stack, running_stack, until

pytestmark = pytest.mark.debian("redis-server")

LONG = {"width": 480, "height": 270, "duration": 16.0, "particle_count": 300}
# What Python loads before anything else where this lies on its path.
PRETEND = """
from importlib.metadata import Distribution
real = Distribution.version.fget
Distribution.version = property(lambda self: "9.9" if self.metadata["Name"] == "motes" else real(self))
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
    """A worker of the next version takes over jobs that nobody worked on for two leases; so they are short here."""
    with running_stack(tmp_path_factory.mktemp("versions"), forks, MOTES_LEASE_SECONDS="5") as stack:
        yield stack


@pytest.fixture
def next_worker(stack: Stack, tmp_path: Path) -> Iterator[None]:
    """A worker of the next version, beside the one that there is."""
    (tmp_path / "sitecustomize.py").write_text(PRETEND)
    command = (sys.executable, "-m", MOTES, "worker", "--name", "next")
    with (stack.folder / "next.log").open("wb") as log:
        environment = stack.environment | {"PYTHONPATH": str(tmp_path)}
        stack.processes["next"] = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    yield
    if "next" in stack.processes:
        stack.stop("next")


def workers_of(stack: Stack, job: str) -> set[str]:
    """The workers that ran the tasks of a job."""
    rows = stack.rows("SELECT worker FROM tasks WHERE job_id = :job", job=job)
    return {str(row["worker"]).split(":")[1] for row in rows}


def key(stack: Stack, job: str) -> str:
    [row] = stack.rows("SELECT scene_key FROM jobs WHERE id = :job", job=job)
    return str(row["scene_key"])


def move_database(stack: Stack, structure: str) -> None:
    async def move() -> None:
        engine, sessions = open_database(stack.database)
        async with sessions.begin() as session:
            for change in ("alembic_version SET version_num", "compatibility SET oldest"):
                await session.execute(text(f"UPDATE {change} = :structure"), {"structure": structure})
        await engine.dispose()

    asyncio.run(move())


@pytest.mark.campaign
@pytest.mark.usefixtures("next_worker")
def test_newer_worker_adopts_jobs_when_no_older_one_is_left(stack: Stack) -> None:
    first = rendered(stack, create(stack, **SMALL, seed=71))
    assert workers_of(stack, first) == {"worker"}

    # The old one goes in the middle of a job; what it made of it may not be mixed with what the other one makes.
    second = submit(stack, create(stack, **LONG, seed=72))
    until(lambda: stack.client.get(f"/jobs/{second}").json()["frames_done"] > 0, stack)
    before = key(stack, second)
    stack.stop("worker")
    job = stack.wait_for(second, "completed", "failed")
    assert job["status"] == "completed", job
    after = key(stack, second)
    assert before[:VERSION_LENGTH] in renderable_versions()
    assert after[:VERSION_LENGTH] not in renderable_versions()
    assert workers_of(stack, second) == {"next"}
    assert not [name for name in stack.files() if before in name]
    assert stack.client.get(f"/download/{second}").status_code == 200
    assert stack.client.get(f"/download/{first}").status_code == 200


def test_worker_exits_with_one_line_after_a_schema_upgrade(stack: Stack) -> None:
    if "worker" not in stack.processes:  # the test above has stopped it
        stack.start_worker()
    job = submit(stack, create(stack, **LONG, seed=74))
    until(lambda: stack.client.get(f"/jobs/{job}").json()["frames_done"] > 0, stack)
    move_database(stack, "9999")
    try:
        process = stack.processes.pop("worker")
        assert process.wait() == 2
        last = stack.log("worker").strip().splitlines()[-1]
        assert last.startswith(f"motes: error: schema revision 9999 is newer than this Motes knows ({head_revision()})")
        assert stack.client.get("/health").status_code == 503
    finally:
        move_database(stack, head_revision())
    assert stack.client.get("/health").status_code == 200
    stack.start_worker()
    assert stack.wait_for(job, "completed", "failed")["status"] == "completed"
