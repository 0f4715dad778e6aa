"""Headers of trusted proxies: the client's address, its scheme and the prefix that the proxy strips from paths."""

from __future__ import annotations

import re
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from services.settings import ServiceSettings, split_list

_LONGEST = 256  # characters of a prefix
_PREFIX = re.compile(r"(/[A-Za-z0-9_~.!$&'()*+=:@-]+)+")


class ForwardedHeaders(ProxyHeadersMiddleware):
    """Outermost middleware: believes ``X-Forwarded-For``, ``-Proto`` and ``-Prefix`` of ``trusted_proxies``, no others.

    uvicorn's own middleware knows no prefix, so its option ``proxy_headers`` has to be off.
    """

    def __init__(self, app: ASGIApp, *, settings: ServiceSettings) -> None:
        super().__init__(cast("Any", app), split_list(settings.trusted_proxies))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]  # Starlette's
        """Handle a request, or a WebSocket until it ends."""
        if scope["type"] != "lifespan" and (scope.get("client") or [None])[0] in self.trusted_hosts:
            _add_prefix(scope, _prefix_from(scope))
        await super().__call__(cast("Any", scope), cast("Any", receive), cast("Any", send))


def prefix_of(scope: Scope) -> str:
    """The prefix under which a proxy or a server publishes the application."""
    prefix: str = scope.get("app_root_path", scope.get("root_path", ""))
    return prefix


def path_in_app(scope: Scope) -> str:
    """The request's path without that prefix."""
    path: str = scope["path"]
    return path.removeprefix(prefix_of(scope))


def _prefix_from(scope: Scope) -> str:
    """The prefix of the request; empty if there is none, or if it is no path."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-prefix"]
    # Each proxy in a chain may add the prefix that it strips; the outermost comes first.
    parts = [part.strip().rstrip("/") for part in ",".join(values).split(",")]
    prefix = "".join(part for part in parts if part)
    is_path = _PREFIX.fullmatch(prefix) and not {".", ".."} & set(prefix.split("/"))
    return prefix if is_path and len(prefix) <= _LONGEST else ""


def _add_prefix(scope: Scope, prefix: str) -> None:
    """Make the prefix part of the path, as if the proxy had not stripped it: see ``root_path`` in ASGI."""
    if prefix:
        scope["root_path"] = prefix + scope.get("root_path", "")
        scope["path"] = prefix + scope["path"]
        if scope.get("raw_path") is not None:
            scope["raw_path"] = prefix.encode() + scope["raw_path"]
