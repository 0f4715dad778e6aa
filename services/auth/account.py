"""The account of an owner's day: what jobs are charged when they are submitted, and what they get back.

A job has a ``price`` in rendered seconds (``services.jobs.cost``). Each attempt at it, the first one or a retry, is
``charged`` what is left of that, on the day when it begins, ``charged_on``. What was not rendered is refunded to that
day when the attempt ends; what was, is ``spent``, and no retry is charged for it again. So at any time

    an owner's seconds of a day = what jobs rendered of what was charged that day + what open jobs hold of it

What was lost in storage after it was paid for (``services.jobs.lost_files``) is made again for nothing, and nothing of
that is refunded.

Every change of an account goes through :func:`_post`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import CursorResult, delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import JobRow, UsageRow
from services.storage.object_keys import SINGLE_TASK_KINDS


def day_of(moment: datetime) -> str:
    """The UTC day that something is charged to."""
    return f"{moment:%Y-%m-%d}"


def price_of(job: JobRow) -> float:
    """What all of a job costs, in rendered seconds; without an estimate, as in older versions, its duration."""
    return job.price if job.price is not None else job.seconds


def due(job: JobRow) -> float:
    """What a job costs that is about to begin, for the first time or again, in rendered seconds."""
    return max(0.0, price_of(job) - _paid(job))


async def charge(session: AsyncSession, job: JobRow, day: str) -> None:
    """Charge an owner for a job that is about to begin; it must be over, or new."""
    left = due(job)
    job.spent = price_of(job) - left
    job.charged, job.charged_on = 0.0, day
    await _post(session, job, left)


async def settle(session: AsyncSession, job: JobRow, seconds: float) -> None:
    """Charge an open job, of which nothing is rendered, for what its video lasts instead of the most that it might."""
    if job.price is not None and job.seconds:
        job.price *= seconds / job.seconds
    if job.reopened_at is not None:
        job.seconds = seconds
        return
    held = _held(job)
    job.seconds = seconds
    job.charged, job.charged_on = held, _day(job)
    await _post(session, job, max(0.0, price_of(job) - job.spent))


async def refund(session: AsyncSession, job: JobRow, *, failed: bool = False) -> None:
    """Refund what was not rendered of a job whose attempt ends before it is completed; again changes nothing.

    A frame or an analysis that has begun is refunded only if it ``failed``: otherwise, cancelling it just before its
    end would make it free.
    """
    if job.reopened_at is not None:
        return
    held = _held(job)
    if job.kind in SINGLE_TASK_KINDS:
        kept = held if job.status != "queued" and not failed else 0.0
    else:
        kept = min(held, max(0.0, price_of(job) * _share_done(job) - job.spent))
    job.charged, job.charged_on = held, _day(job)
    await _post(session, job, kept)


def _paid(job: JobRow) -> float:
    """What earlier attempts at a job that is not open have paid for, and a further one need not make again."""
    price = price_of(job)
    if job.reopened_at is not None:
        return price
    if job.kind in SINGLE_TASK_KINDS or job.expired_at is not None:
        return 0.0  # all of it is made again
    return min(price, price * _share_done(job) if job.charged is None else job.spent + job.charged)


def _held(job: JobRow) -> float:
    """What the present attempt at a job was charged; all of it, if an older version charged it."""
    return job.charged if job.charged is not None else price_of(job)


def _day(job: JobRow) -> str:
    return job.charged_on or day_of(job.created_at)


def _share_done(job: JobRow) -> float:
    return min(1.0, job.frames_done / job.frames) if job.frames else 0.0


async def _post(session: AsyncSession, job: JobRow, charged: float) -> None:
    """Change what the present attempt at a job is charged, and its owner's day with it."""
    assert job.charged is not None
    assert job.charged_on is not None
    more, day = charged - job.charged, job.charged_on
    job.charged = charged
    if not more:
        return
    mine = update(UsageRow).where(UsageRow.owner == job.owner, UsageRow.day == day)
    changed = await session.execute(mine.values(seconds=UsageRow.seconds + more))
    assert isinstance(changed, CursorResult)
    if changed.rowcount or more < 0:  # days to which nothing is refunded any more are forgotten
        return
    before = day_of(datetime.fromisoformat(day) - timedelta(days=1))
    await session.execute(delete(UsageRow).where(UsageRow.owner == job.owner, UsageRow.day < before))
    session.add(UsageRow(owner=job.owner, day=day, seconds=more))
    await session.flush()
