"""Stats collector: gauges from the database, storage and Redis, collected rarely however often they are scraped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core.plugin_api import particle_types
from ecs_core.video.format import SEGMENT_SECONDS, SOUND_SECONDS
from services.api.dependencies import Service
from services.api.errors import UNREACHABLE
from services.database.clock import time_in
from services.database.models import (
    OPEN,
    RETRYABLE,
    AssetRow,
    AudioRow,
    DeliveryRow,
    JobRow,
    TaskRow,
    id_timestamp,
)
from services.database.tallies import totals
from services.jobs.fair_scheduler import WEIGHTS
from services.jobs.tasks import TASK_KINDS
from services.observability import metrics
from services.webhooks.circuit_breaker import count_open

_log = logging.getLogger("motes.api")
_EVERY = 4.0  # minimum seconds between collections
_SHARE = 0.05  # maximum share of time spent collecting: large databases are queried less often
_TIMEOUT = 1.5  # seconds that a scrape waits for a collection
_UNREACHABLE_AFTER = 15.0  # seconds after which a silent database counts as down
_DEFAULT_DURATION = 5.0  # seconds assumed for a task of unknown duration

Gauges = Mapping[tuple[str, ...], float]
Found = dict[str, Gauges]


class StatsCollector:
    """The gauges as of a few seconds ago. Use as an asynchronous context manager."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._looked = metrics.CollectedGauges()
        self._looking: asyncio.Task[None] | None = None
        self._began = self._due = 0.0

    async def __aenter__(self) -> StatsCollector:
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def latest(self) -> metrics.CollectedGauges:
        """The latest gauges; collects new ones first if these are old and the database responds in time."""
        if self._looking is None and time.monotonic() >= self._due:
            self._began = time.monotonic()
            self._looking = asyncio.create_task(self._look())
        if (looking := self._looking) is not None:
            await asyncio.wait({looking}, timeout=_TIMEOUT)
            if not looking.done() and time.monotonic() - self._began > _UNREACHABLE_AFTER:
                self._looked.values = {"motes_database_up": {(): 0}}
        return self._looked

    async def _look(self) -> None:
        try:
            found = await self._database()
        except Exception as error:
            known = isinstance(error, UNREACHABLE)
            _log.warning("metrics cannot be collected: %s", error, exc_info=None if known else error)
            found = {"motes_database_up": {(): 0}}
        took = time.monotonic() - self._began
        try:
            self._looked.values = {**found, **await self._redis(), **await self._free()}
        except Exception:
            _log.exception("some metrics cannot be collected")
            self._looked.values = found
        finally:
            self._due = self._began + max(_EVERY, took / _SHARE)
            self._looking = None

    async def _redis(self) -> Found:
        workers = await self._service.notifier.workers()
        if workers is None:
            return {"motes_redis_up": {(): 0}}
        return {"motes_redis_up": {(): 1}, "motes_workers": {(): workers}}

    async def _free(self) -> Found:
        free = await asyncio.to_thread(self._service.storage.free)
        return {} if free is None else {"motes_storage_free_bytes": {(): free}}

    async def _database(self) -> Found:
        means = await self._service.notifier.mean_durations()
        async with self._service.sessions() as session:
            systems = sum(each.number for each in await totals(session, "systems"))
            pending = select(func.count()).where(DeliveryRow.status == "pending")
            return {
                "motes_database_up": {(): 1},
                "motes_active_systems": {(): systems},
                "motes_jobs": await _jobs(session),
                **await _queue(session, means),
                "motes_storage_bytes": await _sizes(session),
                "motes_webhooks_pending": {(): await session.scalar(pending) or 0},
                "motes_webhook_breakers_open": {(): await count_open(session)},
            }


async def _jobs(session: AsyncSession) -> Gauges:
    """Renders by status; open ones also by type, which the index does not cover for the others."""
    particle_type = JobRow.scene["type"].as_string()
    is_open = (JobRow.kind == "video", JobRow.status.in_(OPEN))
    by_type = select(JobRow.status, func.count(), particle_type).where(*is_open).group_by(JobRow.status, particle_type)
    ended = dict.fromkeys(("completed", *RETRYABLE), 0)
    for each in await totals(session, "jobs"):
        if each.kind in ("video", "whole") and each.state not in OPEN:
            ended["completed" if each.state == "expired" else each.state] += each.number
    return {
        **{(status, name): 0 for status in OPEN for name in particle_types().types},
        **{(status, name): number for status, number, name in await session.execute(by_type)},
        **{(status, ""): number for status, number in ended.items()},
    }


async def _queue(session: AsyncSession, means: Mapping[str, float]) -> Found:
    """Waiting tasks, and the time that one slot would need for them; ``means`` are seconds by kind of task."""
    columns = func.count(), func.count(JobRow.audio), func.min(TaskRow.id), func.sum(JobRow.seconds)
    ready = select(JobRow.priority, TaskRow.kind, *columns)
    ready = ready.join(JobRow, JobRow.id == TaskRow.job_id).where(TaskRow.status == "ready")
    later = select(TaskRow.kind, func.count()).where(TaskRow.status == "waiting").group_by(TaskRow.kind)
    expected = dict.fromkeys(TASK_KINDS, 0)
    at = await time_in(session)
    number_of, age_of = dict.fromkeys(WEIGHTS, 0), dict.fromkeys(WEIGHTS, 0.0)
    rows = await session.execute(ready.group_by(JobRow.priority, TaskRow.kind))
    for priority, kind, number, with_song, first, video in rows:
        number_of[priority] += number
        age_of[priority] = max(age_of[priority], (at - id_timestamp(first)).total_seconds())
        expected[kind] += number
        if kind == "plan":  # its segments are still to come
            expected["segment"] += max(number, round(video / SEGMENT_SECONDS))
            expected["sound"] += max(with_song, round(video / SOUND_SECONDS)) if with_song else 0
            expected["join"] += number
    for kind, number in await session.execute(later):
        expected[kind] += number
    seconds = sum(number * means.get(kind, _DEFAULT_DURATION) for kind, number in expected.items())
    return {
        "motes_queue_tasks": {(priority,): number for priority, number in number_of.items()},
        "motes_queue_oldest_seconds": {(priority,): age for priority, age in age_of.items()},
        "motes_queue_backlog_seconds": {(): seconds},
    }


async def _sizes(session: AsyncSession) -> Gauges:
    """Bytes in storage."""
    sizes = dict.fromkeys(("segments", "results"), 0)
    for each in await totals(session, "artefacts"):
        sizes["segments" if each.kind == "segments" else "results"] += each.bytes
    songs = await session.scalar(select(func.sum(AudioRow.size)))
    assets = await session.scalar(select(func.sum(AssetRow.size)))
    return {**{(kind,): size for kind, size in sizes.items()}, ("songs",): songs or 0, ("assets",): assets or 0}
