"""Turns: which tasks are offered to workers next. The one place where that is chosen.

A task that is offered has ``queued_at`` set, and workers claim no other. Of each renderer version a window of the next
ready tasks is offered, in the order of their virtual times (``services.jobs.fair_scheduler``), about as many as workers
can begin until the next look; so work of others that is submitted later can still overtake what is not offered yet, and
overtakes what is, as workers take the lowest virtual time first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.database.clock import db_now
from services.database.engine import Sessions
from services.database.models import OPEN, JobRow, TaskRow, task_status_is
from services.jobs.render_spec import VERSION_LENGTH

AHEAD = 32  # tasks of a version that are offered, besides half as many as are running
OLDEST_EVERY = 16  # after this many tasks were taken, the next is the oldest, whatever its virtual time
OFFER_AGAIN = timedelta(seconds=5)  # a task that no worker has taken by then is offered again
_JOB, _WHOLE = aliased(JobRow), aliased(JobRow)  # made once, as that takes milliseconds
_PAGES = 4  # windows that are read at most in search of tasks whose owners may run more


@dataclass(frozen=True)
class Offer:
    """A ready task for workers of its version, the lowest ``turn`` first; ``again`` if it may be queued by now."""

    task: str
    attempt: int
    version: str
    turn: float
    again: bool


class _Ready(NamedTuple):
    task: str
    attempt: int
    turn: float
    is_new: bool  # it was never offered
    owner: str
    slots: int | None  # that its owner may hold at a time, see services.jobs.slots
    is_open: bool  # whether its job is not over


class Turns:
    """Chooses the tasks that are offered next. What runs and what is offered counts towards what an owner may hold."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._since_oldest = 0  # tasks that workers took
        self._on_way: dict[str, int] = {}  # by version: tasks that were offered and not taken yet at the last look
        self._place: dict[str, tuple[float, str]] = {}  # by version: where to go on behind tasks of capped owners

    async def next(self) -> list[Offer]:
        """Offer the next tasks, those first whose turn is first; returns what is to be put into the queue."""
        async with self._sessions() as session:
            versions = await ready_versions(session)
        if "" in versions:
            versions = await self._name_versions()
        if not versions:
            return []
        async with self._sessions() as session:
            running = Counter(await _running_by_owner(session))
        offers, room = list[Offer](), AHEAD + running.total() // 2
        for version in versions:
            async with self._sessions.begin() as session:
                offers += await self._of_version(session, version, running, room=room)
        return sorted(offers, key=lambda offer: (offer.turn, offer.task))

    async def _of_version(
        self, session: AsyncSession, version: str, running: Counter[str], *, room: int
    ) -> list[Offer]:
        """Offer up to so many tasks of a version; counts them in ``running``, by owner."""
        window, head, on_way = await self._window(session, version, running, room=room)
        self._since_oldest += max(0, self._on_way.pop(version, 0) - on_way)
        if not window:
            self._on_way[version] = on_way
            return []
        taken = update(TaskRow).where(TaskRow.id.in_([each.task for each in window]), task_status_is("ready"))
        taken = taken.where(_is_unoffered()).values(queued_at=db_now()).returning(TaskRow.id, TaskRow.attempt)
        rows, turns = (await session.execute(taken)).all(), {each.task: each for each in window}
        offers = [Offer(id_, attempt, version, turns[id_].turn, not turns[id_].is_new) for id_, attempt in rows]
        self._on_way[version] = on_way + len(offers)
        while self._since_oldest >= OLDEST_EVERY:
            self._since_oldest -= OLDEST_EVERY
            offers += await self._oldest(session, version, running, head=head)
        return offers

    async def _window(
        self, session: AsyncSession, version: str, running: Counter[str], *, room: int
    ) -> tuple[list[_Ready], float, int]:
        """The first ready tasks of a version whose owners may run more, without those that are on their way.

        And the turn of the very first, and how many are on their way.
        """
        window: list[_Ready] = []
        on_way = 0
        place, found, head = None, 0, 0.0
        for page in range(_PAGES):
            if page == 1 and version in self._place:
                place = self._place.pop(version)
            ready = _ready(version).order_by(TaskRow.virtual_time, TaskRow.id).limit(room)
            if place is not None:
                turn, task = place
                ready = ready.where(
                    or_(TaskRow.virtual_time > turn, and_(TaskRow.virtual_time == turn, TaskRow.id > task))
                )
            rows = (await session.execute(ready)).all()
            head = rows[0][2] if rows and page == 0 else head
            over = []
            for *row, is_unoffered in rows:
                each = _Ready(*row)
                if not each.is_open:
                    over.append(each.task)
                elif found < room and _may_run(each, running):
                    running[each.owner] += 1
                    found += 1
                    if is_unoffered:
                        window.append(each)
                    else:
                        on_way += 1
            if over:
                await session.execute(update(TaskRow).where(TaskRow.id.in_(over)).values(status="done"))
            if found >= room or len(rows) < room:
                self._place.pop(version, None)
                return window, head, on_way
            place = rows[-1][2], rows[-1][0]
        self._place[version] = place  # type: ignore[assignment]  # it is set by the first page
        return window, head, on_way

    async def _oldest(self, session: AsyncSession, version: str, running: Counter[str], *, head: float) -> list[Offer]:
        """Bring the turn of the oldest task that may run forward to the ``head``: otherwise it could wait for ever."""
        rows = (await session.execute(_ready(version).order_by(TaskRow.id).limit(AHEAD))).all()
        oldest = (_Ready(*row[:-1]) for row in rows)
        each = next((each for each in oldest if each.turn > head and each.is_open and _may_run(each, running)), None)
        if each is None:
            return []
        first = update(TaskRow).where(TaskRow.id == each.task, task_status_is("ready"))
        found = await session.execute(first.values(virtual_time=head, queued_at=db_now()).returning(TaskRow.attempt))
        return [Offer(each.task, attempt, version, head, again=True) for (attempt,) in found]

    async def _name_versions(self) -> list[str]:
        """Note the versions of tasks that older processes made; returns those of ready ones."""
        async with self._sessions.begin() as session:
            version = select(func.substr(JobRow.scene_key, 1, VERSION_LENGTH)).where(JobRow.id == TaskRow.job_id)
            nameless = update(TaskRow).where(TaskRow.version == "", TaskRow.status.in_(("waiting", "ready")))
            await session.execute(nameless.values(version=version.scalar_subquery()))
            return await ready_versions(session)


