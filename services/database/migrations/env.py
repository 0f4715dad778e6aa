"""Alembic's entry point for every command."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, text

from services.database.engine import open_database
from services.database.models import Base


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def _online() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    engine, _ = open_database(url)
    try:
        # If several processes start at once, one migrates and the others wait.
        async with engine.execution_options(writes=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(77007355)"))
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


asyncio.run(_online())
