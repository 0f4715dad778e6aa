"""Lists: pages of a bounded size, the fields that are asked for, and statuses that are read rather than computed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import null, select, update

from services.api import idempotency, paging, rate_limit, system_statuses
from services.database.models import IdempotencyRow, SystemRow, new_id
from tests.services.api.world import SMALL, World, picture, song, world_of

CURVE = [[round(number / 63, 6), round(0.123456789 * number, 9)] for number in range(64)]
LARGE = {"bindings": [{"source": "bass", "target": "size", "curve": CURVE} for _ in range(3)]}  # about 6 KB


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, world_of(tmp_path_factory.mktemp("lists"), reserve=0) as world:
        patch.setattr(rate_limit, "WINDOW", 3600)
        yield world


@pytest.fixture
def who(world: World) -> str:
    """A new owner, of whom nothing is stored."""
    return owner_with(world)


def owner_with(world: World, **limits: float) -> str:
    owner = f"owner-{new_id()[:8]}"
    world.keys[owner] = world.change(lambda keys, _: keys.create(owner=owner, limits=limits))[1]
    return owner


def create(world: World, who: str, headers: dict[str, str] | None = None, **config: Any) -> httpx.Response:
    body = {"particle_type": "enhanced", "config": SMALL | config}
    return world.call(who, "POST", "/create", json=body, headers=headers or {})


def pages(world: World, who: str, path: str, **query: Any) -> list[httpx.Response]:
    """All pages of a list."""
    found = [world.call(who, "GET", path, params=query)]
    while "next" in found[-1].links:
        url = found[-1].links["next"]["url"].removeprefix("/particles")
        found.append(world.call(who, "GET", url))
        assert found[-1].status_code == 200, found[-1].text
    return found


def columns(world: World, system: str) -> Any:
    async def read(_: Any, sessions: Any) -> Any:
        async with sessions() as session:
            wanted = select(SystemRow.shown, SystemRow.shown_as, SystemRow.size).where(SystemRow.id == system)
            return (await session.execute(wanted)).one()

    return world.change(read)


def forget(world: World, system: str, **values: Any) -> None:
    async def write(_: Any, sessions: Any) -> None:
        async with sessions.begin() as session:
            await session.execute(update(SystemRow).where(SystemRow.id == system).values(**values))

    world.change(write)


class TestPages:
    def test_end_before_they_have_too_many_bytes(self, world: World, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(paging, "PAGE_BYTES", 30_000)
        made = [create(world, who, seed=number, **LARGE).json() for number in range(14)]
        found = pages(world, who, "/systems", limit=100)
        assert [system for page in found for system in page.json()] == made[::-1]
        assert len(found) >= 3
        assert all(len(page.content) <= 30_000 for page in found)
        assert all(len(page.json()) == len(found[0].json()) for page in found[:-1])

    def test_have_one_item_at_least(self, world: World, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(paging, "PAGE_BYTES", 500)
        made = [create(world, who, seed=number).json()["system_id"] for number in range(3)]
        found = [page.json() for page in pages(world, who, "/systems")]
        assert [[system["system_id"] for system in page] for page in found] == [[each] for each in made[::-1]]

    def test_have_as_many_items_as_asked_for(self, world: World, who: str) -> None:
        made = [create(world, who, seed=number).json()["system_id"] for number in range(25)]
        for limit in (1, 9, 10, 11, 24, 25, 26):
            found = [page.json() for page in pages(world, who, "/systems", limit=limit)]
            assert [system["system_id"] for page in found for system in page] == made[::-1]
            assert {len(page) for page in found[:-1]} <= {limit}

    def test_of_several_statuses_are_in_one_order(self, world: World, who: str) -> None:
        system = create(world, who).json()["system_id"]
        jobs = [world.call(who, "POST", f"/systems/{system}/render", json={}).json()["job_id"] for _ in range(7)]
        for job in jobs[1::3]:
            world.call(who, "POST", f"/jobs/{job}/cancel")
        statuses = ["cancelled", "failed", "queued", "cancelled"]
        for status, expected in ((statuses, jobs), (["cancelled"], jobs[1::3]), (["failed", "rendering"], [])):
            for limit in (2, 50):
                found = pages(world, who, "/jobs", status=status, limit=limit)
                assert [job["job_id"] for page in found for job in page.json()] == expected[::-1]

    def test_empty_list(self, world: World, who: str) -> None:
        answer = world.call(who, "GET", "/systems")
        assert (answer.json(), answer.headers["content-type"], answer.links) == ([], "application/json", {})


class TestFields:
    def test_only_those_are_shown_that_are_asked_for(self, world: World, who: str) -> None:
        system = create(world, who).json()["system_id"]
        job = world.call(who, "POST", f"/systems/{system}/render", json={}).json()["job_id"]
        world.call(who, "POST", f"/jobs/{job}/cancel")
        asset = world.asset(who, picture())["asset_id"]
        for path, fields, shown in (
            ("/systems", "system_id, particle_type", {"system_id": system, "particle_type": "enhanced"}),
            ("/jobs", "job_id,status", {"job_id": job, "status": "cancelled"}),
            ("/assets", "asset_id", {"asset_id": asset}),
        ):
            assert world.call(who, "GET", path, params={"fields": fields}).json() == [shown]
        [job_shown] = world.call(who, "GET", "/jobs", params={"fields": "outputs,flashes"}).json()
        whole = world.call(who, "GET", f"/jobs/{job}").json()
        assert job_shown == {name: whole[name] for name in ("flashes", "outputs")}

    def test_next_page_has_the_same(self, world: World, who: str) -> None:
        for number in range(3):
            create(world, who, seed=number)
        found = pages(world, who, "/systems", fields="owner", limit=2)
        assert [page.json() for page in found] == [[{"owner": who}] * 2, [{"owner": who}]]

    @pytest.mark.parametrize(
        ("path", "first"), [("/systems", "system_id"), ("/jobs", "job_id"), ("/assets", "asset_id")]
    )
    def test_unknown_one_is_refused(self, world: World, who: str, path: str, first: str) -> None:
        for fields in ("config", f"{first},", ""):
            answer = world.call(who, "GET", path, params={"fields": fields})
            assert answer.status_code == 400
            assert f"there are: {first}, " in answer.json()["detail"]
        assert "fields: unknown field 'config'" in world.call(who, "GET", f"{path}?fields=config").json()["detail"]

    def test_what_is_not_shown_is_not_read(self) -> None:
        assert SystemRow.shown in system_statuses.columns_for({"status"})
        assert SystemRow.shown not in system_statuses.columns_for({"system_id", "owner"})


class TestStatuses:
    def test_list_computes_nothing(self, world: World, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
        made = create(world, who, **LARGE).json()
        changed = world.call(who, "PUT", f"/systems/{made['system_id']}/config", json={"config": {"bounce": True}})
        assert changed.status_code == 200, changed.text

        def computed(row: SystemRow) -> None:
            pytest.fail("a status was computed")

        monkeypatch.setattr(system_statuses, "status_of", computed)
        [listed] = world.call(who, "GET", "/systems").json()
        assert listed == world.call(who, "GET", f"/systems/{made['system_id']}").json()
        assert listed == made | {"status": changed.json()["status"]}

    @pytest.mark.parametrize("shown_as", [None, "1 another", "0 "])
    def test_of_another_version_is_made_anew_once(self, world: World, who: str, shown_as: str | None) -> None:
        made = create(world, who).json()
        kept = columns(world, made["system_id"])
        shown = None if shown_as is None else '{"config": "as it was"}'
        forget(world, made["system_id"], shown=shown, shown_as=shown_as, size=None)
        assert world.call(who, "GET", "/systems", params={"fields": "system_id"}).status_code == 200
        assert columns(world, made["system_id"]).shown == shown
        assert world.call(who, "GET", "/systems").json() == [made]
        assert columns(world, made["system_id"]) == kept
        assert kept.size == len(kept.shown) > 500

    def test_change_by_a_process_of_an_earlier_version_is_seen(self, world: World, who: str) -> None:
        system = create(world, who).json()["system_id"]
        forget(world, system, config={"particle_count": 77}, revision=2)
        [listed] = world.call(who, "GET", "/systems").json()
        assert listed["status"]["particle_count"] == 77

    def test_type_that_is_gone_is_shown_as_it_was_given(self, world: World, who: str) -> None:
        system = create(world, who).json()["system_id"]
        forget(world, system, particle_type="gone", config={"particle_count": 5}, shown_as=None)
        [listed] = world.call(who, "GET", "/systems").json()
        assert listed["status"] == {
            "particle_type": "gone",
            "particle_count": 5,
            "max_particles": 0,
            "config": {"particle_count": 5},
            "audio_loaded": False,
        }

    def test_nobody_sees_those_of_others(self, world: World, who: str) -> None:
        system = create(world, who).json()["system_id"]
        other = owner_with(world)
        assert world.call(other, "GET", "/systems").json() == []
        assert world.call(other, "GET", f"/systems/{system}").status_code == 404


class TestQuotas:
    def test_number_of_systems(self, world: World) -> None:
        who = owner_with(world, systems=2)
        systems = [create(world, who).json()["system_id"] for _ in range(2)]
        refused = create(world, who)
        assert refused.status_code == 429
        assert refused.json()["limit"] == "systems"
        assert refused.json()["detail"] == "there are 2 systems; delete some: at most 2 here (limit systems)"
        changed = world.call(who, "PUT", f"/systems/{systems[0]}/config", json={"config": LARGE})
        assert changed.status_code == 200, changed.text
        world.call(who, "DELETE", f"/systems/{systems[0]}")
        assert create(world, who).status_code == 200

    def test_system_that_was_created_but_not_answered_counts_once(self, world: World) -> None:
        who = owner_with(world, systems=1)
        first = create(world, who, {"Idempotency-Key": "k"})

        async def forget_answer(_: Any, sessions: Any) -> None:
            async with sessions.begin() as session:
                mine = update(IdempotencyRow).where(IdempotencyRow.owner == who)
                await session.execute(mine.values(answer=null(), holder="", size=0))

        world.change(forget_answer)
        again = create(world, who, {"Idempotency-Key": "k"})
        assert (again.status_code, again.json()) == (200, first.json())
        assert create(world, who).status_code == 429

    def test_bytes_of_systems(self, world: World, who: str) -> None:
        size = columns(world, create(world, who).json()["system_id"]).size
        who = owner_with(world, stored_bytes=2 * size + 100)
        system = create(world, who).json()["system_id"]
        for refused in (
            create(world, who, **LARGE),
            world.call(who, "PUT", f"/systems/{system}/config", json={"config": LARGE}),
        ):
            assert refused.status_code == 429
            assert refused.json()["limit"] == "stored_bytes"
        smaller = world.call(who, "PUT", f"/systems/{system}/config", json={"config": {"seed": 9}})
        assert smaller.status_code == 200
        assert create(world, who).status_code == 200
        assert create(world, who).status_code == 429

    def test_bytes_of_corrections(self, world: World) -> None:
        data = song()
        who = owner_with(world, stored_bytes=len(data) + 2000)
        address = f"/audio/{world.song(who, data)['audio_id']}/analysis"
        document = {"schema": "motes-analysis", "version": 1, "duration": 0.2}
        times = [round(0.0005 * number, 6) for number in range(300)]
        long = document | {"events": {"onsets": {"times": times, "strengths": [0.1] * 300}}}
        refused = world.call(who, "PUT", address, json=long)
        assert (refused.status_code, refused.json()["limit"]) == (429, "stored_bytes")
        for _ in range(3):
            assert world.call(who, "PUT", address, json=document).status_code == 200
        assert world.call(who, "PUT", address, json=long).status_code == 429


class TestAnswers:
    def rows(self, world: World, who: str) -> list[Any]:
        async def read(_: Any, sessions: Any) -> Any:
            async with sessions() as session:
                rows = select(IdempotencyRow).where(IdempotencyRow.owner == who)
                return list(await session.scalars(rows.order_by(IdempotencyRow.created_at)))

        return list(world.change(read))

    def test_long_one_is_not_stored_twice(self, world: World, who: str) -> None:
        first = create(world, who, {"Idempotency-Key": "k"}, **LARGE)
        assert len(first.content) > 4000
        [row] = self.rows(world, who)
        assert row.answer["body"] is None
        assert 0 < row.size < 300
        assert create(world, who, {"Idempotency-Key": "k"}, **LARGE).json() == first.json()
        system = first.json()["system_id"]
        world.call(who, "PUT", f"/systems/{system}/config", json={"config": {"seed": 5}})
        again = create(world, who, {"Idempotency-Key": "k"}, **LARGE)
        assert again.json() == world.call(who, "GET", f"/systems/{system}").json()
        world.call(who, "DELETE", f"/systems/{system}")
        assert create(world, who, {"Idempotency-Key": "k"}, **LARGE).status_code == 404, "it is not made again"
        assert world.call(who, "GET", "/systems").json() == []

    def test_short_one_stays_as_it_was(self, world: World, who: str) -> None:
        system = create(world, who).json()["system_id"]
        headers = {"Idempotency-Key": "render"}
        first = world.call(who, "POST", f"/systems/{system}/render", json={}, headers=headers)
        world.call(who, "DELETE", f"/jobs/{first.json()['job_id']}")
        assert world.call(who, "POST", f"/systems/{system}/render", json={}, headers=headers).json() == first.json()
        [row] = self.rows(world, who)
        assert row.size >= len(json.dumps(row.answer))

    def test_latest_of_each_owner_are_kept(self, world: World, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(idempotency, "KEPT", 3)
        other = owner_with(world)
        kept = create(world, other, {"Idempotency-Key": "0"})
        made = [create(world, who, {"Idempotency-Key": str(number)}) for number in range(6)]
        assert [row.key for row in self.rows(world, who)] == [f"{who} {number}" for number in (2, 3, 4, 5)]
        assert create(world, who, {"Idempotency-Key": "5"}).json() == made[5].json()
        assert create(world, who, {"Idempotency-Key": "0"}).json() != made[0].json()
        assert create(world, other, {"Idempotency-Key": "0"}).json() == kept.json()
