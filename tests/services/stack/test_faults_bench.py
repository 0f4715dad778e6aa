"""The short form of bench/faults.py: everything is killed at random, nothing is lost, every frame is right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.service import ROOT

pytestmark = pytest.mark.debian("redis-server")


@pytest.mark.usefixtures("_redis")
def test_no_job_is_lost_or_done_twice_whatever_is_killed() -> None:
    command = (sys.executable, "bench/faults.py", "--kills", "8", "--jobs", "3", "--seed", "5")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every job completed once, every frame as in an undisturbed render: True" in done.stdout
