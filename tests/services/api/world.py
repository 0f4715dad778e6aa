"""The application on a real server in this process, without a worker, and whoever calls it."""

from __future__ import annotations

import asyncio
import io
import os
import threading
import time
import wave
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from services.api import create_app
from services.auth.api_keys import ApiKeys
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.processes.listener import listen, url_of
from tests.waiting import HANG

SMALL = {"width": 160, "height": 90, "duration": 2.0, "particle_count": 50}


@dataclass
class World:
    """The application, where keys are required, and two owners; ``keys`` are by what they are for."""

    client: httpx.Client
    database: str
    keys: dict[str, str]

    def call(self, who: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {} if who is None else {"Authorization": f"Bearer {self.keys.get(who, who)}"}
        headers |= more.pop("headers", {})
        return self.client.request(method, f"/particles{path}", headers=headers, **more)

    @contextmanager
    def watching(self, system: str, key: str | None = None) -> Iterator[ClientConnection]:
        """The WebSocket of a system, with the key as browsers send it."""
        base = str(self.client.base_url).replace("http", "ws", 1)
        query = "" if key is None else f"?key={self.keys.get(key, key)}"
        with connect(f"{base}/particles/ws/{system}{query}", proxy=None) as websocket:
            yield websocket

    def closed(self, system: str, key: str | None = None) -> tuple[int, str]:
        """How a WebSocket that is told nothing is closed."""
        with self.watching(system, key) as websocket, pytest.raises(ConnectionClosed) as told:
            websocket.recv(timeout=HANG)
        assert told.value.rcvd is not None
        return told.value.rcvd.code, told.value.rcvd.reason

    def made(self, who: str, **config: Any) -> tuple[str, str]:
        """A system of somebody's, and a job of it that is over."""
        body = {"particle_type": "enhanced", "config": SMALL | config}
        system = self.call(who, "POST", "/create", json=body).json()["system_id"]
        accepted = self.call(who, "POST", f"/systems/{system}/render", json={"webhook_url": "https://192.0.2.1/"})
        job = accepted.json()["job_id"]
        assert self.call(who, "POST", f"/jobs/{job}/cancel").status_code == 200
        return system, job

    def song(self, who: str, data: bytes, name: str = "song.wav") -> dict[str, Any]:
        answer = self.call(who, "POST", "/audio", files={"file": (name, data)})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def asset(self, who: str, data: bytes, name: str = "picture.png") -> dict[str, Any]:
        answer = self.call(who, "POST", "/assets", files={"file": (name, data)})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def change(self, do: Callable[[ApiKeys, Sessions], Awaitable[Any]]) -> Any:
        return changed(self.database, do)


def changed(database: str, do: Callable[[ApiKeys, Sessions], Awaitable[Any]]) -> Any:
    """What is done to the keys of a database, from outside."""

    async def run() -> Any:
        engine, sessions = open_database(database)
        try:
            return await do(ApiKeys(sessions), sessions)
        finally:
            await engine.dispose()

    return asyncio.run(run())


@contextmanager
def world_of(
    folder: Path,
    make: Callable[[ApiKeys, Sessions], Awaitable[dict[str, str]]] | None = None,
    *,
    database: str = "",
    **settings: object,
) -> Iterator[World]:
    """The application, with its data in a folder, keys that are required, and these settings alone."""
    database = database or f"sqlite+aiosqlite:///{folder / 'motes.db'}"
    asyncio.run(upgrade(database))
    keys = {} if make is None else changed(database, make)
    values = {"data": folder, "database_url": database, "redis_url": "redis://127.0.0.1:1/0", "auth": "required"}
    values |= {"limit_requests_per_minute": 100_000} | settings
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MOTES_")]:  # of another world
            patch.delenv(name)
        for name, value in values.items():
            patch.setenv(f"MOTES_{name.upper()}", str(value))
        with served() as url, httpx.Client(base_url=url, trust_env=False, timeout=HANG) as client:
            yield World(client, database, keys)


def song(seconds: float = 0.2, level: int = 1000) -> bytes:
    """A file that is a song, with a content of its own."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(level.to_bytes(2, "little") * int(8000 * seconds))
    return made.getvalue()


def picture(wide: int = 16, high: int = 9, level: int = 100) -> bytes:
    """A file that is a picture, with a content of its own."""
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", (wide, high), (level, 255, 0)).save(made, "PNG")
    return made.getvalue()


@contextmanager
def served(**options: Any) -> Iterator[str]:
    """The URL of the application on a server in a thread; its log of requests is on, as uvicorn has it."""
    # No request meets a connection that is being closed, and the application reads the headers of proxies.
    options = {"timeout_keep_alive": int(HANG), **options, "proxy_headers": False}
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(), log_config=None, timeout_graceful_shutdown=1, **options))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            end = time.monotonic() + HANG
            while not server.started:
                assert thread.is_alive(), "it could not be started"
                assert time.monotonic() < end
                time.sleep(0.01)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join(HANG)
