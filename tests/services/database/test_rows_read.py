"""No query of a request or a loop reads many more rows than it returns, however long the history is.

PostgreSQL says how many it reads (EXPLAIN ANALYZE). It would rather read small tables whole, which is not allowed here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.scale import PREFIX, READY, fill
from services.api.paging import newest
from services.api.status_snapshot import status_snapshots
from services.database.engine import Sessions, open_database
from services.database.models import JobRow
from services.database.tallies import fold, tallies, totals
from services.jobs.events import COLUMNS, last_event_ids
from services.jobs.job_progress import Progress
from services.jobs.render_spec import VERSION_LENGTH
from services.jobs.tasks import Tasks
from services.jobs.turns import Turns
from services.retention.cap import Cap
from services.retention.policy import RetentionPolicy
from services.retention.pruning import Pruner
from services.settings import ServiceSettings
from services.storage.object_store import Storage
from services.webhooks.fair_claims import FairClaims
from tests.services.board import Board
from tests.services.servers import Postgres
from tests.services.webhooks.test_delivery_faults import add

pytestmark = pytest.mark.anyio
JOBS, VERSION = 3000, "0" * VERSION_LENGTH
ALWAYS, SHARE = 100, 10  # rows that any query may read, and how many for each that it returns
OWNER = "o7"


class Queries:
    """The statements of an engine, and what they read."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine, self._asked = engine, list[tuple[str, Any]]()
        event.listen(engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            self._asked.append((statement, values))

    async def of(self, do: Awaitable[object]) -> list[str]:
        """Do it; returns the statements that read too many rows, and how many."""
        self._asked.clear()
        await do
        asked, found = list(self._asked), []
        for statement, values in asked:
            async with self._engine.connect() as connection:
                await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
                plan: Any = (await connection.exec_driver_sql(explain, values)).scalar_one()
                await connection.rollback()
            read, returned = _rows((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
            if read > max(ALWAYS, SHARE * returned):
                found.append(f"{read} rows read for {returned}: {statement}")
        return found


def _rows(plan: dict[str, Any]) -> tuple[int, int]:
    """The rows that a plan reads, and that it returns or changes."""
    read = 0
    if "Relation Name" in plan and plan["Node Type"] != "ModifyTable":
        removed = sum(plan.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
        read = int((plan["Actual Rows"] + removed) * plan["Actual Loops"])
    below = [_rows(each) for each in plan.get("Plans", ())]
    changes = plan["Node Type"] == "ModifyTable"
    returned = below[0][1] if changes and below else int(plan["Actual Rows"] * plan["Actual Loops"])
    return read + sum(each for each, _ in below), returned


@pytest.fixture(scope="module")
def url(postgres_server: Postgres) -> str:
    """A database with a history."""
    url = postgres_server.url(postgres_server.create())

    async def history() -> None:
        await fill(url, JOBS, VERSION)
        engine, _ = open_database(url)
        few = ", ".join(f"'{PREFIX}{number:012x}'" for number in (7, 1007, 2007))
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql(f"UPDATE jobs SET status = 'failed' WHERE id IN ({few})")
            await connection.exec_driver_sql("ANALYZE")
        await engine.dispose()

    asyncio.run(history())
    return url


@pytest.fixture
async def database(url: str) -> AsyncIterator[tuple[Sessions, Queries]]:
    engine, sessions = open_database(url)
    yield sessions, Queries(engine)
    await engine.dispose()


async def test_of_requests(database: tuple[Sessions, Queries]) -> None:
    sessions, queries = database
    board = Board(sessions)

    async def listed(*conditions: Any, status: Sequence[str] = ()) -> None:
        rows = select(*COLUMNS).where(JobRow.kind == "video", *conditions)
        queries = [rows.where(JobRow.status == each) for each in status] or [rows]
        async with sessions() as session:
            await session.execute(newest(JobRow, queries, 10))

    async def counted() -> None:
        async with sessions() as session:
            await totals(session, "jobs")
            await tallies(session, "jobs", OWNER)
            await totals(session, "systems")

    system = f"{PREFIX}{7:012x}"
    jobs = [await board.submit(OWNER, owner=OWNER) for _ in range(2)]
    asked: dict[str, Awaitable[object]] = {
        "submit": board.submit(OWNER, owner=OWNER),
        "cancel": board.jobs.cancel(jobs[0]),
        "delete an open one": board.jobs.delete(jobs[1]),
        "delete one that is over": board.jobs.delete(f"{PREFIX}{5:012x}"),
        "health": counted(),
        **{
            f"list of {of}, {' or '.join(status)}": listed(*whose, status=status)
            for status in ([], ["failed"], ["cancelled"], ["failed", "cancelled"], ["queued", "rendering"])
            for of, whose in (
                ("all", ()),
                ("an owner", (JobRow.owner == OWNER,)),
                ("a system", (JobRow.system_id == system,)),
            )
        },
        "snapshots": status_snapshots(sessions, {system}),
        "events": last_event_ids(sessions, {jobs[0]}),
    }
    assert {what: found for what, do in asked.items() if (found := await queries.of(do))} == {}


async def test_of_loops(database: tuple[Sessions, Queries], tmp_path: Path) -> None:
    sessions, queries = database
    settings, board = ServiceSettings(data=tmp_path), Board(sessions)
    tasks, turns = Tasks(sessions, lease=15.0, versions=[VERSION]), Turns(sessions)

    async def claim() -> None:
        assert await tasks.claim("worker") is not None

    webhooks = FairClaims(sessions, lease=timedelta(hours=1))
    await add(sessions, *(f"http://n{number}.example.com/" for number in range(30)), owner=OWNER, count=10)
    assert len(await webhooks.claim(1)) == 1  # the first look notes owners and hosts of all
    async with sessions.begin() as session:
        await session.execute(text("ANALYZE deliveries"))  # as PostgreSQL does by itself after a while
    policy = RetentionPolicy(settings, sessions, Storage(settings.storage))
    asked: dict[str, Awaitable[object]] = {
        "offer": turns.next(),
        "claim": claim(),
        "expire leases": tasks.expire_leases(),
        "progress": Progress(sessions).add_up(),
        "progress of everything": Progress(sessions).add_up(everything=True),
        "joins that were left": tasks.jobs_awaiting_join(),
        "parts that were left": board.jobs.end_left_parts(),
        "versions that were left": board.jobs.stranded_versions(["f" * VERSION_LENGTH]),
        "jobs that were left": board.jobs.stranded_jobs(VERSION),
        "retention": policy.due(thorough=False),
        "pruning": Pruner(settings, sessions).prune(Cap()),
        "fold": fold(sessions),
        "webhooks": webhooks.claim(8),
    }
    assert {what: found for what, do in asked.items() if (found := await queries.of(do))} == {}
    assert JOBS // READY > ALWAYS, "else reading all that are ready would not be noticed"


async def test_sqlite_finds_what_is_open_by_indexes(tmp_path: Path) -> None:
    """It cannot say how many rows it reads; and it prefers an index of the status to others that say more."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'motes.db'}"
    await fill(url, 500, VERSION)
    engine, sessions = open_database(url)
    board, asked = Board(sessions), list[tuple[str, Any]]()
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: asked.append(call[2:4]))
    await board.jobs.end_left_parts()
    await board.jobs.stranded_versions([VERSION])
    await board.jobs.stranded_jobs(VERSION)
    rows = select(JobRow.id, JobRow.created_at).where(JobRow.kind == "video")
    async with sessions() as session:
        for status in (["failed"], ["failed", "cancelled"]):
            await session.execute(newest(JobRow, [rows.where(JobRow.status == each) for each in status], 10))
        connection = await session.connection()
        plans = [
            str((await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)).all())
            for statement, values in list(asked)
            if statement.startswith(("SELECT", "WITH"))
        ]
    await engine.dispose()
    indexes = ["open_parts", "tasks_ready_by_", "tasks_ready_by_age", "sqlite_autoindex_jobs_1"]
    indexes += 2 * ["jobs_by_status_and_age"]
    assert [index for index, plan in zip(indexes, plans, strict=True) if f"INDEX {index}" not in plan] == []
