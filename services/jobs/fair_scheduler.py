"""Fair scheduling: start-time fair queueing (Goyal, Vin and Cheng, 1996) over the work of all owners.

Every task has a virtual time; the ready task with the lowest is done next. A job starts where the earlier open jobs of
the same owner and priority end, or at the current virtual time if there are none. It extends by what it is estimated to
cost (``services.jobs.cost``), in turns: tasks of a standard video, divided by the weight of its priority. So one job
among thousands of another owner starts at once, a video in 8K takes as many turns as it costs, and high priority gets a
larger share. Everything is derived from unfinished work: there is no clock to store.

If new owners keep submitting faster than workers finish, virtual time stands still and later tasks would starve, so
some tasks are taken by age (``services.jobs.turns``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.clock import db_now
from services.database.models import OPEN, JobRow, TaskRow

WEIGHTS = {"low": 1.0, "normal": 4.0, "high": 16.0}  # shares of the workers while every priority has work


def virtual_times(start: float, priority: str, tasks: int) -> list[float]:
    """Virtual times of a job's tasks, in order, where each costs one turn."""
    return [start + number / WEIGHTS[priority] for number in range(tasks)]


def segment_times(job: JobRow, segments: Sequence[int]) -> list[float]:
    """Virtual times of a job's segments, of so many frames each: after its plan, at the pace at which they cost."""
    if job.plan_cost is None:  # an older version submitted it, and counted tasks
        return virtual_times(job.virtual_time, job.priority, len(segments) + 1)[1:]
    each = max(0.0, job.cost - job.plan_cost) / max(1, sum(segments))
    return [job.virtual_time + job.plan_cost + each * before for before in accumulate(segments[:-1], initial=0)]


async def current_virtual_time(session: AsyncSession) -> float:
    """The current virtual time: the lowest of the tasks that are running or could run."""
    # delayed tasks must not hold the clock back
    possible = or_(TaskRow.not_before.is_(None), TaskRow.not_before <= db_now())
    first = select(TaskRow.virtual_time).where(possible).order_by(TaskRow.virtual_time).limit(1)
    lowest = [await session.scalar(first.where(TaskRow.status == status)) for status in ("ready", "running")]
    return min((each for each in lowest if each is not None), default=0.0)


async def start_virtual_time(session: AsyncSession, fairness_key: str, priority: str) -> float:
    """Virtual time at which a new job of this fairness key starts."""
    ends = [await current_virtual_time(session)]
    for status in OPEN:
        # No job begins before an earlier one of the same owner and priority ends, so the last to begin ends last.
        mine = (JobRow.fairness_key == fairness_key, JobRow.priority == priority, JobRow.status == status)
        last = select(JobRow.virtual_time + JobRow.cost).where(*mine).order_by(JobRow.virtual_time.desc()).limit(1)
        ends.append(await session.scalar(last) or 0.0)
    return max(ends)
