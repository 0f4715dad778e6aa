"""Bait: a song that only a tricked decoder would open, and a port that only a tricked decoder would call."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.containers import wav

_OPENED_OR_READ = 0x20 | 0x01  # inotify(7)


@dataclass
class Bait:
    """It lies beside the files that refer to it; :meth:`taken` says how it was touched."""

    file: Path
    tcp: socket.socket
    udp: socket.socket
    _watch: int = field(init=False)

    def __post_init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._watch >= 0
        assert libc.inotify_add_watch(self._watch, os.fsencode(self.file), _OPENED_OR_READ) >= 0

    @property
    def port(self) -> int:
        """Where both sockets listen."""
        return int(self.tcp.getsockname()[1])

    def taken(self) -> list[str]:
        """What was done to it since the last look."""
        found = []
        for what, receive in (("opened", self._read), ("called", self._accept), ("sent to", self._receive)):
            try:
                receive()
            except BlockingIOError:
                continue
            found.append(what)
        return found

    def _read(self) -> bytes:
        return os.read(self._watch, 4096)

    def _accept(self) -> None:
        self.tcp.accept()[0].close()

    def _receive(self) -> bytes:
        return self.udp.recv(100)

    def close(self) -> None:
        """Forget it."""
        os.close(self._watch)


@contextmanager
def laid(folder: Path) -> Iterator[Bait]:
    """Bait in a folder, as ``canary.wav``."""
    file = folder / "canary.wav"
    file.write_bytes(wav(b"canary" * 2_000))
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname())
        tcp.setblocking(False)
        udp.setblocking(False)
        bait = Bait(file, tcp, udp)
        try:
            yield bait
        finally:
            bait.close()
