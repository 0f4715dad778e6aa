"""Wrong keys: limited by address, before anything is looked up, and no harm to whoever has a valid one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.api import rate_limit
from services.auth import api_keys
from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions
from tests.services.api.world import World, world_of
from tests.waiting import HANG

LIMIT = 5


async def _two(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
    return {name: (await keys.create(owner=name))[1] for name in ("alice", "bob")}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(rate_limit, "WINDOW", 3600)  # no window ends while a test runs
    with world_of(tmp_path, _two, wrong_keys_per_minute=LIMIT, metrics_open="true") as world:
        yield world


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests that the database was asked for."""
    asked: list[str] = []
    real = ApiKeys._load

    async def counted(keys: ApiKeys, digest: str) -> Any:
        asked.append(digest)
        return await real(keys, digest)

    monkeypatch.setattr(ApiKeys, "_load", counted)
    return asked


def wrong(number: int) -> str:
    return f"motes_aaaaaaaa_{number:043}"


def test_wrong_keys_are_limited_before_they_are_looked_up(world: World, looked_up: list[str]) -> None:
    tried = [world.call(wrong(number), "GET", "/systems") for number in range(LIMIT + 20)]
    assert [each.status_code for each in tried] == [401] * LIMIT + [429] * 20
    refused = tried[-1]
    assert refused.headers["retry-after"].isdigit()
    assert 1 <= int(refused.headers["retry-after"]) <= 3600
    problem = refused.json()
    assert (problem["limit"], problem["value"]) == ("wrong_keys_per_minute", LIMIT)
    assert problem["detail"] == "Too many wrong API keys a minute: at most 5 here (limit wrong_keys_per_minute)"
    assert len(looked_up) == LIMIT
    counted = world.client.get("/metrics").text
    assert 'motes_rate_limited_total{limit="wrong_keys_per_minute"} 20.0' in counted


def test_key_that_was_valid_before_stays_valid(
    world: World, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "CACHE_SECONDS", -1.0)  # it is looked up again, though its address is refused
    assert world.call("alice", "GET", "/systems").status_code == 200
    assert world.call(wrong(0), "GET", "/systems").status_code == 401
    while world.call(wrong(1), "GET", "/systems").status_code == 401:
        pass
    before = len(looked_up)
    assert world.call("alice", "GET", "/systems").status_code == 200
    assert len(looked_up) == before + 1
    assert world.call("bob", "GET", "/systems").status_code == 429  # not known yet, so it could be a guess


def test_valid_keys_do_not_count(world: World) -> None:
    keys = [world.change(lambda keys, sessions: keys.create(owner="carol"))[1] for _ in range(2 * LIMIT)]
    assert {world.call(key, "GET", "/systems").status_code for key in keys} == {200}


def test_revoked_keys_count(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "CACHE_SECONDS", -1.0)
    row, key = world.change(lambda keys, sessions: keys.create(owner="carol"))
    assert world.call(key, "GET", "/systems").status_code == 200
    world.change(lambda keys, sessions: keys.revoke(row.id))
    tried = [world.call(key, "GET", "/systems").status_code for _ in range(LIMIT + 1)]
    assert tried == [401] * LIMIT + [429]


def test_requests_without_a_key_do_not_count(world: World, looked_up: list[str]) -> None:
    assert {world.call(None, "GET", "/systems").status_code for _ in range(3 * LIMIT)} == {401}
    assert looked_up == []
    assert world.call(wrong(0), "GET", "/systems").status_code == 401


def test_addresses_are_counted_apart(world: World) -> None:
    """Behind a trusted proxy they are those that it forwards; of IPv6, networks."""

    def tried(address: str, number: int) -> int:
        headers = {"X-Forwarded-For": address}
        return world.call(wrong(number), "GET", "/systems", headers=headers).status_code

    assert [tried("192.0.2.1", number) for number in range(LIMIT + 1)] == [401] * LIMIT + [429]
    assert tried("192.0.2.2", 0) == 401
    assert [tried(f"2001:db8::{number}", number) for number in range(LIMIT + 1)] == [401] * LIMIT + [429]
    assert tried("2001:db8:0:1::1", 0) == 401


def test_websockets_are_limited_as_well(world: World, looked_up: list[str]) -> None:
    codes = [world.closed("x", wrong(number))[0] for number in range(LIMIT + 2)]
    assert codes == [1008] * LIMIT + [1013] * 2
    assert len(looked_up) == LIMIT


def test_many_at_once_are_no_more_than_allowed(world: World, looked_up: list[str]) -> None:
    async def main() -> list[int]:
        async with httpx.AsyncClient(base_url=world.client.base_url, trust_env=False, timeout=HANG) as client:
            calls = [
                client.get("/particles/systems", headers={"X-API-Key": wrong(number)}) for number in range(8 * LIMIT)
            ]
            return [each.status_code for each in await asyncio.gather(*calls)]

    found = asyncio.run(main())
    assert (found.count(401), found.count(429)) == (LIMIT, 7 * LIMIT)
    assert len(looked_up) == LIMIT
