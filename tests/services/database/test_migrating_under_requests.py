"""The database is upgraded while processes of the version before read and write it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest
from alembic import command
from sqlalchemy import text

from services.database.engine import Sessions, open_database
from services.database.migrations import _config
from services.database.tallies import fold, totals

pytestmark = [pytest.mark.anyio, pytest.mark.campaign]
BEFORE = "0011"
JOBS = 200_000
UPGRADE = "import asyncio, sys; from services.database.migrations import upgrade; asyncio.run(upgrade(sys.argv[1]))"

NEW_JOB = (
    "INSERT INTO jobs (id, owner, flow, kind, system_id, scene, scene_key, output_path, priority, turn, cost, status,"
    " stage, stage_progress, progress, frames, frames_done, seconds, warnings, created_at)"
    " VALUES (:id, 'a', 'a', 'video', 's', '{}', 'k', 'v.mp4', 'normal', 0, 1, 'queued', 'queued', 0, 0, 0, 0, 1, '[]',"
    " '2026-01-02 03:04:05.000000')"
)


@dataclass
class Old:
    """A process of the version before: it stores jobs and changes their states."""

    sessions: Sessions
    stored: int = 0
    longest: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        while not self.over.is_set():
            began = time.monotonic()
            async with self.sessions.begin() as session:
                await session.execute(text(NEW_JOB), {"id": f"new {self.stored}"})
            change = text("UPDATE jobs SET status = 'rendering' WHERE id = :id")
            async with self.sessions.begin() as session:
                await session.execute(change, {"id": f"new {self.stored}"})
            async with self.sessions() as session:
                await session.execute(text("SELECT status FROM jobs WHERE id = 'new 0'"))
            self.stored += 1
            self.longest = max(self.longest, time.monotonic() - began)
            await asyncio.sleep(0.01)


async def fill(sessions: Sessions, postgresql: bool) -> None:
    """Many jobs, of which some are open."""
    numbers = (
        f"generate_series(1, {JOBS}) AS n(i)"
        if postgresql
        else f"(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {JOBS}) SELECT i FROM c) AS n"
    )
    values = NEW_JOB.partition(" VALUES ")
    row = (
        values[2]
        .strip("()")
        .replace(":id", "CAST(i AS VARCHAR(36))")
        .replace("'queued', 'queued'", "CASE WHEN i % 10 = 0 THEN 'queued' ELSE 'completed' END, 'x'")
    )
    row = row.replace("'{}'", """'{"audio": "song", "assets": {"one": "1", "two": "2"}}'""")
    stamp = "'2026-01-02 03:04:05.000000'"
    row = row.replace(stamp, f"CAST({stamp} AS TIMESTAMP)") if postgresql else row
    async with sessions.begin() as session:
        await session.execute(text(f"{values[0]} SELECT {row} FROM {numbers}".replace(": ", r"\: ")))


async def test_nobody_fails_and_everything_is_counted(url: str) -> None:
    config = _config()
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    await asyncio.to_thread(command.upgrade, config, BEFORE)
    engine, sessions = open_database(url)
    await fill(sessions, not url.startswith("sqlite"))
    old = Old(sessions)
    at_work = asyncio.create_task(old.run())
    processes = [subprocess.Popen((sys.executable, "-c", UPGRADE, url)) for _ in range(2)]
    assert [await asyncio.to_thread(each.wait) for each in processes] == [0, 0]
    old.over.set()
    await at_work
    print(f"{old.stored} jobs were stored meanwhile; the longest wait was {old.longest:.1f} s")
    await fold(sessions)
    async with sessions() as session:
        states = Counter({each.state: each.number for each in await totals(session, "jobs")})
        whole = sum(each.number for each in await totals(session, "jobs") if each.state == "completed")
        assets = (await session.execute(text("SELECT count(*), count(DISTINCT job_id) FROM job_assets"))).one()
        songs = await session.scalar(text("SELECT count(*) FROM jobs WHERE audio = 'song'"))
    assert (states["queued"], states["rendering"], whole) == (JOBS // 10, old.stored, JOBS - JOBS // 10)
    assert (songs, tuple(assets)) == (JOBS // 10, (JOBS // 10 * 2, JOBS // 10))
    await engine.dispose()
