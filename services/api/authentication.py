"""Authentication: who sends a request, by API key, and what they may do.

GET needs the scope *read*, everything else *render*. Keys come in headers. To follow a job or watch a system, where
browsers cannot set headers, the key may also come as ``?key=``.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import APIKeyHeader, APIKeyQuery, HTTPBearer
from starlette.requests import HTTPConnection

from services.api.dependencies import Service, ServiceDep
from services.api.failed_authentication import WrongKeys
from services.api.lanes import use_lane_of
from services.api.middleware.origin_check import check_origin
from services.api.middleware.rate_headers import count_request
from services.api.queries import reject_unknown_parameters
from services.auth.api_keys import ANONYMOUS, Caller
from services.observability.masking import mask_record
from services.settings import ServiceSettings, is_loopback

__all__ = ["Caller", "CallerDep", "FollowerDep", "identify", "mask_keys_in_logs", "require_scope", "unauthorized"]

UNAUTHORIZED = "A valid API key is needed, as Authorization: Bearer motes_… or as X-API-Key"
_CALLER = "motes.caller"  # key in the scope of a request
_LOGS = ("uvicorn.access", "uvicorn.error")

_BEARER = HTTPBearer(
    auto_error=False, scheme_name="Bearer", description="an API key, `motes_…`, where they are required"
)
_HEADER = APIKeyHeader(auto_error=False, name="X-API-Key", scheme_name="X-API-Key", description="the same")
_QUERY = APIKeyQuery(
    auto_error=False, name="key", scheme_name="key", description="the same, for EventSource in browsers"
)


async def identify(service: Service, connection: HTTPConnection, *, query: bool = False) -> Caller:
    """Authenticate a request, check its scope, and count it once; with ``query`` the key may be in the URL.

    Raises:
        HTTPException: 401 without a valid key, 403 if the key lacks the scope or another site's page sent the request.
        QuotaError: too many requests, or wrong keys, in the last minute.
    """
    caller: Caller | None = connection.scope.get(_CALLER)
    if caller is None:
        caller = await _caller_of(service, connection, query=query)
        await count_request(service.rate_limiter, service.settings, caller, connection)
        require_scope(caller, "read" if connection.scope.get("method", "GET") in ("GET", "HEAD") else "render")
        connection.scope[_CALLER] = caller
    use_lane_of(caller.owner)
    return caller


async def _caller_of(service: Service, connection: HTTPConnection, *, query: bool) -> Caller:
    if not keys_needed(service.settings, connection):
        check_origin(service.settings, connection)
        return ANONYMOUS
    key = _key_from(connection, query=query)
    if key is None:
        raise unauthorized()
    wrong = WrongKeys(service.rate_limiter, service.settings.wrong_keys_per_minute, connection)
    known = service.keys.is_known(key)
    if not known:  # before it is looked up, or many at once would all be
        await wrong.count()
    caller = await service.keys.caller(key)
    if caller is None:
        if known:  # it has ended
            await wrong.count()
        raise unauthorized()
    if not known:
        await wrong.forgive()
    return caller


def keys_needed(settings: ServiceSettings, connection: HTTPConnection) -> bool:
    """Whether this connection must present a key."""
    if settings.auth != "auto":
        return settings.auth == "required"
    if settings.keys_required:
        return True
    # An application served by others may listen elsewhere than the settings say, or behind a proxy.
    ends = [connection.scope.get(end) or ("", None) for end in ("server", "client")]
    forwarded = connection.headers.getlist("x-forwarded-for")
    if forwarded and not all(_is_address(each.strip()) for each in [ends[1][0], *",".join(forwarded).split(",")]):
        return True  # the proxy does not know the origin, so it may not be this machine
    return any(_is_address(host) and not is_loopback(host) for host, _ in ends)


def require_scope(caller: Caller, scope: str) -> None:
    """Refuse a caller without the scope.

    Raises:
        HTTPException: 403, which names the scope.
    """
    if not caller.has_scope(scope):
        has = ", ".join(sorted(caller.scopes))
        raise HTTPException(403, f"The API key lacks the scope {scope!r}; it has {has}")


def unauthorized() -> HTTPException:
    """The response to a missing key and to any invalid one."""
    return HTTPException(401, UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})


def _key_from(connection: HTTPConnection, *, query: bool) -> str | None:
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return connection.headers.get("x-api-key") or (connection.query_params.get("key") if query else None) or None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:  # the path of a socket, or a test's name
        return False
    return True


# The signatures only declare the security schemes for OpenAPI; `identify` reads the headers itself.
async def _caller(
    request: Request,
    service: ServiceDep,
    _bearer: Annotated[object, Depends(_BEARER)],
    _header: Annotated[object, Depends(_HEADER)],
) -> Caller:
    caller = await identify(service, request)
    reject_unknown_parameters(request)
    return caller


async def _follower(
    request: Request,
    service: ServiceDep,
    _bearer: Annotated[object, Depends(_BEARER)],
    _header: Annotated[object, Depends(_HEADER)],
    _query: Annotated[object, Depends(_QUERY)],
) -> Caller:
    caller = await identify(service, request, query=True)
    reject_unknown_parameters(request, _QUERY.model.name)
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]
FollowerDep = Annotated[Caller, Depends(_follower)]
"""The same where the key may be in the URL, as browsers cannot set headers for an EventSource."""


def mask_keys_in_logs() -> None:
    """Mask secrets in uvicorn's logs; safe to call again."""
    for name in _LOGS:
        logging.getLogger(name).addFilter(mask_record)
