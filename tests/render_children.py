"""Processes that render, forked from the fork server: ``render()`` in tests need not wait for Python and its imports.

How they really start is tested in ``tests/faults`` and wherever ``motes render`` runs.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from tests.fork_server import Forked, ForkServer

_FIRST = 200  # number of the first socket in the processes


class _Origin:
    """What ``ecs_core.rendering.pool`` uses of ``subprocess.Popen``."""

    def __init__(self, process: Forked, stdin: IO[bytes]) -> None:
        self._process, self.stdin = process, stdin
        self.pid, self.poll, self.wait, self.kill = process.pid, process.poll, process.wait, process.kill


def fork_children(forks: Callable[[], ForkServer]) -> Callable[..., object]:
    """A stand-in for ``pool._start``."""
    from ecs_core.rendering.environment import ENVIRONMENT
    from ecs_core.rendering.pool import _Child

    def start(folder: Path, count: int) -> list[_Child]:
        pairs = [socket.socketpair() for _ in range(count)]
        numbers = [_FIRST + number for number in range(count)]
        reading, writing = os.pipe()
        files = [reading, *(theirs.fileno() for _, theirs in pairs)]
        process = forks().start(
            "tests.render_children",
            json.dumps(numbers),
            str(folder),
            environment=os.environ | ENVIRONMENT,
            stdout=sys.__stdout__,
            stderr=sys.__stderr__,
            pass_fds=dict(zip([0, *numbers], files, strict=True)),
        )
        os.close(reading)
        for _, theirs in pairs:
            theirs.close()
        stdin = os.fdopen(writing, "wb", buffering=0)  # closed by the pool
        origin: Any = _Origin(process, stdin)
        return [_Child(origin, Connection(ours.detach()), forked=number > 0) for number, (ours, _) in enumerate(pairs)]

    return start


if __name__ == "__main__":
    from ecs_core.rendering.child import main

    main(json.loads(sys.argv[1]), sys.argv[2])
