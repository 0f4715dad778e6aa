"""Every script in bench/ can at least be imported: a renamed module must not break one that nobody runs for weeks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"


def test_every_script_can_be_imported() -> None:
    names = sorted(path.stem for path in BENCH.glob("*.py"))
    assert len(names) > 10
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        (sys.executable, "-c", program, *names),
        env={"PYTHONPATH": f"{BENCH}:{BENCH.parent}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
