"""Memory of tasks: what is claimed fits, a process that wants too much fails its own job alone, and is told as that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.database.models import TaskRow
from services.jobs.task_memory import estimate_memory
from services.jobs.tasks import MAX_DEATHS
from services.worker.child_processes import Child
from services.worker.memory_budget import MemoryBudget, memory_limit_of
from tests.services.board import Board
from tests.services.worker.workshop import Workshop, plugin, workshop

pytestmark = pytest.mark.anyio

PLUGIN = """
import numpy as np
from ecs_core import ParticleType, Phase, Position, System, hookimpl

class Hungry(System):
    phase = Phase.FORCE

    def process(self):
        np.ones(100_000_000_000 // 8)

@hookimpl
def motes_particle_types(register):
    register(ParticleType("hungry", archetype=(Position,), systems=(Hungry,)))
"""


@pytest.fixture
async def shop(board: Board, tmp_path: Path) -> AsyncIterator[Workshop]:
    with plugin(tmp_path, PLUGIN):
        async with workshop(board, tmp_path) as made:
            yield made


async def test_process_out_of_memory_fails_its_own_job_and_says_so(shop: Workshop) -> None:
    hungry, other = await shop.submit("frame", "hungry", at=0.0), await shop.submit("frame", at=0.0)
    await shop.work()
    row = await shop.board.job(hungry)
    (task,) = await shop.board.tasks_of(hungry)
    limit = memory_limit_of(task.memory) // 10**6
    assert row.error == f"frame: its process died {MAX_DEATHS} times (ran out of memory (limit {limit} MB))"
    assert await shop.board.status(other) == "completed"
    (task,) = await shop.board.tasks_of(other)
    assert (task.attempt, task.losses, task.deaths) == (1, 0, 0)


async def test_processes_of_tasks_are_ended_before_workers(shop: Workshop) -> None:
    scores: list[int] = []

    def look(child: Child, claim: object) -> None:
        scores.append(int(Path(f"/proc/{child.pid}/oom_score_adj").read_text()))

    shop.on_fork = look
    await shop.submit("frame", at=0.0)
    await shop.work()
    assert scores[0] > int(Path("/proc/self/oom_score_adj").read_text())


async def test_tasks_are_created_with_what_they_are_expected_to_take(shop: Workshop) -> None:
    job = await shop.submit()
    await shop.work()
    scene = (await shop.board.job(job)).scene
    rows = await shop.board.tasks_of(job)
    assert {row.kind for row in rows} == {"plan", "segment", "join"}
    for row in rows:
        assert row.memory == estimate_memory(scene, row.kind, seconds=3.0) > 100_000_000


async def test_worker_claims_what_fits(board: Board) -> None:
    large, small = await board.submit("a"), await board.submit("b")
    async with board.sessions.begin() as session:
        for job, size in ((large, 3000), (small, 200)):
            (row,) = await board.tasks_of(job)
            (await session.get_one(TaskRow, row.id)).memory = size
    assert await board.tasks.claim("worker", memory=100) is None
    claim = await board.tasks.claim("worker", memory=1000)
    assert claim is not None
    assert (claim.job, claim.memory) == (small, 200)
    claim = await board.tasks.claim("worker")
    assert claim is not None
    assert claim.job == large


async def test_budget_has_what_nobody_has_taken() -> None:
    budget = MemoryBudget(1000)
    first, second = budget.take(300), budget.take(600)
    assert (budget.free, budget.most) == (100, 1000)
    first.release()
    first.release()
    assert budget.free == 400
    ended = asyncio.get_running_loop().create_future()
    second.release(after=ended)  # its process cannot be killed
    second.release()
    assert (budget.free, budget.most) == (400, 400)
    ended.set_result(None)
    await asyncio.sleep(0)
    assert (budget.free, budget.most) == (1000, 1000)
    budget.take(5000)
    assert budget.free == 0
