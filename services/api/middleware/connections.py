"""Timeouts for connections: clients that send or read too slowly are disconnected.

uvicorn alone waits for ever for a request's headers, and for a client to read its response.
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
HEADERS_TIMEOUT = 20.0  # seconds to send the headers of a request
WRITE_TIMEOUT = 60.0  # seconds to read something once the client has fallen behind
KEEP_ALIVE = 10  # seconds that an idle connection is kept
_PING_INTERVAL = 20.0  # seconds between pings, and to answer one: a client that reads nothing answers none
_SPARE_FILES = 64  # files open besides connections


class _StallTimeout:
    """Disconnects a client that reads nothing for too long."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client has fallen behind."""
        super().pause_writing()  # type: ignore[misc]  # of the protocol it is mixed into
        self._stalled = self._stalled or self.loop.call_later(WRITE_TIMEOUT, self._end, "reads nothing")

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stalled = _stop(self._stalled)
        super().resume_writing()  # type: ignore[misc]  # of the protocol it is mixed into

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stalled = _stop(self._stalled)
        super().connection_lost(exc)  # type: ignore[misc]  # of the protocol it is mixed into

    def _end(self, why: str) -> None:
        _log.debug("disconnected a client that %s", why)
        self.transport.abort()  # close() would wait until the client has read everything


class Connection(_StallTimeout, HttpToolsProtocol):
    """An HTTP connection that also limits the time for a request's headers."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Expect a request soon."""
        super().connection_made(transport)
        self._expect()

    def on_message_begin(self) -> None:
        """A request begins; expect the rest of its headers."""
        super().on_message_begin()
        self._expect()

    def on_headers_complete(self) -> None:
        """The headers are complete; the application takes over."""
        self._late = _stop(self._late)
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._late = _stop(self._late)
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._late = self._late or self.loop.call_later(HEADERS_TIMEOUT, self._end, "sends no request")


class WebSocketConnection(_StallTimeout, WebSocketsSansIOProtocol):
    """A WebSocket. Pings show whether the client reads, but closing waits for one that does not."""


def _stop(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    """Stop a timer, if there is one."""
    if timer is not None:
        timer.cancel()
    return None


def server_options(settings: ServiceSettings) -> dict[str, Any]:
    """Options for uvicorn; raises the limit of open files and allows as many connections as it permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(hard, 65_536) if hard != resource.RLIM_INFINITY else max(soft, 65_536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return {
        "http": Connection,
        "ws": WebSocketConnection,
        "forwarded_allow_ips": split_list(settings.trusted_proxies),
        "timeout_keep_alive": KEEP_ALIVE,
        "limit_concurrency": max(1, soft - _SPARE_FILES) // 2,  # a download also has a file open
        "ws_max_size": MAX_BYTES,
        "ws_ping_interval": _PING_INTERVAL,
        "ws_ping_timeout": _PING_INTERVAL,
        # Otherwise asyncio hands the span and the log fields of an upload on to later requests of its connection.
        "reset_contextvars": True,
    }
