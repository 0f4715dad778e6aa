"""Slots: of those of all workers, an owner holds no more at once than ``JobRow.slots`` of the job that asks for one.

That is the limit ``running_tasks`` of the key that submitted the job. Most jobs have none, and cost nothing here.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, func, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.engine import advisory_lock
from services.database.models import JobRow, TaskRow


async def take_slot(session: AsyncSession, job: JobRow) -> bool:
    """Whether the owner of a job may hold one more slot, in the transaction that marks one of its tasks as running.

    Until that ends nobody else takes a slot of this owner, so no two take the last one.
    """
    if job.slots is None:
        return True
    await advisory_lock(session, f"slots {job.owner}")
    held = select(func.count()).select_from(TaskRow).join(JobRow, JobRow.id == TaskRow.job_id)
    return (await session.scalar(held.where(TaskRow.status == "running", JobRow.owner == job.owner)) or 0) < job.slots


def none_of(job: JobRow) -> ColumnElement[bool]:
    """Condition: not a job that would be refused a slot because this one was."""
    return not_(and_(JobRow.owner == job.owner, JobRow.slots.is_not(None), JobRow.slots <= (job.slots or 0)))
