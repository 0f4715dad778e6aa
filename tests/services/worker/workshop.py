"""A workshop: a database, a storage and an executor that does claimed tasks in real processes, without a worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import update

from ecs_core.plugin_api import particle_types
from services.database.models import TaskRow, new_id
from services.jobs.render_spec import build_spec, spec_key
from services.jobs.task_queue import TaskQueue
from services.jobs.tasks import Claim
from services.settings import ServiceSettings
from services.storage.object_store import Storage
from services.worker.child_processes import Child, ForkServer
from services.worker.memory_budget import MemoryBudget
from services.worker.task_executor import TaskExecutor
from tests.services.board import Board

SMALL = {"width": 64, "height": 36, "duration": 3.0, "particle_count": 20}


class _NoQueue:
    """Nobody is woken."""

    async def record_duration(self, kind: str, seconds: float) -> None:
        pass


class Workshop:
    """``on_fork`` sees each new process, and the claim that it is for."""

    def __init__(self, board: Board, storage: Storage, fork_server: ForkServer, settings: ServiceSettings) -> None:
        self.board, self.storage = board, storage
        self.on_fork: Callable[[Child, Claim], None] = lambda child, claim: None
        self.claim: Claim | None = None
        self.memory = MemoryBudget(10**12)
        folder = storage.scratch / "work"
        folder.mkdir()
        fork = cast("Callable[[], Awaitable[Child]]", fork_server.fork)

        async def seen() -> Child:
            child = await fork()
            assert self.claim is not None
            self.on_fork(child, self.claim)
            return child

        fork_server.fork = seen  # type: ignore[method-assign]
        self.executor = TaskExecutor(
            settings,
            board.sessions,
            board.tasks,
            storage,
            fork_server=fork_server,
            queue=cast("TaskQueue", _NoQueue()),
            folder=folder,
            notify=_nobody,
        )

    async def submit(self, kind: str = "video", particle_type: str = "snow", **config: Any) -> str:
        """A new job; ``at`` is when a frame is."""
        at = config.pop("at", None)
        scene = build_spec(particle_type, SMALL | config, None, "draft", at=at)
        return await self.board.submit(
            new_id(), kind=kind, scene=scene, scene_key=spec_key(scene), seconds=scene["config"]["duration"]
        )

    async def next(self) -> Claim | None:
        """Do the next task that may be done now; what it was."""
        self.claim = await self.board.tasks.claim("worker")
        if self.claim is not None:
            held, renewing = self.memory.take(self.claim.memory), asyncio.create_task(self.executor.renew_leases())
            await self.executor.execute(self.claim, held)
            renewing.cancel()
            held.release()
        return self.claim

    async def work(self) -> list[Claim]:
        """Do whatever there is to do; retried tasks need not wait."""
        done = []
        while (claim := await self.next()) is not None:
            done.append(claim)
            async with self.board.sessions.begin() as session:
                await session.execute(update(TaskRow).values(not_before=None))
        return done


async def _nobody(row: TaskRow | None) -> bool:
    return True


@contextmanager
def plugin(folder: Path, source: str) -> Iterator[None]:
    """A plugin for this process and all that it starts meanwhile."""
    name = f"motes_test_{new_id()[:8]}"
    (folder / "pyproject.toml").write_text(f'[project.entry-points.motes]\n{name} = "{name}"\n')
    (folder / f"{name}.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        patch.setenv("MOTES_PLUGIN_PATH", str(folder))
        particle_types.cache_clear()
        yield
    particle_types.cache_clear()


@asynccontextmanager
async def workshop(board: Board, folder: Path, **settings: Any) -> AsyncIterator[Workshop]:
    """A workshop in a folder, with settings of the service."""
    storage = Storage((folder / "storage").as_uri())
    async with ForkServer((folder / "storage").as_uri()) as fork_server:
        yield Workshop(board, storage, fork_server, ServiceSettings(data=folder, **settings))
