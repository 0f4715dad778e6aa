"""What a killed process leaves behind belongs to the supervisor, which waits for it and ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.waiting import HANG

ROOT = Path(__file__).parents[3]
BEGIN = """
import os, subprocess, sys, time
from services.processes.orphans import adopt_orphans, end_orphans, reap_orphans

def orphan(code):
    '''The pid of a process whose parent ends at once.'''
    start = "from subprocess import DEVNULL, Popen; import sys; "
    start += f"print(Popen([sys.executable, '-c', {code!r}], stdout=DEVNULL).pid)"
    return int(subprocess.run([sys.executable, "-c", start], stdout=subprocess.PIPE, check=True).stdout)

adopt_orphans()
"""


def printed(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=HANG
    )
    return done.stdout.split()


def test_orphans_are_reaped_but_not_known_children() -> None:
    code = """
known = subprocess.Popen([sys.executable, "-c", ""])
gone = orphan("")
while os.path.exists(f"/proc/{gone}"):
    reap_orphans([known.pid])
    time.sleep(0.01)
print(known.wait())
"""
    assert printed(code) == ["0"]


def test_orphans_that_stay_are_killed_in_the_end() -> None:
    code = """
stays, goes = orphan("import time; time.sleep(600)"), orphan("")
end_orphans(0.1)
print(os.path.exists(f"/proc/{stays}"), os.path.exists(f"/proc/{goes}"))
"""
    assert printed(code) == ["False", "False"]
