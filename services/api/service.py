"""Service: what every route needs, opened with the application and closed with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import select
from starlette.requests import HTTPConnection

from services.database import JobRow, Sessions, SystemRow, open_database
from services.jobs import Jobs
from services.migrations import upgrade
from services.queue import Queue
from services.settings import ServiceSettings
from services.songs import Songs
from services.storage import Storage


@dataclass(frozen=True)
class Service:
    """The database, the queue and the storage, ready to use."""

    settings: ServiceSettings
    sessions: Sessions
    jobs: Jobs
    queue: Queue
    storage: Storage
    songs: Songs

    async def system(self, system_id: str) -> SystemRow | None:
        """A system by its id."""
        async with self.sessions() as session:
            return await session.get(SystemRow, system_id)

    async def job(self, job_id: str) -> JobRow | None:
        """A job by its id."""
        async with self.sessions() as session:
            return await session.get(JobRow, job_id)

    async def all(self, row: type[Any], *, limit: int, offset: int) -> list[Any]:
        """Rows of a table, the newest first."""
        async with self.sessions() as session:
            return list(await session.scalars(select(row).order_by(row.created_at.desc()).limit(limit).offset(offset)))


@asynccontextmanager
async def open_service(settings: ServiceSettings) -> AsyncIterator[Service]:
    """Open everything; the database is brought up to date."""
    settings.data.mkdir(parents=True, exist_ok=True)
    await upgrade(settings.database)
    engine, sessions = open_database(settings.database)
    storage = Storage(settings.storage)
    try:
        async with Queue.open(settings.redis_url) as queue:
            jobs = Jobs(sessions, lease=settings.lease_seconds)
            yield Service(settings, sessions, jobs, queue, storage, Songs(settings, sessions, storage))
    finally:
        await engine.dispose()


def _service(connection: HTTPConnection) -> Service:
    service: Service = connection.state.motes
    return service


ServiceDep = Annotated[Service, Depends(_service)]
