"""What SQLAlchemy and the drivers do not settle by themselves."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from services.database import engine as module
from services.database.engine import _Connection, open_database
from services.database.models import new_id
from tests.services.servers import Postgres
from tests.waiting import HANG, eventually


def test_closing_a_connection_twice_rolls_back(tmp_path: Path) -> None:
    """aiosqlite closes a connection twice if it is interrupted while closing."""
    connection = sqlite3.connect(tmp_path / "motes.db", factory=_Connection, isolation_level=None)
    connection.execute("CREATE TABLE numbers (number INTEGER)")
    connection.execute("BEGIN IMMEDIATE")
    unfinished = connection.execute("INSERT INTO numbers VALUES (1), (2) RETURNING number")
    connection.close()
    connection.close()
    other = sqlite3.connect(tmp_path / "motes.db", isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")  # nobody holds it
    assert other.execute("SELECT * FROM numbers").fetchall() == []
    other.close()
    del unfinished  # it kept the transaction open for as long as it lived


class TestUnresponsivePostgresql:
    """The driver raises five kinds of errors for that; the API would treat four of them as internal errors."""

    @pytest.mark.anyio
    async def test_terminated_connection_is_an_operational_error(self, postgres_server: Postgres) -> None:
        name = await asyncio.to_thread(postgres_server.create)
        engine, sessions = open_database(postgres_server.url(name))
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

        async def ask(query: str) -> None:
            async with sessions() as session:
                await session.execute(text(query))

        waiting = asyncio.create_task(ask("SELECT pg_sleep(600)"))
        while not waiting.done():
            await asyncio.to_thread(postgres_server.execute, f"{end} AND query LIKE '%pg_sleep%'")
        with pytest.raises(OperationalError):
            await waiting
        async with sessions() as session:
            await session.execute(text("SELECT 1"))
            await asyncio.to_thread(postgres_server.execute, end)
            with pytest.raises(OperationalError):
                await session.execute(text("SELECT 1"))
        await ask("SELECT 1")
        await engine.dispose()

    @pytest.mark.anyio
    async def test_cancelled_query_is_not_an_operational_error(self, postgres_server: Postgres) -> None:
        engine, sessions = open_database(postgres_server.url(await asyncio.to_thread(postgres_server.create)))

        async def ask(query: str) -> None:
            async with sessions() as session:
                while True:
                    await session.execute(text(query))

        for query in ("SELECT 1", "SELECT pg_sleep(600)"):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask(query), 0.3)
        await engine.dispose()

    @pytest.mark.anyio
    @pytest.mark.parametrize("where", ["/motes?host=/nowhere", "127.0.0.1:1/motes", "nowhere.invalid/motes"])
    async def test_unreachable_server_is_an_operational_error(self, where: str) -> None:
        engine, sessions = open_database(f"postgresql+asyncpg://postgres@{where}")
        with pytest.raises(OperationalError):
            async with sessions() as session:
                await session.execute(text("SELECT 1"))
        await engine.dispose()


@pytest.mark.anyio
class TestFullPostgresql:
    """A server that has no connection left is asked again for a while, as others close theirs soon."""

    @pytest.fixture
    async def url(self, postgres_server: Postgres) -> str:
        """A database for whose user there is one connection."""
        name, user = await asyncio.to_thread(postgres_server.create), f"few_{new_id()[:8]}"
        await asyncio.to_thread(postgres_server.execute, f"CREATE ROLE {user} LOGIN CONNECTION LIMIT 1")
        return postgres_server.url(name).replace("postgres@", f"{user}@")

    async def test_is_asked_again(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_FULL_PATIENCE", HANG)
        (first, _), (second, _) = open_database(url), open_database(url)
        dialect, tries = second.sync_engine.dialect, list[object]()
        connect = dialect.connect

        def counted(*arguments: Any, **options: Any) -> Any:
            tries.append(None)
            return connect(*arguments, **options)

        async def ask() -> object:
            async with second.connect() as connection:
                return (await connection.execute(text("SELECT 1"))).scalar()

        monkeypatch.setattr(dialect, "connect", counted)
        async with first.connect():
            waiting = asyncio.create_task(ask())
            await eventually(lambda: len(tries) > 2 or waiting.done())
        await first.dispose()
        assert await waiting == 1
        await second.dispose()

    async def test_is_not_asked_for_ever(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_FULL_PATIENCE", 0.1)
        (first, _), (second, _) = open_database(url), open_database(url)
        async with first.connect():
            with pytest.raises(OperationalError, match="too many connections for role"):
                await second.connect()
        await first.dispose()
        await second.dispose()
