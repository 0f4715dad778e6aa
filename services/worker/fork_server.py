"""Fork server: a process that has loaded everything and forks a new process for each task.

``python -m services.worker.fork_server NICE WORKER`` has a Unix socket as its standard input. For each socket
sent through it, it forks a process, which reports {"pid"}, reads a task as a line of JSON, and answers with lines of
JSON until {"done": true}, {"wait": …}, {"lost": …}, {"died": …} or {"error": …}. After the first of these it can take
another task. While the task advances, it sends {"beat": number of steps done}; see ``services.worker.watchdog``.
The fork server ends with its worker, the children when their socket closes.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from services.media.sandbox.decoding_processes import decoding_server
from services.observability.masking import masked
from services.processes.child_memory import MemoryAllowance, is_out_of_memory
from services.processes.fork_server_command import STORAGE
from services.processes.parent_death import end_with_parent
from services.processes.process_title import set_process_title

_SHOWN = ("error", "wait", "trace")  # to clients and in logs
_REPORT_EVERY = 0.2  # seconds between progress reports
_BEAT_EVERY = 0.25  # seconds between heartbeats


def main() -> None:
    """Serve until standard input closes."""
    end_with_parent(int(sys.argv[2]), signal.SIGKILL)
    gc.disable()  # nothing to be found while everything is loaded
    from ecs_core.errors import MotesError  # noqa: F401 - loaded for the children
    from ecs_core.warmup import load_kernels
    from services.jobs.render_spec import renderable_versions
    from services.storage.object_store import Storage  # noqa: F401 - loaded for the children
    from services.worker import task_runner  # noqa: F401 - loaded for the children

    renderable_versions()  # caches the versions loaded now, whatever is installed later
    os.nice(int(sys.argv[1]))
    decoding_server().start()  # for all children
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    load_kernels()
    # If kernels were compiled here, exceptions from the compiler keep the frame that was drawn alive, and FFmpeg's
    # threads with it. Threads are not inherited: a child that freed the frame would wait for them for ever.
    gc.collect()
    gc.freeze()
    gc.enable()
    with socket.socket(fileno=0) as control:
        while files := socket.recv_fds(control, 1, 1)[1]:
            with socket.socket(fileno=files[0]) as connection:
                if os.fork() == 0:
                    code = 1
                    try:
                        control.close()
                        code = _child(connection, os.environ[STORAGE])
                    finally:
                        os._exit(code)


def _child(connection: socket.socket, storage_url: str) -> int:
    from ecs_core.errors import MotesError
    from ecs_core.heartbeat import listen
    from services.storage.object_store import LostFileError, Storage, retry_reason
    from services.worker import task_runner

    lines, writing = connection.makefile("rw", encoding="utf-8"), threading.Lock()

    def say(message: Mapping[str, Any]) -> None:
        shown = {name: masked(value) if name in _SHOWN else value for name, value in message.items()}
        with writing:
            lines.write(json.dumps(shown) + "\n")
            lines.flush()

    reported, allowance, spec = 0.0, MemoryAllowance(), dict[str, Any]()

    def report(message: Mapping[str, Any]) -> None:
        nonlocal reported
        if "progress" in message:
            if time.monotonic() - reported < _REPORT_EVERY:
                return
            reported = time.monotonic()
        say(message)

    try:
        say({"pid": os.getpid()})
        listen(lambda count: say({"beat": count}), every=_BEAT_EVERY)
        storage = Storage(storage_url)
        while line := lines.readline():  # until the worker closes the socket
            spec = json.loads(line)
            set_process_title(f"motes task {spec['task']}:{spec['attempt']}")
            allowance.grant(spec.get("memory"))
            spent = task_runner.run(spec, storage, report)
            say({"done": True, "spent": asdict(spent)})
    except (BrokenPipeError, ConnectionError):
        return 1
    except task_runner.OtherVersionError:
        changed = "Motes was upgraded under this worker"
        say({"wait": f"{changed}; it waits for another one", "trace": f"{changed}: start it again"})
    except LostFileError as error:
        say({"lost": error.key, "trace": traceback.format_exc()})
    except Exception as error:
        allowance.grant(None)  # to say so
        if is_out_of_memory(error):
            most = f" (limit {spec['memory'] // 10**6} MB)" if spec.get("memory") else ""
            say({"died": f"ran out of memory{most}", "trace": traceback.format_exc()})
        elif isinstance(error, MotesError):
            message = {"error": str(error)}
            say(message if error.__cause__ is None else {**message, "trace": traceback.format_exc()})
        elif (reason := retry_reason(error)) is not None:
            say({"wait": reason, "trace": traceback.format_exc()})
        else:
            say({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
    return 0


if __name__ == "__main__":
    main()
