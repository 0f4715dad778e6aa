"""Names whose servers are silent stop nobody's webhooks but those of who named them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.webhooks import name_lookup, ssrf_guard
from services.webhooks.delivery import check_target
from services.webhooks.name_lookup import TooManyLookupsError, look_up
from services.webhooks.ssrf_guard import TargetRefusedError
from tests.services.webhooks.test_delivery import deliver, receiver, settings_of
from tests.waiting import HANG, eventually

pytestmark = pytest.mark.anyio
PUBLIC = "93.184.215.14"


class Resolver:
    """The system's: it says nothing about names of silent.example until ``answering`` is set."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.answering = threading.Event()

    def getaddrinfo(self, host: str, port: int, **more: Any) -> list[Any]:
        self.asked[host] += 1
        if host.endswith("silent.example"):
            # as long as a name server that takes a question and never answers
            assert self.answering.wait(HANG)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(name_lookup, "socket", socket_with(made.getaddrinfo))
    monkeypatch.setattr(name_lookup, "_lookups", name_lookup._Lookups())
    yield made
    made.answering.set()


def socket_with(resolve: Callable[..., list[Any]]) -> Any:
    """The module, as far as it is used."""
    return SimpleNamespace(SOCK_STREAM=socket.SOCK_STREAM, getaddrinfo=resolve)


async def asking(owner: str, *names: str) -> list[asyncio.Task[Any]]:
    """Look-ups that nobody has answered."""
    tasks = [asyncio.create_task(look_up(owner, name, 443)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_silent_names_of_one_owner_stop_nobody_elses(resolver: Resolver) -> None:
    tasks = await asking("mallory", *(f"n{number}.silent.example" for number in range(200)))
    assert await look_up("alice", "example.com", 443) == [PUBLIC]
    refused = [task for task in tasks if task.done()]
    assert len(tasks) - len(refused) == name_lookup._PER_OWNER == sum(resolver.asked.values()) - 1
    for task in refused:
        with pytest.raises(TooManyLookupsError, match="the name servers of 8 others are silent"):
            await task
    resolver.answering.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await look_up("mallory", "n0.silent.example", 443) == [PUBLIC]


async def test_name_is_asked_for_once_at_a_time(resolver: Resolver) -> None:
    tasks = await asking("alice", *["one.silent.example"] * 50)
    await eventually(lambda: resolver.asked)
    tasks += await asking("bob", "one.silent.example")
    resolver.answering.set()
    assert await asyncio.gather(*tasks) == [[PUBLIC]] * 51
    assert resolver.asked == {"one.silent.example": 1}


async def test_giving_up_frees_nobodys_place_but_stops_nobody(resolver: Resolver) -> None:
    """The thread of a look-up goes on, and counts as its owner's."""
    names = [f"n{number}.silent.example" for number in range(name_lookup._PER_OWNER)]
    tasks = await asking("mallory", *names)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(TooManyLookupsError):
        await look_up("mallory", "another.example", 443)
    assert await look_up("alice", "another.example", 443) == [PUBLIC]


async def test_error_of_the_system_is_told_to_all(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(host: str, port: int, **more: Any) -> list[Any]:
        assert resolver.answering.wait(HANG)
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    monkeypatch.setattr(name_lookup, "socket", socket_with(fails))
    tasks = await asking("alice", "x.example", "x.example")
    resolver.answering.set()
    assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [socket.gaierror] * 2


async def test_clients_are_told_what_is_silent(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ssrf_guard, "_DNS_TIMEOUT", 0.05)  # nothing answers, however long it is
    settings = settings_of(tmp_path)
    for number in range(name_lookup._PER_OWNER):
        with pytest.raises(TargetRefusedError, match=r": its name servers do not answer within 0.05 s; "):
            await check_target(f"https://n{number}.silent.example/", settings, owner="mallory")
    with pytest.raises(TargetRefusedError, match=r"^webhook_url: x.example: cannot be looked up now: the name servers"):
        await check_target("https://x.example/", settings, owner="mallory")
    monkeypatch.setattr(ssrf_guard, "_DNS_TIMEOUT", HANG)
    await check_target("https://x.example/", settings, owner="alice")


async def test_real_name_is_looked_up() -> None:
    assert "127.0.0.1" in await look_up("alice", "localhost", 80)


def test_delivery_looks_names_up(tmp_path: Path) -> None:
    with receiver() as server:
        row = deliver(tmp_path, f"http://localhost:{server.port}/")
    assert row.status == "delivered"
