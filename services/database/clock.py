"""The one clock of an installation: its database's. Leases, ages and expiry are judged by nothing else.

``db_now`` is that clock within a statement, ``time_in`` asks for it, ``DatabaseClock`` remembers the answer. Clocks of
processes differ, jump, or are wrong by months; PostgreSQL's is one for all. SQLite has none: it is that of the machine
since it was started, which nobody sets, from the moment when it was first read (``set_clock``). So a process whose own
clock is wrong, or is set, does no harm.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, DateTime, Float, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

_FUNCTION = "motes_now"  # of SQLite
_FRESH = 30.0  # seconds for which an answer of the database is remembered
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC timestamp; timezone-aware on SQLite, too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Convert to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Add the time zone that SQLite drops."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


class _Now(FunctionElement[datetime]):
    """The database's time, so many seconds later."""

    type = UtcDateTime()
    name = "db_now"
    inherit_cache = True


@compiles(_Now, "postgresql")
def _in_postgresql(element: _Now, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    # Not now(), which is when the transaction began: it may have waited for a lock. And not clock_timestamp(), which
    # may change within a statement, so that no index is looked into for it.
    return f"(statement_timestamp() + make_interval(secs => {seconds}))"


@compiles(_Now, "sqlite")
def _in_sqlite(element: _Now, compiler: Any, **options: Any) -> str:
    return f"{_FUNCTION}({compiler.process(element.clauses, **options)})"


def db_now(later: timedelta = timedelta(0)) -> ColumnElement[datetime]:
    """The database's time as of this statement, or so much later; negative: earlier."""
    return _Now(literal(later.total_seconds(), Float()))


async def time_in(session: AsyncSession) -> datetime:
    """The database's time."""
    return (await session.execute(select(db_now()))).scalar_one()


class DatabaseClock:
    """The database's time without asking for it each time: what it was when asked, and what has passed since then.

    ``skew`` is by how many seconds the clock of this process was ahead of the database's when that was last asked, as
    far as that is certain; negative: behind.
    """

    def __init__(self, sessions: Callable[[], AsyncSession]) -> None:
        self._sessions = sessions
        self._answer: tuple[datetime, float] | None = None  # and when it was given, as ``uptime``
        self.skew = 0.0

    async def now(self) -> datetime:
        """The database's time, to a fraction of a second."""
        if self._answer is None or uptime() - self._answer[1] > _FRESH:
            return await self.ask()
        answer, given = self._answer
        return answer + timedelta(seconds=uptime() - given)

    async def ask(self) -> datetime:
        """The database's time, by asking for it now."""
        began, process = uptime(), time.time()
        async with self._sessions() as session:
            answer = await time_in(session)
        half = (uptime() - began) / 2  # it was answered at some time in between
        self._answer = answer, began + half
        ahead = process + half - answer.timestamp()
        self.skew = math.copysign(max(0.0, abs(ahead) - half), ahead)
        return answer


def give_clock(connection: Any) -> None:
    """Give a connection to SQLite its clock; called for each new one."""
    cursor = connection.cursor()
    anchor = None
    with contextlib.suppress(sqlite3.OperationalError):  # there are no tables yet
        cursor.execute("SELECT wall, uptime FROM clock WHERE boot = ?", (_boot(),))
        anchor = cursor.fetchone()
    cursor.close()

    def now(later: float) -> str:
        # as SQLAlchemy writes it, so that they compare
        return datetime.fromtimestamp(_seconds(anchor) + later, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    connection.create_function(_FUNCTION, 1, now)


def _seconds(anchor: tuple[float, float] | None) -> float:
    """Seconds since 1970, by SQLite's clock; ``anchor``: what they and ``uptime`` were when it was set."""
    return time.time() if anchor is None else anchor[0] + uptime() - anchor[1]


def set_clock(connection: Connection) -> None:
    """Set SQLite's clock to the time of this process, unless it was set since the machine was started.

    If it was not, whoever held a lease is gone, and the clock may have been ahead.
    """
    if connection.dialect.name == "sqlite":
        statement = "INSERT OR IGNORE INTO clock (boot, wall, uptime) VALUES (?, ?, ?)"
        if connection.exec_driver_sql(statement, (_boot(), time.time(), uptime())).rowcount:
            connection.exec_driver_sql(f"UPDATE tasks SET lease_until = {_FUNCTION}(0.0) WHERE status = 'running'")
            connection.exec_driver_sql(f"UPDATE leases SET until = {_FUNCTION}(0.0)")


def _boot() -> str:
    with contextlib.suppress(OSError):
        return _BOOT.read_text().strip()
    return ""


def uptime() -> float:
    """Seconds since the machine was started, asleep or not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
