"""Service: what every route needs; opened and closed with the application."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from anyio import to_thread
from fastapi import Depends, HTTPException
from sqlalchemy import select
from starlette.requests import HTTPConnection

from ecs_core.plugin_api import particle_types
from services.api.lanes import Lanes
from services.api.notifier import TaskNotifier
from services.api.poller import Poller
from services.api.rate_limit import RateLimiter
from services.api.status_snapshot import StatusSnapshot, status_snapshots
from services.auth.api_keys import ApiKeys, Caller
from services.database.clock_skew import SkewCheck
from services.database.engine import Sessions, open_database
from services.database.migrations import upgrade
from services.database.models import JobRow, SystemRow, new_id
from services.jobs.events import last_event_ids
from services.jobs.lifecycle import Jobs
from services.jobs.tasks import Tasks
from services.media.assets.store import Assets
from services.media.resumable import ResumableUploads
from services.media.sandbox.self_check import check_sandbox
from services.media.songs import Songs
from services.observability import metrics
from services.processes.loops import Loops, end_process
from services.retention.deletion import Deleter
from services.settings import ServiceSettings
from services.storage.disk_admission import DiskAdmission
from services.storage.object_store import Storage
from services.storage.work_folders import work_folder

T = TypeVar("T")
SYSTEM_POLL_INTERVAL, EVENT_POLL_INTERVAL = 0.2, 0.4  # seconds between polls for followers
_COMPUTING = 2  # threads: more would only hold up the event loop
_FETCHING = 16  # threads, which mostly wait
_READING = 6  # connections that lists have at most
_ID = re.compile(r"[0-9a-f-]{36}")


@dataclass(frozen=True)
class Answering:
    """The requests with an Idempotency-Key that this process is answering, by its id and their keys."""

    process: str = field(default_factory=new_id)
    keys: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Service:
    """The open database, queue and storage; ``folder`` is for incoming files."""

    settings: ServiceSettings
    sessions: Sessions
    jobs: Jobs
    notifier: TaskNotifier
    storage: Storage
    songs: Songs
    assets: Assets
    uploads: ResumableUploads
    keys: ApiKeys
    deleter: Deleter
    disk_admission: DiskAdmission
    rate_limiter: RateLimiter
    system_poller: Poller[StatusSnapshot]
    event_poller: Poller[int]  # id of the job's last event
    folder: Path
    computing: Lanes
    fetching: Lanes
    reading: Lanes
    answering: Answering
    missing_restrictions: Sequence[str]  # of the sandbox for clients' files

    @property
    def redirects(self) -> bool:
        """Whether clients get files from the object store by themselves."""
        return self.settings.downloads == "redirect"

    async def compute(self, work: Callable[[], T]) -> T:
        """Run a piece of CPU work in a thread when it is the turn of the request's owner; see ``services.api.lanes``.

        Raises:
            QuotaError: too many requests of this owner are waiting.
        """
        return await self.computing.run(work)

    async def fetch(self, work: Callable[[], T]) -> T:
        """Run what waits for storage in a thread, likewise; nothing that computes waits for it.

        Raises:
            QuotaError: too many requests of this owner are waiting.
        """
        return await self.fetching.run(work)

    async def read(self, work: Callable[[], Awaitable[T]]) -> T:
        """Read much from the database when it is the turn of the request's owner, who never has all connections.

        Raises:
            QuotaError: too many requests of this owner are waiting.
        """
        return await self.reading.run_async(work)

    async def system(self, caller: Caller, system_id: str) -> SystemRow | None:
        """A system by id; None if it does not exist or belongs to another owner."""
        if not is_id(system_id):
            return None
        async with self.sessions() as session:
            found = select(SystemRow).where(SystemRow.id == system_id, caller.visible_rows(SystemRow))
            return (await session.scalars(found)).one_or_none()

    async def system_or_404(self, caller: Caller, system_id: str) -> SystemRow:
        """The system, or a 404."""
        row = await self.system(caller, system_id)
        if row is None:
            raise HTTPException(404, "System not found")
        return row

    async def job(self, caller: Caller, job_id: str) -> JobRow | None:
        """A job by id; None if it does not exist, is part of another one or belongs to another owner."""
        if not is_id(job_id):
            return None
        async with self.sessions() as session:
            found = select(JobRow).where(JobRow.id == job_id, JobRow.whole_id.is_(None), caller.visible_rows(JobRow))
            return (await session.scalars(found)).one_or_none()

    async def job_or_404(self, caller: Caller, job_id: str) -> JobRow:
        """The job, or a 404."""
        row = await self.job(caller, job_id)
        if row is None:
            raise HTTPException(404, "Job not found")
        return row


def is_id(text: str) -> bool:
    """Whether the text has the form of an id; nothing else reaches the database."""
    return _ID.fullmatch(text) is not None


@asynccontextmanager
async def open_service(settings: ServiceSettings) -> AsyncIterator[Service]:
    """Open everything; upgrades the database and loads plugins."""
    settings.data.mkdir(parents=True, exist_ok=True)
    await upgrade(settings.database)
    metrics.preset_types((await to_thread.run_sync(particle_types)).types)
    engine, sessions = open_database(settings.database)
    storage = Storage(settings.storage)
    tasks = Tasks(sessions, lease=settings.lease_seconds)
    loops = Loops(on_end=end_process)
    try:
        with work_folder(storage.scratch, "api") as folder:
            async with (
                TaskNotifier(settings.redis_url, tasks, loops=loops) as notifier,
                RateLimiter(settings.redis_url) as rates,
            ):
                songs, keys = Songs(settings, sessions, storage, folder), ApiKeys(sessions)
                systems = Poller(
                    partial(status_snapshots, sessions), every=SYSTEM_POLL_INTERVAL, name="systems", loops=loops
                )
                events = Poller(
                    partial(last_event_ids, sessions), every=EVENT_POLL_INTERVAL, name="events", loops=loops
                )
                loops.start("clock", SkewCheck(sessions).run())
                try:
                    yield Service(
                        settings=settings,
                        sessions=sessions,
                        jobs=Jobs(sessions),
                        notifier=notifier,
                        storage=storage,
                        songs=songs,
                        assets=Assets(settings, sessions, storage),
                        uploads=ResumableUploads(settings, sessions, storage),
                        keys=keys,
                        deleter=Deleter(sessions, storage),
                        disk_admission=DiskAdmission(settings, sessions, storage),
                        rate_limiter=rates,
                        system_poller=systems,
                        event_poller=events,
                        folder=folder,
                        computing=Lanes(threads=_COMPUTING),
                        fetching=Lanes(threads=_FETCHING, each=_FETCHING // 4),
                        reading=Lanes(threads=_READING, each=_READING // 3),
                        answering=Answering(),
                        missing_restrictions=await check_sandbox(required=settings.sandbox_required("")),
                    )
                finally:
                    await loops.stop()
    finally:
        await loops.stop()
        await engine.dispose()


def service_of(connection: HTTPConnection) -> Service:
    """The service of the application that received the request."""
    service: Service | None = getattr(connection.state, "motes", None)
    if service is None:
        raise RuntimeError("the lifespan of particle_router did not run: include it in the application that is served")
    return service


ServiceDep = Annotated[Service, Depends(service_of)]
