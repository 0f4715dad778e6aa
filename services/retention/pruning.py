"""Pruning of rows that grow with every job: jobs, events, tasks, webhooks and idempotency keys."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select, text, update
from sqlalchemy.orm import aliased

from services.database.clock import db_now
from services.database.engine import Sessions
from services.database.models import (
    WITHOUT_RESULT,
    DeliveryRow,
    EventRow,
    IdempotencyRow,
    JobRow,
    TaskRow,
)
from services.jobs.transitions import delete_jobs
from services.retention.cap import Cap
from services.settings import ServiceSettings

_BATCH_SIZE = 200  # jobs per transaction, to keep transactions short


class Pruner:
    """Prunes old jobs, their histories, and idempotency keys."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions) -> None:
        self._settings, self._sessions = settings, sessions

    async def due(self) -> dict[str, int]:
        """How many jobs, job histories and requests would be pruned."""
        found = Counter[str]()
        async with self._sessions() as session:
            for what, table, where in self._rules():
                found[what] += await session.scalar(select(func.count()).select_from(table).where(where)) or 0
        return found

    async def prune(self, cap: Cap) -> dict[str, int]:
        """Prune them, as many as the cap allows; returns how many of each."""
        gone = Counter[str]()
        for what, table, where in self._rules():
            key = table.key if table is IdempotencyRow else table.id
            due, most = await self._numbers(table, where, cap)
            cap.count(what, due - most)
            while most > 0:
                left = min(_BATCH_SIZE, most)
                async with self._sessions.begin() as session:
                    some = list(await session.scalars(select(key).where(where).limit(left)))
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
                        pending = exists().where(DeliveryRow.job_id == JobRow.id, ~over)
                        pruned = update(JobRow).where(JobRow.id.in_(some), ~pending)
                        await session.execute(pruned.values(has_history=False))
                gone[what] += len(some)
                most -= len(some)
                if len(some) < left:
                    break
        return gone

    async def _numbers(self, table: Any, where: Any, cap: Cap) -> tuple[int, int]:
        """How many rows are due, and how many of these may go."""
        async with self._sessions() as session:
            due = await session.scalar(select(func.count()).select_from(table).where(where)) or 0
            if due <= cap.most(0):
                return due, due
            return due, min(due, cap.most(await session.scalar(select(func.count()).select_from(table)) or 0))

    def _rules(self) -> list[tuple[str, Any, Any]]:
        """What to prune: name, table and condition."""
        kept, rules = self._settings, list[tuple[str, Any, Any]]()
        undelivered = exists().where(DeliveryRow.job_id == JobRow.id, DeliveryRow.status == "pending")
        part = aliased(JobRow)  # of which none is kept or pruned alone
        kept_part = exists().where(part.whole_id == JobRow.id, part.status == "completed", part.expired_at.is_(None))
        gone = and_(text(WITHOUT_RESULT), ~undelivered, ~kept_part)
        if kept.keep_jobs:
            rules.append(("jobs", JobRow, and_(_before(kept.keep_jobs, JobRow.ended_at), gone)))
        if kept.keep_previews:
            looks = and_(JobRow.kind != "video", _before(kept.keep_previews, JobRow.ended_at))
            rules.append(("jobs", JobRow, and_(looks, gone)))
        if kept.keep_history:
            ended = _before(kept.keep_history, JobRow.ended_at)
            # Of a job with a webhook that is still to be delivered, tasks and events go first.
            something = or_(~undelivered, exists().where(TaskRow.job_id == JobRow.id))
            rules.append(("histories", JobRow, and_(ended, text("has_history"), something)))
        if kept.keep_requests:
            rules.append(("requests", IdempotencyRow, _before(kept.keep_requests, IdempotencyRow.created_at)))
        return rules


def _before(seconds: int, moment: Any) -> Any:
    return moment < db_now(-timedelta(seconds=seconds))
