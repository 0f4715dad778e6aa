"""python -m tests.hostile.trial_processes: forks the probing child for each file, as the service starts it, but faster.

Reads paths from standard input, a line each; writes what came of it as a line of JSON: {code, said, memory, seconds},
the exit code or minus a signal, its answer, bytes of the largest resident set, and seconds of the processor.
"""

from __future__ import annotations

import gc
import io
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress

from services.media import song_decoder
from services.media.decoding_limits import CPU_LIMIT, MEMORY_LIMIT
from services.media.sandbox import decoding_server
from services.media.sandbox.messages import Channel, Text, read_message

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
            order = {"decoder": f"{song_decoder.__name__}:measure", "path": path, "options": {}, "required": False}
            order |= {"memory": MEMORY_LIMIT, "seconds": CPU_LIMIT}
            os.nice(5)
            gc.freeze()
            with os.fdopen(1, "wb") as stream:
                decoding_server.decode(order, Channel(stream))
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
        "said": "".join(f"{line}\n" for line in answers(said)),
        "memory": used.ru_maxrss * 1024,
        "seconds": used.ru_utime + used.ru_stime,
    }


def answers(said: bytes) -> list[str]:
    """What a child says after it has said what the kernel cannot restrict."""
    stream, found = io.BytesIO(said), []
    while (message := read_message(stream.read, max_bytes=0)) is not None:
        assert isinstance(message, Text)
        found.append(message.json.decode(errors="replace"))
    return found[1:]


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(probed(line.rstrip("\n"))), flush=True)
