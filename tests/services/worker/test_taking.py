"""A worker takes a task for each free slot, no more; whatever becomes of one, its slot is free again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.settings import ServiceSettings
from services.worker.claims import Claims
from services.worker.main import Worker
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


class Work:
    """A queue without end, and what is done with its tasks: each takes until a test says so."""

    def __init__(self) -> None:
        self.taken, self.begun, self.ends = 0, list[int](), list[asyncio.Event]()
        self.error: Exception | None = None

    async def take(self, versions: object) -> tuple[str, int]:
        await asyncio.sleep(0)
        self.taken += 1
        return str(self.taken), 1

    def carries_tasks(self) -> bool:
        return True

    async def claim(self, worker: str, offered: tuple[str, int], *, memory: int) -> Any:
        if self.error is not None:
            raise self.error
        return None if memory < 1 else SimpleNamespace(task=offered[0], memory=1)

    async def next_offered(self, *, memory: int) -> None:
        """There is no task that has been passed."""

    async def execute(self, claim: Any, held: object) -> None:
        self.begun.append(int(claim.task))
        self.ends.append(asyncio.Event())
        await self.ends[-1].wait()


@contextmanager
def taking(work: Work, *, size: int) -> Iterator[asyncio.Task[None]]:
    """A worker that takes tasks."""
    worker = Worker(ServiceSettings(), size=size)
    worker._queue, worker._executor, worker._versions = cast(Any, work), cast(Any, work), cast(Any, ["v"])
    worker._claims = Claims(cast(Any, None), cast(Any, work), worker="worker", memory=10)
    task = asyncio.create_task(worker._take())
    yield task
    for each in (task, *worker._working):
        each.cancel()


async def test_no_more_is_taken_than_there_are_slots() -> None:
    work = Work()
    with taking(work, size=2):
        await eventually(lambda: len(work.begun) >= 2)
        assert work.taken == 2
        work.ends[0].set()
        await eventually(lambda: len(work.begun) >= 3)
        assert (work.taken, work.begun) == (3, [1, 2, 3])


async def test_failed_claim_frees_its_slot(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    work.error = RuntimeError("strange")
    with taking(work, size=1) as task:
        await eventually(lambda: work.taken > 3)
        work.error = None
        await eventually(lambda: work.begun)
        assert not task.done()
    assert "RuntimeError: strange" in caplog.text


async def test_failed_task_frees_its_slot_and_its_memory() -> None:
    work, failed = Work(), list[str]()

    async def fails(claim: Any, held: object) -> None:
        failed.append(claim.task)
        raise RuntimeError("strange")

    work.execute = fails  # type: ignore[method-assign]
    with taking(work, size=1) as task:
        await eventually(lambda: len(failed) > 20)  # twice as many as would fit into the memory
        assert not task.done()
