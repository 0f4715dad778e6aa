"""Fair scheduling: start-time fair queueing (Goyal, Vin and Cheng, 1996) over the work of all owners.

Every task has a virtual time; the ready task with the lowest is done next. A job starts where the earlier open jobs of
the same owner and priority end, or at the current virtual time if there are none. It extends by its number of tasks
divided by the weight of its priority. So one job among thousands of another owner starts at once, and high priority
gets a larger share. Everything is derived from unfinished work: there is no clock to store.

If new owners keep submitting faster than workers finish, virtual time stands still and later tasks would starve, so
some claims take the oldest task (``services.jobs.tasks``).
"""

from __future__ import annotations

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.clock import db_now
from services.database.models import JobRow, TaskRow

WEIGHTS = {"low": 1.0, "normal": 4.0, "high": 16.0}  # shares of the workers while every priority has work


def virtual_times(start: float, priority: str, tasks: int) -> list[float]:
    """Virtual times of a job's tasks, in order."""
    return [start + number / WEIGHTS[priority] for number in range(tasks)]


async def current_virtual_time(session: AsyncSession) -> float:
    """The current virtual time: the lowest of the tasks that are running or could run."""
    # delayed tasks must not hold the clock back
    possible = or_(TaskRow.not_before.is_(None), TaskRow.not_before <= db_now())
    found = select(func.min(TaskRow.virtual_time)).where(TaskRow.status.in_(("ready", "running")), possible)
    return await session.scalar(found) or 0.0


async def start_virtual_time(session: AsyncSession, fairness_key: str, priority: str) -> float:
    """Virtual time at which a new job of this fairness key starts."""
    end = select(func.max(JobRow.virtual_time + JobRow.cost)).where(
        JobRow.fairness_key == fairness_key, JobRow.priority == priority, JobRow.status.in_(("queued", "rendering"))
    )
    return max(await session.scalar(end) or 0.0, await current_virtual_time(session))
