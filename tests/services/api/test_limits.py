"""Limits as clients meet them: in every answer, in every refusal, on every way in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.api import create_app, rate_limit
from services.auth.api_keys import ANONYMOUS, Caller
from services.auth.limits import LimitError, check_scene, limit_of
from services.database.models import new_id
from services.media.songs import check_song
from services.observability import metrics
from services.settings import LIMITS, ServiceSettings
from tests.services.api.world import SMALL, World, changed, served, song, world_of
from tests.waiting import HANG

WIDE = {  # what this server does for nobody: the limits, and what is over them
    "max_pixels": 500_000,
    "max_fps": 50,
    "max_seconds": 20,
    "max_particles": 3000,
    "max_letters": 200,
    "max_variants": 2,
}
OVER: list[tuple[dict[str, Any], str, str]] = [
    ({"width": 1000, "height": 502}, "max_pixels", "width × height = 1000 × 502: at most 500000 here"),
    ({"fps": 51}, "max_fps", "fps = 51: at most 50 here"),
    ({"fps": "60000/1001"}, "max_fps", "fps = 60000/1001: at most 50 here"),
    ({"duration": 20.5}, "max_seconds", "duration = 20.5 s: at most 20 here"),
    ({"particle_count": 3001}, "max_particles", "particle_count = 3001: at most 3000 here"),
    ({"max_particles": 3001}, "max_particles", "max_particles = 3001: at most 3000 here"),
    (
        {"particle_count": 2000, "layers": [{"type": "zen", "config": {"particle_count": 900}}, {"type": "snow"}]},
        "max_particles",
        "particle_count = 3100 in all layers: at most 3000 here",
    ),
    ({"variants": [{"size": f"{n}x16"} for n in (16, 18, 20)]}, "max_variants", "3 variants: at most 2 here"),
    (
        {"variants": [{"size": "64x64"}, {"size": "1000x502"}]},
        "max_pixels",
        "variants.1: width × height = 1000 × 502: at most 500000 here",
    ),
    ({"variants": [{"fps": 51}]}, "max_fps", "variants.0: fps = 51: at most 50 here"),
    ({"variants": [{"duration": 21}]}, "max_seconds", "variants.0: duration = 21 s: at most 20 here"),
]
BEYOND: list[tuple[dict[str, Any], str, str]] = [  # what no video can be: said is what this server allows
    ({"width": 30_000, "height": 30_000}, "max_pixels", "width × height = 30000 × 30000: at most 500000 here"),
    ({"fps": 500}, "max_fps", "fps = 500: at most 50 here"),
    ({"fps": "500"}, "max_fps", "fps = 500: at most 50 here"),
    ({"duration": 1e9}, "max_seconds", "duration = 1e+09 s: at most 20 here"),
    ({"particle_count": 10**9}, "max_particles", "particle_count = 1000000000: at most 3000 here"),
    ({"max_particles": 10**9}, "max_particles", "max_particles = 1000000000: at most 3000 here"),
    (
        {"layers": [{"type": "zen", "config": {"particle_count": 2_000_000}}]},
        "max_particles",
        "particle_count = 2000000: at most 3000 here",
    ),
    (
        {"layers": [{"kind": "text", "text": "a" * 150}, {"kind": "text", "text": "a" * 51}, {"text": 3}]},
        "max_letters",
        "layers: have 201 letters of text: at most 200 here",
    ),
]
WRONG = [
    {"layers": 3},
    {"layers": [3]},
    {"layers": [{"type": "zen", "config": 3}]},
    {"fps": "fast"},
    {"fps": True},
    {"duration": -1},
    {"width": "wide"},
    {"particle_count": [1]},
    {"fps": "9e999999"},
    {"variants": 3},
    {"variants": [3]},
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    wide = {"upload_limit": 50_000, "max_song_seconds": 25, **WIDE}
    with pytest.MonkeyPatch.context() as patch, world_of(tmp_path_factory.mktemp("limits"), **wide) as world:
        patch.setattr(rate_limit, "WINDOW", 3600)  # seconds, in which each test is over
        world.keys["alice"] = key(world, "alice")
        yield world


def key(world: World, owner: str, **limits: float) -> str:
    """A new key, with limits of its own."""
    return str(changed(world.database, lambda keys, sessions: keys.create(owner=owner, limits=limits))[1])


def counted(limit: str) -> float:
    return metrics.API.get_sample_value("motes_rate_limited_total", {"limit": limit}) or 0.0


def create(world: World, who: str, **config: Any) -> str:
    answer = world.call(who, "POST", "/create", json={"particle_type": "enhanced", "config": SMALL | config})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["system_id"])


class TestRequestsPerMinute:
    def test_are_in_the_headers_of_every_response(self, world: World) -> None:
        who = key(world, "told", requests_per_minute=20)
        system = create(world, who)
        answers = [
            world.call(who, "GET", "/systems"),
            world.call(who, "GET", f"/systems/{new_id()}"),
            world.call(who, "POST", "/create", json={"particle_type": "rain"}),
            world.call(who, "POST", "/create", content=b"?"),
            world.call(who, "PUT", f"/systems/{system}/config", json={"config": {}}),
            world.call(who, "POST", "/audio", files={"file": ("a.wav", song())}),
        ]
        assert [answer.status_code for answer in answers] == [200, 404, 400, 415, 200, 201]
        for used, answer in enumerate(answers, 2):
            assert answer.headers["RateLimit-Policy"] == '"requests_per_minute";q=20;w=60'
            left = re.fullmatch(r'"requests_per_minute";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
            assert left, answer.headers["RateLimit"]
            assert int(left[1]) == 20 - used  # each counts once
            assert 0 < int(left[2]) <= 3600

    def test_excess_is_refused_with_retry_after(self, world: World) -> None:
        who, before = key(world, "hasty", requests_per_minute=3), counted("requests_per_minute")
        assert [world.call(who, "GET", "/jobs").status_code for _ in range(3)] == [200] * 3
        refused = world.call(who, "GET", "/jobs")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json() == {
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Too Many Requests",
            "status": 429,
            "detail": "Too many requests a minute: at most 3 here (limit requests_per_minute)",
            "limit": "requests_per_minute",
            "value": 3,
            "violated-policies": ["requests_per_minute"],
        }
        assert 0 < int(refused.headers["Retry-After"]) <= 3600
        assert refused.headers["RateLimit"] == f'"requests_per_minute";r=0;t={refused.headers["Retry-After"]}'
        assert counted("requests_per_minute") == before + 1

    def test_are_refused_before_a_body_is_read(self, world: World) -> None:
        who = key(world, "full", requests_per_minute=0)
        for path, body in (("/create", {"content": b"?"}), ("/audio", {"content": b"?"})):
            assert world.call(who, "POST", path, **body).status_code == 429

    def test_include_forbidden_requests(self, world: World) -> None:
        made = changed(
            world.database,
            lambda keys, sessions: keys.create(owner="peeker", scopes=("read",), limits={"requests_per_minute": 2}),
        )
        assert [world.call(made[1], "DELETE", f"/jobs/{new_id()}").status_code for _ in range(3)] == [403, 403, 429]

    def test_exclude_open_routes(self, world: World) -> None:
        who = key(world, "watchdog", requests_per_minute=0)
        for path in ("/health", "/types"):
            answer = world.call(who, "GET", path)
            assert answer.status_code == 200
            assert "RateLimit" not in answer.headers

    def test_exclude_requests_without_a_valid_key(self, world: World) -> None:
        refused = world.call("nonsense", "GET", "/jobs")
        assert refused.status_code == 401
        assert "RateLimit" not in refused.headers

    def test_are_counted_per_key(self, world: World) -> None:
        keys = [key(world, "twice", requests_per_minute=1) for _ in range(2)]
        assert [world.call(each, "GET", "/jobs").status_code for each in (*keys, *keys)] == [200, 200, 429, 429]

    def test_limit_websocket_connections(self, world: World) -> None:
        who = key(world, "watcher", requests_per_minute=1)
        system = create(world, who)
        assert world.closed(system, who) == (
            1013,
            "Too many requests a minute: at most 1 here (limit requests_per_minute)",
        )

    def test_include_websocket_commands(self, world: World) -> None:
        who = key(world, "teller", requests_per_minute=4)
        system = create(world, who)
        with world.watching(system, who) as websocket:
            for number in range(4):
                websocket.send(json.dumps({"action": "update_config", "config": {"particle_count": 10 + number}}))
            while "error" not in (answer := json.loads(websocket.recv(timeout=HANG))):
                pass
        assert answer["error"].startswith("Too many requests a minute: at most 4 here")
        shown = changed_config(world, system)
        assert shown["particle_count"] == 11  # create, watch and two commands


def changed_config(world: World, system: str) -> dict[str, Any]:
    """A system's config as an admin sees it, who has no part in anybody's limits."""
    admin = changed(world.database, lambda keys, sessions: keys.create(owner="admin", scopes=("admin",)))[1]
    return dict(world.call(admin, "GET", f"/systems/{system}").json()["status"]["config"])


@pytest.mark.parametrize("config", WRONG, ids=str)
def test_invalid_value_is_not_reported_as_a_limit(world: World, config: dict[str, Any]) -> None:
    refused = world.call("alice", "POST", "/create", json={"particle_type": "enhanced", "config": SMALL | config})
    assert (refused.status_code, "limit" in refused.json()) == (400, False), refused.text
    assert next(iter(config)) in refused.json()["detail"]


@pytest.mark.parametrize(("config", "limit", "said"), OVER + BEYOND)
class TestSceneLimits:
    """Each refusal has the limit, its value and the requested value."""

    def refused(self, answer: httpx.Response, limit: str, said: str) -> None:
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["detail"] == f"{said} (limit {limit})"
        assert (problem["limit"], problem["value"]) == (limit, WIDE[limit])

    def test_apply_to_new_systems(self, world: World, config: dict[str, Any], limit: str, said: str) -> None:
        body = {"particle_type": "enhanced", "config": SMALL | config}
        self.refused(world.call("alice", "POST", "/create", json=body), limit, said)

    def test_apply_to_changes_of_a_system(self, world: World, config: dict[str, Any], limit: str, said: str) -> None:
        system = create(world, "alice")
        self.refused(world.call("alice", "PUT", f"/systems/{system}/config", json={"config": config}), limit, said)
        with world.watching(system, "alice") as websocket:
            websocket.send(json.dumps({"action": "update_config", "config": config}))
            while "error" not in (answer := json.loads(websocket.recv(timeout=HANG))):
                pass
        assert answer["error"] == f"{said} (limit {limit})"

    def test_apply_to_renders(self, world: World, config: dict[str, Any], limit: str, said: str) -> None:
        if limit in ("max_particles", "max_letters"):  # which a render cannot ask for
            return
        system = create(world, "alice")
        self.refused(world.call("alice", "POST", f"/systems/{system}/render", json=config), limit, said)

    def test_apply_to_frames_and_previews_of_older_systems(
        self, world: World, config: dict[str, Any], limit: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The system was created before the limit was set."""
        if (config, limit, said) in BEYOND:  # which there was never
            return
        system = create(world, "alice")
        changed(world.database, lambda keys, sessions: keep(sessions, system, SMALL | config))
        assert world.call("alice", "GET", f"/systems/{system}").status_code == 200
        previews = () if limit == "max_seconds" else ("preview?duration=1",)  # which is short, whatever the video is
        looks = () if "variants" in config else ("frame", *previews)  # which show the main output
        for what in (*looks, "render"):
            method = "POST" if what == "render" else "GET"
            more = {"json": {}} if what == "render" else {}
            self.refused(world.call("alice", method, f"/systems/{system}/{what}", **more), limit, said)


