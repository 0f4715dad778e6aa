"""The cores that a process may use."""

from __future__ import annotations

import os
import subprocess
import sys


def test_affinity_counts_not_the_machine() -> None:
    core = min(os.sched_getaffinity(0))
    set_up = f"import os; os.sched_setaffinity(0, [{core}])"
    code = f"{set_up}; from ecs_core.cores import available_cores; print(available_cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
