"""Standing: of systems that somebody watches, what changes while they do."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select

from services.database.engine import Sessions
from services.database.models import OPEN, JobRow, SystemRow, now
from services.jobs.events import COLUMNS

MAX_JOBS = 50  # jobs of a system that are told; those that wait longest come last
_SHOWN_AFTER_END = timedelta(seconds=10)  # that a job is over


@dataclass(frozen=True)
class StatusSnapshot:
    """How a system stands: its jobs that are open, and those that ended just now."""

    revision: int
    jobs: tuple[Any, ...]  # rows of ``COLUMNS``


async def status_snapshots(sessions: Sessions, systems: Set[str]) -> dict[str, StatusSnapshot]:
    """How each of some systems stands; nothing of one that there is not."""
    videos = JobRow.kind + "" == "video"  # by an index on the kind SQLite would look through all videos
    recent = or_(JobRow.status.in_(OPEN), JobRow.ended_at > now() - _SHOWN_AFTER_END)
    order = (JobRow.status == "queued", JobRow.created_at, JobRow.id)
    place = func.row_number().over(partition_by=JobRow.system_id, order_by=order)
    found = select(JobRow.id, place.label("place")).where(JobRow.system_id.in_(systems), videos, recent).subquery()
    told = (
        select(*COLUMNS).join(found, JobRow.id == found.c.id).where(found.c.place <= MAX_JOBS).order_by(found.c.place)
    )
    async with sessions() as session:
        revisions = select(SystemRow.id, SystemRow.revision).where(SystemRow.id.in_(systems))
        rows = (await session.execute(revisions)).all()
        jobs = (await session.execute(told)).all() if rows else ()
    return {id_: StatusSnapshot(revision, tuple(job for job in jobs if job.system_id == id_)) for id_, revision in rows}
