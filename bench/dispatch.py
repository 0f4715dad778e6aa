"""What the queue costs while nothing is to be done, and how soon work is begun when there is.

    python -m tests.services.servers bench/dispatch.py     PostgreSQL
    python bench/dispatch.py                               SQLite

Workers are simulated in one process: each has its own connection to Redis and runs the service's own dispatcher, queue
and claims, but sleeps instead of rendering. It prints

- idle: statements on the database and commands on Redis a second, of 100 and 1 000 workers together,
- begun: milliseconds from a submission until one of two idle workers has claimed it,
- busy: milliseconds from ready to claimed while 70 % of the slots are busy with tasks of 3 s (``--task``),

and exits with 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis_process import own_redis
from sqlalchemy import event, insert, update

from services.database.clock import time_in
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.database.models import JobRow, TaskRow, new_id, uuid7
from services.jobs.arq_queue import Queue
from services.jobs.artefacts import FilesToDelete
from services.jobs.dispatcher import Dispatcher
from services.jobs.render_spec import VERSION_LENGTH
from services.jobs.tasks import Claim, Tasks
from services.jobs.turns import Turns

VERSION = "0" * VERSION_LENGTH
BUSY, SLOTS_EACH = 0.7, 10  # share of slots that are busy, slots of a worker
RENEW_EVERY = 1.0
STATEMENTS, COMMANDS, BEGUN, CLAIMED = 5.0, 1000.0, 100.0, 500.0  # goals: a second, a second, ms, ms at p99


@dataclass
class Bench:
    """A database, a Redis, and simulated workers."""

    sessions: Sessions
    redis: str
    task: float  # seconds of a task
    statements: int = 0
    ready: dict[str, float] = field(default_factory=dict)  # by task: when it became ready
    waited: list[float] = field(default_factory=list)  # seconds from ready to claimed
    claimed: asyncio.Event = field(default_factory=asyncio.Event)
    done: int = 0  # tasks

    async def until_done(self, number: int) -> None:
        """Wait until so many tasks are done."""
        async with asyncio.timeout(600):
            while self.done < number:
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def workers(self, number: int, *, over: float, slots: int = 1) -> AsyncIterator[Queue]:
        """So many workers while the context lasts, started over some seconds; yields a queue of a client."""
        async with AsyncExitStack() as stack:
            queues = [await stack.enter_async_context(Queue.open(self.redis)) for _ in range(number + 1)]
            loops = [
                asyncio.create_task(self._run(queue, f"w{each}", slots, over)) for each, queue in enumerate(queues[1:])
            ]
            try:
                yield queues[0]
            finally:
                for task in loops:
                    task.cancel()
                await asyncio.gather(*loops, return_exceptions=True)

    async def _run(self, queue: Queue, name: str, slots: int, over: float) -> None:
        tasks = Tasks(self.sessions, lease=15, versions=[VERSION])
        await asyncio.sleep(random.uniform(0, over))
        async with asyncio.TaskGroup() as group:
            group.create_task(
                Dispatcher(
                    *(self.sessions, queue),
                    worker=name,
                    tasks=tasks,
                    turns=Turns(self.sessions),
                    delete=_keep,
                    versions=[VERSION],
                    lease=15,
                ).run()
            )
            free, held = asyncio.Semaphore(slots), dict[str, tuple[Claim, float]]()
            group.create_task(self._renew(tasks, held))
            while True:
                await free.acquire()
                offered = await queue.take([VERSION])
                group.create_task(self._work(tasks, name, offered, held, free.release))

    async def _work(
        self,
        tasks: Tasks,
        name: str,
        offered: tuple[str, int] | None,
        held: dict[str, tuple[Claim, float]],
        release: Callable[[], None],
    ) -> None:
        try:
            claim = await tasks.claim(name, offered)
            if claim is None:
                return
            if claim.attempt == 1:
                self.waited.append(time.perf_counter() - self.ready[claim.task])
            self.claimed.set()
            held[claim.task] = claim, time.perf_counter()
            await asyncio.sleep(self.task if claim.kind == "segment" else 0.0)
            del held[claim.task]
            await self._finish(tasks, claim)
            self.done += 1
        except Exception as error:
            print(f"a worker failed: {error}", file=sys.stderr)
        finally:
            release()

    async def _renew(self, tasks: Tasks, held: dict[str, tuple[Claim, float]]) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            at = time.perf_counter()
            await tasks.renew([(claim, int(100 * (at - began) / self.task)) for claim, began in held.values()])

    async def _finish(self, tasks: Tasks, claim: Claim) -> None:
        await tasks.finish(claim)
        if await tasks.release_join(claim.job) is not None:
            await tasks.fail(claim, "done")

    async def insert(self, segments: int, *, jobs: int = 1, status: str = "waiting") -> list[str]:
        """Jobs with so many tasks each, which are being rendered; the ids of all tasks, in the order of their turns."""
        job: dict[str, object] = {
            "fairness_key": "f",
            "system_id": "s",
            "scene": {},
            "output_path": "v",
            "kind": "video",
        }
        job |= {"status": "rendering", "stage": "rendering", "frames": segments * 100}
        rows = [job | {"id": new_id(), "scene_key": VERSION + new_id(), "owner": f"o{each}"} for each in range(jobs)]
        task: dict[str, object] = {"kind": "segment", "frames": 100, "version": VERSION, "status": status}
        async with self.sessions() as session:
            at = await time_in(session)
        tasks = [
            task | {"id": uuid7(at, number), "job_id": row["id"], "number": number, "virtual_time": float(number)}
            for number in range(segments)
            for row in rows
        ]
        async with self.sessions.begin() as session:
            await session.execute(insert(JobRow), rows)
            for first in range(0, len(tasks), 1000):
                await session.execute(insert(TaskRow), tasks[first : first + 1000])
        return [str(each["id"]) for each in tasks]

    async def make_ready(self, queue: Queue, ids: list[str]) -> None:
        """Let tasks become ready, and call the dispatcher, as the API does after a commit."""
        async with self.sessions.begin() as session:
            await session.execute(update(TaskRow).where(TaskRow.id.in_(ids)).values(status="ready"))
        self.ready |= dict.fromkeys(ids, time.perf_counter())
        await queue.call()


async def _keep(files: FilesToDelete) -> None:
    pass


@asynccontextmanager
async def opened(folder: Path, redis: str, task: float) -> AsyncIterator[Bench]:
    """A bench on the database that the environment names, or else on SQLite."""
    url = os.environ.get("MOTES_DATABASE_URL") or f"sqlite+aiosqlite:///{folder / 'motes.db'}"
    await upgrade(url)
    engine, sessions = open_database(url, pool=20)
    bench = Bench(sessions, redis, task)

    def count(_: object, cursor: object, statement: str, *rest: object) -> None:
        bench.statements += not statement.startswith("BEGIN")  # which only SQLite is told by a statement

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    yield bench
    await engine.dispose()


async def idle(
    bench: Bench, commands: Callable[[], Awaitable[int]], number: int, *, settle: float, seconds: float
) -> tuple[float, float]:
    """Statements and commands a second of so many workers that have nothing to do."""
    async with bench.workers(number, over=settle / 2):
        await asyncio.sleep(settle)  # until one dispatches and the others have heard of it
        before, began = (bench.statements, await commands()), time.perf_counter()
        await asyncio.sleep(seconds)
        after, took = (bench.statements, await commands()), time.perf_counter() - began
    return (after[0] - before[0]) / took, (after[1] - before[1]) / took


async def begun(bench: Bench, rounds: int, *, settle: float) -> list[float]:
    """Milliseconds until one of two idle workers has claimed a task."""
    ids = await bench.insert(rounds)
    bench.waited.clear()
    async with bench.workers(2, over=0, slots=SLOTS_EACH * rounds) as queue:
        await asyncio.sleep(settle)
        for each in ids:
            bench.claimed.clear()
            await bench.make_ready(queue, [each])
            await asyncio.wait_for(bench.claimed.wait(), 60)
            await asyncio.sleep(random.uniform(0.2, 0.6))
        await bench.until_done(rounds)
    return [1e3 * each for each in bench.waited]


async def busy(bench: Bench, slots: int, *, settle: float, seconds: float) -> list[float]:
    """Milliseconds from ready to claimed, while so many slots are busy for most of the time."""
    rate = BUSY * slots / bench.task
    number, before = int(rate * (seconds + bench.task)), bench.done
    ids = await bench.insert(1 + number // 50, jobs=50)
    async with bench.workers(max(1, slots // SLOTS_EACH), over=settle / 2, slots=min(slots, SLOTS_EACH)) as queue:
        await asyncio.sleep(settle)
        began, given = time.perf_counter(), 0
        while given < number:
            due = min(number, int(rate * (time.perf_counter() - began)) + 1)
            if due > given:
                await bench.make_ready(queue, ids[given:due])
                given = due
            if time.perf_counter() - began < bench.task:
                bench.waited.clear()  # until as many are busy as should be
            await asyncio.sleep(0.05)
        await bench.until_done(before + number)
    return [1e3 * each for each in bench.waited]


def p99(values: list[float]) -> float:
    """The 99th percentile; the greatest of fewer than 100."""
    return sorted(values)[int(0.99 * (len(values) - 1) + 0.999)]


async def measure(arguments: argparse.Namespace) -> bool:
    """Print everything; whether all goals are met."""
    met = True

    def say(what: str, value: float, unit: str, goal: float) -> None:
        nonlocal met
        met = met and value <= goal
        print(f"{what:44} {value:8.1f} {unit:4} (goal {goal:g}){'' if value <= goal else '  MISSED'}", flush=True)

    with tempfile.TemporaryDirectory() as top, own_redis(Path(top), wanted=True) as server:
        assert server is not None

        async def commands() -> int:
            with server.client() as client:
                return int(client.info("stats")["total_commands_processed"])

        while not server.flush():
            await asyncio.sleep(0.05)
        async with opened(Path(top), server.url, arguments.task) as bench:
            for number in arguments.idle:
                statements, asked = await idle(
                    bench, commands, number, settle=arguments.settle, seconds=arguments.seconds
                )
                say(f"{number} idle workers: statements", statements, "/s", STATEMENTS)
                say(f"{number} idle workers: commands on Redis", asked, "/s", COMMANDS)
            if arguments.rounds:
                times = await begun(bench, arguments.rounds, settle=arguments.settle)
                say(f"begun, median of {len(times)}", statistics.median(times), "ms", BEGUN)
            if arguments.slots:
                times = await busy(bench, arguments.slots, settle=arguments.settle, seconds=arguments.seconds)
                say(f"ready to claimed, {arguments.slots} slots, median", statistics.median(times), "ms", CLAIMED)
                say(f"ready to claimed, {arguments.slots} slots, p99", p99(times), "ms", CLAIMED)
    return met


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, nargs="*", default=[100, 1000], help="numbers of idle workers")
    parser.add_argument("--slots", type=int, default=1000, help="0: do not measure busy ones")
    parser.add_argument("--task", type=float, default=3.0, help="seconds of a task")
    parser.add_argument("--rounds", type=int, default=30, help="0: do not measure how soon work begins")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=12.0, help="seconds until one worker dispatches")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 0 if asyncio.run(measure(parser.parse_args(argv))) else 1


if __name__ == "__main__":
    sys.exit(main())