async def keep(sessions: Any, system: str, config: dict[str, Any]) -> None:
    from sqlalchemy import update

    from services.database.models import SystemRow

    async with sessions.begin() as session:
        await session.execute(update(SystemRow).where(SystemRow.id == system).values(config=config))


class TestSongs:
    def test_too_large_are_refused(self, world: World) -> None:
        refused = world.call("alice", "POST", "/audio", files={"file": ("a.wav", song(4.0))})
        assert refused.status_code == 413
        said = "the upload has too many bytes: at most 50000 here (limit upload_limit)"
        assert refused.json() | {"detail": said, "limit": "upload_limit", "value": 50_000} == refused.json()

    def test_endless_chunked_upload_is_refused_at_the_limit(self, world: World) -> None:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        sent = []

        def body() -> Iterator[bytes]:
            yield head
            while len(sent) < 10_000:
                sent.append(1)
                yield b"x" * 10_000

        try:
            refused = world.call(
                "alice", "POST", "/audio", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"}
            )
            assert refused.status_code == 413
        except (httpx.WriteError, httpx.ReadError):  # told while it was still talking
            pass
        assert len(sent) < 10_000

    def test_too_long_are_refused(self, world: World) -> None:
        refused = world.call("alice", "POST", "/audio", files={"file": ("a.wav", slow_song(26))})
        assert refused.status_code == 400
        assert refused.json()["detail"] == "a.wav: its duration is 26 s: at most 25 here (limit max_song_seconds)"

    def test_too_long_for_a_video_are_not_rendered(self, world: World) -> None:
        uploaded = world.song("alice", slow_song(22))
        system = create(world, "alice", duration="audio")
        body = {"audio_path": uploaded["audio_path"]}
        refused = world.call("alice", "POST", f"/systems/{system}/render", json=body)
        assert (refused.status_code, refused.json()["limit"]) == (400, "max_seconds")
        assert refused.json()["detail"] == "duration = 22 s: at most 20 here (limit max_seconds)"

    def test_part_of_a_song_that_is_too_long_is_rendered(self, world: World) -> None:
        uploaded = world.song("alice", slow_song(23))
        system = create(world, "alice", duration="audio")
        path, body = f"/systems/{system}/render", {"audio_path": uploaded["audio_path"]}
        assert world.call("alice", "POST", path, json={**body, "start": 4}).status_code == 202
        for start, seconds in ((2, 21), ("drop", 23)):  # before the analysis, a drop may be anywhere
            refused = world.call("alice", "POST", path, json={**body, "start": start})
            assert refused.json()["detail"] == f"duration = {seconds} s: at most 20 here (limit max_seconds)"


