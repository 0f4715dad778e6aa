"""The sandboxed process that decodes one file; ``services.media.sandbox.decoding`` starts it.

``python -m services.media.sandbox.decoding_process ORDER``, a JSON object: {decoder, path, options, memory, seconds,
nice, required, parent}. ``decoder`` is "module:function". Its module, with all that it imports, is loaded before the
process is confined; then the function is called with the path, a Channel and the options. Messages go to standard
output: first {missing}, then the decoder's own, or {error}.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from ecs_core.errors import MotesError
from services.media.sandbox.enter import enter_sandbox
from services.media.sandbox.messages import Channel
from services.processes.parent_death import end_with_parent

_BUFFER = 1 << 18  # bytes


def main() -> None:
    """Decode the file."""
    order = json.loads(sys.argv[1])
    end_with_parent(order["parent"], signal.SIGKILL)
    os.nice(order["nice"])
    with os.fdopen(os.dup(1), "wb", buffering=_BUFFER) as stream:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)  # what a library prints is no message
        os.close(nothing)
        _decode(order, Channel(stream))


def _decode(order: dict[str, Any], channel: Channel) -> None:
    path = Path(order["path"])
    module, _, function = order["decoder"].partition(":")
    decode = getattr(importlib.import_module(module), function)
    missing = enter_sandbox(memory=order["memory"], seconds=order["seconds"], reads=[path])
    channel.say(missing=missing)
    if missing and order["required"]:
        return
    try:
        decode(path, channel, **order["options"])
    except MotesError as error:
        channel.say(error=str(error))
    except MemoryError:
        channel.say(error=f"{path}: needs more than {order['memory'] >> 20} MB of memory to decode")


def decode_nothing(path: Path, channel: Channel) -> None:
    """A decoder that sends nothing: shows whether the sandbox works."""


if __name__ == "__main__":
    code = 1
    try:
        main()
        code = 0
    finally:
        os._exit(code)  # the interpreter's own end needs more than the sandbox allows
