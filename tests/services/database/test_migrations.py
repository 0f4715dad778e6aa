"""Migrations: they lead to what the models say, and lose nothing on the way."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text

from services.database.engine import open_database
from services.database.migrations import _config, _known_revisions, head_revision, upgrade
from services.database.models import AudioRow, Base, JobRow, KeyRow
from tests.services.servers import Postgres

pytestmark = pytest.mark.anyio

OLD = (
    "INSERT INTO systems (id, particle_type, config, revision, created_at) VALUES ('s', 'snow', '{}', 1, :now)",
    "INSERT INTO audio (sha256, suffix, size, duration, sample_rate, channels, created_at)"
    " VALUES ('a', '.wav', 1, 1.0, 44100, 2, :now)",
    "INSERT INTO jobs (id, owner, kind, system_id, scene, scene_key, output_path, priority, turn, cost, status, stage,"
    " stage_progress, progress, frames, frames_done, created_at)"
    " VALUES ('j', 's', 'video', 's', '{}', 'k', 'v.mp4', 'normal', 0, 1, 'queued', 'queued', 0, 0, 0, 0, :now)",
    "INSERT INTO tasks (id, job_id, kind, number, status, turn, attempt, deaths, losses, frames, done)"
    " VALUES ('t', 'j', 'plan', 0, 'ready', 0, 1, 0, 0, 0, 0)",
    "INSERT INTO events (job_id, data) VALUES ('j', '{}')",
    "INSERT INTO artefacts (key, object, size, created_at) VALUES ('k', 'o', 1, :now)",
    "INSERT INTO idempotency (key, request, made_id, created_at) VALUES ('i', 'r', 'j', :now)",
)


@pytest.fixture(params=["sqlite", "postgres"])
def nothing(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'motes.db'}"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.url(server.create())


def test_files_are_named_after_their_revisions() -> None:
    scripts = ScriptDirectory.from_config(_config())
    assert head_revision() == scripts.get_current_head()
    assert _known_revisions() == {script.revision for script in scripts.walk_revisions()}


async def test_result_in_the_schema_of_the_models(nothing: str) -> None:
    await upgrade(nothing)
    engine, _ = open_database(nothing)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        with warnings.catch_warnings():  # neither SQLAlchemy nor Alembic sees indexes of expressions in SQLite
            warnings.filterwarnings("ignore", "(Skipped unsupported|autogenerate skipping).* expression-based index")
            return list(compare_metadata(context, Base.metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_keep_the_data_of_the_first_release(nothing: str) -> None:
    config = _config()
    config.set_main_option("sqlalchemy.url", nothing.replace("%", "%%"))
    await asyncio.to_thread(command.upgrade, config, "0001")
    engine, sessions = open_database(nothing)
    async with sessions.begin() as session:
        for statement in OLD:
            await session.execute(text(statement.replace(":now", "'2026-01-02 03:04:05.000000'")))
    await upgrade(nothing)
    async with sessions() as session:
        tables = ("systems", "audio", "jobs", "tasks", "events", "artefacts", "idempotency", "uploads")
        counts = {name: await session.scalar(text(f"SELECT count(*) FROM {name}")) for name in tables}
        assert counts == dict.fromkeys(tables, 1)
        assert (await session.execute(text("SELECT owner, flow FROM jobs"))).all() == [("", "s")]
        used = await session.scalar(text("SELECT count(*) FROM artefacts WHERE used_at = created_at"))
        assert used == 1
        assert await session.scalar(text("SELECT count(*) FROM jobs WHERE start IS NULL")) == 1
        kept = (
            (await session.scalars(select(AudioRow.warnings))).one(),
            (await session.scalars(select(JobRow.warnings))).one(),
        )
        assert kept == ([], [])
    await engine.dispose()


async def test_keys_from_before_may_still_ask_for_high_priority(nothing: str) -> None:
    config = _config()
    config.set_main_option("sqlalchemy.url", nothing.replace("%", "%%"))
    before = ScriptDirectory.from_config(config).get_revision("0020").down_revision
    await asyncio.to_thread(command.upgrade, config, str(before))
    engine, sessions = open_database(nothing)
    scopes = {"a": ["read", "render"], "b": ["read"], "c": ["admin"]}
    async with sessions.begin() as session:
        for key, its in scopes.items():
            session.add(KeyRow(id=key, owner="o", name="", digest=key, scopes=its))
    await upgrade(nothing)
    async with sessions() as session:
        found = {row.id: row.scopes for row in await session.scalars(select(KeyRow))}
    assert found == scopes | {"a": ["read", "render", "priority"]}
    await engine.dispose()
