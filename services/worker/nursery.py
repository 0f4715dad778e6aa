"""Nursery: a process that has loaded everything and forks a fresh one for each task.

``python -m services.worker.nursery SOCKET STORAGE`` reads a token a line from its standard input and forks a process
for each, which connects to SOCKET, says {"token", "pid"}, gets what to do as a line of JSON, and answers with lines of
JSON until {"done": true}, {"full": true} or {"error": …}. It ends with its standard input; its children end when nobody
listens.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any

_TELL_EVERY = 0.2  # seconds between reports of frames


def main() -> None:
    """Serve until standard input closes."""
    from ecs_core.errors import MotesError  # noqa: F401, PLC0415
    from ecs_core.warmup import rehearse  # noqa: PLC0415
    from services.storage import Storage  # noqa: F401, PLC0415
    from services.worker import work  # noqa: F401, PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    rehearse()
    path, storage = sys.argv[1:3]
    for line in sys.stdin:
        if os.fork() == 0:
            os._exit(_child(path, storage, line.strip()))


def _child(path: str, storage_url: str, token: str) -> int:
    from ecs_core.errors import MotesError  # noqa: PLC0415
    from services.storage import Storage  # noqa: PLC0415
    from services.worker import work  # noqa: PLC0415

    os.close(0)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        lines = connection.makefile("rw", encoding="utf-8")

        def say(message: Mapping[str, Any]) -> None:
            lines.write(json.dumps(message) + "\n")
            lines.flush()

        told = 0.0

        def tell(message: Mapping[str, Any]) -> None:
            nonlocal told
            if "progress" in message:
                if time.monotonic() - told < _TELL_EVERY:
                    return
                told = time.monotonic()
            say(message)

        try:
            say({"token": token, "pid": os.getpid()})
            work.run(json.loads(lines.readline()), Storage(storage_url), tell)
            say({"done": True})
        except (BrokenPipeError, ConnectionError):
            return 1
        except MotesError as error:
            say({"error": str(error)})
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                say({"full": True})
                return 0
            say({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
    return 0


if __name__ == "__main__":
    main()
