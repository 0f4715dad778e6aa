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
def test_many_clients_see_no_error_and_leave_nothing_open() -> None:
    said = bench("bench/load.py", "--clients", "40", "--seconds", "8", "--jobs", "25")
    assert "no error, flat memory, no file left open: True; the other owner's job started next: True" in said


@pytest.mark.parametrize(
    "minutes",
    [pytest.param(0.15, marks=pytest.mark.campaign), pytest.param(60, marks=pytest.mark.nightly)],
)
@pytest.mark.usefixtures("_redis")
def test_after_work_with_faults_everything_is_as_it_was(minutes: float) -> None:
    assert "everything is as it was: True" in bench("bench/soak.py", "--minutes", f"{minutes:g}")
