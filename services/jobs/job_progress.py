"""Progress: adds up what slots write into their own tasks, so that none of them waits for its job's row.

The dispatcher does so about once a second, for all jobs that are worked on; whoever shows a job reads what it has
recorded.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import defer

from services.database.engine import Sessions
from services.database.models import OPEN, JobRow, TaskRow, renders_itself, task_status_is
from services.jobs.events import record_event
from services.jobs.transitions import done_by_kind, set_progress, update_progress

_TOGETHER = 100  # jobs that are brought up to date in one transaction


class Progress:
    """What jobs have got done."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._worked_on: set[str] | None = None  # jobs with running tasks at the last look; None: not known yet

    async def add_up(self, *, everything: bool = False) -> None:
        """Bring jobs up to date whose tasks are running, or were when last looked; record an event for each change.

        ``everything``: all that are being rendered, as a task may have begun and ended between two looks.
        """
        async with self._sessions() as session:
            working = set(await session.scalars(select(TaskRow.job_id).where(task_status_is("running")).distinct()))
            before = self._worked_on
            if before is None or everything:
                before = set(
                    await session.scalars(select(JobRow.id).where(JobRow.status == "rendering", renders_itself()))
                )
        jobs = sorted(working | before)
        for first in range(0, len(jobs), _TOGETHER):
            await self._add_up(jobs[first : first + _TOGETHER])
        self._worked_on = working

    async def _add_up(self, ids: Collection[str]) -> None:
        async with self._sessions() as session:
            done = await done_by_kind(session, ids)
            rows = list(await session.scalars(_open_jobs(ids)))
            changed = {row.id: row.whole_id for row in rows if set_progress(row, done.get(row.id, {}))}
            session.expunge_all()  # they are written below, from what is there by then
        alone = [job for job, whole in changed.items() if whole is None]
        if alone:
            async with self._sessions.begin() as session:
                done = await done_by_kind(session, alone)
                # Those that somebody else is changing are left for the next time: nobody waits for several rows.
                for row in list(await session.scalars(_open_jobs(alone).with_for_update(skip_locked=True))):
                    if set_progress(row, done.get(row.id, {})):
                        await record_event(session, row)
        for part in changed.keys() - set(alone):
            async with self._sessions.begin() as session:
                await update_progress(session, part)


def _open_jobs(ids: Collection[str]) -> Any:
    return select(JobRow).where(JobRow.id.in_(ids), JobRow.status.in_(OPEN)).options(defer(JobRow.scene))
