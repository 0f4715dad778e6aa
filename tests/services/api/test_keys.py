"""Keys and owners, on both databases: the application on a real server in this process, and no worker."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from ecs_core import MotesError
from services.api import create_app
from services.api.authentication import UNAUTHORIZED, keys_needed
from services.api.routes import previews
from services.auth import api_keys
from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions
from services.database.models import JobRow, KeyRow, UploadRow, new_id
from services.observability.masking import masked
from services.processes.supervisor import environment_of
from services.settings import ServiceSettings
from tests.services.api.world import World, picture, served, song, world_of
from tests.services.moments import now
from tests.services.servers import Postgres
from tests.waiting import HANG

OPEN = {"/particles/types", "/particles/layers", "/particles/templates", "/particles/health"} | {
    f"/particles/templates/{{template}}{more}" for more in ("", "/picture")
}
_OF_EACH = (b"date", b"x-request-id", b"ratelimit")  # headers that differ from answer to answer
SOMEBODYS = "00000000-0000-4000-8000-000000000000"  # an id; a new one would be another test in each process


def pass_time(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Let keys expire as they will in a while."""
    present = ApiKeys.now

    async def later(keys: ApiKeys) -> datetime:
        return await present(keys) + by

    monkeypatch.setattr(ApiKeys, "now", later)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    database = ""
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres_server")
        database = server.url(server.create())

    async def make(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
        wanted = {"alice": ("read", "render"), "bob": ("read", "render"), "admin": ("admin",)}
        made = {name: (await keys.create(owner=name, scopes=scopes))[1] for name, scopes in wanted.items()}
        for scope in ("read", "render"):
            made[f"{scope} only"] = (await keys.create(owner="alice", scopes=(scope,)))[1]
        return made

    given = {
        "wrong_keys_per_minute": 100_000,
        "webhook_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "webhook_private_targets": "true",
    }
    with (
        pytest.MonkeyPatch.context() as patch,
        world_of(tmp_path_factory.mktemp("keys"), make, database=database, **given) as world,
    ):
        patch.setattr(previews, "_TIMEOUT", 0.1)  # there is no worker
        yield world


on_one = pytest.mark.parametrize("world", ["sqlite"], indirect=True)  # what is no question of the database


def routes() -> list[tuple[str, str]]:
    """Every route of the API, by method and path."""
    paths = create_app().openapi()["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    headed = ("health", "systems/{system_id}/frame", "systems/{system_id}/preview")
    headed = (*headed, "download/{job_id}", "jobs/{job_id}/poster", "assets/{asset_id}/file")
    return [*sorted(found), *(("HEAD", f"/particles/{path}") for path in headed)]


ROUTES = [(method, path.removeprefix("/particles")) for method, path in routes() if path.startswith("/particles/")]
WITH_ID = [each for each in ROUTES if "{" in each[1] and f"/particles{each[1]}" not in OPEN]
TUS = {"Tus-Resumable": "1.0.0"}
BODIES: dict[str, dict[str, Any]] = {
    "PUT /systems/{system_id}/config": {"json": {"config": {"particle_count": 60}}},
    "PUT /audio/{audio_id}/analysis": {"json": {}},
    "POST /systems/{system_id}/estimate": {},
    "POST /systems/{system_id}/render": {"json": {"output_path": "mine.mp4"}},
    "POST /systems/{system_id}/load-audio": {"params": {"audio_path": "uploads/" + "0" * 64}},
    "DELETE /uploads/{upload_id}": {"headers": TUS},
    "PATCH /uploads/{upload_id}": {
        "headers": {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
        "content": b"half",
    },
}


def request_of(method: str, path: str, system: str, job: str) -> dict[str, Any]:
    others = {"audio_id": "0" * 64, "asset_id": "0" * 64, "batch_id": SOMEBODYS, "upload_id": SOMEBODYS}
    names = {"particle_type": "snow", "template": "cover-ring", "name": "main"}
    filled = path.format(system_id=system, job_id=job, **others, **names)
    return {"method": method, "path": filled, **BODIES.get(f"{method} {path}", {})}


def all_of(answer: httpx.Response) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Everything that a client is told."""
    return answer.status_code, sorted(each for each in answer.headers.raw if each[0] not in _OF_EACH), answer.content


@on_one
class TestWithoutAKey:
    @pytest.mark.parametrize(("method", "path"), ROUTES)
    def test_only_open_routes_answer(self, world: World, method: str, path: str) -> None:
        request = request_of(method, path, new_id(), new_id())
        answer = world.call(None, **request)
        if f"/particles{path}" in OPEN:
            assert answer.status_code == 200
            return
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        if method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"] == UNAUTHORIZED

    @pytest.mark.parametrize("path", ["/create", f"/systems/{SOMEBODYS}/render", "/audio"])
    def test_body_is_not_read(self, world: World, path: str) -> None:
        url = world.client.base_url
        with socket.create_connection((url.host, url.port or 0), timeout=HANG) as connection:
            head = f"POST /particles{path} HTTP/1.1\r\nHost: motes\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())  # which never comes
            assert connection.recv(100).startswith(b"HTTP/1.1 401 ")

    def test_every_invalid_key_gets_the_same_answer(self, world: World) -> None:
        async def make(keys: ApiKeys, sessions: Sessions) -> list[str]:
            expired = (await keys.create(owner="alice", lasts=timedelta(seconds=-1)))[1]
            row, revoked = await keys.create(owner="alice")
            await keys.revoke(row.id)
            return [expired, revoked]

        right = world.keys["alice"]
        wrong = [
            *world.change(make),
            right[:-1] + ("a" if right[-1] != "a" else "b"),
            right[:15],
            right.upper(),
            "motes_aaaaaaaa_" + "a" * 43,
            "nonsense",
            "ü" * 50,
            "x" * 5000,
        ]
        answers = {repr(all_of(world.call(None, "GET", "/systems", headers=sent(key)))) for key in wrong}
        assert answers == {repr(all_of(world.call(None, "GET", "/systems")))}

    @pytest.mark.parametrize("headers", [{"Authorization": "Basic YWxpY2U6cA=="}, {"Authorization": "Bearer"}])
    def test_other_authorization_schemes_are_ignored(self, world: World, headers: dict[str, str]) -> None:
        assert world.call(None, "GET", "/systems", headers=headers).status_code == 401

    def test_websocket_is_closed_with_the_reason(self, world: World) -> None:
        assert world.closed(new_id()) == (1008, UNAUTHORIZED)


def sent(key: str) -> dict[str, bytes]:
    return {"Authorization": b"Bearer " + key.encode()}


class TestAKey:
    @pytest.mark.parametrize("name", ["Authorization", "authorization", "X-API-Key"])
    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer "])
    def test_is_accepted_in_either_header(self, world: World, name: str, scheme: str) -> None:
        value = world.keys["alice"] if name == "X-API-Key" else scheme + world.keys["alice"]
        assert world.call(None, "GET", "/systems", headers={name: value}).status_code == 200

    def test_is_accepted_beside_basic_authentication(self, world: World) -> None:
        headers = {"Authorization": "Basic YWxpY2U6cA==", "X-API-Key": world.keys["alice"]}
        assert world.call(None, "GET", "/systems", headers=headers).status_code == 200

    def test_in_the_url_is_for_websockets_events_and_downloads(self, world: World) -> None:
        system, job = world.made("alice")
        key = world.keys["alice"]
        assert world.call(None, "GET", f"/jobs/{job}/events?key={key}").status_code == 200
        assert world.call(None, "GET", f"/jobs/{job}?key={key}").status_code == 401
        with world.watching(system, "alice") as websocket:
            assert json.loads(websocket.recv(timeout=HANG))["particle_type"] == "enhanced"

    def test_revoked_is_refused_after_the_cache_expires(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        row, key = world.change(lambda keys, sessions: keys.create(owner="carol"))
        assert world.call(key, "GET", "/systems").status_code == 200
        world.change(lambda keys, sessions: keys.revoke(row.id))
        monkeypatch.setattr(api_keys, "CACHE_SECONDS", 0.0)
        assert world.call(key, "GET", "/systems").status_code == 401

    def test_is_not_cached_beyond_its_expiry(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        lasts = timedelta(hours=1)
        _, key = world.change(lambda keys, sessions: keys.create(owner="carol", lasts=lasts))
        assert world.call(key, "GET", "/systems").status_code == 200
        pass_time(monkeypatch, lasts)
        assert world.call(key, "GET", "/systems").status_code == 401

    def test_in_use_is_cached(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        assert world.call("alice", "GET", "/systems").status_code == 200
        monkeypatch.setattr(ApiKeys, "_load", None)
        assert world.call("alice", "GET", "/systems").status_code == 200

    def test_rotated_keeps_its_rights_and_expiry(self, world: World) -> None:
        async def make(keys: ApiKeys, sessions: Sessions) -> tuple[str, str, KeyRow]:
            row, first = await keys.create(owner="dora", name="ci", limits={"open_jobs": 3}, lasts=timedelta(days=10))
            new, second = await keys.rotate(row.id, overlap=timedelta(hours=1))
            return first, second, new

        first, second, new = world.change(make)
        system = world.call(first, "POST", "/create", json={"particle_type": "snow"}).json()["system_id"]
        assert world.call(second, "GET", f"/systems/{system}").status_code == 200
        assert (new.owner, new.name, new.limits, new.scopes) == ("dora", "ci", {"open_jobs": 3}, ["read", "render"])
        assert timedelta(days=9) < new.expires_at - now() <= timedelta(days=10)

    def test_replaced_expires_after_the_overlap(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        row, key = world.change(lambda keys, sessions: keys.create(owner="dora"))
        world.change(lambda keys, sessions: keys.rotate(row.id, overlap=timedelta(hours=1)))
        assert world.call(key, "GET", "/systems").status_code == 200
        pass_time(monkeypatch, timedelta(hours=1))
        monkeypatch.setattr(api_keys, "CACHE_SECONDS", 0.0)
        assert world.call(key, "GET", "/systems").status_code == 401


@on_one
class TestScopes:
    @pytest.mark.parametrize(("method", "path"), [each for each in ROUTES if f"/particles{each[1]}" not in OPEN])
    def test_get_needs_read_and_other_methods_need_render(self, world: World, method: str, path: str) -> None:
        needed, other = ("read", "render") if method in ("GET", "HEAD") else ("render", "read")
        request = request_of(method, path, new_id(), new_id())
        refused = world.call(f"{other} only", **request)
        assert refused.status_code == 403
        if method != "HEAD":
            said = f"The API key lacks the scope '{needed}'; it has {other}"
            assert refused.json()["detail"] == said
        status = world.call(f"{needed} only", **request).status_code
        if (method, path) == ("GET", "/webhook-secret"):  # which changes nothing, but is not for keys that only read
            assert status == 403
        else:
            assert status not in (401, 403)

    def test_read_scope_can_watch_but_not_change_a_system(self, world: World) -> None:
        system, _ = world.made("alice")
        with world.watching(system, "read only") as websocket:
            assert json.loads(websocket.recv(timeout=HANG))["particle_count"] == 50
            websocket.send(json.dumps({"action": "update_config", "config": {"particle_count": 60}}))
            while "error" not in (answer := json.loads(websocket.recv(timeout=HANG))):
                assert answer["particle_count"] == 50
        assert answer["error"] == "The API key lacks the scope 'render'; it has read"


class TestOwnership:
    @pytest.mark.parametrize(("method", "path"), WITH_ID)
    def test_resources_of_others_are_not_found(self, world: World, method: str, path: str) -> None:
        system, job = world.made("alice")
        of_alice = request_of(method, path, system, job)
        of_nobody = request_of(method, path, new_id(), new_id())
        if "audio_path" in of_alice.get("params", {}):  # of which the one that was refused must not be the song
            of_alice["params"] = of_nobody["params"] = {"audio_path": world.song("bob", song())["audio_path"]}
        before = world.call("alice", "GET", f"/systems/{system}").content, world.call("alice", "GET", "/jobs").content
        foreign, unknown = world.call("bob", **of_alice), world.call("bob", **of_nobody)
        assert all_of(foreign) == all_of(unknown)
        assert foreign.status_code == 404
        after = world.call("alice", "GET", f"/systems/{system}").content, world.call("alice", "GET", "/jobs").content
        assert before == after
        if "audio_path" in of_alice.get("params", {}):
            of_alice["params"] = {"audio_path": world.song("alice", song())["audio_path"]}
        if "audio_id" in path:  # of which everybody may have one of the same name
            of_alice["path"] = path.format(audio_id=world.song("alice", song(level=77))["audio_id"])
            assert all_of(world.call("bob", **of_alice)) == all_of(unknown)
        if "batch_id" in path:
            body = {"particle_type": "snow", "songs": [world.song("alice", song())["audio_id"]]}
            of_alice["path"] = path.format(**world.call("alice", "POST", "/batches", json=body).json())
            assert all_of(world.call("bob", **of_alice)) == all_of(unknown)
        if "asset_id" in path:
            of_alice["path"] = path.format(asset_id=world.asset("alice", picture(level=77))["asset_id"])
            assert all_of(world.call("bob", **of_alice)) == all_of(unknown)
        if "upload_id" in path:
            about = {**TUS, "Upload-Length": "8", "Upload-Metadata": "filename c29uZy53YXY=,kind c29uZw=="}
            made = world.call("alice", "POST", "/uploads", headers=about).headers["location"]
            of_alice["path"] = path.format(upload_id=made.rpartition("/")[2])
            assert all_of(world.call("bob", **of_alice)) == all_of(unknown)
        assert world.call("alice", **of_alice).status_code != 404
        if method != "DELETE" and "upload_id" not in path:  # which nobody else can go on with
            assert world.call("admin", **of_alice).status_code != 404

    def test_systems_of_others_cannot_be_watched(self, world: World) -> None:
        system, _ = world.made("alice")
        assert {world.closed(each, "bob") for each in (system, new_id())} == {(1008, "System not found")}

    def test_websocket_shows_only_own_jobs(self, world: World) -> None:
        system, _ = world.made("alice")
        of_admin = world.call("admin", "POST", f"/systems/{system}/render", json={}).json()["job_id"]
        seen = {}
        for who in ("alice", "admin"):
            with world.watching(system, who) as websocket:
                seen[who] = {each["job_id"] for each in json.loads(websocket.recv(timeout=HANG))["jobs"]}
        assert world.call("admin", "POST", f"/jobs/{of_admin}/cancel").status_code == 200
        assert seen["admin"] - seen["alice"] == {of_admin}

    def test_lists_show_only_own_resources(self, world: World) -> None:
        system, job = world.made("alice")
        for path, what, made in (("/systems", "system_id", system), ("/jobs", "job_id", job)):
            shown = {who: world.call(who, "GET", path).json() for who in ("alice", "bob", "admin")}
            assert {each["owner"] for each in shown["alice"]} == {"alice"}
            assert {each["owner"] for each in shown["bob"]} <= {"bob"}
            assert {each[what]: each["owner"] for each in shown["admin"]}[made] == "alice"

    def test_pages_and_filters_show_only_own_resources(self, world: World) -> None:
        system, _ = world.made("alice")
        world.made("alice")
        link = world.call("alice", "GET", "/jobs?limit=1").links["next"]["url"].removeprefix("/particles")
        assert world.call("alice", "GET", link).json()
        for path in (link, f"/jobs?system_id={system}", f"/jobs?system_id={system}&status=cancelled"):
            assert {each["owner"] for each in world.call("bob", "GET", path).json()} <= {"bob"}
        assert world.call("bob", "GET", f"/jobs?system_id={system}").content == b"[]"

    def test_metrics_count_only_own_resources(self, world: World) -> None:
        _, key = world.change(lambda keys, sessions: keys.create(owner="erik"))
        world.made("alice")
        assert set(world.call(key, "GET", "/metrics").json().values()) == {0}
        world.made(key)
        assert world.call(key, "GET", "/metrics").json()["active_systems"] == 1
        assert world.call("admin", "GET", "/metrics").json()["active_systems"] > 1

    def test_song_can_be_used_only_by_its_uploaders(self, world: World) -> None:
        system, _ = world.made("bob")
        uploaded = world.song("alice", song(level=2))
        unknown = "uploads/" + hashlib.sha256(b"").hexdigest() + ".wav"

        def tried(path: str) -> list[tuple[int, str]]:
            loaded = world.call("bob", "POST", f"/systems/{system}/load-audio", params={"audio_path": path})
            rendered = world.call("bob", "POST", f"/systems/{system}/render", json={"audio_path": path})
            return [(each.status_code, each.text.replace(path, "…")) for each in (loaded, rendered)]

        assert tried(uploaded["audio_path"]) == tried(unknown)
        assert [status for status, _ in tried(unknown)] == [404, 404]
        assert world.song("bob", song(level=2)) == uploaded
        assert [status for status, _ in tried(uploaded["audio_path"])] == [200, 202]

    def test_uploading_a_known_song_reveals_nothing_of_its_first_owner(self, world: World) -> None:
        first = world.song("alice", song(level=3), name="secret.flac")
        again = world.song("bob", song(level=3), name="mine.wav")
        assert first["audio_path"].endswith(".flac")
        assert again["audio_path"] == f"uploads/{first['sha256']}.wav"
        assert again | {"audio_path": ""} == first | {"audio_path": ""}
        found = world.change(lambda keys, sessions: owners_of(sessions, first["sha256"]))
        assert sorted(found) == ["alice", "bob"]

    def test_idempotency_keys_are_per_owner(self, world: World) -> None:
        headers = {"Idempotency-Key": new_id()}
        body = {"particle_type": "snow"}
        made = {who: world.call(who, "POST", "/create", json=body, headers=headers) for who in ("alice", "bob")}
        systems = {who: answer.json()["system_id"] for who, answer in made.items()}
        assert systems["alice"] != systems["bob"]
        again = world.call("alice", "POST", "/create", json=body, headers=headers)
        assert again.json()["system_id"] == systems["alice"]
        other = world.call("bob", "POST", "/create", json={"particle_type": "zen"}, headers=headers)
        assert other.status_code == 422  # bob's own

    def test_frames_of_equal_systems_are_separate_jobs(self, world: World) -> None:
        jobs = {}
        for who in ("alice", "bob"):
            system, _ = world.made(who, seed=77)
            assert world.call(who, "GET", f"/systems/{system}/frame").status_code == 503  # it waits for a worker
            rows = world.change(lambda keys, sessions, system=system: frames_of(sessions, system))
            jobs[who] = [(row.owner, row.fairness_key) for row in rows]
        assert jobs == {"alice": [("alice", "alice")], "bob": [("bob", "bob")]}

    def test_queue_is_fair_to_owners(self, world: World) -> None:
        system, job = world.made("alice")
        row = world.change(lambda keys, sessions: job_of(sessions, job))
        assert (row.owner, row.fairness_key, row.system_id) == ("alice", "alice", system)


async def owners_of(sessions: Sessions, sha256: str) -> list[str]:
    async with sessions() as session:
        return list(await session.scalars(select(UploadRow.owner).where(UploadRow.sha256 == sha256)))


async def frames_of(sessions: Sessions, system: str) -> list[Any]:
    async with sessions() as session:
        return list(await session.scalars(select(JobRow).where(JobRow.system_id == system, JobRow.kind == "frame")))


async def job_of(sessions: Sessions, job: str) -> Any:
    async with sessions() as session:
        return await session.get_one(JobRow, job)


@on_one
class TestKeysInTheDatabase:
    def test_only_a_digest_is_stored(self, world: World) -> None:
        key = world.keys["alice"]
        rows = world.change(lambda keys, sessions: keys.all())
        [row] = [row for row in rows if row.id == key[6:14]]
        assert row.digest == hashlib.sha256(key.encode()).hexdigest()
        assert key[15:] not in repr([vars(row) for row in rows])

    def test_wrong_keys_cost_the_same_work_as_right_ones(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both run the same statements and one constant-time comparison."""
        monkeypatch.setattr(api_keys, "CACHE_SECONDS", -1.0)
        right = world.keys["alice"]
        tried = {
            "right": right,
            "the last letter": right[:-1] + ("a" if right[-1] != "a" else "b"),
            "the first letter": right[:15] + ("a" if right[15] != "a" else "b") + right[16:],
            "an unknown id": "motes_aaaaaaaa_" + right[15:],
            "nothing": "",
        }

        async def work(keys: ApiKeys, sessions: Sessions) -> dict[str, object]:
            await keys.now()  # which is remembered
            async with sessions() as session:
                engine = (await session.connection()).engine.sync_engine
            done: list[object] = []
            event.listen(engine, "before_cursor_execute", lambda *call: done.append(call[2]))
            real = hmac.compare_digest

            def compare(left: str, right: str) -> bool:
                done.append((len(left), len(right)))
                return real(left, right)

            monkeypatch.setattr(api_keys, "hmac", SimpleNamespace(compare_digest=compare))
            found: dict[str, object] = {}
            for name, key in tried.items():
                done.clear()
                assert (await keys.caller(key) is not None) == (name == "right")
                found[name] = tuple(done)
            return found

        found = world.change(work)
        assert len(set(found.values())) == 1, found
        assert found["right"][-1] == (64, 64)  # digests, not keys

    def test_wrong_keys_are_cached_as_long_as_right_ones(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api_keys, "CACHE_SECONDS", 3600.0)  # however slow this machine is

        async def look_ups(keys: ApiKeys, sessions: Sessions) -> dict[str, int]:
            revoked, key = await keys.create(owner="alice")
            await keys.revoke(revoked.id)
            expired = await keys.create(owner="alice", lasts=timedelta(seconds=-1))
            tried = {"right": world.keys["alice"], "revoked": key, "expired": expired[1]}
            tried |= {"unknown": "motes_aaaaaaaa_" + key[15:], "nothing": ""}
            made = 0

            def counted() -> AsyncSession:
                nonlocal made
                made += 1
                return sessions()

            monkeypatch.setattr(keys, "_sessions", counted)
            found = {}
            for name, each in tried.items():
                made = 0
                assert [await keys.caller(each) is not None for _ in range(3)] == 3 * [name == "right"]
                found[name] = made
            return found

        assert set(world.change(look_ups).values()) == {1}

    def test_wrong_keys_push_out_no_valid_ones(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api_keys, "_CACHE_SIZE", 5)
        monkeypatch.setattr(api_keys, "CACHE_SECONDS", 3600.0)

        async def try_many(keys: ApiKeys, sessions: Sessions) -> tuple[int, int]:
            asked: list[object] = []
            assert await keys.caller(world.keys["alice"]) is not None
            async with sessions() as session:
                engine = (await session.connection()).engine.sync_engine
            event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
            for number in range(20):
                assert await keys.caller(f"motes_aaaaaaaa_{number}") is None
                assert await keys.caller(world.keys["alice"]) is not None
            return sum("SELECT" in str(each) for each in asked), len(keys._unknown)

        assert world.change(try_many) == (20, 5)  # a query for each wrong key, none for the valid one

    def test_cache_of_valid_keys_is_bounded(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api_keys, "_CACHE_SIZE", 3)

        async def try_all(keys: ApiKeys, sessions: Sessions) -> int:
            for key in world.keys.values():
                assert await keys.caller(key) is not None
            assert keys.is_known(key)  # the last one
            return len(keys._cache)

        assert len(world.keys) > 3
        assert world.change(try_all) == 3

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"owner": ""}, "owner '': must be a letter or digit"),
            ({"owner": "a b"}, "owner 'a b': must be a letter or digit"),
            ({"owner": "a" * 65}, "must be a letter or digit, then up to 63"),
            ({"owner": "a", "name": "x\ny"}, "must be at most 128 characters of one line"),
            ({"owner": "a", "scopes": ["write"]}, "scopes ['write']: must be of read, render, priority, admin"),
            ({"owner": "a", "scopes": []}, "and at least one"),
            (
                {"owner": "a", "limits": {"open_jobs": float("nan")}},
                "limit open_jobs=nan: must be one of requests_per_m",
            ),
            ({"owner": "a", "limits": {"open_jobs": -1.0}}, "limit open_jobs=-1: must be one of requests_per_minute"),
            ({"owner": "a", "limits": {"jobs": 1.0}}, "limit jobs=1: must be one of requests_per_minute, open_jobs"),
        ],
    )
    def test_invalid_values_are_refused(self, world: World, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(MotesError) as refused:
            world.change(lambda keys, sessions: keys.create(**wrong))
        assert said in str(refused.value)


@on_one
class TestLogs:
    @pytest.mark.parametrize("text", ["motes_abcdefgh_" + "x" * 43, "not_a_key"])
    def test_mask_keys_in_urls(self, world: World, caplog: pytest.LogCaptureFixture, text: str) -> None:
        with caplog.at_level(logging.DEBUG):
            for path in ("/jobs/x/events", "/nowhere", "/types"):
                world.client.get(f"/particles{path}", params={"key": text})
            world.closed(new_id(), text)
        ours = [each for each in caplog.records if not each.name.startswith(("httpx", "httpcore", "websockets"))]
        requests = [
            each.getMessage() for each in ours if "/particles/" in each.getMessage() and each.levelname == "INFO"
        ]
        assert len(requests) == 4
        assert all("?key=********" in each for each in requests), requests
        assert text not in "".join(each.getMessage() for each in ours)


def test_masked_keys_keep_their_prefix() -> None:
    key = "motes_abcdefgh_" + "x-_" * 14 + "x"
    said = masked(f"GET /a?b=c&key={key}&d=e with {key}.")
    assert said == "GET /a?b=c&key=********&d=e with motes_abcdefgh_********."


def connection(server: str | None, client: str | None = "127.0.0.1", *forwarded: str) -> HTTPConnection:
    ends = {"server": server and (server, 8000), "client": client and (client, 12345)}
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return HTTPConnection({"type": "http", "headers": headers, **ends})


class TestAuthMode:
    @pytest.mark.parametrize(
        ("host", "needed"),
        [
            ("127.0.0.1", False),
            ("127.8.8.8", False),
            ("::1", False),
            ("localhost", False),
            ("0.0.0.0", True),
            ("::", True),
            ("", True),
            ("192.168.1.5", True),
            ("motes.example", True),
        ],
    )
    def test_auto_depends_on_the_listening_address(self, host: str, needed: bool) -> None:
        assert keys_needed(ServiceSettings(host=host, auth="auto"), connection("127.0.0.1")) == needed

    @pytest.mark.parametrize(
        ("server", "needed"),
        [("127.0.0.1", False), ("::1", False), (None, False), ("10.0.0.7", True), ("fe80::1", True)],
    )
    def test_auto_depends_on_the_server_address_of_the_connection(self, server: str | None, needed: bool) -> None:
        assert keys_needed(ServiceSettings(host="127.0.0.1", auth="auto"), connection(server)) == needed

    def test_auto_depends_on_the_forwarded_client(self) -> None:
        settings = ServiceSettings(host="127.0.0.1", auth="auto")
        assert keys_needed(settings, connection("127.0.0.1", client="203.0.113.9"))

    @pytest.mark.parametrize(
        ("client", "forwarded", "needed"),
        [
            ("127.0.0.1", ["127.0.0.1"], False),
            ("::1", ["::1", "127.0.0.1"], False),
            ("127.0.0.1", ["203.0.113.9"], False),  # what a proxy says that nobody trusts
            (None, [], False),  # a socket with a path
            (None, ["127.0.0.1"], True),
            ("unknown", ["unknown"], True),
            ("127.0.0.1", [""], True),
            ("127.0.0.1", ["203.0.113.9,"], True),
            ("127.0.0.1", ["203.0.113.9", ""], True),
            ("127.0.0.1", [":80"], True),
            ("127.0.0.1", ["_hidden, 127.0.0.1"], True),
        ],
    )
    def test_auto_needs_keys_for_a_proxy_without_a_client_address(
        self, client: str | None, forwarded: list[str], needed: bool
    ) -> None:
        settings = ServiceSettings(host="127.0.0.1", auth="auto")
        assert keys_needed(settings, connection("127.0.0.1", client, *forwarded)) == needed

    @pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
    def test_can_be_set(self, host: str) -> None:
        for server in ("127.0.0.1", "10.0.0.7"):
            assert keys_needed(ServiceSettings(host=host, auth="required"), connection(server))
            assert not keys_needed(ServiceSettings(host=host, auth="off"), connection(server))

    def test_invalid_value_is_refused(self) -> None:
        with pytest.raises(ValidationError):
            ServiceSettings(auth="of")

    def test_motes_serve_passes_its_host_to_the_api(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        settings = ServiceSettings(host="0.0.0.0", data=tmp_path / "data")
        assert environment_of(settings, tmp_path)["MOTES_HOST"] == "0.0.0.0"


def test_open_access_is_logged_as_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"DATA": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0", "AUTH": "off", "HOST": "0.0.0.0"}
    for name, value in (values | {"DATABASE_URL": ""}).items():
        monkeypatch.setenv(f"MOTES_{name}", value)
    with served() as url:
        assert httpx.get(f"{url}/particles/systems", trust_env=False).status_code == 200
    assert "MOTES_AUTH=off: anybody who reaches 0.0.0.0 port 8000 may do anything" in caplog.messages


def test_openapi_describes_the_security_schemes() -> None:
    document = create_app().openapi()
    schemes = {name: (each["type"], each.get("in")) for name, each in document["components"]["securitySchemes"].items()}
    assert schemes == {"Bearer": ("http", None), "X-API-Key": ("apiKey", "header"), "key": ("apiKey", "query")}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            ways = [name for each in operation.get("security", []) for name in each]
            of_all = ["Bearer", "X-API-Key"] + (["key"] if path.endswith("/events") else [])
            assert ways == ([] if path in OPEN else of_all), (method, path)
            assert {"401", "403"} <= set(operation["responses"]) or path in OPEN, (method, path)
