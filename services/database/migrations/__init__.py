"""The database schema and its migrations (Alembic)."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, and_, column, exists, inspect, or_, select, table

from ecs_core.errors import MotesError
from services.database.clock import set_clock
from services.database.engine import Sessions, open_database

if TYPE_CHECKING:
    from alembic.config import Config

_VERSIONS = Path(__file__).parent / "versions"
_COMPATIBILITY = table("compatibility", column("oldest"))  # its only row holds the oldest revision that works with it
_ALEMBIC_VERSION = table("alembic_version", column("version_num"))  # its only row holds the schema revision


class NewerSchemaError(MotesError):
    """A newer version of Motes has upgraded the database."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"schema revision {found} is newer than this Motes knows ({head_revision()}): a newer Motes upgraded the "
            "database; upgrade this one too, or restore the backup from before"
        )


async def upgrade(url: str) -> None:
    """Upgrade the database at ``url``, if need be.

    Raises:
        NewerSchemaError: the database is newer than this Motes.
    """
    found = await revision_at(url)
    if found is not None and found not in _known_revisions():
        raise NewerSchemaError(found)
    if found != head_revision():
        await asyncio.to_thread(_upgrade, url)
    engine, _ = open_database(url)
    try:
        async with engine.execution_options(writes=True).begin() as connection:
            await connection.run_sync(set_clock)
    finally:
        await engine.dispose()


async def revision_at(url: str) -> str | None:
    """The schema revision of the database at ``url``; that of this Motes, if it can work with what is newer.

    None if the database is empty.
    """
    engine, _ = open_database(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_revision_of)
    finally:
        await engine.dispose()


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_ALEMBIC_VERSION.name):
        return None
    found: str | None = connection.scalar(select(_ALEMBIC_VERSION.c.version_num))
    if found is None or found in _known_revisions() or not inspect(connection).has_table(_COMPATIBILITY.name):
        return found
    return head_revision() if connection.scalar(select(_works_with_head())) else found


async def schema_revision(sessions: Sessions) -> str | None:
    """The schema revision of an open database; that of this Motes, if it can work with what is newer."""
    async with sessions() as session:
        row = (await session.execute(select(_ALEMBIC_VERSION.c.version_num, _works_with_head()))).one_or_none()
        return None if row is None else head_revision() if row[1] else str(row[0])


def is_at_head() -> ColumnElement[bool]:
    """Condition: this Motes can work with the schema; for use in other queries."""
    is_head = exists(select(_ALEMBIC_VERSION.c.version_num).where(_ALEMBIC_VERSION.c.version_num == head_revision()))
    return or_(is_head, _works_with_head())


def _works_with_head() -> ColumnElement[bool]:
    """Condition: a newer version has upgraded the database, but this Motes still works with it."""
    newer = exists(select(_ALEMBIC_VERSION.c.version_num).where(_ALEMBIC_VERSION.c.version_num > head_revision()))
    return and_(newer, exists(select(_COMPATIBILITY.c.oldest).where(_COMPATIBILITY.c.oldest <= head_revision())))


def head_revision() -> str:
    """The schema revision that this Motes needs."""
    return max(_known_revisions())


@functools.cache
def _known_revisions() -> frozenset[str]:
    """All schema revisions, from the names of their files, so that Alembic need not be loaded."""
    return frozenset(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def _upgrade(url: str) -> None:
    from alembic import command

    config = _config()
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
