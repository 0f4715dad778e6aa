"""The API answers while others upload, list, preview and render: nothing holds its event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import insert

from services.database.models import JobRow, new_id, open_database
from services.settings import ServiceSettings
from tests.service import wait_for
from tests.services.stack.conftest import Stack

pytestmark = pytest.mark.debian("redis-server")

LIMIT = 0.05  # seconds
JOBS = 10_000
CONFIG = {"width": 320, "height": 180, "duration": 4.0, "particle_count": 50}


def large_song(path: Path, seconds: int = 300) -> Path:
    """About 50 MB of silence and noise."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        for second in range(seconds):
            file.writeframes(bytes(44_100 * 4) if second % 2 else os.urandom(44_100 * 4))
    return path


async def fill(url: str) -> None:
    """Thousands of jobs, as after months of use."""
    engine, sessions = open_database(url)
    base = {"flow": "x", "system_id": "x", "scene": {}, "scene_key": "x", "output_path": "x.mp4"}
    rows = [base | {"id": new_id(), "status": "completed", "stage": "completed"} for _ in range(JOBS)]
    async with sessions.begin() as session:
        await session.execute(insert(JobRow), rows)
    await engine.dispose()


def everything_at_once(client: httpx.Client, song: Path) -> None:
    """Upload, list, render, look at frames and previews, all at the same time."""

    def upload_and_render() -> None:
        with song.open("rb") as file:
            audio = client.post("/audio", files={"file": ("long.wav", file)}, timeout=120).raise_for_status().json()
        for seed in range(2):
            body = {"particle_type": "enhanced", "config": CONFIG | {"seed": seed}}
            system = client.post("/create", json=body).raise_for_status().json()["system_id"]
            params = {"audio_path": audio["audio_path"]}
            client.post(f"/systems/{system}/load-audio", params=params).raise_for_status()
            client.post(f"/systems/{system}/render", json={}).raise_for_status()
            client.get(f"/systems/{system}/frame", params={"t": 1}, timeout=60).raise_for_status()
            client.get(f"/systems/{system}/preview", params={"duration": 1}, timeout=60).raise_for_status()

    def list_all() -> None:
        path, seen = "/jobs?limit=100", 0
        while True:
            answer = client.get(path, timeout=60).raise_for_status()
            seen += len(answer.json())
            if "next" not in answer.links:
                break
            parts = urlsplit(answer.links["next"]["url"])
            path = f"/jobs?{parts.query}"
        assert seen >= JOBS
        client.get("/types").raise_for_status()
        client.get("/systems?limit=100").raise_for_status()

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(upload_and_render), pool.submit(list_all)]:
            done.result()


def test_event_loop_is_never_held(stack: Stack, tmp_path: Path) -> None:
    settings = ServiceSettings.model_validate(
        {"data": stack.environment["MOTES_DATA"], "database_url": stack.environment.get("MOTES_DATABASE_URL", "")}
    )
    asyncio.run(fill(settings.database))
    stack.stop("api", signal.SIGTERM)
    port = str(stack.client.base_url.port)
    app = (
        "uvicorn",
        "--factory",
        "tests.services.stack.watched:create_watched_app",
        "--port",
        port,
        "--loop",
        "asyncio",
    )
    stack.start("api", sys.executable, "-m", *app)
    wait_for(lambda: stack.client.get("/health").status_code == 200)
    song = large_song(tmp_path / "long.wav")
    slowest = []
    for _ in range(3):  # on a busy machine a callback may be slow because others were; twice in a row it is not
        stack.client.get("/slowest", params={"reset": True})
        everything_at_once(stack.client, song)
        slowest.append(stack.client.get("/slowest").json())
        if slowest[-1]["seconds"] < LIMIT:
            break
    assert slowest[-1]["seconds"] < LIMIT, slowest
