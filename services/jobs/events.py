"""Job events: what followers, logs and metrics learn of a job."""

from __future__ import annotations

import logging
from collections.abc import Set
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.clock import time_in
from services.database.engine import Sessions
from services.database.models import EventRow, JobRow
from services.jobs.outputs import outputs_shown
from services.observability import metrics
from services.observability.logs import bound

# without the scene, which is large and not part of an event
COLUMNS = tuple(column for column in JobRow.__table__.c if column.name != "scene")
_log = logging.getLogger("motes.jobs")


def to_payload(job: JobRow, at: datetime) -> dict[str, Any]:
    """What an event says of a job; ``at`` is the database's time."""
    return {
        "system_id": job.system_id,
        "status": job.status,
        "stage": job.stage,
        "stage_progress": job.stage_progress,
        "progress": job.progress,
        "frames": job.frames,
        "frames_done": job.frames_done,
        "start": job.start,
        "seconds_left": seconds_left(job, at),
        "error": job.error,
        "outputs": outputs_shown(job),
    }


def seconds_left(job: JobRow, at: datetime) -> float | None:
    """Estimated seconds for the remaining frames, at the rate so far; None if unknown."""
    if job.status == "completed":
        return 0.0
    if job.status != "rendering" or job.rendering_at is None or not job.frames_done:
        return None
    spent = (at - job.rendering_at).total_seconds()
    return round(max(0.0, spent * (job.frames - job.frames_done) / job.frames_done), 1)


def progress_state(job: JobRow) -> tuple[Any, ...]:
    """The values whose change is worth an event."""
    return job.progress, job.stage_progress, job.stage, job.frames, job.error, job.outputs


async def record_event(session: AsyncSession, job: JobRow) -> None:
    """Record the job's present state as an event; followers see it after the commit."""
    session.add(EventRow(job_id=job.id, data=to_payload(job, await time_in(session))))


async def events_since(sessions: Sessions, job: str, event: int) -> list[EventRow]:
    """Events of a job after the one with this id, in order."""
    async with sessions() as session:
        later = select(EventRow).where(EventRow.job_id == job, EventRow.id > event)
        return list(await session.scalars(later.order_by(EventRow.id)))


async def last_event_ids(sessions: Sessions, jobs: Set[str]) -> dict[str, int]:
    """Id of the last event of each job; deleted jobs are absent."""
    async with sessions() as session:
        last = select(EventRow.job_id, func.max(EventRow.id)).where(EventRow.job_id.in_(jobs))
        rows = (await session.execute(last.group_by(EventRow.job_id))).all()
        return {row[0]: row[1] for row in rows}


def log_job(job: JobRow, what: str) -> None:
    """Log what happened to a job; the context adds the id of the request that caused it."""
    with bound(job=job.id):
        _log.info("%s %s", "render" if job.kind == "video" else job.kind, what)


def report_end(job: JobRow) -> None:
    """Count and log a job that has ended."""
    assert job.ended_at is not None
    log_job(job, job.status)
    if job.kind == "video":
        metrics.job_ended(job.status, job.scene["type"], (job.ended_at - job.created_at).total_seconds())