def slow_song(seconds: int) -> bytes:
    """A song of few samples."""
    import io
    import wave

    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 1, 1000, 0, "NONE", ""))
        file.writeframes(bytes([128]) * 1000 * seconds)
    return made.getvalue()


class TestQuotas:
    def test_name_the_quota_in_the_refusal(self, world: World) -> None:
        before = counted("open_jobs")
        who = key(world, "busy", open_jobs=2)
        system = create(world, who)
        tried = [
            world.call(who, "POST", f"/systems/{system}/render", json={"seed": seed}).status_code for seed in (1, 2)
        ]
        assert tried == [202, 202]
        refused = world.call(who, "POST", f"/systems/{system}/render", json={"seed": 3})
        assert refused.status_code == 429
        assert refused.json()["detail"] == "2 jobs are open: at most 2 here (limit open_jobs)"
        assert refused.json()["violated-policies"] == ["open_jobs"]
        assert int(refused.headers["Retry-After"]) > 0
        assert counted("open_jobs") == before + 1
        assert world.call(who, "GET", f"/systems/{system}/frame").status_code == 429  # which would be a job, too
        assert world.call(who, "GET", f"/systems/{system}/preview").status_code == 429

    def test_do_not_store_refusals_for_idempotency_keys(self, world: World) -> None:
        """A refused request can be repeated with its Idempotency-Key."""
        who = key(world, "patient", open_jobs=1)
        system = create(world, who)
        path, headers = f"/systems/{system}/render", {"Idempotency-Key": new_id()}
        first = world.call(who, "POST", path, json={"seed": 1})
        assert world.call(who, "POST", path, json={"seed": 2}, headers=headers).status_code == 429
        world.call(who, "POST", f"/jobs/{first.json()['job_id']}/cancel")
        assert world.call(who, "POST", path, json={"seed": 2}, headers=headers).status_code == 202
        assert world.call(who, "POST", path, json={"seed": 2}, headers=headers).status_code == 202

    def test_are_shared_by_all_keys_of_an_owner(self, world: World) -> None:
        keys = [key(world, "pair", open_jobs=1) for _ in range(2)]
        system = create(world, keys[0])
        assert [
            world.call(each, "POST", f"/systems/{system}/render", json={"seed": seed}).status_code
            for seed, each in enumerate(keys)
        ] == [202, 429]

    def test_per_day_have_retry_after(self, world: World) -> None:
        who = key(world, "long", rendered_seconds_per_day=3)
        system = create(world, who)
        assert world.call(who, "POST", f"/systems/{system}/render", json={"seed": 1}).status_code == 202
        refused = world.call(who, "POST", f"/systems/{system}/render", json={"seed": 2})
        assert refused.json()["limit"] == "rendered_seconds_per_day"
        assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600

    def test_on_bytes_refuse_an_upload(self, world: World) -> None:
        who = key(world, "small", stored_bytes=5000)
        assert world.call(who, "POST", "/audio", files={"file": ("a.wav", song(0.2, 5))}).status_code == 201
        refused = world.call(who, "POST", "/audio", files={"file": ("a.wav", song(0.2, 6))})
        assert (refused.status_code, refused.json()["limit"]) == (429, "stored_bytes")
        assert refused.json()["detail"] == (
            "3244 bytes are stored, and this is 3244 more; delete something: at most 5000 here (limit stored_bytes)"
        )


