"""Route: what all HTTP routes have in common, in any application that mounts them.

It limits bodies and turns errors into problems, as the host application may have other handlers or none.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, NamedTuple

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope

from services.api.authentication import identify
from services.api.dependencies import service_of
from services.api.errors import KNOWN, problem_of
from services.api.json_limits import MAX_BYTES, MAX_VALUES, parse
from services.api.middleware.rate_headers import add_rate_headers

_LARGE = 10_000  # bytes of a body that would hold up the event loop, for a millisecond and more


class Bounds(NamedTuple):
    """Maximum bytes and values of a body, and advice for clients whose body is too large."""

    size: int = MAX_BYTES
    values: int = MAX_VALUES
    advice: str = ""


class Route(APIRoute):
    """A route that answers client errors with problems."""

    bounds: ClassVar = Bounds()

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with limits and error handling."""
        handle = super().get_route_handler()

        async def respond(request: Request) -> Response:
            try:
                if self.body_field is not None:
                    await identify(service_of(request), request)  # authenticate before reading the body
                answer = await handle(_Request(request.scope, request.receive, self.bounds))
            except KNOWN as error:
                answer = problem_of(error)
            return add_rate_headers(answer, request)

        return respond


class _Request(Request):
    """A request whose body must be JSON within the limits."""

    def __init__(self, scope: Scope, receive: Receive, bounds: Bounds) -> None:
        super().__init__(scope, receive)
        self._bounds = bounds

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            size, _, advice = self._bounds
            too_large = HTTPException(413, f"The body is larger than {size} bytes{advice}")
            if int(self.headers.get("content-length") or 0) > size:
                raise too_large
            body = bytearray()
            async for chunk in self.stream():
                body += chunk
                if len(body) > size:
                    raise too_large
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if body and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
                raise HTTPException(415, "Content-Type: must be application/json")
            self._body = bytes(body)
        return self._body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            body, values = await self.body(), self._bounds.values
            try:
                if len(body) > _LARGE:
                    self._json = await service_of(self).compute(lambda: parse(body, values=values))
                else:
                    self._json = parse(body, values=values)
            except ValueError as error:
                raise HTTPException(422, f"The body {error}") from None
        return self._json
