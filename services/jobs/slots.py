"""Slots: of those of all workers, an owner holds no more at once than ``JobRow.slots`` of the job that asks for one.

That is the limit ``running_tasks`` of the key that submitted the job. Most jobs have none, and cost nothing here.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.engine import advisory_lock
from services.database.models import JobRow, TaskRow, task_status_is


async def may_hold(session: AsyncSession, job: JobRow) -> bool:
    """Whether the owner of a job may hold a slot that it has just taken in this transaction.

    Until that ends nobody else takes a slot of this owner, so no two take the last one.
    """
    if job.slots is None:
        return True
    await advisory_lock(session, f"slots {job.owner}")
    held = select(func.count()).select_from(TaskRow).join(JobRow, JobRow.id == TaskRow.job_id)
    return (await session.scalar(held.where(task_status_is("running"), JobRow.owner == job.owner)) or 0) <= job.slots
