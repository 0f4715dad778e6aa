"""Retention between real processes: once in a cluster, without Redis too; what clients see of it; and a full disk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from services.database.engine import open_database
from services.database.models import ArtefactRow
from tests.fork_server import ForkServer
from tests.media import tone, write_song
from tests.services.stack.api_calls import PROBLEM, SMALL, another_api, create, rendered, submit
from tests.services.stack.conftest import Stack, running_stack, until

pytestmark = pytest.mark.debian("redis-server")
LOOK = "retention started"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, _redis: None) -> Iterator[Stack]:
    """Two workers that look every second."""
    folder = tmp_path_factory.mktemp("retention")
    with running_stack(folder, forks, MOTES_KEEP_EVERY="1", MOTES_LOG_LEVEL="debug") as stack:
        stack.start_worker("second", 1)
        until(lambda: LOOK in stack.log("worker") + stack.log("second"), stack)
        yield stack


def gc(stack: Stack, *arguments: str, **settings: str) -> dict[str, Any]:
    """``motes storage gc``, as soon as no worker is at it."""

    def done() -> str | None:
        tried = stack.motes("storage", "gc", "--json", *arguments, check=False, **settings)
        assert tried.returncode == 0 or "right now" in tried.stderr, tried.stderr
        return tried.stdout if tried.returncode == 0 else None

    report: dict[str, Any] = json.loads(until(done, stack))
    return report


def age(stack: Stack, key: str) -> None:
    """Have what lies in storage under a key been used an hour ago."""
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    change(stack, key, created_at=hour_ago, used_at=hour_ago)


def change(stack: Stack, key: str, **values: Any) -> None:
    """Change what the database says of what lies in storage under a key."""

    async def run() -> None:
        engine, sessions = open_database(stack.database)
        async with sessions.begin() as session:
            await session.execute(update(ArtefactRow).where(ArtefactRow.key.startswith(key)).values(values))
        await engine.dispose()

    asyncio.run(run())


def scene(stack: Stack, job: str) -> str:
    """Where what is made of a job's scene lies in storage."""
    [row] = stack.rows("SELECT scene_key FROM jobs WHERE id = :job", job=job)
    return f"scenes/{row['scene_key']}"


def looks(stack: Stack) -> int:
    return (stack.log("worker") + stack.log("second")).count(LOOK)


def test_one_worker_collects_at_a_time(stack: Stack) -> None:
    began, before = time.monotonic(), looks(stack)
    until(lambda: looks(stack) >= before + 3, stack)
    assert looks(stack) - before <= time.monotonic() - began + 2  # and not twice as often, as there are two


def test_expired_video_is_deleted_and_can_be_rendered_again(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=701)
    job = rendered(stack, system)
    assert stack.client.get(f"/jobs/{job}").json()["expired_at"] is None
    age(stack, scene(stack, job))
    forecast = gc(stack, "--dry-run", MOTES_KEEP_VIDEOS="600")
    assert stack.client.get(f"/download/{job}").status_code == 200
    [video] = [each for each in forecast["freed"] if each["kind"] == "video"]
    assert (video["reason"], video["number"]) == ("expired", 1)
    age(stack, scene(stack, job))  # to be downloaded was to be used
    assert video in gc(stack, MOTES_KEEP_VIDEOS="600")["freed"]
    told = stack.client.get(f"/jobs/{job}").json()
    assert (told["status"], told["progress"]) == ("completed", 100)
    assert told["expired_at"] is not None
    for method in ("GET", "HEAD"):
        gone = stack.client.request(method, f"/download/{job}")
        assert (gone.status_code, gone.headers["content-type"]) == (410, PROBLEM)
    assert stack.client.get(f"/download/{job}").json()["detail"].endswith(" UTC; render it again")
    again = rendered(stack, system)
    assert stack.client.get(f"/download/{again}").content[4:8] == b"ftyp"


