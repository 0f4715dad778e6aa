"""A history of a million jobs must cost nobody anything: the time of what users, workers and loops do, ÷ at 1,000 jobs.

    python bench/scale.py                                # SQLite, 1,000,000 jobs, some ten minutes
    python bench/scale.py --jobs 50000                   # less of everything
    python -m tests.services.servers bench/scale.py      # PostgreSQL

Two databases are filled: a large one, with that many completed jobs, ten finished tasks for each of them, and one open
job in twenty, whose plan is ready; and one with 1,000 jobs likewise. Each is served by a process that runs the API
without a socket between; the two take turns, so that a change of the machine's speed meets both. The script prints
milliseconds at the median and p99 of both, and their ratios. Goals: at most 1.5 at the median and 3 at p99; the exit
code is 1 if one is missed. Differences below 2 ms do not count, as they are the noise of a machine with two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
from sqlalchemy import make_url, text

from services.api import create_app
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.database.tallies import recount, trigger_names, trigger_statements
from services.jobs.render_spec import renderable_versions
from services.jobs.tasks import Tasks
from services.jobs.turns import Turns
from services.retention.cap import Cap
from services.retention.policy import RetentionPolicy
from services.retention.pruning import Pruner
from services.settings import ServiceSettings
from services.storage.object_store import Storage

FEW, TASKS, READY = 1000, 10, 20  # jobs of the small database; tasks of a job; one open job for so many
MEDIAN, P99, NOISE = 1.5, 3.0, 0.002
ROUNDS, CALLS = 8, 25  # of each kind of call: rounds that the two databases take in turn, calls in each
OWNERS = 1000
PREFIX = "00000000-0000-7000-8000-"  # of ids
SMALL = {"width": 320, "height": 180, "duration": 2.0, "particle_count": 100}


# --- filling ---


@dataclass(frozen=True)
class Sql:
    """Expressions that the two databases write differently."""

    postgresql: bool

    def numbers(self, count: int) -> str:
        """A table with a column i: the numbers from 1."""
        if self.postgresql:
            return f"generate_series(1, {count}) AS n(i)"
        return f"(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<{count}) SELECT i FROM c) AS n"

    def digits(self, number: str, width: int) -> str:
        """A number in so many hexadecimal digits."""
        return f"lpad(to_hex({number}), {width}, '0')" if self.postgresql else f"printf('%0{width}x', {number})"

    def uuid(self, number: str) -> str:
        """An id that says the number."""
        return f"'{PREFIX}' || {self.digits(number, 12)}"

    def days_ago(self, days: int) -> str:
        """A moment."""
        if self.postgresql:
            return f"now() - interval '{days} days'"
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{days} days')"

    def insert(self, table: str, count: int, **columns: str) -> str:
        """Rows whose columns are expressions of i."""
        values = ", ".join(columns.values())
        return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {self.numbers(count)}"


def history(sql: Sql, jobs: int, version: str) -> list[str]:
    """The statements that fill a database."""
    then, ready, open_jobs = sql.days_ago(3), jobs // READY, f"i + {10 * jobs}"
    owner = f"'o' || (i % {OWNERS})"
    job = {"owner": owner, "flow": owner, "kind": "'video'", "system_id": sql.uuid(f"i % {OWNERS}")}
    job |= {"scene": """'{"type": "snow", "audio": null, "config": {}}'""", "output_path": "'v.mp4'"}
    job |= {"priority": "'normal'", "cost": "1", "seconds": "10", "warnings": "'[]'", "promised": "0"}
    job["has_history"] = "true" if sql.postgresql else "1"
    task = {"attempt": "1", "deaths": "0", "losses": "0", "frames": "60"}

    def key(number: str) -> str:
        return f"'{version}' || {sql.digits(number, 64 - len(version))}"

    def state(status: str, progress: int, frames: int) -> dict[str, str]:
        counts = {"stage_progress": progress, "progress": progress, "frames": frames, "frames_done": frames}
        return {"status": f"'{status}'", "stage": f"'{status}'", **{name: str(n) for name, n in counts.items()}}

    over = state("completed", 100, 300) | {"size": "1000000", "turn": "0", "created_at": then, "ended_at": then}
    begun = state("queued", 0, 0) | {"turn": f"i / {OWNERS}", "created_at": sql.days_ago(0)}
    done = task | {"kind": "'segment'", "number": f"i % {TASKS}", "status": "'done'", "turn": "0", "done": "60"}
    plan = task | {"kind": "'plan'", "number": "0", "status": "'ready'", "turn": f"i / {OWNERS}", "done": "0"}
    video = {"object": "'none'", "size": "1000000", "overdrawn": "0", "created_at": then, "used_at": then}
    of_job = sql.uuid(f"1 + i / {TASKS}")
    return [
        sql.insert("jobs", jobs, id=sql.uuid("i"), scene_key=key("i"), **job, **over),
        sql.insert("jobs", ready, id=sql.uuid(open_jobs), scene_key=key(open_jobs), **job, **begun),
        sql.insert("tasks", (jobs - 1) * TASKS, id=sql.uuid("i"), job_id=of_job, **done),
        sql.insert(
            "tasks",
            ready,
            id=sql.uuid(f"i + {100 * jobs}"),
            job_id=sql.uuid(open_jobs),
            version=f"'{version}'",
            **plan,
        ),
        sql.insert("artefacts", jobs, key=f"'scenes/' || {key('i')} || '/video.mp4'", **video),
        sql.insert("events", jobs, job_id=sql.uuid("i"), data="'{}'"),
    ]


async def fill(url: str, jobs: int, version: str) -> None:
    """Fill a database."""
    await upgrade(url)
    engine, sessions = open_database(url)
    postgresql = engine.dialect.name == "postgresql"
    async with engine.connect() as connection:  # without the checks and triggers of each row
        await connection.exec_driver_sql(
            "SET session_replication_role = replica" if postgresql else "PRAGMA foreign_keys = OFF"
        )
        for each in () if postgresql else trigger_names():
            await connection.exec_driver_sql(f"DROP TRIGGER {each}")
        for statement in history(Sql(postgresql), jobs, version):
            await connection.exec_driver_sql(statement)
        for each in () if postgresql else trigger_statements("sqlite"):
            await connection.exec_driver_sql(each)
        await connection.commit()
    await recount(sessions)
    if postgresql:  # which it does by itself in time; SQLite has no statistics unless it is asked
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("VACUUM ANALYZE")
    await engine.dispose()


# --- a process that serves one of them ---


class Served:
    """The API without a socket, and what workers and loops call."""

    def __init__(self, client: httpx.AsyncClient, sessions: Sessions, settings: ServiceSettings) -> None:
        self._client = client
        self._tasks, self._turns = Tasks(sessions, lease=15.0), Turns(sessions)
        self._policy = RetentionPolicy(settings, sessions, Storage(settings.storage))
        self._pruner = Pruner(settings, sessions)
        self._deleted, self._submitted = 0, list[str]()
        self._systems: list[str] = []

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request, which must succeed."""
        answer = await self._client.request(method, f"/particles{path}", **more)
        if answer.status_code >= 400:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    async def prepare(self) -> None:
        """Create the systems that jobs are submitted of, as an owner of their own."""
        for seed in range(20):
            body = {"particle_type": "no_music", "config": SMALL | {"seed": seed}}
            self._systems.append((await self.call("POST", "/create", json=body)).json()["system_id"])

    async def submit(self) -> None:
        """A render of a system of one's own."""
        system = self._systems[len(self._submitted) % len(self._systems)]
        self._submitted.append((await self.call("POST", f"/systems/{system}/render", json={})).json()["job_id"])

    async def cancel(self) -> None:
        """The job that was submitted last."""
        await self.call("POST", f"/jobs/{self._submitted.pop()}/cancel")

    async def delete(self) -> None:
        """A completed job, and its video."""
        self._deleted += 1
        await self.call("DELETE", f"/jobs/{PREFIX}{self._deleted:012x}")

    async def list(self) -> None:
        """The first page of all jobs."""
        await self.call("GET", "/jobs?limit=50")

    async def list_open(self) -> None:
        """The first page of open jobs."""
        await self.call("GET", "/jobs?limit=50&status=queued&status=rendering")

    async def status(self) -> None:
        """A job."""
        await self.call("GET", f"/jobs/{self._submitted[-1]}")

    async def health(self) -> None:
        """Whether the service works."""
        await self.call("GET", "/health")

    async def claim(self) -> None:
        """A look of the dispatcher for the next tasks, and the claim of one."""
        await self._turns.next()
        if await self._tasks.claim("worker") is None:
            raise SystemExit("nothing to claim")

    async def retention(self) -> None:
        """What retention looks for every minute."""
        await self._policy.due(thorough=False)

    async def history(self) -> None:
        """What retention prunes every hour."""
        await self._pruner.prune(Cap())


