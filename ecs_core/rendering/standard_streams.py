"""Messages between a parent and a child through the child's standard input and output.

That is how they talk where a child cannot inherit a socket (:mod:`ecs_core.portability`): pipes to standard streams are
what every system has.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import IO, Any

_SIZE = 8  # bytes in front of a message that say how long it is


class Input:
    """The standard input of a child, for its parent."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: the child has ended.
        """
        _write(self._stream, message)


def connection_from(process: subprocess.Popen[bytes]) -> Connection[Any, Any]:
    """A connection on which arrives what a child sends, and which ends when the child ends.

    A thread passes the messages on, as Windows cannot wait for several standard outputs at once.
    """
    assert process.stdout is not None
    arriving, passing = Pipe(duplex=False)

    def pass_on(stream: IO[bytes]) -> None:
        with stream, passing, suppress(OSError):  # an OSError: nobody waits for messages any more
            while (message := _read(stream)) is not None:
                passing.send_bytes(message)

    threading.Thread(target=pass_on, args=(process.stdout,), daemon=True).start()
    return arriving


def take_standard_output() -> int:
    """A descriptor of the standard output; whatever else the process prints goes to standard error from now on."""
    sys.stdout.flush()
    outgoing = os.dup(1)
    os.dup2(2, 1)
    return outgoing


class StandardStreams:
    """The parent, for a child: receives from standard input and sends to standard output; one per process.

    ``outgoing`` is from :func:`take_standard_output`. A thread reads. When the parent has ended it calls ``ended``,
    which has to leave the process. Load native libraries first: on Windows, those that look at standard input
    while they are loaded would wait for a read of it to end (https://github.com/numpy/numpy/issues/24290). Those that
    do so later see an empty one.
    """

    def __init__(self, ended: Callable[[], object], outgoing: int) -> None:
        incoming, self._outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(outgoing, "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._ended = ended
        self._messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def read() -> None:
            while (message := _read(incoming)) is not None:
                self._messages.put(message)
            ended()

        threading.Thread(target=read, daemon=True).start()

    def send(self, message: object) -> None:
        """Send a message."""
        try:
            _write(self._outgoing, message)
        except OSError:
            self._ended()

    def recv(self) -> Any:
        """The next message."""
        return pickle.loads(self._messages.get())


def _write(stream: IO[bytes], message: object) -> None:
    data = pickle.dumps(message)
    stream.write(len(data).to_bytes(_SIZE, "big"))
    stream.write(data)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    """The next message, or None if there is no whole one: whoever wrote it has ended."""
    size = stream.read(_SIZE)
    if len(size) < _SIZE:
        return None
    message = stream.read(length := int.from_bytes(size, "big"))
    return message if len(message) == length else None
