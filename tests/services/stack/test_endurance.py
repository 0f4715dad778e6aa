"""The short form of bench/load.py and bench/soak.py: many clients at once, and everything as it was in the end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.service import ROOT

pytestmark = pytest.mark.debian("redis-server")


def bench(*words: str) -> str:
    done = subprocess.run((sys.executable, *words), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.campaign
@pytest.mark.usefixtures("_redis")
def test_many_clients_cause_no_errors_or_leaks() -> None:
    said = bench("bench/load.py", "--clients", "40", "--seconds", "8", "--jobs", "25")
    assert "no errors, flat memory, no leaked files: True; the second owner's job started next: True" in said


@pytest.mark.parametrize(
    "minutes",
    [pytest.param(0.15, marks=pytest.mark.campaign), pytest.param(60, marks=pytest.mark.nightly)],
)
@pytest.mark.usefixtures("_redis")
def test_faults_under_load_leave_no_leaks(minutes: float) -> None:
    assert "nothing grew: True" in bench("bench/soak.py", "--minutes", f"{minutes:g}")
