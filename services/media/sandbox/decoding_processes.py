"""The side of those who decode: asks the decoding server for processes, see ``services.media.sandbox.decoding_server``.

The server starts with a new interpreter and almost no environment, so neither its memory nor that of the processes that
it forks holds secrets of ours.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from functools import cache

_ENVIRONMENT = ("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL")
_KILLED = -9  # the exit code of what ended together with the server
_MAX_NUMBER = 32  # bytes of a pid or an exit code


def bare_environment() -> dict[str, str]:
    """All that a process inherits of our environment: what Python needs to start."""
    return {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}


class DecodingProcess:
    """A sandboxed process: its ``answers``, its pid and its exit code. It is killed when this is closed."""

    def __init__(self, answers: socket.socket, connection: socket.socket) -> None:
        self.answers, self._connection = answers, connection
        self._pid: int | None = None
        self._code: int | None = None

    @property
    def pid(self) -> int:
        """The pid. Blocks until there is one."""
        while self._pid is None:
            self._connection.settimeout(None)
            self._note(self._received())
        return self._pid

    def known_pid(self) -> int:
        """The pid, or 0 if the server has not forked it yet."""
        if self._pid is None and select.select([self._connection], [], [], 0)[0]:
            self._note(self._received())
        return self._pid or 0

    def exit_code(self, timeout: float) -> int:
        """The exit code once it has ended, or minus the signal that ended it; TimeoutError if it does not end."""
        self._connection.settimeout(timeout)
        while self._code is None:
            self._note(self._received())
        return self._code

    async def exited(self) -> int:
        """Wait until it has ended; its exit code."""
        self._connection.setblocking(False)
        while self._code is None:
            message = b""
            with suppress(ConnectionError):
                message = await asyncio.get_running_loop().sock_recv(self._connection, _MAX_NUMBER)
            self._note(message)
        return self._code

    def _received(self) -> bytes:
        with suppress(ConnectionError):
            return self._connection.recv(_MAX_NUMBER)
        return b""

    def _note(self, message: bytes) -> None:
        if not message:  # the server was killed
            self._pid, self._code = self._pid or 0, _KILLED
        elif self._pid is None:
            self._pid = int(message)
        else:
            self._code = int(message)

    def kill(self) -> None:
        """Kill it, if it has not ended."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the files, which also kills it."""
        self.answers.close()
        self._connection.close()


class DecodingServer:
    """Starts processes that decode. The server starts with the first one, and anew if it has died.

    It serves this process and those that are forked from it later, and ends with the last of them.
    """

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._pid = self._parent = 0
        self._starting = threading.Lock()

    def start(self) -> socket.socket:
        """Start the server unless that has been done; its socket.

        Raises:
            OSError: it cannot be started, for instance for lack of memory.
        """
        with self._starting:
            if self._control is None:
                control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    try:
                        self._pid = os.posix_spawn(
                            sys.executable,
                            [sys.executable, "-m", "services.media.sandbox.decoding_server"],
                            bare_environment(),
                            file_actions=[
                                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_RDWR, 0),
                                (os.POSIX_SPAWN_DUP2, 1, 2),
                            ],
                            setpgroup=0,  # out of the terminal's group: Ctrl-C does not reach it
                        )
                    except BaseException:
                        control.close()
                        raise
                self._control, self._parent = control, os.getpid()
            return self._control

    def fork(self, order: bytes, file: int | None = None) -> DecodingProcess:
        """Have a process forked for an order.

        Raises:
            ConnectionResetError: the server died, and so did the next one.
        """
        for _ in range(2):
            control = self.start()
            answers, theirs = socket.socketpair()
            connection, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs, other:
                try:
                    socket.send_fds(
                        control, [order], [theirs.fileno(), other.fileno(), *([] if file is None else [file])]
                    )
                    return DecodingProcess(answers, connection)
                except ConnectionError:
                    answers.close()
                    connection.close()
                    self._forget(control)
        raise ConnectionResetError("the decoding server was killed")

    def _forget(self, dead: socket.socket) -> None:
        with self._starting:
            if self._control is dead:
                self._end()

    def close(self) -> None:
        """End the server."""
        with self._starting:
            self._end()

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
            if self._parent == os.getpid():  # otherwise whoever started it waits for it
                with suppress(ChildProcessError):  # it has ended, and SIGCHLD is ignored: the pid may be another's
                    if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                        os.kill(self._pid, signal.SIGKILL)
                        os.waitpid(self._pid, 0)


@cache
def decoding_server() -> DecodingServer:
    """The server of this process."""
    return DecodingServer()
