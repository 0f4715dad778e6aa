"""``python bench/wrong_clock.py FOLDER WORDS`` runs a ``motes`` command whose processes may have wrong clocks.

A file in the folder named by the pid of a process, or ``all``, says by how many seconds its clock is wrong; it may
appear, change and go at any time: then the clock jumps.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

EVERYBODY = "all"
_right, _right_ns = time.time, time.time_ns


def wrong_by(folder: Path) -> float:
    """Seconds by which the clock of this process is wrong."""
    for name in (str(os.getpid()), EVERYBODY):
        try:
            return float((folder / name).read_text())
        except (OSError, ValueError):  # a disk is full
            continue
    return 0.0


def set_clock(folder: Path, name: str, seconds: float) -> None:
    """Make a clock wrong by so many seconds."""
    part = folder / f"{name}.part"
    part.write_text(str(seconds))
    part.replace(folder / name)


def main() -> int:
    """Run the command."""
    folder = Path(sys.argv[1])
    time.time = lambda: _right() + wrong_by(folder)
    time.time_ns = lambda: _right_ns() + int(wrong_by(folder) * 1e9)
    from services.cli.main import main  # with the wrong clock

    return main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
