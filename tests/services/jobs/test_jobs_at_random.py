"""Any sequence of what clients, workers, faults and clocks do: no job is lost, and nothing is finished twice."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import func, select

from services.database.engine import open_database
from services.database.migrations import upgrade
from services.database.models import OPEN, ArtefactRow, JobRow, TaskRow
from services.jobs.tasks import MAX_DEATHS, MAX_LOSSES, Claim
from services.storage.object_keys import result_key, scene_folder
from tests.services.board import FRAMES, LEASE, VERSION, Board, made_by
from tests.services.moments import Clock

T = TypeVar("T")
OWNERS = st.sampled_from(["a", "b", "c"])
PRIORITIES = st.sampled_from(["low", "normal", "high"])
WORKERS = st.sampled_from(["one", "two", "three"])
STEPS = st.sampled_from([1.0, 6.0, LEASE + 1, 3600.0, 86400.0, -6.0, -3600.0, -86400.0])
ROUNDS = 60  # of everything there is to do, until a job that is not over counts as lost


async def drain(board: Board, clock: Clock) -> None:
    """Whatever happened before: workers that live finish everything."""
    clock.catch_up()
    for _ in range(ROUNDS):
        clock.step(seconds=LEASE + 6)
        await board.tasks.expire_leases()
        await board.progress.add_up(everything=True)
        for job in await board.tasks.jobs_awaiting_join():
            await board.tasks.release_join(job)
        await board.work()
        await board.jobs.end_left_parts()
        async with board.sessions() as session:
            if not await session.scalar(select(func.count()).where(JobRow.status.in_(OPEN))):
                return
    async with board.sessions() as session:
        left = [(row.kind, row.number, row.status) for row in await session.scalars(select(TaskRow))]
    raise AssertionError(f"jobs are lost: {left}")


async def assert_whole(board: Board) -> None:
    """What must be true at any time."""
    async with board.sessions() as session:
        jobs = list(await session.scalars(select(JobRow)))
        artefacts = {row.key: row.object for row in await session.scalars(select(ArtefactRow))}
    assert artefacts == board.made, "what counts is not what was told to count"
    for job in jobs:
        tasks = await board.tasks_of(job.id)
        parts = [each for each in jobs if each.whole_id == job.id]
        if job.whole_id is not None:  # it is told as a part of its whole
            assert job.status != "completed" or result_key(job.scene_key, job.kind) in artefacts
            assert job.id in {each["job"] for whole in jobs if whole.id == job.whole_id for each in whole.outputs or ()}
            continue
        last = (await board.events(job.id))[-1]
        told = {name: getattr(job, name) for name in ("status", "stage", "progress", "frames", "frames_done", "error")}
        assert {name: last[name] for name in told} == told, "followers were not told"
        if job.status == "completed":
            assert result_key(job.scene_key, job.kind) in artefacts
            assert last["progress"] == 100
        elif job.status in OPEN:
            tasks += [task for part in parts for task in await board.tasks_of(part.id)]
            assert any(task.status != "done" for task in tasks), "it is not over, and nothing is left to do"
            assert job.frames_done <= job.frames
        elif job.status == "failed":
            reason = job.error or ""
            tasks += [task for part in parts for task in await board.tasks_of(part.id)]
            assert reason == "broken" or any(
                task.deaths >= MAX_DEATHS or task.losses >= MAX_LOSSES for task in tasks
            ), reason


class Machine(RuleBasedStateMachine):
    """SQLite, one change after the other, in an order that hypothesis thinks out."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "motes.db"
        path.write_bytes(self.template.read_bytes())
        self.engine, sessions = open_database(f"sqlite+aiosqlite:///{path}")
        self.board = Board(sessions)
        self.clock = Clock()
        self.patch = pytest.MonkeyPatch()
        self.clock.install(self.patch)
        self.jobs: list[str] = []
        self.claims: list[Claim] = []  # also those that were lost, or whose worker is dead

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def teardown(self) -> None:
        try:
            self.run(drain(self.board, self.clock))
            self.run(assert_whole(self.board))
        finally:
            self.run(self.engine.dispose())
            self.loop.close()
            self.folder.cleanup()
            self.patch.undo()

    @rule(owner=OWNERS, priority=PRIORITIES, scene=st.sampled_from(["p", "q", None]))
    def submit(self, owner: str, priority: str, scene: str | None) -> None:
        more = {} if scene is None else {"scene_key": VERSION + scene}
        self.jobs.append(self.run(self.board.submit(owner, priority=priority, **more)))

    @rule(owner=OWNERS, names=st.lists(st.sampled_from(["tall", "square"]), unique=True), tall=st.booleans())
    def submit_outputs(self, owner: str, names: list[str], tall: bool) -> None:
        keys = {"main": f"{VERSION}p"} | ({"tall": f"{VERSION}q"} if tall else {})
        self.jobs.append(self.run(self.board.submit_outputs(*names, keys=keys, fairness_key=owner)))

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        if (claim := self.run(self.board.tasks.claim(worker))) is not None:
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Again, too, and long after the claim was lost."""
        self.run(self.board.do(data.draw(st.sampled_from(self.claims))))

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def die_before_the_release(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        made = made_by(claim)
        if claim.kind == "segment" and made is not None and self.run(self.board.tasks.finish(claim, made)):
            self.board.made.setdefault(made.key, made.object)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), snapshots=st.integers(0, len(FRAMES)))
    def die_while_planning(self, data: st.DataObject, snapshots: int) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        if claim.kind == "plan":
            self.run(self.board.tasks.record_plan(claim, FRAMES))
            for number in range(snapshots):
                self.run(self.board.tasks.mark_ready(claim, number))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), done=st.integers(0, 5))
    def renew(self, data: st.DataObject, done: int) -> None:
        self.run(self.board.renew(data.draw(st.sampled_from(self.claims)), done))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), why=st.sampled_from([{}, {"died": "killed"}, {"wait": "full"}, {"wrong": "odd"}]))
    def give_back(self, data: st.DataObject, why: dict[str, str]) -> None:
        self.run(self.board.tasks.requeue(data.draw(st.sampled_from(self.claims)), **why))

    @rule(worker=WORKERS)
    def start_again(self, worker: str) -> None:
        self.run(self.board.tasks.reclaim(worker))

    @rule(seconds=STEPS)
    def step(self, seconds: float) -> None:
        self.clock.step(seconds=seconds)

    @rule()
    def look(self) -> None:
        self.run(self.board.tasks.expire_leases())
        self.run(self.board.turns.next())

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), what=st.sampled_from(["cancel", "retry", "fail", "delete"]))
    def change(self, data: st.DataObject, what: str) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        self.run(change(self.board, job, what))
        if what == "delete":
            self.jobs.remove(job)

    @invariant()
    def whole(self) -> None:
        self.run(assert_whole(self.board))


async def change(board: Board, job: str, what: str) -> None:
    """What a client may ask for."""
    if what == "delete":
        await board.jobs.cancel(job)
        gone = await board.jobs.delete(job)
        keys = {made.key for made in gone.artefacts} if gone is not None else set()
        board.made = {key: made for key, made in board.made.items() if key not in keys}
    elif what == "fail":
        await board.jobs.fail(job, "broken")
    else:
        await getattr(board.jobs, what)(job)


@pytest.mark.parametrize("examples", [8, pytest.param(50, marks=pytest.mark.campaign)])
def test_any_sequence_of_changes_keeps_the_invariants(tmp_path: Path, examples: int) -> None:
    Machine.template = tmp_path / "template.db"
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{Machine.template}"))
    case = Machine.TestCase()
    case.settings = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case.runTest()


@pytest.mark.anyio
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_concurrent_changes(board: Board, clock: Clock, seed: int) -> None:
    """On PostgreSQL: five workers, each of which may die at any step, and clients that change jobs meanwhile."""
    chance = random.Random(seed)
    jobs = [
        await board.submit(chance.choice("abc"), scene_key=VERSION + chance.choice("pq") * 5 + str(n % 9))
        for n in range(16)
    ]
    for number in range(4):
        keys = {"main": f"{VERSION}ppppp{number}"}
        jobs.append(await board.submit_outputs("tall", "square", keys=keys, fairness_key=chance.choice("abc")))
    meddled: set[str] = set()

    async def worker(name: str) -> None:
        for _ in range(40):
            claim = await board.tasks.claim(name)
            fate = chance.random()
            if claim is None:
                await asyncio.sleep(0.01)
            elif fate < 0.1:  # it dies
                await board.tasks.reclaim(name)
            elif fate < 0.2:
                await board.tasks.requeue(claim)
            elif fate < 0.3:  # it stalls, and finishes late
                await board.tasks.expire_leases()
                clock.step(seconds=LEASE + 1)
                await board.tasks.expire_leases()
                await board.do(claim)
            else:
                await board.renew(claim, 3)
                await board.do(claim)

    async def client() -> None:
        for job in chance.sample(jobs, 10):
            meddled.add(job)
            for what in chance.choices(["cancel", "retry", "fail", "cancel", "retry"], k=4):
                await change(board, job, what)
                await asyncio.sleep(0.01)

    await asyncio.gather(*(worker(str(number)) for number in range(5)), client())
    await drain(board, clock)
    await assert_whole(board)
    for job in jobs:
        if job not in meddled:
            assert await board.status(job) == "completed"


def test_scene_folder_is_the_prefix_of_its_keys() -> None:
    assert result_key("scene", "video").startswith(scene_folder("scene"))
