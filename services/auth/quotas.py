"""Quotas: what an owner may have at a time, and have rendered in a day.

They are checked within the transaction that stores a job or a song. The transactions of one owner hold a lock
(``services.database.engine.advisory_lock``), so that no two of them count on the same remainder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.api_keys import Caller
from services.auth.limits import QuotaError, limit_of
from services.database.clock import time_in
from services.database.models import JobRow, UsageRow
from services.settings import ServiceSettings
from services.storage.usage import stored_bytes

_OPEN = ("queued", "rendering")


@dataclass(frozen=True)
class Quotas:
    """An owner's quotas, by the key that asks; infinite where there is no limit."""

    open_jobs: float = math.inf
    queued_jobs: float = math.inf
    rendered_seconds_per_day: float = math.inf
    stored_bytes: float = math.inf


NO_QUOTAS = Quotas()


def quotas_of(settings: ServiceSettings, caller: Caller) -> Quotas:
    """The quotas of a caller."""
    limits = {name: limit_of(settings, caller, name) for name in Quotas.__dataclass_fields__}
    return Quotas(**{name: limit for name, limit in limits.items() if limit is not None})


def owner_lock(owner: str) -> str:
    """Name of the lock for transactions that count what an owner has; taken before any other lock."""
    return f"owner {owner}"


async def admit_job(session: AsyncSession, job: JobRow, quotas: Quotas, *, parts: Sequence[JobRow] = ()) -> None:
    """Charge an owner for the unrendered seconds of a job that is about to be queued, or those of its parts.

    Raises:
        QuotaError: the owner has too many jobs, too many seconds rendered today, or too many bytes stored.
    """
    if min(quotas.open_jobs, quotas.queued_jobs) < math.inf:
        mine = select(JobRow.status, func.count()).where(
            JobRow.owner == job.owner, JobRow.status.in_(_OPEN), JobRow.whole_id.is_(None)
        )
        there = {row[0]: int(row[1]) for row in await session.execute(mine.group_by(JobRow.status))}
        number = sum(there.values())
        if number + 1 > quotas.open_jobs:
            raise QuotaError("open_jobs", quotas.open_jobs, f"{number} jobs are open")
        if (queued := there.get("queued", 0)) + 1 > quotas.queued_jobs:
            raise QuotaError("queued_jobs", quotas.queued_jobs, f"{queued} jobs are queued")
    await admit_bytes(session, job.owner, 0, quotas)
    at = await time_in(session)
    day = day_of(at)
    seconds = sum(unrendered_seconds(each) for each in parts or (job,))
    used = await session.scalar(select(UsageRow.seconds).where(UsageRow.owner == job.owner, UsageRow.day == day)) or 0
    if used + seconds > quotas.rendered_seconds_per_day:
        problem = f"{used:.6g} s were rendered today, and this is {seconds:.6g} s more"
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        left = (midnight - at).total_seconds()
        raise QuotaError("rendered_seconds_per_day", quotas.rendered_seconds_per_day, problem, seconds=left)
    await _charge(session, job.owner, day, seconds)


async def admit_bytes(session: AsyncSession, owner: str, size: int, quotas: Quotas) -> None:
    """Check that an owner may store ``size`` more bytes; 0 stands for a result of unknown size.

    Raises:
        QuotaError: the owner would exceed the quota.
    """
    if quotas.stored_bytes == math.inf:
        return
    there = await stored_bytes(session, owner)
    if there + max(size, 1) > quotas.stored_bytes:
        more = f", and this is {size} more" if size else ""
        raise QuotaError("stored_bytes", quotas.stored_bytes, f"{there} bytes are stored{more}; delete something")


async def refund_seconds(session: AsyncSession, job: JobRow) -> None:
    """Refund the unrendered seconds of a job that has ended."""
    await _charge(session, job.owner, day_of(job.created_at), -unrendered_seconds(job))


async def settle_seconds(session: AsyncSession, job: JobRow, seconds: float) -> None:
    """Charge an open job, of which nothing is rendered, what its video lasts instead of the most that it might."""
    await _charge(session, job.owner, day_of(job.created_at), seconds - job.seconds)
    job.seconds = seconds


def unrendered_seconds(job: JobRow) -> float:
    """Seconds of a job's video that were not rendered."""
    return job.seconds * (1 - job.frames_done / job.frames) if job.frames else job.seconds


def day_of(moment: datetime) -> str:
    """The UTC day that something is charged to."""
    return f"{moment:%Y-%m-%d}"


async def _charge(session: AsyncSession, owner: str, day: str, seconds: float) -> None:
    if not seconds:
        return
    mine = (UsageRow.owner == owner, UsageRow.day == day)
    known = await session.scalar(select(UsageRow.day).where(*mine))
    if known is not None:
        await session.execute(update(UsageRow).where(*mine).values(seconds=UsageRow.seconds + seconds))
    elif seconds > 0:
        yesterday = day_of(await time_in(session) - timedelta(days=1))  # whose jobs may still be refunded
        await session.execute(delete(UsageRow).where(UsageRow.owner == owner, UsageRow.day < yesterday))
        session.add(UsageRow(owner=owner, day=day, seconds=seconds))
        await session.flush()
