"""The database's structure, step by step (Alembic)."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import ColumnElement, column, exists, select, table

from ecs_core.errors import MotesError
from services.database.models import Sessions, open_database

_PRESENT = table("alembic_version", column("version_num"))  # its one row says which structure the database has


class NewerStructureError(MotesError):
    """The database has been upgraded by a newer Motes than this one."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"structure {found} is newer than this Motes knows ({newest()}): a newer Motes upgraded the database; "
            "upgrade this one too, or restore the backup from before"
        )


async def upgrade(url: str) -> None:
    """Bring the database at ``url`` up to date; harmless where it is.

    Raises:
        NewerStructureError: this Motes is too old for it.
    """
    found = await present(url)
    if found is not None and found not in _known():
        raise NewerStructureError(found)
    await asyncio.to_thread(_upgrade, url)


async def present(url: str) -> str | None:
    """The structure that the database at ``url`` has; None where it has none."""
    engine, _ = open_database(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


async def structure(sessions: Sessions) -> str | None:
    """The structure that an open database has."""
    async with sessions() as session:
        found: str | None = await session.scalar(select(_PRESENT.c.version_num))
        return found


def is_newest() -> ColumnElement[bool]:
    """Whether the structure is the one that this Motes needs, to ask together with something else."""
    return exists(select(_PRESENT.c.version_num).where(_PRESENT.c.version_num == newest()))


@functools.cache
def newest() -> str:
    """The structure that this Motes needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions())


def _upgrade(url: str) -> None:
    config = _config()
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