class TestLimitOf:
    def test_key_without_limits_uses_the_settings(self) -> None:
        settings = ServiceSettings(limit_open_jobs=7)
        caller = Caller("alice", "key", frozenset(), {})
        assert limit_of(settings, caller, "open_jobs") == 7
        for name in LIMITS:
            assert limit_of(settings, caller, name) == getattr(settings, f"limit_{name}")

    def test_key_limits_override_the_settings(self) -> None:
        caller = Caller("alice", "key", frozenset(), {"open_jobs": 3.0})
        assert limit_of(ServiceSettings(limit_open_jobs=7), caller, "open_jobs") == 3

    def test_anonymous_has_only_explicit_limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in LIMITS:
            monkeypatch.delenv(f"MOTES_LIMIT_{name.upper()}", raising=False)
            assert limit_of(ServiceSettings(), ANONYMOUS, name) is None
        monkeypatch.setenv("MOTES_LIMIT_OPEN_JOBS", "200")
        assert limit_of(ServiceSettings(), ANONYMOUS, "open_jobs") == 200

    def test_anonymous_requests_are_limited_per_address(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (("DATA", str(tmp_path)), ("REDIS_URL", "redis://127.0.0.1:1/0"), ("DATABASE_URL", "")):
            monkeypatch.setenv(f"MOTES_{name}", value)
        monkeypatch.setenv("MOTES_LIMIT_REQUESTS_PER_MINUTE", "2")
        monkeypatch.setenv("MOTES_AUTH", "off")
        with served() as url, httpx.Client(base_url=f"{url}/particles", trust_env=False) as client:

            def status(address: str) -> int:
                return client.get("/jobs", headers={"X-Forwarded-For": address}).status_code

            assert [status("203.0.113.5") for _ in range(3)] == [200, 200, 429]
            assert [status(f"2001:db8::{number}") for number in range(3)] == [200, 200, 429]  # one has them all
            assert status("203.0.113.6") == 200


LARGEST = {"width": 7680, "height": 4320, "fps": 120, "particle_count": 250_000, "max_particles": 1000}


class TestCheckScene:
    @pytest.fixture(autouse=True)
    def _nothing_is_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in WIDE:
            monkeypatch.delenv(f"MOTES_{name.upper()}", raising=False)

    @pytest.mark.parametrize("duration", [10_800.0, "audio", None])
    def test_largest_scene_is_allowed_by_default(self, duration: float | str | None) -> None:
        check_scene(ServiceSettings(), {**LARGEST, "duration": duration})

    def test_song_of_unknown_length_is_reported(self) -> None:
        facts = {"duration": 10_800.06, "sample_rate": 8000, "channels": 1}  # as far as it was decoded
        with pytest.raises(LimitError, match=r"^a: its duration is more than 10800 s: at most 600 here \("):
            check_song(ServiceSettings(max_song_seconds=600), "a", facts)

    def test_frame_rate_is_compared_exactly(self) -> None:
        config = {**LARGEST, "duration": None, "fps": "120000/1001"}  # 119.8801…
        check_scene(ServiceSettings(max_fps=119.89), config)
        with pytest.raises(LimitError):
            check_scene(ServiceSettings(max_fps=119.88), config)


def test_openapi_lists_429() -> None:
    for path, methods in create_app().openapi()["paths"].items():
        for operation in methods.values():
            assert ("429" in operation["responses"]) == bool(operation.get("security")), path


class TestMemory:
    """Of what a render's tasks take, as the largest worker has it; a world of its own, as others render more."""

    @pytest.fixture
    def small_world(self, tmp_path: Path) -> Iterator[World]:
        with world_of(tmp_path, max_task_memory=200_000_000) as world:
            world.keys["alice"] = key(world, "alice")
            yield world

    def test_render_that_fits_into_no_worker_is_refused_and_told_what_to_lower(self, small_world: World) -> None:
        system = create(small_world, "alice", width=3840, height=2160)
        for method, path in (("POST", "render"), ("GET", "frame"), ("GET", "preview")):
            more = {"json": {"quality": "high"}} if method == "POST" else {}
            refused = small_world.call("alice", method, f"/systems/{system}/{path}", **more)
            assert refused.status_code == 400, refused.text
            body = refused.json()
            assert (body["limit"], body["value"]) == ("max_task_memory", 200_000_000)
            assert body["detail"].startswith("width × height = 3840 × 2160")
            assert "MB of memory" in body["detail"]
        small = create(small_world, "alice")
        assert small_world.call("alice", "POST", f"/systems/{small}/render", json={}).status_code == 202
