"""Hardening of our own application: security headers and a timeout for bodies.

Applications that mount the router decide for themselves. Timeouts of connections are in
``services.api.middleware.connections``.
"""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI, HTTPException
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.settings import ServiceSettings, split_list

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_CSP = "default-src 'none'; frame-ancestors 'none'"
_CSP_DOCS = (  # FastAPI's documentation pages load scripts from a CDN
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; connect-src 'self'; "
    "script-src 'unsafe-inline' https://cdn.jsdelivr.net; worker-src blob:; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; "
    "font-src https://fonts.gstatic.com; img-src data: https://fastapi.tiangolo.com https://cdn.redoc.ly"
)
_HSTS_SECONDS = 365 * 24 * 3600  # seconds
_GRACE, _MIN_RATE = 30.0, 1000.0  # seconds for any body, and bytes that earn another second
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ALLOWED_HEADERS = (
    "Authorization",
    "X-API-Key",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Range",
    "X-Request-ID",
    *("Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset", "Upload-Checksum"),
)
_EXPOSED_HEADERS = (
    *("Location", "Link", "ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID"),
    *("Content-Disposition", "Content-Range", "Accept-Ranges"),
    *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
    *("Upload-Length", "Upload-Offset", "Upload-Expires", "Upload-Result"),
)


def harden(app: FastAPI, settings: ServiceSettings) -> None:
    """Add the middleware; call this last, so that it is outermost."""
    app.add_middleware(_BodyTimeout)
    if origins := split_list(settings.cors_origins):
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_ALLOWED_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
            max_age=600,
        )
    app.add_middleware(_SecurityHeaders, shared=bool(origins))


class _SecurityHeaders:
    """Adds security headers to every response."""

    def __init__(self, app: ASGIApp, *, shared: bool) -> None:
        self._app = app
        self._headers = _HEADERS | {"Cross-Origin-Resource-Policy": "cross-origin" if shared else "same-origin"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                page = headers.get("content-type", "").startswith("text/html")
                headers["Content-Security-Policy"] = _CSP_DOCS if page else _CSP
                headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = f"max-age={_HSTS_SECONDS}"
            await send(message)

        await self._app(scope, receive, send_secured if scope["type"] == "http" else send)


class _BodyTimeout:
    """Limits the time for a body in proportion to its size."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        end, whole = time.monotonic() + _GRACE, False

        async def take() -> Message:
            nonlocal end, whole
            if whole:  # the only message now is the disconnect
                return await receive()
            try:
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                whole = True
                raise HTTPException(408, "The body arrives too slowly", {"Connection": "close"}) from None
            end += len(message.get("body", b"")) / _MIN_RATE
            whole = not message.get("more_body", False)
            return message

        await self._app(scope, take, send)
