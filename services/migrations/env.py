"""What Alembic runs for every command."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection

from services.database import Base, open_database


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def _online() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    engine, _ = open_database(url)
    async with engine.begin() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_online())
