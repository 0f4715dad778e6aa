"""The database engine: sessions, locks, and what SQLite and PostgreSQL need to behave alike."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from services.observability import metrics

_IDLE_TIMEOUT = 10.0  # seconds without a word in a transaction until it is rolled back
# What PostgreSQL says when it ends a connection or begins none: it was lost, stalled, one too many, or it is no time.
_CONNECTION_ERRORS = ("08", "25P03", "53300", "57P")


class Sessions:
    """Sessions of a database: ``sessions()`` to read, ``sessions.begin()`` to write in one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._reading = async_sessionmaker(engine, expire_on_commit=False)
        self._writing = async_sessionmaker(engine.execution_options(writes=True), expire_on_commit=False)

    def __call__(self) -> AsyncSession:
        """To read what is there at this moment."""
        return self._reading()

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction: committed at the end, rolled back on an error."""
        return self._writing.begin()


def on_commit(session: AsyncSession, do: Callable[[], object]) -> None:
    """Do something as soon as the transaction is committed; never, if it is not."""
    event.listen(session.sync_session, "after_commit", lambda _: do(), once=True)


async def advisory_lock(session: AsyncSession, *names: str) -> None:
    """Until the end of this transaction, whoever names one of the same things waits."""
    if session.get_bind().dialect.name == "postgresql":  # writers of SQLite are alone anyway
        await session.execute(select(*(func.pg_advisory_xact_lock(func.hashtextextended(name, 0)) for name in names)))


class _Connection(sqlite3.Connection):
    """Ends its transaction when it is closed; else it lasts until nothing refers to its statements any more.

    That is how a task that is cancelled in the middle of a change would lock everybody out.
    """

    def close(self) -> None:
        """Roll back what was not committed; closed again, it stays closed."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # it is closed: aiosqlite does it twice when interrupted
            if self.in_transaction:
                self.rollback()
        super().close()


def open_database(url: str) -> tuple[AsyncEngine, Sessions]:
    """An engine and its sessions; SQLite in WAL mode, so that readers never wait for a writer.

    A database that cannot be reached, or that ends a connection, raises OperationalError, whatever the driver says.
    """
    sqlite = url.startswith("sqlite")
    # SQLite waits for others' writes; with many connections of one process it would wait for itself.
    # PostgreSQL would keep the locks of a machine that vanished in a transaction for hours.
    patience = {"server_settings": {"idle_in_transaction_session_timeout": f"{_IDLE_TIMEOUT:.0f}s"}}
    options: dict[str, Any] = {"pool_size": 10, "pool_pre_ping": True, "connect_args": patience}
    if sqlite:
        options = {"connect_args": {"factory": _Connection}}
    # Errors are logged, and what is asked for holds what clients call their songs and where their webhooks go.
    engine = create_async_engine(url, hide_parameters=True, **options)
    if sqlite:

        @event.listens_for(engine.sync_engine, "connect")
        def _pragmas(connection: Any, record: Any) -> None:
            connection.isolation_level = None  # no transaction that the driver begins by itself, and too late
            cursor = connection.cursor()
            for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            # A transaction that reads first and writes then would fail where another wrote in between.
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    else:

        @event.listens_for(engine.sync_engine, "do_connect")
        def _connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
            try:
                return dialect.connect(*arguments, **options)
            except OSError as error:  # no such host, no such socket, refused, or too slow
                raise dialect.loaded_dbapi.OperationalError(str(error)) from error

        @event.listens_for(engine.sync_engine, "handle_error")
        def _no_answer(context: ExceptionContext) -> None:
            said = getattr(context.original_exception, "sqlstate", None) or ""
            gone = context.is_disconnect and context.sqlalchemy_exception is not None  # else who asked was cancelled
            if gone or said.startswith(_CONNECTION_ERRORS):
                context.is_disconnect = True
                what = context.statement, context.parameters, context.original_exception
                raise OperationalError(*what, hide_parameters=True, connection_invalidated=True)

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _asked(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        context.motes_asked = time.perf_counter()

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def _answered(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        metrics.DATABASE.observe(time.perf_counter() - context.motes_asked)

    return engine, Sessions(engine)
