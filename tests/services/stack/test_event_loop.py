"""The API answers while others upload, list, preview and render: nothing holds its event loop."""

from __future__ import annotations

import asyncio
import os
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import insert

from services.database.engine import open_database
from services.database.models import JobRow, new_id
from tests.fork_server import ForkServer
from tests.services.stack.api_calls import process
from tests.services.stack.conftest import running_stack

pytestmark = pytest.mark.debian("redis-server")

LIMIT = 0.05  # seconds in which the loop ran, or waited for anything but a core
WATCHED = "tests.services.stack.watched:create_watched_app"
CONFIG = {"width": 320, "height": 180, "duration": 4.0, "particle_count": 50}


def large_song(path: Path, seconds: int) -> Path:
    """Silence and noise, 10 MB a minute."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        for second in range(seconds):
            file.writeframes(bytes(44_100 * 4) if second % 2 else os.urandom(44_100 * 4))
    return path


async def fill(url: str, jobs: int) -> None:
    """Many jobs, as after months of use."""
    engine, sessions = open_database(url)
    base = {"fairness_key": "x", "system_id": "x", "scene": {}, "scene_key": "x", "output_path": "x.mp4"}
    rows = [base | {"id": new_id(), "status": "completed", "stage": "completed"} for _ in range(jobs)]
    async with sessions.begin() as session:
        await session.execute(insert(JobRow), rows)
    await engine.dispose()


def everything_at_once(client: httpx.Client, song: Path, jobs: int) -> None:
    """Upload, list, render, look at frames and previews, all at the same time."""

    def upload_and_render() -> None:
        with song.open("rb") as file:
            audio = client.post("/audio", files={"file": ("long.wav", file)}).raise_for_status().json()
        for seed in range(2):
            body = {"particle_type": "enhanced", "config": CONFIG | {"seed": seed}}
            system = client.post("/create", json=body).raise_for_status().json()["system_id"]
            params = {"audio_path": audio["audio_path"]}
            client.post(f"/systems/{system}/load-audio", params=params).raise_for_status()
            client.post(f"/systems/{system}/render", json={}).raise_for_status()
            client.get(f"/systems/{system}/frame", params={"t": 1}).raise_for_status()
            client.get(f"/systems/{system}/preview", params={"duration": 1}).raise_for_status()

    def list_all() -> None:
        path, seen = "/jobs?limit=100", 0
        while True:
            answer = client.get(path).raise_for_status()
            seen += len(answer.json())
            if "next" not in answer.links:
                break
            parts = urlsplit(answer.links["next"]["url"])
            path = f"/jobs?{parts.query}"
        assert seen >= jobs
        client.get("/types").raise_for_status()
        client.get("/systems?limit=100").raise_for_status()

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(upload_and_render), pool.submit(list_all)]:
            done.result()


@pytest.mark.usefixtures("_redis")
@pytest.mark.parametrize("jobs", [500, pytest.param(10_000, marks=pytest.mark.campaign)])
def test_event_loop_is_never_blocked(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, forks: ForkServer, jobs: int
) -> None:
    song = large_song(tmp_path / "long.wav", 30 * jobs // 1000)
    with running_stack(tmp_path_factory.mktemp("watched"), forks) as stack:
        asyncio.run(fill(stack.database, jobs))
        with process(stack, WATCHED, "/particles/health", loop="asyncio") as client:
            client.base_url = client.base_url.join("/particles")
            client.get("/slowest", params={"reset": True})
            everything_at_once(client, song, jobs)
            slowest = client.get("/slowest").json()
    assert 0 < slowest["seconds"] < LIMIT, slowest
