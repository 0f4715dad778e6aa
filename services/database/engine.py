"""The database engine: sessions, locks, and what makes SQLite and PostgreSQL behave alike."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from services.database.clock import DatabaseClock, give_clock
from services.observability import metrics

_IDLE_TIMEOUT = 10.0  # seconds that a transaction may idle before PostgreSQL rolls it back
# SQLSTATEs of a lost, stalled or refused connection.
_CONNECTION_ERRORS = ("08", "25P03", "53300", "57P")


@dataclass
class _Transaction:
    """One that writes; tasks that begin within it see its end."""

    is_open: bool = True


_transaction: ContextVar[_Transaction | None] = ContextVar("transaction", default=None)


class Sessions:
    """Database sessions: ``sessions()`` to read, ``sessions.begin()`` to write in one transaction.

    ``clock`` is the database's clock.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._reading = async_sessionmaker(engine, expire_on_commit=False)
        self._writing = async_sessionmaker(engine.execution_options(writes=True), expire_on_commit=False)
        self.clock = DatabaseClock(self)

    def __call__(self) -> AsyncSession:
        """A session for reading."""
        return self._reading()

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction: committed at the end, rolled back on an error. Nothing else is waited for within it."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        transaction = _Transaction()
        async with self._writing.begin() as session:
            before = _transaction.set(transaction)
            try:
                yield session
            finally:
                transaction.is_open = False
                with contextlib.suppress(ValueError):  # ended by another task, at the end of the process
                    _transaction.reset(before)


def outside_transactions() -> None:
    """Refuse to do within a transaction that writes what may take long: on SQLite all others wait for that.

    Raises:
        RuntimeError: this is within one.
    """
    transaction = _transaction.get()
    if transaction is not None and transaction.is_open:
        raise RuntimeError("storage is used within a transaction, for which others wait")


def on_commit(session: AsyncSession, do: Callable[[], object]) -> None:
    """Call ``do`` after the transaction commits; never if it rolls back."""
    event.listen(session.sync_session, "after_commit", lambda _: do(), once=True)


async def advisory_lock(session: AsyncSession, *names: str) -> None:
    """Lock these names until the end of the transaction; others who lock any of them wait."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has only one writer at a time
        await session.execute(select(*(func.pg_advisory_xact_lock(func.hashtextextended(name, 0)) for name in names)))


class _Connection(sqlite3.Connection):
    """A connection that rolls back its transaction when closed.

    Otherwise the transaction would live until no statement refers to it: a task cancelled in the middle of a change
    would lock everybody out.
    """

    def close(self) -> None:
        """Roll back what was not committed. Closing again does nothing."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # already closed: aiosqlite closes twice when interrupted
            if self.in_transaction:
                self.rollback()
        super().close()


def open_database(url: str) -> tuple[AsyncEngine, Sessions]:
    """Open an engine and its sessions. SQLite runs in WAL mode, so readers never wait for a writer; what it commits
    survives a power cut.

    A database that is unreachable or drops a connection raises OperationalError, whatever the driver raises.
    """
    sqlite = url.startswith("sqlite")
    # SQLite waits for other processes' writes; a pool would make it wait for its own.
    # PostgreSQL would keep the locks of a vanished client for hours.
    patience = {"server_settings": {"idle_in_transaction_session_timeout": f"{_IDLE_TIMEOUT:.0f}s"}}
    options: dict[str, Any] = {"pool_size": 10, "pool_pre_ping": True, "connect_args": patience}
    if sqlite:
        options = {"connect_args": {"factory": _Connection}}
    # Errors are logged, and parameters hold song names and webhook URLs.
    engine = create_async_engine(url, hide_parameters=True, **options)
    if sqlite:

        @event.listens_for(engine.sync_engine, "connect")
        def _pragmas(connection: Any, record: Any) -> None:
            # the driver must not begin transactions by itself, which it does too late
            connection.isolation_level = None
            cursor = connection.cursor()
            for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()
            give_clock(connection)

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Any) -> None:
            # A transaction that reads first and then writes would fail if another one wrote in between.
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    else:

        @event.listens_for(engine.sync_engine, "do_connect")
        def _connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
            try:
                return dialect.connect(*arguments, **options)
            except OSError as error:  # no such host or socket, refused, or timed out
                raise dialect.loaded_dbapi.OperationalError(str(error)) from error

        @event.listens_for(engine.sync_engine, "handle_error")
        def _no_answer(context: ExceptionContext) -> None:
            sqlstate = getattr(context.original_exception, "sqlstate", None) or ""
            # otherwise the caller was cancelled
            gone = context.is_disconnect and context.sqlalchemy_exception is not None
            if gone or sqlstate.startswith(_CONNECTION_ERRORS):
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
