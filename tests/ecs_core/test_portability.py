"""A lock of a file is held by one process, ends with it, and is not waited for where there are no locks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ecs_core.portability import locked
from tests.waiting import HANG

HOLD = """
import sys
from pathlib import Path
from ecs_core.portability import locked

with locked(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_ends_with_its_process(tmp_path: Path) -> None:
    path, waited = tmp_path / "lock", []
    path.touch()
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"

        def waiting() -> None:
            waited.append(len(waited))
            if len(waited) == 2:
                process.kill()
                process.wait(HANG)

        with locked(path, waiting):
            assert waited[:2] == [0, 1]
    assert [each.name for each in tmp_path.iterdir()] == ["lock"]
    assert path.stat().st_size == 0


def test_nobody_waits_where_files_cannot_be_locked(tmp_path: Path) -> None:
    with locked(tmp_path, lambda: None):  # a folder
        pass
    (tmp_path / "other").write_text("not what SQLite wrote, and longer than its header" * 50)
    with locked(tmp_path / "other", lambda: None):
        pass
