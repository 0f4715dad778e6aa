"""Request context: every request gets an id and is counted, timed and logged."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from functools import cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.dependencies import is_id
from services.api.errors import problem
from services.api.middleware.forwarded_headers import prefix_of
from services.observability import metrics, traces
from services.observability.logs import bound

_log = logging.getLogger("motes.requests")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # anything else counts as "other"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_REFUSED = (401, 403, 429)  # logged, as they may be attempts to guess a key
_REQUEST_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")


class Requests:
    """Outermost middleware of an application.

    A request keeps its ``X-Request-ID`` if that is valid, or gets one; the response and all log lines carry it.
    Unexpected errors are logged and answered with a problem.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an HTTP request, or a WebSocket until it ends."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _id_of(scope)
        with bound(request=request):
            if scope["type"] == "websocket":
                await self._app(scope, receive, send)
                return
            if traces.set_up() is None:
                await self._answer(scope, receive, send, request)
                return
            sent = {name: value.decode("latin-1") for name, value in _headers(scope, b"traceparent", b"tracestate")}
            about = {"http.request.method": _method(scope), "motes.request": request}
            with traces.span(_method(scope), "server", parent=sent, attributes=about):
                await self._answer(scope, receive, send, request)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request: str) -> None:
        began = time.perf_counter()
        status = 0

        async def send_measured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", request.encode())]
                _record(scope, status, time.perf_counter() - began)
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, send_measured)
        except Exception:
            _log.exception("%s %s failed", scope["method"], route_of(scope))
            if status:
                raise  # the response has begun: the connection must be closed
            await problem(500, "Something went wrong here; it is noted in the log")(scope, receive, send_measured)


def route_of(scope: Scope) -> str:
    """The template of the request's path, such as ``/particles/jobs/{job_id}``; "other" if no route matches."""
    # Newer FastAPI stores the path with router prefixes here; in older versions the route has it.
    context = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(context, "path", None) or getattr(scope.get("route"), "path", None)
    mounted_at = scope.get("root_path", "").removeprefix(prefix_of(scope))  # by another application
    return f"{mounted_at}{path}" if path else "other"


def _record(scope: Scope, status: int, seconds: float) -> None:
    """Count and log a response: changes, errors and refusals at level info, the rest at debug."""
    route, method = route_of(scope), _method(scope)
    number, duration = _metrics_for(route, method, status)
    number.inc()
    duration.observe(seconds)
    if traces.set_up() is not None:
        attributes: traces.Attributes = {"http.route": route, "http.response.status_code": status}
        traces.annotate(attributes, name=f"{method} {route}", failed=status >= 500)
    level = logging.INFO if status >= 500 or status in _REFUSED or method not in _SAFE_METHODS else logging.DEBUG
    if _log.isEnabledFor(level):
        # Neither the path nor the query: they contain names of songs.
        ids = {name.removesuffix("_id"): value for name, value in scope.get("path_params", {}).items()}
        about = {name: value for name, value in ids.items() if is_id(str(value))}
        about |= {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
        _log.log(level, "answered", extra={"about": about})


@cache
def _metrics_for(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """The metrics for such responses; cached, as looking them up takes longest."""
    return metrics.REQUESTS.labels(route, method, str(status)), metrics.REQUEST.labels(route, method)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _id_of(scope: Scope) -> str:
    for _, value in _headers(scope, b"x-request-id"):
        if _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return os.urandom(16).hex()


def _headers(scope: Scope, *names: bytes) -> Iterator[tuple[str, bytes]]:
    for name, value in scope["headers"]:
        if name in names:
            yield name.decode(), value
