"""Pruning of rows that grow with every job: jobs, events, tasks, webhooks and idempotency keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select
from sqlalchemy.orm import aliased

from services.database.engine import Sessions
from services.database.models import (
    RETRYABLE,
    DeliveryRow,
    EventRow,
    IdempotencyRow,
    JobRow,
    TaskRow,
    now,
    renders_itself,
)
from services.jobs.transitions import delete_jobs
from services.settings import ServiceSettings

_BATCH_SIZE = 200  # jobs per transaction, to keep transactions short
INTERNAL_PREFIX = " "  # prefix of idempotency keys that are the service's own


class Pruner:
    """Prunes old jobs, their histories, and idempotency keys."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions) -> None:
        self._settings, self._sessions = settings, sessions

    async def due(self) -> dict[str, int]:
        """How many jobs, job histories and requests would be pruned."""
        async with self._sessions() as session:
            return {
                what: await session.scalar(select(func.count()).select_from(table).where(where)) or 0
                for what, table, where in self._rules()
            }

    async def prune(self) -> dict[str, int]:
        """Prune them; returns how many of each."""
        gone = dict[str, int]()
        for what, table, where in self._rules():
            gone[what] = 0
            key = table.key if table is IdempotencyRow else table.id
            while True:
                async with self._sessions.begin() as session:
                    some = list(await session.scalars(select(key).where(where).limit(_BATCH_SIZE)))
                    if what == "requests":
                        await session.execute(delete(table).where(key.in_(some), where))
                    elif what == "jobs":
                        await delete_jobs(session, some)
                    else:
                        last = select(func.max(EventRow.id)).where(EventRow.job_id.in_(some)).group_by(EventRow.job_id)
                        over = DeliveryRow.status != "pending"
                        await session.execute(delete(TaskRow).where(TaskRow.job_id.in_(some)))
                        await session.execute(
                            delete(EventRow).where(EventRow.job_id.in_(some), EventRow.id.not_in(last))
                        )
                        await session.execute(delete(DeliveryRow).where(DeliveryRow.job_id.in_(some), over))
                gone[what] += len(some)
                if len(some) < _BATCH_SIZE:
                    break
        return gone

    def _rules(self) -> list[tuple[str, Any, Any]]:
        """What to prune: name, table and condition."""
        kept, at, rules = self._settings, now(), list[tuple[str, Any, Any]]()
        undelivered = exists().where(DeliveryRow.job_id == JobRow.id, DeliveryRow.status == "pending")
        part = aliased(JobRow)  # of which none is kept or pruned alone
        kept_part = exists().where(part.whole_id == JobRow.id, part.status == "completed", part.expired_at.is_(None))
        gone = [or_(JobRow.status.in_(RETRYABLE), JobRow.expired_at.is_not(None)), ~undelivered, ~kept_part]
        gone.append(JobRow.whole_id.is_(None))
        old = [_before(at, kept.keep_jobs, JobRow.ended_at)] if kept.keep_jobs else []
        if kept.keep_previews:
            old.append(and_(JobRow.kind != "video", _before(at, kept.keep_previews, JobRow.ended_at)))
        if old:
            rules.append(("jobs", JobRow, and_(or_(*old), *gone)))
        if kept.keep_history:
            done = exists().where(DeliveryRow.job_id == JobRow.id, DeliveryRow.status != "pending")
            events = select(func.count(EventRow.id)).where(EventRow.job_id == JobRow.id).scalar_subquery()
            whole = and_(~renders_itself(), events > 1)  # which has no tasks
            long = or_(exists().where(TaskRow.job_id == JobRow.id), done, whole)
            rules.append(("histories", JobRow, and_(_before(at, kept.keep_history, JobRow.ended_at), long)))
        if kept.keep_requests:
            client_s = ~IdempotencyRow.key.startswith(INTERNAL_PREFIX)
            rules.append(
                ("requests", IdempotencyRow, and_(_before(at, kept.keep_requests, IdempotencyRow.created_at), client_s))
            )
        return rules


def _before(at: datetime, seconds: int, moment: Any) -> Any:
    return moment < at - timedelta(seconds=seconds)
