"""Origin check: without authentication, pages of other sites must not drive the API through a local browser.

A cross-site request has an Origin or Sec-Fetch-Site header; one after DNS rebinding has the attacker's name as its
Host. With API keys none of this is needed, as pages do not know them.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.requests import HTTPConnection

from services.settings import ServiceSettings, is_loopback, split_list

_SAFE_METHODS = ("GET", "HEAD")


def check_origin(settings: ServiceSettings, connection: HTTPConnection) -> None:
    """Refuse requests that may come from another site's page.

    Raises:
        HTTPException: 403, which says why.
    """
    host = connection.headers.get("host", "")
    server = (connection.scope.get("server") or ("", None))[0]
    if is_loopback(server) and not _is_allowed_host(settings, host):
        raise HTTPException(403, f"Host: {host[:200]!r} is not this machine; MOTES_ALLOWED_HOSTS would allow it")
    origin = connection.headers.get("origin")
    if origin is not None:
        if urlsplit(origin).netloc != host and origin not in split_list(settings.cors_origins):
            raise HTTPException(403, f"Origin: {origin[:200]!r} may not use this; MOTES_CORS_ORIGINS would allow it")
    elif connection.headers.get("sec-fetch-site") == "cross-site" and not _is_navigation(connection):
        raise HTTPException(403, "Sec-Fetch-Site: a page of another site may not use this")


def _is_allowed_host(settings: ServiceSettings, host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return _is_address(name) or name == "localhost" or name in split_list(settings.allowed_hosts.lower())


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_navigation(connection: HTTPConnection) -> bool:
    """Whether the user followed a link, which only opens its target."""
    reads = connection.scope.get("method") in _SAFE_METHODS
    return reads and connection.headers.get("sec-fetch-dest") == "document"