KINDS = ("health", "submit", "status", "list", "list_open", "claim", "cancel", "delete", "retention", "history")


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[dict[str, Any]]:
    """The application's lifespan, as a server has it; yields its state."""
    state: dict[str, Any] = {}
    asked, told = asyncio.Queue[dict[str, str]](), asyncio.Queue[dict[str, str]]()
    task = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}, asked.get, told.put)
    )
    await asked.put({"type": "lifespan.startup"})
    if (await told.get())["type"] != "lifespan.startup.complete":
        raise SystemExit("the API did not start")
    yield state
    await asked.put({"type": "lifespan.shutdown"})
    await task


async def serve(url: str) -> None:
    """Do what standard input asks for, a kind of call on each line, and answer with the seconds that each took."""
    settings = ServiceSettings()
    app = create_app()
    engine, sessions = open_database(url)
    async with running(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(with_state)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=None)
        served = Served(client, sessions, settings)
        await served.prepare()
        print("ready", flush=True)
        loop = asyncio.get_running_loop()
        while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            do: Callable[[], Awaitable[None]] = getattr(served, line)
            took = []
            for _ in range(CALLS):
                began = time.perf_counter()
                await do()
                took.append(time.perf_counter() - began)
            print(json.dumps(took), flush=True)
    await engine.dispose()


