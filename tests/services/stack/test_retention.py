"""Retention between real processes: once in a cluster, without Redis too; what clients see of it; and a full disk."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.stack.api_calls import API, PROBLEM, SMALL, create, process, rendered, submit
from tests.services.stack.conftest import ROOT, Stack, running_stack, until

pytestmark = pytest.mark.debian("redis-server")
MOTES = (sys.executable, "-m", "services.cli.main")
LOOK = "looking for what may go"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, _redis: None) -> Iterator[Stack]:
    """Two workers that look every second."""
    folder = tmp_path_factory.mktemp("retention")
    with running_stack(folder, MOTES_KEEP_EVERY="1", MOTES_LOG_LEVEL="debug") as stack:
        stack.start_worker("second", 1)
        until(lambda: LOOK in stack.log("worker") + stack.log("second"), stack)
        yield stack


def gc(stack: Stack, *arguments: str, **settings: str) -> dict[str, Any]:
    """``motes storage gc``, as soon as no worker is at it."""

    def done() -> subprocess.CompletedProcess[str] | None:
        command = (*MOTES, "storage", "gc", "--json", *arguments)
        environment = stack.environment | settings
        tried = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert tried.returncode == 0 or "at this moment" in tried.stderr, tried.stderr
        return tried if tried.returncode == 0 else None

    report: dict[str, Any] = json.loads(until(done, stack).stdout)
    return report


def looks(stack: Stack) -> int:
    return (stack.log("worker") + stack.log("second")).count(LOOK)


def test_one_worker_looks_at_a_time(stack: Stack) -> None:
    began, before = time.monotonic(), looks(stack)
    until(lambda: looks(stack) >= before + 3, stack)
    assert looks(stack) - before <= time.monotonic() - began + 2  # and not twice as often, as there are two


def test_expired_video_is_gone_and_can_be_rendered_again(stack: Stack) -> None:
    system = create(stack, **SMALL, seed=701)
    job = rendered(stack, system)
    assert stack.client.get(f"/jobs/{job}").json()["expired_at"] is None
    time.sleep(1.1)
    forecast = gc(stack, "--dry-run", MOTES_KEEP_VIDEOS="1")
    assert stack.client.get(f"/download/{job}").status_code == 200
    [video] = [each for each in forecast["freed"] if each["kind"] == "video"]
    assert (video["reason"], video["number"]) == ("expired", 1)
    time.sleep(1.1)
    assert video in gc(stack, MOTES_KEEP_VIDEOS="1")["freed"]
    told = stack.client.get(f"/jobs/{job}").json()
    assert (told["status"], told["progress"]) == ("completed", 100)
    assert told["expired_at"] is not None
    for method in ("GET", "HEAD"):
        gone = stack.client.request(method, f"/download/{job}")
        assert (gone.status_code, gone.headers["content-type"]) == (410, PROBLEM)
    assert stack.client.get(f"/download/{job}").json()["detail"].endswith(" UTC; render it again")
    again = rendered(stack, system)
    assert stack.client.get(f"/download/{again}").content[4:8] == b"ftyp"


def test_download_that_has_begun_goes_on_to_its_end(stack: Stack) -> None:
    job = rendered(stack, create(stack, **SMALL, seed=702))
    of_job = "artefacts a JOIN jobs j ON a.key = 'scenes/' || j.scene_key || '/video.mp4' WHERE j.id = :job"
    [row] = stack.rows(f"SELECT a.object FROM {of_job}", job=job)
    path = stack.folder / "data" / "storage" / row["object"]
    path.write_bytes(bytes(30_000_000))  # more than sockets hold
    with stack.client.stream("GET", f"/download/{job}") as answer:
        pieces = answer.iter_bytes(1 << 16)
        got = len(next(pieces))
        time.sleep(1.1)
        gc(stack, MOTES_KEEP_VIDEOS="1")
        assert not path.exists()
        got += sum(len(piece) for piece in pieces)
    assert got == 30_000_000
    assert stack.client.get(f"/download/{job}").status_code == 410


def test_deleting_frees_at_once(stack: Stack, demo_song: Path) -> None:
    song = stack.client.post("/audio", files={"file": ("demo.wav", demo_song.read_bytes())}).json()
    system = create(stack, **SMALL, seed=703)
    load = {"params": {"audio_path": song["audio_path"]}}
    assert stack.client.post(f"/systems/{system}/load-audio", **load).status_code == 200
    assert stack.client.get(f"/systems/{system}/frame").status_code == 200
    job = rendered(stack, system)
    [row] = stack.rows("SELECT scene_key FROM jobs WHERE id = :job", job=job)
    assert stack.client.delete(f"/jobs/{job}").status_code == 200
    assert stack.files(f"scenes/{row['scene_key']}") == []
    looked = [row["scene_key"] for row in stack.rows("SELECT scene_key FROM jobs WHERE system_id = :id", id=system)]
    assert len(looked) == 1
    assert stack.client.delete(f"/audio/{song['audio_id']}").status_code == 200
    assert stack.files("audio") == stack.files("analyses") == []
    assert stack.client.delete(f"/audio/{song['audio_id']}").status_code == 404
    refused = stack.client.post(f"/systems/{system}/render", json={})
    assert (refused.status_code, refused.json()["detail"]) == (400, "the song is gone; upload it again")
    assert stack.client.delete(f"/systems/{system}").status_code == 200
    assert stack.files(f"scenes/{looked[0]}") == []


def test_nearly_full_disk_refuses_what_is_new_and_lets_the_rest_go_on(stack: Stack, demo_song: Path) -> None:
    running = submit(stack, create(stack, **SMALL | {"duration": 10.0}, seed=704))
    known = rendered(stack, create(stack, **SMALL, seed=705))
    stack.environment["MOTES_RESERVE"] = "99.9%"
    try:
        with process(stack, API, "/particles/health") as client:
            system = create(stack, **SMALL, seed=706)
            for refused in (
                client.post(f"/particles/systems/{system}/render", json={}),
                client.get(f"/particles/systems/{system}/frame"),
                client.post("/particles/audio", files={"file": ("demo.wav", demo_song.read_bytes())}),
            ):
                assert (refused.status_code, refused.headers["content-type"]) == (507, PROBLEM)
                assert refused.json()["detail"].startswith("no room: this needs ")
            same = create(stack, **SMALL, seed=705)  # of which everything is there
            assert client.post(f"/particles/systems/{same}/render", json={}).status_code == 202
            assert client.get(f"/particles/download/{known}").status_code == 200
    finally:
        del stack.environment["MOTES_RESERVE"]
    assert stack.wait_for(running, "completed", "failed")["status"] == "completed"


def test_without_redis_it_happens_too(stack: Stack) -> None:
    stack.stop("redis")
    before = looks(stack)
    until(lambda: looks(stack) > before + 1, stack)
    stack.start_redis()
