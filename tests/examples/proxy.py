"""A proxy in front of a service that breaks off streams of events, as proxies and networks do."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_ASKED = re.compile(rb"/events HTTP/1\.1\r\n(?:.*\r\n)*?last-event-id: ?(\d*)", re.IGNORECASE)


@dataclass
class Proxy:
    """Lets everything through, but of each of the first ``breaks`` streams only so many blocks, as events are."""

    target: tuple[str, int]
    breaks: int
    let_through: int
    asked_after: list[str] = field(default_factory=list)  # the Last-Event-ID of each request for events
    url: str = ""

    def carry(self, client: socket.socket) -> None:
        """A connection, until one side closes it."""
        with client, socket.create_connection(self.target) as server:
            budget = [1 << 40]
            answering = threading.Thread(target=self._answers, args=(server, client, budget), daemon=True)
            answering.start()
            with suppress(OSError):
                while data := client.recv(1 << 16):
                    if found := _ASKED.search(data):
                        self.asked_after.append(found[1].decode())
                        if len(self.asked_after) <= self.breaks:
                            budget[0] = self.let_through
                    server.sendall(data)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            answering.join()

    def _answers(self, server: socket.socket, client: socket.socket, budget: list[int]) -> None:
        with suppress(OSError):
            while budget[0] > 0 and (data := server.recv(1 << 16)):
                events = data.split(b"\n\n")  # and what follows the last one
                through = data if len(events) <= budget[0] else b"\n\n".join([*events[: budget[0]], b""])
                budget[0] -= len(events) - 1  # before it is sent: then the next request may come, with its own budget
                client.sendall(through)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(url: str, *, breaks: int, let_through: int) -> Iterator[Proxy]:
    """A proxy in front of the service at ``url``."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        between = Proxy((parts.hostname, parts.port), breaks, let_through)
        between.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=between.carry, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield between
        listener.shutdown(socket.SHUT_RDWR)
