"""Batches over HTTP: all songs or none, what is asked for each, how they are followed and cancelled, whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions
from services.database.models import new_id
from tests.services.api.world import SMALL, World, picture, song, world_of

OTHER = "uploads/" + "0" * 64


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    async def make(keys: ApiKeys, sessions: Sessions) -> dict[str, str]:
        made = {name: (await keys.create(owner=name, scopes=("read", "render")))[1] for name in ("alice", "bob")}
        few = await keys.create(owner="few", scopes=("read", "render"), limits={"open_jobs": 3})
        short = await keys.create(owner="short", scopes=("read", "render"), limits={"rendered_seconds_per_day": 5})
        reader = await keys.create(owner="alice", scopes=("read",))
        return made | {"few": few[1], "short": short[1], "reader": reader[1]}

    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    with world_of(tmp_path_factory.mktemp("batches"), make, webhook_secret=secret) as world:
        yield world


def songs(world: World, who: str, count: int) -> list[str]:
    return [world.song(who, song(0.5, level=100 * number))["audio_id"] for number in range(1, count + 1)]


def submit(world: World, who: str, **body: Any) -> httpx.Response:
    body = {"particle_type": "snow", "config": SMALL} | body
    body = {name: value for name, value in body.items() if value is not None}
    headers = body.pop("headers", {})
    return world.call(who, "POST", "/batches", json=body, headers=headers)


def submitted(world: World, who: str, **body: Any) -> dict[str, Any]:
    answer = submit(world, who, **body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def jobs_of(world: World, who: str) -> list[dict[str, Any]]:
    return list(world.call(who, "GET", "/jobs?limit=500").json())


def test_each_song_has_a_job(world: World) -> None:
    ids = songs(world, "alice", 3)
    answer = submit(world, "alice", songs=ids, size="64x36", quality="draft", priority="low")
    batch = answer.json()
    assert answer.headers["Location"] == f"/particles/batches/{batch['batch_id']}"
    assert [job["audio_id"] for job in batch["jobs"]] == ids
    assert batch["counts"] == {"queued": 3, "rendering": 0, "completed": 0, "failed": 0, "cancelled": 0}
    for each in batch["jobs"]:
        job = world.client.get(each["url"], headers={"Authorization": f"Bearer {world.keys['alice']}"}).json()
        assert (job["job_id"], job["batch_id"]) == (each["job_id"], batch["batch_id"])
        assert (job["priority"], job["outputs"][0]["width"], each["download_url"]) == ("low", 64, None)
    assert world.call("alice", "GET", f"/batches/{batch['batch_id']}").json() == batch


def test_song_can_be_named_by_its_path_and_have_slots_and_a_name_of_its_own(world: World) -> None:
    path = world.song("alice", song(0.5, level=100))["audio_path"]
    cover = world.asset("alice", picture(32, 32))["reference"]
    own = {"audio_path": path, "slots": {"title": "One", "cover": cover}, "output_path": "one.mov"}
    config = {"width": 160, "height": 90}
    batch = submitted(
        world,
        "alice",
        particle_type=None,
        config=config,
        template="cover-ring",
        slots={"artist": "A", "title": "Any"},
        songs=[own, path],
    )
    assert [job["output_path"] for job in batch["jobs"]] == ["one.mov", "video.mp4"]
    assert world.call("alice", "DELETE", f"/assets/{cover.partition(':')[2]}").status_code == 409
    world.call("alice", "DELETE", f"/batches/{batch['batch_id']}")


def test_video_lasts_as_long_as_its_song_unless_something_says_how_long(world: World) -> None:
    size = {"width": 160, "height": 90}
    long = world.song("short", song(4.0))["audio_id"]
    refused = submit(world, "short", config=size, songs=[long, long])
    assert (refused.status_code, refused.json()["limit"]) == (429, "rendered_seconds_per_day")
    assert submitted(world, "short", config=size, duration=1.0, songs=[long, long])
    assert submitted(world, "short", config=size | {"duration": 1.5}, songs=[long, long])


def test_batch_beyond_a_quota_is_refused_as_a_whole(world: World) -> None:
    ids = songs(world, "few", 4)
    refused = submit(world, "few", songs=ids)
    assert (refused.status_code, refused.json()["limit"]) == (429, "open_jobs")
    line = "songs.3: with the songs before it, 3 jobs are open: at most 3 here (limit open_jobs)"
    assert refused.json()["detail"] == line
    assert jobs_of(world, "few") == []
    batch = submitted(world, "few", songs=ids[:3])
    assert len(jobs_of(world, "few")) == 3
    assert submit(world, "few", songs=ids[:1]).status_code == 429
    world.call("few", "DELETE", f"/batches/{batch['batch_id']}")
    assert submitted(world, "few", songs=ids[:1])


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"songs": []}, "songs = []: must have at least 1 item"),
        ({"songs": ["x"] * 101}, "songs = ['x', "),
        ({"songs": [OTHER]}, "songs.0: audio_path 'uploads/0000"),
        ({"songs": ["/etc/passwd"]}, "songs.0: audio_path '/etc/passwd': "),
        ({"config": {"width": 3}}, "songs.0: width = 3: must be "),
        ({"config": {"width": 30_000, "height": 30_000}}, "songs.0: width × height = 30000 × 30000: at most "),
        ({"particle_type": "rain"}, "songs.0: Invalid particle type: rain. Available types: "),
        ({"particle_type": None}, "particle_type is missing; give one, or a template"),
        ({"template": "vinyl"}, "give a particle_type or a template, not both"),
        ({"particle_type": None, "template": "nope"}, "songs.0: template = 'nope': there is none; there are: "),
        ({"particle_type": None, "template": "neon-title"}, "songs.0: template 'neon-title' needs title; give it"),
        ({"slots": {"title": "x"}}, "slots: are for a template; give one"),
        (
            {"songs": [{"audio_path": "SONG", "slots": {"a": 1}}]},
            "songs.0: slots has 'a': are for a template; give one",
        ),
        ({"songs": ["SONG", {"audio_path": "SONG", "output_path": "a/b.mp4"}]}, "songs.1: output_path 'a/b.mp4': must"),
        (
            {"songs": [{"audio_path": "SONG", "output_path": "a.mov"}], "format": "mp4"},
            "songs.0: output_path 'a.mov': ",
        ),
        ({"size": "wide"}, "size"),
        ({"size": "64x36", "width": 64}, "songs.0: size '64x36': give that, or width and height, not both"),
        ({"webhook_url": "http://127.0.0.1/"}, "webhook_url"),
        ({"system_id": "x"}, "unknown field 'system_id'"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(world: World, body: dict[str, Any], line: str) -> None:
    (known,) = songs(world, "bob", 1)
    before = jobs_of(world, "bob")
    listed = body.get("songs", [known])
    put = [
        each | {"audio_path": known} if isinstance(each, dict) else known if each == "SONG" else each for each in listed
    ]
    refused = submit(world, "bob", **body | {"songs": put})
    assert refused.status_code in (400, 422), refused.text
    assert refused.json()["detail"].startswith(line), refused.json()["detail"]
    assert refused.json()["detail"].isprintable()
    assert jobs_of(world, "bob") == before


def test_repeated_request_makes_nothing_new(world: World) -> None:
    ids, key = songs(world, "alice", 2), {"Idempotency-Key": new_id()}
    first, again = (submitted(world, "alice", songs=ids, headers=key) for _ in range(2))
    assert first == again
    assert sum(job["batch_id"] == first["batch_id"] for job in jobs_of(world, "alice")) == 2
    assert submit(world, "alice", songs=ids[:1], headers=key).status_code == 422


def test_all_are_cancelled_together(world: World) -> None:
    batch = submitted(world, "alice", songs=songs(world, "alice", 3), seed=5)
    path = f"/batches/{batch['batch_id']}"
    world.call("alice", "DELETE", f"/jobs/{batch['jobs'][0]['job_id']}")
    cancelled = world.call("alice", "DELETE", path).json()
    assert cancelled["counts"] == {"queued": 0, "rendering": 0, "completed": 0, "failed": 0, "cancelled": 2}
    assert world.call("alice", "DELETE", path).json() == cancelled
    for job in cancelled["jobs"]:
        world.call("alice", "DELETE", f"/jobs/{job['job_id']}")
    assert [world.call("alice", method, path).status_code for method in ("GET", "DELETE")] == [404, 404]


def test_batch_is_its_owner_s(world: World) -> None:
    hers = world.song("alice", song(0.5, level=31_000))["audio_id"]
    batch = submitted(world, "alice", songs=[hers])
    path = f"/batches/{batch['batch_id']}"
    assert [world.call("bob", method, path).status_code for method in ("GET", "DELETE")] == [404, 404]
    assert world.call("alice", "GET", path).json()["counts"]["queued"] == 1
    assert world.call("reader", "GET", path).status_code == 200
    assert world.call("reader", "DELETE", path).status_code == 403
    assert "no such upload" in submit(world, "bob", songs=[hers]).json()["detail"]
    assert [world.call("alice", "GET", f"/batches/{each}").status_code for each in (new_id(), "x")] == [404, 404]


def test_batch_with_variants_has_one_job_a_song(world: World) -> None:
    batch = submitted(world, "alice", songs=songs(world, "alice", 2), seed=7, variants=[{"size": "90x160"}])
    job = world.call("alice", "GET", f"/jobs/{batch['jobs'][0]['job_id']}").json()
    assert [each["name"] for each in job["outputs"]] == ["main", "90x160"]
    assert len(world.call("alice", "GET", f"/batches/{batch['batch_id']}").json()["jobs"]) == 2
