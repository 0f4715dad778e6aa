"""Whose turn it is: start-time fair queueing (Goyal, Vin and Cheng, 1996) over the work of all owners.

Every task has a *turn*, a point on a virtual clock; the ready task with the lowest is done next. A job begins where its
owner's earlier open jobs of the same priority end, or at the present turn if there are none, and is as long as it has
tasks, divided by the weight of its priority. So one job among thousands of somebody else's is done at once, a high
priority is done faster. Everything is derived from work that is not done yet: there is no clock to keep.

Where more work arrives than is done, and always from new owners, the clock stands still, and what is behind it would
wait for ever; so some claims take the oldest task (``services.jobs.tasks``).
"""

from __future__ import annotations

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import JobRow, TaskRow, now

WEIGHTS = {"low": 1.0, "normal": 4.0, "high": 16.0}  # shares of the workers where all have work


def virtual_times(turn: float, priority: str, tasks: int) -> list[float]:
    """The turns of a job's tasks, in their order."""
    return [turn + number / WEIGHTS[priority] for number in range(tasks)]


async def current_virtual_time(session: AsyncSession) -> float:
    """Where the virtual clock stands: the lowest turn of what is being done or could be."""
    possible = or_(TaskRow.not_before.is_(None), TaskRow.not_before <= now())  # what waits must not hold the clock
    found = select(func.min(TaskRow.virtual_time)).where(TaskRow.status.in_(("ready", "running")), possible)
    return await session.scalar(found) or 0.0


async def start_virtual_time(session: AsyncSession, flow: str, priority: str) -> float:
    """Where a new job of a flow begins: of an owner, or of a system where there are no keys."""
    end = select(func.max(JobRow.virtual_time + JobRow.cost)).where(
        JobRow.fairness_key == flow, JobRow.priority == priority, JobRow.status.in_(("queued", "rendering"))
    )
    return max(await session.scalar(end) or 0.0, await current_virtual_time(session))
