"""python -m tests.hostile.trial_processes: forks the probing child for each file, as the service starts it, but faster.

Reads paths from standard input, a line each; writes what came of it as a line of JSON: {code, said, memory, seconds},
the exit code or minus a signal, standard output, bytes of the largest resident set, and seconds of the processor.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress

from services.media import probe_process

_LONGEST = 300.0  # seconds until a child has failed the test


def probed(path: str) -> dict[str, object]:
    """What a child makes of the file."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.dup2(there, 1)
            os.closerange(3, 100)
            os.dup2(os.open(os.devnull, os.O_RDWR), 2)
            sys.argv = ["probing", path, str(os.getppid())]
            gc.freeze()
            probe_process.main()
            sys.stdout.flush()
            os._exit(0)
        os._exit(1)
    os.close(there)
    said, end = b"", time.monotonic() + _LONGEST
    with os.fdopen(here, "rb", buffering=0) as stream:
        while select.select([stream], [], [], max(0.0, end - time.monotonic()))[0] and (more := stream.read(1 << 16)):
            said += more
    if time.monotonic() > end:
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "said": said.decode(errors="replace"),
        "memory": used.ru_maxrss * 1024,
        "seconds": used.ru_utime + used.ru_stime,
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(probed(line.rstrip("\n"))), flush=True)
