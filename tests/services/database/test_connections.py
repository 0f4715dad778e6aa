"""Connections to PostgreSQL: many workers share few of them, directly or through PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from services.database.engine import Sessions, advisory_lock, open_database
from services.database.migrations import upgrade
from services.database.models import JobRow
from services.jobs.tasks import Tasks
from services.jobs.turns import Turns
from tests.services.board import LEASE, Board
from tests.services.servers import Postgres
from tests.waiting import HANG, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("idle_timeout"), pytest.mark.debian("pgbouncer")]

WORKERS = 100  # as many as PostgreSQL has connections by default, of which it keeps three for itself
JOBS = 120


@pytest.fixture(scope="module")
def pooler(postgres_server: Postgres) -> Iterator[str]:
    """What takes the place of the server in URLs: PgBouncer in transaction mode, with few connections of its own."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "apt install pgbouncer"
    folder = Path(tempfile.mkdtemp(prefix="motes-pool-", dir="/tmp"))
    folder.chmod(0o777)
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={postgres_server.socket}\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = {folder}\n"
        f"auth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\ndefault_pool_size = 5\n"
        "max_client_conn = 1000\n"
    )
    who = {"user": pwd.getpwnam("nobody").pw_uid} if os.geteuid() == 0 else {}
    with subprocess.Popen((program, folder / "pgbouncer.ini"), stderr=subprocess.DEVNULL, cwd="/", **who) as process:
        yield f"host={folder}&port=6432&prepared_statement_cache_size=0"
        process.kill()
    shutil.rmtree(folder)


@pytest.fixture
def name(postgres_server: Postgres) -> str:
    """A new database."""
    return postgres_server.create()


@pytest.fixture(params=["server", "pooler"])
async def url(request: pytest.FixtureRequest, postgres_server: Postgres, name: str) -> str:
    direct = postgres_server.url(name)
    await upgrade(direct)
    if request.param == "server":
        return direct
    pooler: str = request.getfixturevalue("pooler")
    folder = pooler.partition("&")[0].removeprefix("host=")

    async def is_up() -> bool:
        return (Path(folder) / ".s.PGSQL.6432").exists()

    await eventually(is_up)
    return f"postgresql+asyncpg://postgres@/{name}?{pooler}"


@asynccontextmanager
async def opened(url: str, **options: float) -> AsyncIterator[Sessions]:
    engine, sessions = open_database(url, **options)  # type: ignore[arg-type]
    try:
        yield sessions
    finally:
        await engine.dispose()


@pytest.mark.campaign
async def test_as_many_workers_as_the_server_has_connections(url: str) -> None:
    """Each does tasks with an engine of its own, as one process would."""
    left = set[str]()

    async def work(sessions: Sessions, name: str) -> None:
        tasks = Tasks(sessions, lease=20 * LEASE)
        while left:
            claim = await tasks.claim(name)
            if claim is None:
                await asyncio.sleep(0.5)
                continue
            assert await tasks.renew([(claim, 1)]) == []
            assert await tasks.fail(claim, "done")
            left.discard(claim.job)

    async with AsyncExitStack() as stack:
        board = Board(await stack.enter_async_context(opened(url)))
        turns = Turns(board.sessions)
        left |= {await board.submit(kind="frame", tasks=1, fairness_key=str(number)) for number in range(JOBS)}
        workers = [await stack.enter_async_context(opened(url, pool=3, close_after=0.3)) for _ in range(WORKERS)]

        async def dispatch() -> None:
            while left:
                await turns.next()
                await asyncio.sleep(0.1)

        async with asyncio.timeout(20 * HANG):
            await asyncio.gather(dispatch(), *(work(each, str(number)) for number, each in enumerate(workers)))
        async with board.sessions() as session:
            assert await session.scalar(select(func.count()).where(JobRow.status == "failed")) == JOBS


async def test_locks_and_statements_last_as_long_as_their_transaction(url: str) -> None:
    inside = 0

    async def change(sessions: Sessions) -> None:
        nonlocal inside
        for number in range(5):
            async with sessions.begin() as session:
                await advisory_lock(session, "one")
                inside += 1
                assert inside == 1
                assert await session.scalar(select(text(f"{number} + 1"))) == number + 1
                inside -= 1

    async with opened(url, pool=4) as one, opened(url, pool=4) as two, asyncio.timeout(HANG):
        await asyncio.gather(*(change(sessions) for sessions in (one, two) for _ in range(4)))


async def test_unused_connections_are_closed(url: str) -> None:
    engine, sessions = open_database(url, pool=2, close_after=0.05)
    async with sessions() as session:
        await session.execute(select(1))
        await asyncio.sleep(0.2)  # it is in use
        await session.execute(select(1))

    async def is_closed() -> bool:
        return bool(engine.sync_engine.pool.checkedin() == 0)  # type: ignore[attr-defined]

    await eventually(is_closed)
    async with sessions() as session:  # and opened again
        assert await session.scalar(select(1)) == 1
    await eventually(is_closed)
    await engine.dispose()


async def test_connection_opened_while_others_are_closed_is_closed_later(url: str) -> None:
    engine, sessions = open_database(url, pool=2, close_after=0.05)
    opened, asking = 0, list[asyncio.Task[None]]()

    async def ask() -> None:
        async with sessions() as session:
            await session.execute(select(1))

    @event.listens_for(engine.sync_engine, "connect")
    def _opened(connection: Any, record: Any) -> None:
        nonlocal opened
        opened += 1

    @event.listens_for(engine.sync_engine, "close")
    def _closed(connection: Any, record: Any) -> None:
        nonlocal opened
        opened -= 1
        if not asking:
            asking.append(asyncio.ensure_future(ask()))

    async def is_closed() -> bool:
        return len(asking) == 1 and asking[0].done() and opened == 0

    await ask()
    await eventually(is_closed)
    await engine.dispose()
