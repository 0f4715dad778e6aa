"""What migrations use so that processes, old and new, go on working meanwhile: expand, backfill, contract.

A migration only adds what older versions of Motes can do without: tables, indexes, columns with a default. Rows that
are there get their values in batches. What older versions need is removed, and they are told so with ``contract``, in a
later release.

Every migration is a transaction of its own. On PostgreSQL it gives up after waiting ``LOCK_TIMEOUT`` for a table, as
everybody else would queue behind it, and is tried again; indexes are built while rows are written. SQLite has one
writer at a time, so transactions must be short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from alembic import op
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

LOCK_TIMEOUT = 3.0  # seconds
_TRIES = 40
_RETRY_DELAY = 1.0  # seconds
_LOCK_NOT_AVAILABLE = ("55P03", "40P01")  # SQLSTATEs of a lock timeout and a deadlock


def is_postgresql() -> bool:
    """Whether the database is PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"


def limit_waiting(connection: Connection) -> None:
    """Let every transaction of this connection give up after waiting ``LOCK_TIMEOUT`` for a lock."""
    if connection.dialect.name == "postgresql":

        @event.listens_for(connection, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT:g}s'")


def with_retries(connection: Connection, migrate: Callable[[], None]) -> None:
    """Call ``migrate`` until it gets the locks that it needs. What it has committed stays.

    Raises:
        DBAPIError: it failed for another reason, or too often.
    """
    for number in range(_TRIES):
        try:
            return migrate()
        except DBAPIError as error:
            waited = getattr(error.orig, "sqlstate", None) in _LOCK_NOT_AVAILABLE
            if not waited or number == _TRIES - 1:
                raise
            connection.rollback()
        time.sleep(_RETRY_DELAY)


def add_index(name: str, table: str, columns: Sequence[Any], **options: Any) -> None:
    """Create an index while others write, unless it is there.

    ``options`` are those of ``op.create_index``. One that was interrupted half way is begun again.
    """
    if not is_postgresql():
        op.create_index(name, table, columns, if_not_exists=True, **options)
        return
    with op.get_context().autocommit_block():
        invalid = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")
        if op.get_bind().scalar(invalid, {"name": name}):
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.create_index(name, table, columns, if_not_exists=True, postgresql_concurrently=True, **options)


def drop_index(name: str, table: str) -> None:
    """Drop an index while others read it."""
    if not is_postgresql():
        op.drop_index(name, table, if_exists=True)
        return
    with op.get_context().autocommit_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def in_batches(statement: str) -> None:
    """Execute an UPDATE or DELETE, each time in a transaction of its own, until it changes nothing.

    The statement limits itself to a batch of rows that still have to change.
    """
    while True:
        with op.get_context().autocommit_block():
            changed = op.get_bind().execute(text(statement)).rowcount
        if not changed:
            return


def contract(revision: str) -> None:
    """Versions of Motes that know no later schema than the one before ``revision`` stop from now on."""
    op.execute(text("UPDATE compatibility SET oldest = :oldest").bindparams(oldest=revision))
