"""Status snapshots: what changes of a system while clients watch it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, union_all

from services.database.clock import db_now
from services.database.engine import Sessions
from services.database.models import OPEN, JobRow, SystemRow
from services.jobs.events import COLUMNS

MAX_JOBS = 50  # jobs included per system; those that wait longest come last
_SHOWN_AFTER_END = timedelta(seconds=10)  # how long an ended job is included


@dataclass(frozen=True)
class StatusSnapshot:
    """A system's revision, its open jobs and those that ended just now."""

    revision: int
    jobs: tuple[Any, ...]  # rows of ``COLUMNS``


async def status_snapshots(sessions: Sessions, systems: Set[str]) -> dict[str, StatusSnapshot]:
    """Snapshots of these systems; systems that do not exist are absent."""
    mine = (JobRow.system_id.in_(systems), JobRow.kind == "video")
    # two queries with an index each, as a system may have a long history
    recent = union_all(
        select(JobRow.id, JobRow.system_id, JobRow.status, JobRow.created_at).where(*mine, JobRow.status.in_(OPEN)),
        select(JobRow.id, JobRow.system_id, JobRow.status, JobRow.created_at).where(
            *mine, JobRow.status.not_in(OPEN), JobRow.ended_at > db_now(-_SHOWN_AFTER_END)
        ),
    ).subquery()
    order = (recent.c.status == "queued", recent.c.created_at, recent.c.id)
    place = func.row_number().over(partition_by=recent.c.system_id, order_by=order)
    found = select(recent.c.id, place.label("place")).subquery()
    query = (
        select(*COLUMNS).join(found, JobRow.id == found.c.id).where(found.c.place <= MAX_JOBS).order_by(found.c.place)
    )
    async with sessions() as session:
        revisions = select(SystemRow.id, SystemRow.revision).where(SystemRow.id.in_(systems))
        rows = (await session.execute(revisions)).all()
        jobs = (await session.execute(query)).all() if rows else ()
    return {id_: StatusSnapshot(revision, tuple(job for job in jobs if job.system_id == id_)) for id_, revision in rows}
