"""Messages of one owner hold up nobody else's: tarpits, floods, hosts without end, and several workers."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from services.database.clock import db_now
from services.database.engine import Sessions, open_database
from services.database.models import BreakerRow, DeliveryRow
from services.webhooks import circuit_breaker, fair_claims
from services.webhooks.circuit_breaker import THRESHOLD
from services.webhooks.fair_claims import PER_HOST, PER_OWNER, FairClaims, host_of
from tests.services.webhooks.test_delivery import delivering, receiver
from tests.services.webhooks.test_delivery_faults import add, all_delivered, statuses
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


class Tarpit:
    """A server that accepts connections and never answers; ``open`` are those that nobody has closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Tarpit:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for each in self._taken:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._taken.append(self._listener.accept()[0])

    @property
    def taken(self) -> int:
        return len(self._taken)

    @property
    def open(self) -> int:
        return sum(not self._is_closed(each) for each in self._taken)

    @staticmethod
    def _is_closed(connection: socket.socket) -> bool:
        connection.setblocking(False)
        with suppress(BlockingIOError):
            while data := connection.recv(65536):
                assert data
            return True
        return False


@pytest.fixture
async def sessions(database: str) -> AsyncIterator[Sessions]:
    engine, sessions = open_database(database)
    yield sessions
    await engine.dispose()


async def everywhere(host: str, port: int) -> Sequence[str]:
    """A name server for which every name is this machine's."""
    return ["127.0.0.1"]


async def breakers(sessions: Sessions) -> dict[str, int]:
    """By host: its failures in a row."""
    async with sessions() as session:
        return {row.host: row.failures for row in await session.scalars(select(BreakerRow))}


async def attempts(sessions: Sessions) -> int:
    """How many attempts there were, of all messages."""
    async with sessions() as session:
        return sum(len(each) for each in await session.scalars(select(DeliveryRow.attempts)))