def test_started_download_completes_after_expiry(stack: Stack) -> None:
    job = rendered(stack, create(stack, **SMALL, seed=702))
    [row] = stack.rows("SELECT object FROM artefacts WHERE key = :key", key=f"{scene(stack, job)}/video.mp4")
    path = stack.folder / "data" / "storage" / row["object"]
    path.write_bytes(bytes(30_000_000))  # more than sockets hold
    change(stack, f"{scene(stack, job)}/video.mp4", size=30_000_000, digest=None)
    with stack.client.stream("GET", f"/download/{job}") as answer:
        pieces = answer.iter_bytes(1 << 16)
        got = len(next(pieces))
        age(stack, scene(stack, job))
        gc(stack, MOTES_KEEP_VIDEOS="600")
        assert not path.exists()
        got += sum(len(piece) for piece in pieces)
    assert got == 30_000_000
    assert stack.client.get(f"/download/{job}").status_code == 410


def test_deleting_frees_space_at_once(stack: Stack, demo_song: Path) -> None:
    song = stack.client.post("/audio", files={"file": ("demo.wav", demo_song.read_bytes())}).json()
    system = create(stack, **SMALL, seed=703)
    load = {"params": {"audio_path": song["audio_path"]}}
    assert stack.client.post(f"/systems/{system}/load-audio", **load).status_code == 200
    assert stack.client.get(f"/systems/{system}/frame").status_code == 200
    job = rendered(stack, system)
    folder = scene(stack, job)
    assert stack.client.delete(f"/jobs/{job}").status_code == 200
    assert stack.files(folder) == []
    looked = [row["scene_key"] for row in stack.rows("SELECT scene_key FROM jobs WHERE system_id = :id", id=system)]
    assert len(looked) == 1
    assert stack.client.delete(f"/audio/{song['audio_id']}").status_code == 200
    assert stack.files("audio") == stack.files("analyses") == []
    assert stack.client.delete(f"/audio/{song['audio_id']}").status_code == 404
    refused = stack.client.post(f"/systems/{system}/render", json={})
    assert (refused.status_code, refused.json()["detail"]) == (400, "the song is gone; upload it again")
    assert stack.client.delete(f"/systems/{system}").status_code == 200
    assert stack.files(f"scenes/{looked[0]}") == []


def test_analysis_that_a_frame_needed_counts_for_whoever_has_the_song(stack: Stack, tmp_path: Path) -> None:
    write_song(tmp_path / "song.wav", tone(1.0))
    song = stack.client.post("/audio", files={"file": ("song.wav", (tmp_path / "song.wav").read_bytes())}).json()

    def counted() -> tuple[int, int]:
        shown = json.loads(stack.motes("storage", "show", "--json").stdout)
        [mine] = [each for each in shown["owners"] if each["kind"] == "song analysis"] or [{"number": 0, "bytes": 0}]
        return mine["number"], mine["bytes"]

    before = counted()
    system = create(stack, **SMALL, seed=708)
    load = {"params": {"audio_path": song["audio_path"]}}
    assert stack.client.post(f"/systems/{system}/load-audio", **load).status_code == 200
    assert stack.client.get(f"/systems/{system}/frame").status_code == 200
    [analysis] = stack.files(f"analyses/{song['audio_id']}")
    size = (stack.folder / "data" / "storage" / analysis).stat().st_size
    assert counted() == (before[0] + 1, before[1] + size)
    assert stack.client.delete(f"/audio/{song['audio_id']}").status_code == 200
    assert counted() == before


def test_nearly_full_disk_refuses_only_new_work(stack: Stack, demo_song: Path) -> None:
    running = submit(stack, create(stack, **SMALL | {"duration": 10.0}, seed=704))
    known = rendered(stack, create(stack, **SMALL, seed=705))
    with another_api(stack, MOTES_RESERVE="99.9%") as client:
        system = create(stack, **SMALL, seed=706)
        for refused in (
            client.post(f"/systems/{system}/render", json={}),
            client.get(f"/systems/{system}/frame"),
            client.post("/audio", files={"file": ("demo.wav", demo_song.read_bytes())}),
        ):
            assert (refused.status_code, refused.headers["content-type"]) == (507, PROBLEM)
            assert refused.json()["detail"].startswith("no room: this needs ")
        same = create(stack, **SMALL, seed=705)  # of which everything is there
        assert client.post(f"/systems/{same}/render", json={}).status_code == 202
        assert client.get(f"/download/{known}").status_code == 200
    assert stack.wait_for(running, "completed", "failed")["status"] == "completed"


def test_retention_works_without_redis(stack: Stack) -> None:
    stack.stop("redis")
    before = looks(stack)
    until(lambda: looks(stack) > before + 1, stack)
    stack.start_redis()
