"""Quotas: what an owner may have at a time, and have rendered in a day.

They are checked within the transaction that stores a job or a song. The transactions of one owner hold a lock
(``services.database.engine.advisory_lock``), so that no two of them count on the same remainder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.account import charge, day_of, due
from services.auth.api_keys import Caller
from services.auth.limits import QuotaError, limit_of
from services.database.clock import time_in
from services.database.engine import advisory_lock
from services.database.models import JobRow, SystemRow, UsageRow
from services.database.tallies import tallies
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
    open_uploads: float = math.inf
    systems: float = math.inf


NO_QUOTAS = Quotas()


def quotas_of(settings: ServiceSettings, caller: Caller) -> Quotas:
    """The quotas of a caller."""
    limits = {name: limit_of(settings, caller, name) for name in Quotas.__dataclass_fields__}
    return Quotas(**{name: limit for name, limit in limits.items() if limit is not None})


def owner_lock(owner: str) -> str:
    """Name of the lock for transactions that count what an owner has; taken before any other lock."""
    return f"owner {owner}"


async def admit_job(session: AsyncSession, job: JobRow, quotas: Quotas, *, parts: Sequence[JobRow] = ()) -> None:
    """Charge an owner for a job that is about to be queued, or for its parts: for what of them is not rendered.

    Raises:
        QuotaError: the owner has too many jobs, too many seconds rendered today, or too many bytes stored.
    """
    if min(quotas.open_jobs, quotas.queued_jobs) < math.inf:
        there = dict.fromkeys(_OPEN, 0)
        for tally in await tallies(session, "jobs", job.owner):
            if tally.state in there and tally.kind != "output":
                there[tally.state] += tally.number
        number = sum(there.values())
        if number + 1 > quotas.open_jobs:
            raise QuotaError("open_jobs", quotas.open_jobs, f"{number} jobs are open")
        if (queued := there["queued"]) + 1 > quotas.queued_jobs:
            raise QuotaError("queued_jobs", quotas.queued_jobs, f"{queued} jobs are queued")
    await admit_bytes(session, job.owner, 0, quotas)
    moment, jobs = await time_in(session), parts or (job,)
    day, seconds = day_of(moment), sum(due(each) for each in jobs)
    used = await session.scalar(select(UsageRow.seconds).where(UsageRow.owner == job.owner, UsageRow.day == day)) or 0
    if used + seconds > quotas.rendered_seconds_per_day:
        problem = f"{used:.6g} s were rendered today, and this is {seconds:.6g} s more"
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        left = (midnight - moment).total_seconds()
        raise QuotaError("rendered_seconds_per_day", quotas.rendered_seconds_per_day, problem, seconds=left)
    for each in jobs:
        await charge(session, each, day)


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


async def admit_system(
    session: AsyncSession, owner: str, quotas: Quotas, *, new: SystemRow | None = None, more: int = 0
) -> None:
    """Check that an owner may store a ``new`` system, or ``more`` bytes of one that there is.

    Raises:
        QuotaError: the owner would have too many systems, or too many bytes stored.
    """
    more = more if new is None else new.size or 0
    if more <= 0 or min(quotas.systems, quotas.stored_bytes) == math.inf:
        return
    await advisory_lock(session, owner_lock(owner))
    if new is not None and quotas.systems < math.inf:
        there = sum(each.number for each in await tallies(session, "systems", owner))
        if there >= quotas.systems:
            raise QuotaError("systems", quotas.systems, f"there are {there} systems; delete some")
    await admit_bytes(session, owner, more, quotas)
