"""Connections of the server of ``motes api``: those that send or read too slowly are ended.

uvicorn waits as long as a client likes for the headers of a request, and for it to read an answer.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from services.api.json_limits import MAX_BYTES
from services.settings import ServiceSettings, split_list

_log = logging.getLogger("motes.api")
HEADERS_TIMEOUT = 20.0  # seconds that a client has for the headers of a request
WRITE_TIMEOUT = 60.0  # seconds in which a client must have read something, once it has fallen behind
KEEP_ALIVE = 10  # seconds that a connection is kept for the next request
_PING_INTERVAL = 20.0  # seconds between two, and in which a WebSocket must answer one: who reads nothing answers none
_SPARE_FILES = 64  # files that are open besides connections


class _StallTimeout:
    """A protocol of a client that reads something now and then."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """It has fallen behind."""
        super().pause_writing()  # type: ignore[misc]  # of the protocol it is mixed into
        self._stalled = self._stalled or self.loop.call_later(WRITE_TIMEOUT, self._end, "reads nothing")

    def resume_writing(self) -> None:
        """It has caught up."""
        self._stalled = _stop(self._stalled)
        super().resume_writing()  # type: ignore[misc]  # of the protocol it is mixed into

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stalled = _stop(self._stalled)
        super().connection_lost(exc)  # type: ignore[misc]  # of the protocol it is mixed into

    def _end(self, why: str) -> None:
        _log.debug("a client %s: its connection is ended", why)
        self.transport.abort()  # to close it would be to wait until it has read what it was sent


class Connection(_StallTimeout, HttpToolsProtocol):
    """A connection whose client sends its requests in time, too."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """It has to send a request soon."""
        super().connection_made(transport)
        self._expect()

    def on_message_begin(self) -> None:
        """The beginning of a request: the rest of its headers has to follow."""
        super().on_message_begin()
        self._expect()

    def on_headers_complete(self) -> None:
        """Now the application sees to it."""
        self._late = _stop(self._late)
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._late = _stop(self._late)
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._late = self._late or self.loop.call_later(HEADERS_TIMEOUT, self._end, "sends no request")


class WebSocketConnection(_StallTimeout, WebSocketsSansIOProtocol):
    """A WebSocket; its pings tell that a client reads, but to close one waits for who does not."""


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """No timer, once this one is stopped."""
    if timer is not None:
        timer.cancel()
    return None


def server_options(settings: ServiceSettings) -> dict[str, Any]:
    """What uvicorn has to know; as many connections are taken as this process may have open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(hard, 65_536) if hard != resource.RLIM_INFINITY else max(soft, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return {
        "http": Connection,
        "ws": WebSocketConnection,
        "forwarded_allow_ips": split_list(settings.trusted_proxies),
        "timeout_keep_alive": KEEP_ALIVE,
        "limit_concurrency": max(1, soft - _SPARE_FILES) // 2,  # a download has a file open, too
        "ws_max_size": MAX_BYTES,
        "ws_ping_interval": _PING_INTERVAL,
        "ws_ping_timeout": _PING_INTERVAL,
    }
