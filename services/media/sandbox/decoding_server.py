"""The decoding server: a process that forks a sandboxed process for each file to decode.

``python -m services.media.sandbox.decoding_server`` has a Unix socket (SOCK_SEQPACKET) as its standard input. Each
message is an order, a JSON object {decoder, path, options, memory, seconds, nice, required}, with two sockets and, if
the file has no path, the file. ``decoder`` is "module:function"; its module, with all that it imports, is loaded here,
once. Then a process is forked, confines itself, and calls the function with the path, a Channel and the options.

Answers go to the first socket: {missing}, then the decoder's own messages, or {error}. The second one, a connection to
whoever asked, gets the process's pid and then its exit code; when it is closed at the other end, the process is killed.
The server ends when nobody has its socket any more, and all that it forked ends with it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ecs_core.errors import MotesError
from services.media.sandbox.enter import enter_sandbox
from services.media.sandbox.messages import Channel
from services.processes.parent_death import end_with_parent

_BUFFER = 1 << 18  # bytes
_MAX_ORDER = 1 << 16  # bytes
_FILES = 3
_ANSWERS = 3  # the descriptor in the forked process
_MAX_FILES = 1 << 16


def main() -> None:
    """Serve until standard input closes."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # exit codes are needed, also where our parent ignores it
    with socket.socket(fileno=0) as control:
        _Server(control).serve()


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._running: dict[int, tuple[int, socket.socket]] = {}  # by pidfd: the pid, and who asked
        self._pidfds: dict[int, int] = {}  # by the descriptor of who asked

    def serve(self) -> None:
        while True:
            for number, _ in self._poll.poll():
                if number == self._control.fileno():
                    order, files, _, _ = socket.recv_fds(self._control, _MAX_ORDER, _FILES)
                    if not order:
                        return
                    try:
                        self._fork(json.loads(order), *files)
                    except (OSError, TypeError):  # no memory, or no room for files: as if the process had been killed
                        for file in files:
                            with suppress(OSError):
                                os.close(file)
                elif number in self._running:
                    self._report(number)
                elif number in self._pidfds:  # unless it has been reported just now
                    self._poll.unregister(number)
                    signal.pidfd_send_signal(self._pidfds[number], signal.SIGKILL)

    def _fork(self, order: dict[str, Any], answers: int, asking: int, file: int | None = None) -> None:
        module = order["decoder"].partition(":")[0]
        if module not in sys.modules:
            with suppress(Exception):  # the forked process fails for the same reason
                importlib.import_module(module)
            gc.collect()
            gc.freeze()  # shared with the forked processes
        server = os.getpid()
        if (pid := os.fork()) == 0:
            code = 1
            try:
                end_with_parent(server, signal.SIGKILL)
                _keep_only(answers, file)
                _decode(order)
                code = 0
            finally:
                os._exit(code)  # the interpreter's own end needs more than the sandbox allows
        pidfd = os.pidfd_open(pid)
        connection = socket.socket(fileno=asking)
        os.close(answers)
        if file is not None:
            os.close(file)
        self._running[pidfd], self._pidfds[connection.fileno()] = (pid, connection), pidfd
        self._poll.register(pidfd, select.POLLIN)
        self._poll.register(connection, select.POLLIN)
        with suppress(OSError):
            connection.send(b"%d" % pid)

    def _report(self, pidfd: int) -> None:
        """Report how a process ended."""
        pid, connection = self._running.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        with suppress(KeyError):
            self._poll.unregister(connection)
        del self._pidfds[connection.fileno()]
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with connection, suppress(OSError):
            connection.send(b"%d" % code)


def _keep_only(answers: int, file: int | None) -> None:
    """Close all files but the answers, and the file as standard input."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing if file is None else file, 0)
    os.dup2(nothing, 1)  # what a library prints is no message
    os.dup2(nothing, 2)
    os.dup2(answers, _ANSWERS)
    os.closerange(_ANSWERS + 1, _MAX_FILES)


def _decode(order: dict[str, Any]) -> None:
    os.nice(order["nice"])
    with os.fdopen(_ANSWERS, "wb", buffering=_BUFFER) as stream:
        decode(order, Channel(stream))


def decode(order: dict[str, Any], channel: Channel) -> None:
    """Confine this process for good, and do as ordered; see above."""
    path = Path(order["path"])
    module, _, function = order["decoder"].partition(":")
    decoder = getattr(importlib.import_module(module), function)
    missing = enter_sandbox(memory=order["memory"], seconds=order["seconds"], reads=[path])
    channel.say(missing=missing)
    if missing and order["required"]:
        return
    try:
        decoder(path, channel, **order["options"])
    except MotesError as error:
        channel.say(error=str(error))
    except MemoryError:
        channel.say(error=f"{path}: needs more than {order['memory'] >> 20} MB of memory to decode")


def decode_nothing(path: Path, channel: Channel) -> None:
    """A decoder that sends nothing: shows whether the sandbox works."""


if __name__ == "__main__":
    main()
