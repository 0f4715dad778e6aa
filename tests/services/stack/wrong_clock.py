"""``python -m tests.services.stack.wrong_clock FILE WORDS`` runs a ``motes`` command in a process whose clock is wrong.

The file says by how many seconds, and may change at any time: then the clock jumps.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from services.cli.main import main

_right, _right_ns = time.time, time.time_ns


def _wrong() -> float:
    return float(Path(sys.argv[1]).read_text())


if __name__ == "__main__":
    time.time = lambda: _right() + _wrong()
    time.time_ns = lambda: _right_ns() + int(_wrong() * 1e9)
    sys.exit(main(sys.argv[2:]))
