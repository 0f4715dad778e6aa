"""Rate limit headers, and counting requests.

The headers follow draft-ietf-httpapi-ratelimit-headers-10: the policy, and what is left of it.
"""

from __future__ import annotations

import math
from ipaddress import ip_address, ip_network

from fastapi import Response
from starlette.requests import HTTPConnection

from services.api.rate_limit import NAME, WINDOW, RateLimiter, RateStatus
from services.auth.api_keys import Caller
from services.auth.limits import QuotaError, limit_of
from services.settings import ServiceSettings

_RATE = "motes.rate"  # key in the scope of a request


async def count_request(
    rates: RateLimiter, settings: ServiceSettings, caller: Caller, connection: HTTPConnection
) -> None:
    """Count a request or message of a caller, by key, or without keys by address.

    Raises:
        QuotaError: too many in the last minute.
    """
    limit = limit_of(settings, caller, NAME)
    if limit is None:
        return
    who = caller.key or f"from {client_network(connection)}"
    try:
        connection.scope[_RATE] = await rates.hit(who, limit)
    except QuotaError as error:
        connection.scope[_RATE] = RateStatus(limit, 0, error.seconds)
        raise


def client_network(connection: HTTPConnection) -> str:
    """The client's address; of IPv6 its /64 network, as a client has all of its 2⁶⁴ addresses."""
    host = connection.client.host if connection.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ip_network((address, 64), strict=False))


def add_rate_headers(response: Response, connection: HTTPConnection) -> Response:
    """Add the rate limit headers to a response."""
    rate: RateStatus | None = connection.scope.get(_RATE)
    if rate is not None:
        response.headers["RateLimit-Policy"] = f'"{NAME}";q={rate.limit:.0f};w={WINDOW}'
        response.headers["RateLimit"] = f'"{NAME}";r={rate.left};t={math.ceil(rate.seconds)}'
    return response
