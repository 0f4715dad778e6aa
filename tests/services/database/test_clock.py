"""The database's clock and leases, with SQLite and PostgreSQL."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from services.database import clock
from services.database.clock import db_now, time_in
from services.database.engine import Sessions, open_database
from services.database.leases import acquire, release
from services.database.migrations import upgrade

pytestmark = pytest.mark.anyio


async def test_time_is_that_of_the_database_whatever_the_process_believes(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = datetime.now(UTC)
    monkeypatch.setattr(time, "time", lambda: right.timestamp() + 3600)
    async with sessions() as session:
        assert abs(await time_in(session) - right) < timedelta(minutes=5)
        later, earlier = (await session.execute(select(db_now(timedelta(hours=1)), db_now(timedelta(hours=-1))))).one()
    assert timedelta(hours=2) <= later - earlier + timedelta(seconds=1) < timedelta(hours=2, minutes=1)


async def test_lease_has_one_holder_until_it_ends(sessions: Sessions) -> None:
    assert await acquire(sessions, "work", holder="a", seconds=3600) == {}
    assert await acquire(sessions, "work", holder="b", seconds=3600) is None
    assert await acquire(sessions, "work", holder="a", seconds=3600) == {}
    assert not await release(sessions, "work", holder="b")
    assert await release(sessions, "work", holder="a", state={"last": 1})
    assert await acquire(sessions, "work", holder="b", seconds=-1) == {"last": 1}
    assert await acquire(sessions, "work", holder="a", seconds=3600) == {"last": 1}


async def test_lease_can_rest_before_anybody_gets_it(sessions: Sessions) -> None:
    assert await acquire(sessions, "work", holder="a", seconds=3600) == {}
    assert await release(sessions, "work", holder="a", pause=3600)
    assert await acquire(sessions, "work", holder="b", seconds=3600) is None


async def test_start_of_the_machine_ends_leases_of_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, the clock may have been ahead; and nobody who held a lease is left."""
    url, right = f"sqlite+aiosqlite:///{tmp_path / 'motes.db'}", time.time
    taken = []
    for boot, seconds in (("one", right() + 3600), ("one", right()), ("two", right()), ("two", right())):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: seconds)
        monkeypatch.setattr(clock, "_boot", lambda boot=boot: boot)
        await upgrade(url)
        engine, sessions = open_database(url)
        taken.append(await acquire(sessions, "work", holder=str(len(taken)), seconds=600) is not None)
        await engine.dispose()
    assert taken == [True, False, True, False]
