"""Alembic's entry point for every command."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.database.engine import open_database
from services.database.migrations.online import limit_waiting, with_retries
from services.database.models import Base

_LOCK = 77007355
_LOOK_EVERY = 0.2  # seconds between looks whether another process has migrated


def _run(connection: Connection) -> None:
    limit_waiting(connection)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transaction_per_migration=True,
        transactional_ddl=True,  # of SQLite, too, see services.database.engine
    )

    def migrate() -> None:
        with context.begin_transaction():
            context.run_migrations()

    with_retries(connection, migrate)


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[None]:
    """If several processes start at once, one migrates and the others wait."""
    if engine.dialect.name == "postgresql":
        async with engine.connect() as connection:  # which ends with the process, and the lock with it
            # Not one statement that waits: what builds an index waits for all transactions, also for that of a waiter.
            while not await connection.scalar(text(f"SELECT pg_try_advisory_lock({_LOCK})")):
                await connection.commit()
                await asyncio.sleep(_LOOK_EVERY)
            await connection.commit()
            try:
                yield
            finally:
                await connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))
    else:
        with open(f"{engine.url.database}.migrating", "ab") as file:
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
            yield


async def _online() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    engine, _ = open_database(url)
    try:
        async with _alone(engine), engine.execution_options(writes=True).connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(_online())
