"""Targets: which addresses Motes may call for a client, and a request that goes to the very address that was checked.

A client names a URL, and our servers call it: without care, a way into the network they stand in (SSRF). A name is
resolved, every address it has must be public, and the connection goes to one of these, so that a name which means
another address a moment later (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from ecs_core.errors import MotesError

_LONGEST = 2000  # characters of a URL
_RESOLVING = 5.0  # seconds


class TargetRefused(MotesError):  # noqa: N818 - nothing went wrong here
    """A URL that Motes does not call: malformed, unknown, or not public."""


def parsed(url: str) -> httpx.URL:
    """The URL, if it is one that could be called at all.

    Raises:
        TargetRefused: says what is wrong with it.
    """
    try:
        if len(url) > _LONGEST:
            raise ValueError(f"has {len(url)} characters, {_LONGEST} are allowed")
        parts = httpx.URL(url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ValueError("must begin with https:// or http:// and a host")
        if parts.userinfo:
            raise ValueError("must not hold a user name or a password")
        if not 0 < (parts.port or 1) < 65536:
            raise ValueError("its port must be from 1 to 65535")
    except (ValueError, httpx.InvalidURL) as error:
        raise TargetRefused(f"{url[:100]!r}: {error}") from None
    return parts


async def address_of(url: httpx.URL, *, private: bool) -> str:
    """An address of the URL's host. Addresses that are not public are refused, unless ``private`` ones are allowed.

    Raises:
        TargetRefused: the host is unknown, or not public.
    """
    loop = asyncio.get_running_loop()
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_RESOLVING):
            found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        raise TargetRefused(f"{url.host}: no such host") from None
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        if not private and not _public(address):
            raise TargetRefused(f"{url.host}: is {address}, which is not a public address")
    return addresses[0]


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # What is carried within IPv6 goes on to an IPv4 address: mapped, 6to4, NAT64.
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return _public(str(inner))
    return ip.is_global and not ip.is_multicast


@asynccontextmanager
async def post(
    client: httpx.AsyncClient, url: str, *, content: bytes, headers: Mapping[str, str], private: bool
) -> AsyncIterator[httpx.Response]:
    """POST to a URL, at an address that was checked just now; the certificate must still be the name's.

    Raises:
        TargetRefused: as :func:`address_of` does.
        httpx.HTTPError: nobody answered, or not in time.
    """
    named = parsed(url)
    address = await address_of(named, private=private)
    host = named.netloc.decode("ascii")
    async with client.stream(
        "POST",
        named.copy_with(host=address),
        content=content,
        headers={**headers, "Host": host},
        extensions={"sni_hostname": named.host},
    ) as response:
        yield response
