"""The database for commands: upgraded, or opened as it is, with errors as one line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_core.errors import MotesError
from services.cli.service_settings import require_service
from services.observability.masking import masked_value

if TYPE_CHECKING:
    from services.database.engine import Sessions
    from services.settings import ServiceSettings


def prepare(settings: ServiceSettings) -> None:
    """Create the data folder, upgrade the database and open the storage, to check that they are usable.

    Raises:
        MotesError: one of them is not.
    """
    with require_service():
        from services.storage.object_store import Storage
    migrate(settings)
    try:
        Storage(settings.storage)
    except Exception as error:  # object store clients raise errors of many kinds
        raise MotesError(f"the storage {masked_value(settings.storage)}: {error}") from error


def migrate(settings: ServiceSettings) -> None:
    """Create the data folder and upgrade the database.

    Raises:
        MotesError: it is unreachable, or newer than this Motes.
    """
    with require_service():
        from services.database.migrations import upgrade
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MotesError(f"the data folder {settings.data}: {error.strerror}; give another one with --data") from None
    with one_line_errors(settings):
        asyncio.run(upgrade(settings.database))


def schema_revisions(settings: ServiceSettings) -> tuple[str | None, str]:
    """The schema revision of the database (None if there is none), and the one that this Motes needs.

    Raises:
        MotesError: it is unreachable.
    """
    with require_service():
        from services.database.migrations import head_revision, revision_at
    if _is_missing(settings):
        return None, head_revision()
    with one_line_errors(settings):
        return asyncio.run(revision_at(settings.database)), head_revision()


@asynccontextmanager
async def open_sessions(settings: ServiceSettings) -> AsyncIterator[Sessions]:
    """Open the database without upgrading it.

    Raises:
        MotesError: there is none, it is unreachable, or it must be upgraded first.
    """
    with require_service():
        from services.database.engine import open_database
        from services.database.migrations import head_revision, revision_at
    if _is_missing(settings):
        where = f"there is no database {masked_value(settings.database)}"
        raise MotesError(f"{where}: start the service (motes serve), or say where it is: --data or MOTES_DATABASE_URL")
    with one_line_errors(settings):
        if (here := await revision_at(settings.database)) != head_revision():
            raise MotesError(
                f"the database {masked_value(settings.database)} has schema revision {here or 'none'}, this Motes "
                f"needs {head_revision()}: run motes db upgrade"
            )
        engine, sessions = open_database(settings.database)
        try:
            yield sessions
        finally:
            await engine.dispose()


def _is_missing(settings: ServiceSettings) -> bool:
    """Whether it is a missing SQLite file, which connecting would create."""
    with require_service():
        from sqlalchemy import make_url
    with one_line_errors(settings):
        url = make_url(settings.database)
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file()


@contextmanager
def one_line_errors(settings: ServiceSettings) -> Iterator[None]:
    """Turn database errors into one line that names the database."""
    try:
        yield
    except BrokenPipeError:  # the reader of our output has closed the pipe
        raise
    except Exception as error:
        if not isinstance(error, _database_errors()):
            raise
        cause = getattr(error, "orig", None) or error
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise MotesError(f"the database {masked_value(settings.database)}: {reason}") from error


def _database_errors() -> tuple[type[Exception], ...]:
    """What a database that cannot be used raises; loaded when something was raised, as this takes a while."""
    with require_service():
        from alembic.util import CommandError
        from asyncpg import PostgresError
        from sqlalchemy.exc import SQLAlchemyError

        from services.database.migrations import NewerSchemaError
    return SQLAlchemyError, CommandError, PostgresError, NewerSchemaError, OSError, ImportError
