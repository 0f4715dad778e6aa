"""Servers and databases that several test modules share; each is made when it is first needed."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.database import engine
from services.database.engine import open_database
from services.database.migrations import upgrade
from services.database.models import Base
from services.storage.object_store import Storage
from tests.disk import disk_of
from tests.services.board import Board
from tests.services.moments import Clock
from tests.services.servers import Postgres, postgres, s3
from tests.services.shelf import Shelf, settings_for
from tests.waiting import HANG


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    """The environment in which an S3 server is found; its bucket is ``servers.BUCKET``."""
    with s3() as environment:
        yield environment


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 8 MB."""
    (tmp_path / "disk").mkdir()
    with disk_of(8 << 20, tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Whoever sets up logging does so for this test only: later ones would log to what it had as standard error."""
    root, motes = logging.getLogger(), logging.getLogger("motes")
    handlers, levels = root.handlers[:], (root.level, motes.level)
    for handler in handlers:
        root.removeHandler(handler)  # a set-up closes what it finds
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    motes.setLevel(levels[1])


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asynchronous tests run on this."""
    return "asyncio"


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "motes.db"
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def _postgres_database(postgres_server: Postgres) -> str:
    name = postgres_server.create()
    asyncio.run(upgrade(postgres_server.url(name)))
    return name


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of either kind."""
    if request.param == "sqlite":
        path = shutil.copy(request.getfixturevalue("_sqlite_template"), tmp_path / "motes.db")
        return f"sqlite+aiosqlite:///{path}"
    server: Postgres = request.getfixturevalue("postgres_server")
    name: str = request.getfixturevalue("_postgres_database")
    tables = Base.metadata.tables.keys() - {"compatibility"}  # which the migrations fill
    server.execute(f"TRUNCATE {', '.join(sorted(tables))} CASCADE", name)
    return server.url(name)


@pytest.fixture
def idle_timeout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds until PostgreSQL ends an idle transaction: long, as a busy machine must not be taken for dead."""
    seconds: float = getattr(request, "param", HANG)
    monkeypatch.setattr(engine, "_IDLE_TIMEOUT", seconds)
    return seconds


@pytest.fixture
async def board(database: str, idle_timeout: float) -> AsyncIterator[Board]:
    """Its jobs."""
    engine, sessions = open_database(database)
    yield Board(sessions)
    await engine.dispose()


@pytest.fixture
def shelf(board: Board, database: str, tmp_path: Path) -> Shelf:
    """Its jobs, and a storage in a folder."""
    url = f"file://{tmp_path / 'storage'}"
    return Shelf(board, Storage(url), settings_for(tmp_path, database, url))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the service takes for the present moment."""
    clock = Clock()
    clock.install(monkeypatch)
    return clock
