"""Nursery: a process that has loaded everything and forks a fresh one for each task.

``python -m services.worker.fork_server STORAGE NICE WORKER`` has a Unix socket as its standard input. It forks
a process for each socket that is sent through it; that process says {"pid"}, gets what to do as a line of JSON,
and answers with lines of JSON until {"done": true}, {"wait": …} or {"error": …}. After the first of these it can be
given more to do.
The fork_server ends with its worker, its children when nobody listens.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.processes.parent_death import end_with_parent

_REPORT_EVERY = 0.2  # seconds between reports of frames


def main() -> None:
    """Serve until standard input closes."""
    end_with_parent(int(sys.argv[3]), signal.SIGKILL)
    from ecs_core.errors import MotesError  # noqa: F401 - for whoever is forked
    from ecs_core.warmup import load_kernels
    from services.jobs.render_spec import renderable_versions
    from services.storage.object_store import Storage  # noqa: F401 - for whoever is forked
    from services.worker import task_runner  # noqa: F401 - for whoever is forked

    renderable_versions()  # those that are loaded, whatever is installed later
    os.nice(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    load_kernels()
    # Where kernels had to be compiled, errors that the compiler met keep the frame that was drawn, and FFmpeg's threads
    # with it. Threads are not inherited: a process that threw the frame away would wait for their end for ever.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=0) as control:
        while files := socket.recv_fds(control, 1, 1)[1]:
            with socket.socket(fileno=files[0]) as connection:
                if os.fork() == 0:
                    code = 1
                    try:
                        control.close()
                        code = _child(connection, sys.argv[1])
                    finally:
                        os._exit(code)


def _child(connection: socket.socket, storage_url: str) -> int:
    from ecs_core.errors import MotesError
    from services.storage.object_store import Storage, retry_reason
    from services.worker import task_runner

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # it wants to know how what decodes a song ends
    lines = connection.makefile("rw", encoding="utf-8")

    def say(message: Mapping[str, Any]) -> None:
        lines.write(json.dumps(message) + "\n")
        lines.flush()

    told = 0.0

    def tell(message: Mapping[str, Any]) -> None:
        nonlocal told
        if "progress" in message:
            if time.monotonic() - told < _REPORT_EVERY:
                return
            told = time.monotonic()
        say(message)

    try:
        say({"pid": os.getpid()})
        storage = Storage(storage_url)
        while spec := lines.readline():  # until nobody wants it any more
            spent = task_runner.run(json.loads(spec), storage, tell)
            say({"done": True, "spent": asdict(spent)})
    except (BrokenPipeError, ConnectionError):
        return 1
    except task_runner.OtherVersionError:
        changed = "Motes was upgraded under this worker"
        say({"wait": f"{changed}; it waits for another one", "trace": f"{changed}: start it again"})
    except MotesError as error:
        said = {"error": str(error)}
        say(said if error.__cause__ is None else {**said, "trace": traceback.format_exc()})
    except Exception as error:
        if (reason := retry_reason(error)) is not None:
            say({"wait": reason, "trace": traceback.format_exc()})
        else:
            say({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
    return 0


if __name__ == "__main__":
    main()
