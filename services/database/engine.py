"""The database engine: sessions, locks, and what makes SQLite and PostgreSQL behave alike."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import event, func, make_url, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import await_only, greenlet_spawn

from services.database.clock import DatabaseClock, give_clock
from services.observability import metrics

_IDLE_TIMEOUT = 10.0  # seconds that a transaction may idle before PostgreSQL rolls it back
_POOL = 10  # connections to PostgreSQL
_FULL, _FULL_PATIENCE = "53300", 20.0  # SQLSTATE of a server that has no connection left, and seconds to wait for one
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


def _close_idle(engine: AsyncEngine, seconds: float) -> None:
    """Close connections when none was used for so many seconds."""
    timers, closing = list[asyncio.TimerHandle](), set[asyncio.Task[None]]()

    def close() -> None:
        pool: QueuePool = engine.sync_engine.pool  # type: ignore[assignment]
        if pool.checkedout() == 0:
            engine.sync_engine.dispose(close=False)  # first, so that nobody opens one in a pool that is left behind
            task = asyncio.ensure_future(greenlet_spawn(pool.dispose))
            closing.add(task)
            task.add_done_callback(closing.discard)

    @event.listens_for(engine.sync_engine, "checkin")
    def _later(connection: Any, record: Any) -> None:
        while timers:
            timers.pop().cancel()
        if connection is not None:
            timers.append(asyncio.get_running_loop().call_later(seconds, close))


def open_database(url: str, *, pool: int = _POOL, close_after: float | None = None) -> tuple[AsyncEngine, Sessions]:
    """Open an engine and its sessions. SQLite runs in WAL mode, so readers never wait for a writer; what it commits
    survives a power cut.

    PostgreSQL gets at most ``pool`` connections; with ``close_after``, none while none was used for so many seconds. If
    it has none to spare, one is waited for. A pooler in transaction mode may be between, if the URL says
    ``prepared_statement_cache_size=0``: no lock or statement is expected to outlast a transaction.

    A database that is unreachable or drops a connection raises OperationalError, whatever the driver raises.
    """
    sqlite = url.startswith("sqlite")
    # SQLite waits for other processes' writes; a pool would make it wait for its own.
    options: dict[str, Any] = {"pool_size": pool, "max_overflow": 0, "pool_pre_ping": True}
    if make_url(url).query.get("prepared_statement_cache_size") == "0":  # a pooler that knows no prepared statements
        name = {"prepared_statement_name_func": lambda: f"motes_{uuid4()}"}  # that no other client uses
        options["connect_args"] = {"statement_cache_size": 0, **name}
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
            end = time.monotonic() + _FULL_PATIENCE
            while True:
                try:
                    return dialect.connect(*arguments, **options)
                except OSError as error:  # no such host or socket, refused, or timed out
                    raise dialect.loaded_dbapi.OperationalError(str(error)) from error
                except Exception as error:
                    if getattr(error, "sqlstate", None) != _FULL or time.monotonic() > end:
                        raise
                await_only(asyncio.sleep(secrets.SystemRandom().uniform(0.05, 0.25)))

        @event.listens_for(engine.sync_engine, "connect")
        def _be_patient(connection: Any, record: Any) -> None:
            # Otherwise PostgreSQL would keep the locks of a vanished client for hours. Not as a parameter of the
            # connection, which poolers refuse.
            cursor = connection.cursor()
            cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_TIMEOUT:.0f}s'")
            cursor.close()
            connection.commit()

        if close_after is not None:
            _close_idle(engine, close_after)

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