def _may_run(task: _Ready, running: Counter[str]) -> bool:
    return task.slots is None or running[task.owner] < task.slots


def is_due(task: Any = TaskRow) -> Any:
    """Condition: the task need not wait."""
    return or_(task.not_before.is_(None), task.not_before <= db_now())


def is_open(job_id: Any) -> Any:
    """Condition: neither the job of this id is over nor what it is part of."""
    of_whole = select(_WHOLE.id).where(_WHOLE.id == _JOB.whole_id, _WHOLE.status.in_(OPEN)).exists()
    found = select(_JOB.id).where(_JOB.id == job_id, _JOB.status.in_(OPEN), or_(_JOB.whole_id.is_(None), of_whole))
    return found.exists()


def _is_unoffered() -> Any:
    return or_(TaskRow.queued_at.is_(None), TaskRow.queued_at < db_now(-OFFER_AGAIN))


def _ready(version: str) -> Any:
    """Query: ready tasks of a version as ``_Ready``, and whether they are not on their way."""
    columns = TaskRow.id, TaskRow.attempt, TaskRow.virtual_time, TaskRow.queued_at.is_(None), JobRow.owner, JobRow.slots
    query = select(*columns, is_open(TaskRow.job_id), _is_unoffered()).join(JobRow, JobRow.id == TaskRow.job_id)
    return query.where(task_status_is("ready"), TaskRow.version == version, is_due())


async def ready_versions(session: AsyncSession) -> list[str]:
    """The versions of ready tasks, by one look into the index for each."""
    ready = task_status_is("ready")
    found = select(func.min(TaskRow.version).label("version")).where(ready).cte("versions", recursive=True)
    after = select(func.min(TaskRow.version)).where(ready, TaskRow.version > found.c.version)
    found = found.union_all(select(after.correlate(found).scalar_subquery()).where(found.c.version.is_not(None)))
    return [version for version in await session.scalars(select(found.c.version)) if version is not None]


async def _running_by_owner(session: AsyncSession) -> dict[str, int]:
    owners = select(JobRow.owner, func.count()).join(TaskRow, TaskRow.job_id == JobRow.id)
    counted = await session.execute(owners.where(task_status_is("running")).group_by(JobRow.owner))
    return {row[0]: row[1] for row in counted}