async def test_tarpit_with_300_messages_delays_nobody_else(sessions: Sessions, tmp_path: Path) -> None:
    with Tarpit() as tarpit, receiver() as quick:
        await add(sessions, tarpit.url, owner="mallory", count=300)
        async with delivering(sessions, tmp_path, count=2):
            await eventually(lambda: tarpit.taken)
            for _ in range(3):
                await all_delivered(sessions, await add(sessions, quick.url, owner="alice", count=5))
            assert len(quick.received) == 15
            # It answered nobody meanwhile, and has no more than its share over both workers.
            assert (tarpit.open, tarpit.taken) == (PER_HOST // 2, PER_HOST // 2)


async def test_tarpit_of_many_names_delays_nobody_else(sessions: Sessions, tmp_path: Path) -> None:
    with Tarpit() as tarpit, receiver() as quick:
        await add(sessions, *(f"http://n{number}.example.com:{tarpit.port}/" for number in range(300)), owner="mallory")
        async with delivering(sessions, tmp_path, count=2, resolve=everywhere):
            await eventually(lambda: tarpit.taken >= PER_OWNER, why=lambda: tarpit.taken)
            await all_delivered(sessions, await add(sessions, quick.url, owner="alice", count=5))
            assert (tarpit.open, tarpit.taken) == (PER_OWNER, PER_OWNER)


async def test_host_that_several_owners_use_has_a_limit(sessions: Sessions, tmp_path: Path) -> None:
    with Tarpit() as tarpit, receiver() as quick:
        for owner in ("mallory", "mary", "moll", "mia"):
            await add(sessions, tarpit.url, owner=owner, count=20)
        async with delivering(sessions, tmp_path, count=3):
            await eventually(lambda: tarpit.taken >= PER_HOST, why=lambda: tarpit.taken)
            await all_delivered(sessions, await add(sessions, quick.url, owner="mia", count=5))
            assert tarpit.taken == PER_HOST
        async with sessions() as session:
            under_way = select(DeliveryRow.owner, func.count()).where(DeliveryRow.lease_until.is_not(None))
            found = [number for _, number in await session.execute(under_way.group_by(DeliveryRow.owner))]
        assert sum(found) == PER_HOST
        assert max(found) <= PER_HOST // 2


async def test_slots_go_round(sessions: Sessions) -> None:
    """However many messages somebody has, and however long these have been due."""
    await add(sessions, "http://a.example.com/", owner="mallory", count=30)
    await add(sessions, "http://b.example.com/", "http://c.example.com/", owner="alice", count=2)
    await add(sessions, "http://d.example.com/", owner="bob")
    claims, owners = FairClaims(sessions, lease=timedelta(hours=1)), []
    for most in (3, 2, 2):
        owners.append(sorted(each.lane.owner for each in await claims.claim(most)))
    assert owners == [["alice", "bob", "mallory"], ["alice", "mallory"], ["alice", "mallory"]]
    assert Counter(each.lane.owner for each in await claims.claim(64)) == {"alice": 1, "mallory": 1}
    assert await claims.claim(64) == []


async def test_hosts_of_an_owner_go_round(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the first of them, and more than one look sees, answer nothing."""
    monkeypatch.setattr(fair_claims, "_HOSTS_PER_LOOK", 5)
    names = [f"http://n{number:02}.example.com/" for number in range(23)]
    await add(sessions, *names, owner="alice")
    async with sessions.begin() as session:
        for name in names[:21]:
            until = {"open_until": db_now(timedelta(hours=1)), "failed_at": db_now()}
            session.add(BreakerRow(owner="alice", host=host_of(name), failures=THRESHOLD, **until))
    claims, found = FairClaims(sessions, lease=timedelta(hours=1)), list[str]()
    for _ in range(10):
        found += [each.lane.host for each in await claims.claim(64)]
    assert sorted(found) == [host_of(name) for name in names[21:]]


async def test_messages_of_older_versions_are_sorted_in(sessions: Sessions) -> None:
    ids = await add(sessions, "https://x.example.com/a", "http://y.example.com:81/b", "nonsense", owner="alice")
    claimed = await FairClaims(sessions, lease=timedelta(hours=1)).claim(64)
    assert {each.row.id: each.lane for each in claimed} == {
        ids[0]: ("alice", "x.example.com:443"),
        ids[1]: ("alice", "y.example.com:81"),
        ids[2]: ("alice", ""),
    }


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_claims_read_no_queue(sessions: Sessions) -> None:
    """They find their way along indexes: no statement reads all that waits. Of PostgreSQL see test_rows_read."""
    await add(sessions, *(f"http://n{number}.example.com/" for number in range(30)), owner="mallory", count=10)
    asked: list[tuple[str, Any]] = []
    async with sessions() as session:
        connection = await session.connection()
        engine = connection.engine.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *call: asked.append((call[2], call[3])))
        await FairClaims(sessions, lease=timedelta(hours=1)).claim(8)
        statements = [each for each in asked if "deliveries" in each[0]]
        assert len(statements) > 5
        for statement, values in statements:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            steps = [str(row.detail) for row in plan]
            assert not [each for each in steps if each.startswith("SCAN deliveries")], (statement, steps)


class TestBreaker:
    async def test_silent_receiver_is_left_alone(self, sessions: Sessions, tmp_path: Path) -> None:
        with free_port() as port:
            await add(sessions, f"http://127.0.0.1:{port}/", owner="alice", count=50)
            async with delivering(sessions, tmp_path, backoff=(3600.0,), count=2):
                await eventually(lambda: opened(sessions))
                with receiver() as other:
                    await all_delivered(sessions, await add(sessions, other.url, owner="alice", count=3))
            waiting = await unattempted(sessions)
            # No more than what was under way already when it opened.
            assert 50 - THRESHOLD - PER_HOST // 2 < len(waiting) <= 50 - THRESHOLD
            assert set((await statuses(sessions)).values()) == {"pending", "delivered"}

    async def test_one_message_tries_it_again(self, sessions: Sessions, tmp_path: Path) -> None:
        with free_port() as port:
            await add(sessions, f"http://127.0.0.1:{port}/", owner="alice", count=50)
            async with delivering(sessions, tmp_path, backoff=(3600.0,)):
                await eventually(lambda: opened(sessions))
                await eventually(lambda: idle(sessions))
            before, pause = await attempts(sessions), await pause_of(sessions)
            await end_pause(sessions)
            async with delivering(sessions, tmp_path, backoff=(3600.0,)):
                await eventually(lambda: opened(sessions))
                await eventually(lambda: idle(sessions))
            assert await attempts(sessions) == before + 1
            assert await pause_of(sessions) > 1.5 * pause
            await end_pause(sessions)
            assert len(await FairClaims(sessions, lease=timedelta(hours=1)).claim(64)) == 1
            assert await FairClaims(sessions, lease=timedelta(hours=1)).claim(64) == []

    async def test_answer_closes_it(self, sessions: Sessions, tmp_path: Path) -> None:
        with receiver() as server:
            ids = await add(sessions, server.url, owner="alice", count=20)
            async with sessions.begin() as session:
                moments = {"open_until": db_now(timedelta(seconds=-1)), "failed_at": db_now()}
                session.add(BreakerRow(owner="alice", host=host_of(server.url), failures=9, **moments))
            async with delivering(sessions, tmp_path):
                await all_delivered(sessions, ids)
            assert await breakers(sessions) == {}

    async def test_refusing_receiver_keeps_it_closed(self, sessions: Sessions, tmp_path: Path) -> None:
        """Whoever answers costs nothing: each message has its own backoff."""
        with receiver(500) as server:
            await add(sessions, server.url, owner="alice", count=3 * THRESHOLD)
            async with delivering(sessions, tmp_path, backoff=(3600.0,)):
                await eventually(lambda: len(server.received) == 3 * THRESHOLD)
            assert await breakers(sessions) == {}

    async def test_holds_for_nobody_else(self, sessions: Sessions, tmp_path: Path) -> None:
        """What one owner makes a shared receiver do is no reason to hold up another's messages to it."""
        with receiver() as server:
            async with sessions.begin() as session:
                moments = {"open_until": db_now(timedelta(hours=1)), "failed_at": db_now()}
                session.add(BreakerRow(owner="mallory", host=host_of(server.url), failures=9, **moments))
            held = await add(sessions, server.url, owner="mallory")
            async with delivering(sessions, tmp_path):
                await all_delivered(sessions, await add(sessions, server.url, owner="alice", count=5))
            assert (await statuses(sessions))[held[0]] == "pending"

    async def test_message_is_given_up_after_days_of_silence(self, sessions: Sessions, tmp_path: Path) -> None:
        with free_port() as port:
            ids = await add(sessions, f"http://127.0.0.1:{port}/", owner="alice", count=20)
            async with sessions.begin() as session:
                old = update(DeliveryRow).where(DeliveryRow.id.in_(ids[5:]))
                await session.execute(old.values(created_at=db_now(timedelta(days=-4))))
            async with delivering(sessions, tmp_path, backoff=(3600.0,)):
                await eventually(lambda: failed(sessions))
            async with sessions() as session:
                over = list(await session.scalars(select(DeliveryRow).where(DeliveryRow.status == "failed")))
            assert {row.id for row in over} <= set(ids[5:])
            assert {row.attempts[-1]["error"] for row in over} == {
                "given up: the receiver answered nothing for 72 hours"
            }

    async def test_pauses_are_never_longer_than_ten_minutes(self, sessions: Sessions) -> None:
        async with sessions.begin() as session:
            session.add(BreakerRow(owner="a", host="x:80", failures=THRESHOLD + 9, failed_at=db_now()))
        async with sessions.begin() as session:
            assert await circuit_breaker.note_failure(session, "a", "x:80")
        assert await pause_of(sessions) == 600

    async def test_is_forgotten(self, sessions: Sessions) -> None:
        async with sessions.begin() as session:
            session.add(BreakerRow(owner="a", host="old:80", failures=9, failed_at=db_now(timedelta(days=-4))))
            session.add(BreakerRow(owner="a", host="new:80", failures=9, failed_at=db_now(timedelta(days=-2))))
        async with sessions.begin() as session:
            assert await circuit_breaker.note_failure(session, "a", "new:80")
        assert set(await breakers(sessions)) == {"new:80"}

    async def test_counts_while_it_is_open_or_its_receiver_is_tried(self, sessions: Sessions) -> None:
        async with sessions.begin() as session:
            for minutes in (-3, -1, 1):
                until = db_now(timedelta(minutes=minutes))
                row = BreakerRow(owner="a", host=str(minutes), failures=9, open_until=until, failed_at=db_now())
                session.add(row)
            session.add(BreakerRow(owner="a", host="closed", failures=1, failed_at=db_now()))
        async with sessions() as session:
            assert await circuit_breaker.count_open(session) == 2


@contextmanager
def free_port() -> Iterator[int]:
    """A port at which nobody listens, and nobody else will."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def opened(sessions: Sessions) -> bool:
    async with sessions() as session:
        return await session.scalar(select(BreakerRow.host).where(BreakerRow.open_until > db_now())) is not None


async def idle(sessions: Sessions) -> bool:
    """Whether no message is under way."""
    async with sessions() as session:
        return await session.scalar(select(DeliveryRow.id).where(DeliveryRow.lease_until.is_not(None)).limit(1)) is None


async def failed(sessions: Sessions) -> bool:
    return "failed" in (await statuses(sessions)).values()


async def unattempted(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return [row.id for row in await session.scalars(select(DeliveryRow)) if not row.attempts]


async def pause_of(sessions: Sessions) -> float:
    """Seconds between the last failure and the next try."""
    async with sessions() as session:
        row = (await session.scalars(select(BreakerRow))).one()
    assert row.open_until is not None
    return (row.open_until - row.failed_at).total_seconds()


async def end_pause(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(update(BreakerRow).values(open_until=db_now(timedelta(seconds=-1))))
