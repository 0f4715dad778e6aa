"""Databases of their own, SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from tests.services.servers import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'motes.db'}"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.url(server.create())


@pytest.fixture
async def sessions(url: str) -> AsyncIterator[Sessions]:
    """A database with all tables."""
    await upgrade(url)
    engine, sessions = open_database(url)
    yield sessions
    await engine.dispose()
