"""listen(): a listening socket that exists before the API does, and its URL."""

from __future__ import annotations

import socket

from ecs_core.errors import MotesError

_BACKLOG = 2048  # connections that wait while the API restarts


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port``; port 0 takes any free port.

    Raises:
        MotesError: the address cannot be used; says why and what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        what = f"cannot listen on {host} port {port}: {error.strerror}"
        raise MotesError(f"{what}; give another --port (0 takes any free one) or --host") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL at which a browser on this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
