"""The short form of bench/faults.py: everything is killed at random, nothing is lost, every frame is right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import ROOT
from tests.services.servers import BUCKET, Postgres

pytestmark = pytest.mark.debian("redis-server")


def nothing_is_lost(*more: str, kills: int, jobs: int, **places: str) -> None:
    """Each kind of fault happens once; how soon lost tasks begin again is printed, and not asked here."""
    command = (sys.executable, "bench/faults.py", "--kills", str(kills), "--jobs", str(jobs), "--seed", "5", *more)
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **places}, capture_output=True, text=True, check=False)
    print(done.stdout)
    assert "every job completed once, every frame as in an undisturbed render: True" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("kills", "jobs", "more"),
    [
        pytest.param(4, 3, (), marks=pytest.mark.campaign),
        pytest.param(6, 3, ("--redis",), marks=pytest.mark.campaign),
        pytest.param(300, 20, ("--redis",), marks=pytest.mark.nightly),
    ],
)
@pytest.mark.usefixtures("_redis")
def test_no_job_is_lost_or_done_twice_when_processes_are_killed(kills: int, jobs: int, more: tuple[str, ...]) -> None:
    nothing_is_lost(*more, kills=kills, jobs=jobs)


@pytest.mark.campaign
@pytest.mark.usefixtures("_redis")
def test_no_job_is_lost_with_postgresql_and_s3(
    postgres_server: Postgres, s3_server: dict[str, str], tmp_path: Path
) -> None:
    places = {
        "MOTES_DATABASE_URL": postgres_server.url(postgres_server.create()),
        "MOTES_STORAGE_URL": f"s3://{BUCKET}/{tmp_path.name}",
    }
    nothing_is_lost("--redis", kills=7, jobs=2, **places, **s3_server)