class Process:
    """Such a process."""

    def __init__(self, url: str, data: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MOTES_")}
        environment |= {"MOTES_DATABASE_URL": url, "MOTES_DATA": str(data), "MOTES_REDIS_URL": f"local://{data}/queue"}
        environment |= {"MOTES_AUTH": "off", "MOTES_LOG_LEVEL": "error", "MOTES_LIMIT_REQUESTS_PER_MINUTE": "10000000"}
        environment |= {f"MOTES_LIMIT_{name}": "1000000" for name in ("OPEN_JOBS", "QUEUED_JOBS")}
        environment |= {"MOTES_LIMIT_RENDERED_SECONDS_PER_DAY": "100000000"}
        self._process = subprocess.Popen(
            (sys.executable, __file__, "--serve", url),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line("ready")

    def _line(self, expected: str = "") -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise SystemExit(f"a process ended: {line}")
        return line

    def run(self, kind: str) -> list[float]:
        """Seconds of the calls of a round."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{kind}\n")
        self._process.stdin.flush()
        return [float(each) for each in json.loads(self._line())]

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def main() -> int:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve))
        return 0
    version = min(renderable_versions())
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for number, jobs in enumerate((FEW, arguments.jobs)):
            data = Path(folder) / str(number)
            data.mkdir()
            url = database_url(data, number)
            began = time.monotonic()
            asyncio.run(fill(url, jobs, version))
            print(f"{jobs:,} jobs: filled in {time.monotonic() - began:.0f} s", flush=True)
            processes.append(Process(url, data))
        took: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in KINDS}
        for _ in range(ROUNDS):
            for kind in KINDS:
                for seconds, process in zip(took[kind], processes, strict=True):
                    seconds.extend(process.run(kind))
        for process in processes:
            process.end()
    return report(took)


def database_url(data: Path, number: int) -> str:
    """A database of its own: beside the one that MOTES_DATABASE_URL names if that is PostgreSQL."""
    named = os.environ.get("MOTES_DATABASE_URL", "")
    if not named.startswith("postgresql"):
        return f"sqlite+aiosqlite:///{data / 'motes.db'}"
    name = f"scale{number}"

    async def create() -> None:
        engine, _ = open_database(named)
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
            await connection.execute(text(f"CREATE DATABASE {name}"))
        await engine.dispose()

    asyncio.run(create())
    return make_url(named).set(database=name).render_as_string(hide_password=False)


def report(took: dict[str, tuple[list[float], list[float]]]) -> int:
    """Print a table; 1 if a goal is missed."""
    print(f"{'':12}{'few: p50':>10}{'p99':>8}{'many: p50':>11}{'p99':>8}   ms{'ratio p50':>11}{'p99':>7}")
    missed = []
    for kind, (few, many) in took.items():
        values = [median(few), quantiles(few, n=100)[98], median(many), quantiles(many, n=100)[98]]
        ratios = values[2] / values[0], values[3] / values[1]
        shown = "".join(f"{1000 * value:>{width}.1f}" for value, width in zip(values, (10, 8, 11, 8), strict=True))
        print(f"{kind:12}{shown}     {ratios[0]:>11.2f}{ratios[1]:>7.2f}", flush=True)
        slow = (values[2] - values[0] > NOISE and ratios[0] > MEDIAN, values[3] - values[1] > NOISE and ratios[1] > P99)
        missed += [f"{kind}: {name}" for name, is_slow in zip(("median", "p99"), slow, strict=True) if is_slow]
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
