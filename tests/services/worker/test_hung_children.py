"""Processes that hang are found by missing progress and killed, and their work is done again; slow ones are left."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from services.jobs.tasks import MAX_DEATHS, Claim
from services.worker import child_processes
from services.worker.child_processes import Child, ForkServer
from tests.services.board import Board
from tests.services.worker.workshop import Workshop, plugin, workshop
from tests.waiting import HANG, eventually

pytestmark = pytest.mark.anyio
STALL = 3.0  # seconds


on_one = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # what is no question of the database


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_EXIT_TIMEOUT", "_TIMEOUT"):
        monkeypatch.setattr(child_processes, name, HANG)


@pytest.fixture
async def shop(board: Board, tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop(board, tmp_path, stall_seconds=STALL) as made:
        yield made


@on_one
@pytest.mark.parametrize("kind", ["plan", "segment", "join", "frame"])
async def test_stopped_child_is_killed_and_its_work_begun_again(shop: Workshop, kind: str) -> None:
    stopped: list[int] = []

    def stop_first(child: Child, claim: Claim) -> None:
        if claim.kind == kind and not stopped:
            stopped.append(child.pid)
            os.kill(child.pid, signal.SIGSTOP)

    shop.on_fork = stop_first
    job = await shop.submit("frame", at=1.0) if kind == "frame" else await shop.submit()
    done = await shop.work()
    again = [claim for claim in done if claim.kind == kind][:2]
    assert len(stopped) == 1
    assert not Path(f"/proc/{stopped[0]}").exists()
    assert await shop.board.status(job) == "completed"
    rows = {(row.kind, row.number): row for row in await shop.board.tasks_of(job)}
    row = rows[kind, again[0].number]
    assert (row.attempt, row.losses, row.deaths) == (2, 1, 0)  # it is no fault of the job's


@on_one
async def test_lease_is_not_renewed_once_a_child_hangs(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Child, "_send_kill", lambda child: None)  # as if the kernel could not kill it
    monkeypatch.setattr(child_processes, "_KILL_TIMEOUT", STALL)
    renewed: list[float] = []
    renew = shop.board.tasks.renew

    async def counted(held: Sequence[tuple[Claim, int]]) -> list[Claim]:
        if held:
            renewed.append(asyncio.get_running_loop().time())
        return await renew(held)

    monkeypatch.setattr(shop.board.tasks, "renew", counted)
    stopped: list[Child] = []

    def stop(child: Child, claim: Claim) -> None:
        stopped.append(child)
        os.kill(child.pid, signal.SIGSTOP)

    shop.on_fork = stop
    await shop.submit("frame", at=0.0)
    await shop.next()
    os.kill(stopped[0].pid, signal.SIGKILL)
    assert renewed
    assert asyncio.get_running_loop().time() - renewed[-1] >= STALL  # as long as killing it was tried


@on_one
async def test_child_that_cannot_be_killed_is_given_up(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stopped: list[Child] = []
    monkeypatch.setattr(child_processes, "_KILL_TIMEOUT", 0.5)
    send = Child._send_kill
    monkeypatch.setattr(Child, "_send_kill", lambda child: None if child in stopped else send(child))

    def stop_first(child: Child, claim: Claim) -> None:
        if not stopped:
            stopped.append(child)
            os.kill(child.pid, signal.SIGSTOP)

    shop.on_fork, whole = stop_first, shop.memory.free
    job = await shop.submit("frame", at=0.0)
    await shop.work()  # which does not wait for it
    assert await shop.board.status(job) == "completed"
    assert Path(f"/proc/{stopped[0].pid}").exists()
    assert shop.memory.free < whole, "it still has some"
    assert f"process {stopped[0].pid} was killed and does not end" in caplog.text
    send(stopped[0])
    await eventually(lambda: not Path(f"/proc/{stopped[0].pid}").exists())
    await eventually(lambda: shop.memory.free == whole)


PLUGIN = """
import time
from ecs_core import ParticleType, Phase, Position, System, hookimpl

class Loops(System):
    phase = Phase.FORCE

    def process(self):
        while True:
            pass

class Slow(System):
    phase = Phase.FORCE

    def process(self):
        time.sleep(PAUSE)

slow = [type(f"Slow{n}", (Slow,), {}) for n in range(4)]

@hookimpl
def motes_particle_types(register):
    register(ParticleType("loops", archetype=(Position,), systems=(Loops,)))
    register(ParticleType("slow", archetype=(Position,), systems=tuple(slow)))
"""


@pytest.fixture
async def with_plugin(board: Board, tmp_path: Path) -> AsyncIterator[Workshop]:
    with plugin(tmp_path, PLUGIN.replace("PAUSE", str(STALL / 2.5))):
        async with workshop(board, tmp_path, stall_seconds=STALL) as made:
            yield made


@on_one
async def test_plugin_that_loops_for_ever_fails_its_job(with_plugin: Workshop) -> None:
    job = await with_plugin.submit("frame", "loops", at=0.0)
    done = await with_plugin.work()
    row = await with_plugin.board.job(job)
    assert (len(done), row.status) == (MAX_DEATHS, "failed")
    assert row.error == (
        f"frame: its process died {MAX_DEATHS} times (killed: no progress for {STALL:g} s, while it computes)"
    )


@on_one
async def test_frame_that_takes_longer_than_that_but_advances_is_left(with_plugin: Workshop) -> None:
    job = await with_plugin.submit("frame", "slow", at=0.0)
    done = await with_plugin.work()
    assert (len(done), await with_plugin.board.status(job)) == (1, "completed")


@on_one
async def test_task_past_its_deadline_is_killed(with_plugin: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.worker.task_executor.deadline_of", lambda *about, **more: STALL)
    job = await with_plugin.submit("frame", "slow", at=10.0, duration=20.0)
    await with_plugin.work()
    assert "killed: not done after 3 s" in str((await with_plugin.board.job(job)).error)


async def test_fork_server_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with ForkServer(tmp_path.as_uri()) as fork_server:
        await (await fork_server.fork()).stop()
        (pid, *_rest) = fork_server.pids()
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr(child_processes, "_TIMEOUT", 1.0)
        with pytest.raises(TimeoutError):
            await fork_server.fork()
        monkeypatch.setattr(child_processes, "_TIMEOUT", HANG)
        child = await fork_server.fork()
        assert fork_server.pids()[0] != pid
        await child.stop()
