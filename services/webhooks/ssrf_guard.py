"""Protection against SSRF: which addresses Motes may call for a client, and a request to the address that was checked.

Clients name URLs that our servers call, which could reach into the operator's network. So the host is resolved, all of
its addresses must be public, and the connection goes to one of these: a name that resolves differently a moment later
(DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

import httpx

from ecs_core.errors import MotesError
from services.webhooks.name_lookup import TooManyLookupsError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_MAX_URL_LENGTH = 2000  # characters of a URL
_DNS_TIMEOUT = 5.0  # seconds
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Public by their form, but cloud providers serve metadata there.
_METADATA_NETWORKS = [ipaddress.ip_network(block) for block in ("192.0.0.0/24", "168.63.129.16/32")]


class TargetRefusedError(MotesError):
    """A URL that Motes does not call: malformed, unknown, or not public."""


class SilentNameServerError(TargetRefusedError):
    """The name servers of a host did not answer in time."""


def parse_url(url: str) -> httpx.URL:
    """Parse a URL that could be called.

    Raises:
        TargetRefusedError: says what is wrong with it.
    """
    try:
        if len(url) > _MAX_URL_LENGTH:
            raise ValueError(f"has {len(url)} characters, {_MAX_URL_LENGTH} are allowed")
        parts = httpx.URL(url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError("must begin with https:// or http:// and a host")
        if parts.userinfo:
            raise ValueError("must not hold a user name or a password")
        if not 0 < (parts.port or 1) < 65536:
            raise ValueError("its port must be from 1 to 65535")
    except (ValueError, httpx.InvalidURL) as error:
        raise TargetRefusedError(f"{url[:100]!r}: {error}") from None
    return parts


async def resolve_public(url: httpx.URL, *, private: bool, resolve: Resolve) -> Sequence[str]:
    """The addresses of the URL's host. One address that is not public refuses all, unless ``private`` is set.

    Raises:
        SilentNameServerError: its name servers do not answer.
        TargetRefusedError: the host is unknown or not public, or cannot be looked up for another reason.
    """
    host = _ascii_host(url)
    try:
        async with asyncio.timeout(_DNS_TIMEOUT):
            found = await resolve(host, url.port or (443 if url.scheme == "https" else 80))
    except TooManyLookupsError as error:
        raise TargetRefusedError(f"{host}: {error}") from None
    except TimeoutError:
        raise SilentNameServerError(f"{host}: its name servers do not answer within {_DNS_TIMEOUT:g} s") from None
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        if number == socket.EAI_AGAIN:
            raise SilentNameServerError(f"{host}: cannot be looked up now") from None
        unknown = isinstance(error, UnicodeError) or number == socket.EAI_NONAME
        raise TargetRefusedError(f"{host}: {'no such host' if unknown else 'cannot be looked up now'}") from None
    if not private and not all(map(is_public, found)):
        # Not which address: clients could map our network by asking for its names.
        raise TargetRefusedError(f"{host}: is not a public address")
    return found


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast and not any(ip in block for block in _METADATA_NETWORKS)
    # IPv6 addresses that carry an IPv4 address: mapped, 6to4, NAT64.
    inner = ip.ipv4_mapped or ip.sixtofour
    if inner is None and ip in _NAT64:
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    if inner is not None:
        return is_public(str(inner))
    # Everything outside 2000::/3 without another name is reserved; ipaddress calls much of it global.
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_site_local)


@asynccontextmanager
async def post(
    url: str,
    *,
    content: bytes,
    headers: Mapping[str, str],
    trust: ssl.SSLContext,
    timeout: float,
    private: bool,
    resolve: Resolve,
) -> AsyncIterator[httpx.Response]:
    """POST to a URL at an address that was just checked; the certificate must still match the host name.

    ``trust`` holds the accepted certificates, ``timeout`` is in seconds per step.

    Raises:
        TargetRefusedError: as :func:`resolve_public` does.
        httpx.HTTPError: there was no response in time.
    """
    named = parse_url(url)
    addresses = await resolve_public(named, private=private, resolve=resolve)
    # A client for this request alone: a shared pool identifies connections by address, so another host name at the
    # same address would reuse this connection, its verified certificate and its cookies. No proxies and no redirects:
    # the request goes to the checked address only.
    async with httpx.AsyncClient(verify=trust, timeout=timeout, trust_env=False, follow_redirects=False) as client:
        response = await _send_to_first_reachable(client, named, addresses, content, headers)
        async with aclosing(response):
            yield response


async def _send_to_first_reachable(
    client: httpx.AsyncClient, named: httpx.URL, addresses: Sequence[str], content: bytes, headers: Mapping[str, str]
) -> httpx.Response:
    """Send the request to the first reachable address; the body of the response is still to be read."""
    failure: httpx.TransportError = httpx.ConnectError(f"{_ascii_host(named)} has no address")
    for address in addresses:
        request = client.build_request(
            "POST",
            named.copy_with(host=address),
            content=content,
            headers={**headers, "Host": named.netloc.decode("ascii")},
            extensions={"sni_hostname": _ascii_host(named)},
        )
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent yet
            failure = error
    raise failure


def _ascii_host(url: httpx.URL) -> str:
    """The host as in the ``Host`` header (IDNA 2008; Python's own codec is older and maps faß to fass)."""
    return url.raw_host.decode("ascii")
