"""Leases in the database, of what one process at a time does: retention, putting tasks into the queue, waiting
for room.

A lease ends by itself when its holder vanishes. Its ``state`` is for the next holder.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.exc import IntegrityError

from services.database.clock import db_now, time_in
from services.database.engine import Sessions
from services.database.models import LeaseRow


async def acquire(sessions: Sessions, name: str, *, holder: str, seconds: float) -> dict[str, Any] | None:
    """Take a lease, or renew one's own; returns its state, empty if it has none. None if somebody else holds it."""
    async with sessions.begin() as session:
        mine = or_(LeaseRow.until <= db_now(), LeaseRow.holder == holder)
        taken = update(LeaseRow).where(LeaseRow.name == name, mine)
        taken = taken.values(holder=holder, until=db_now(timedelta(seconds=seconds)))
        found = (await session.execute(taken.returning(LeaseRow.state))).all()
        if found:
            return dict(found[0][0] or {})
        there = await session.get(LeaseRow, name)
    if there is not None:
        return None
    try:
        async with sessions.begin() as session:
            until = await time_in(session) + timedelta(seconds=seconds)
            session.add(LeaseRow(name=name, holder=holder, until=until))
    except IntegrityError:  # another process was faster
        return None
    return {}


async def release(
    sessions: Sessions, name: str, *, holder: str, state: dict[str, Any] | None = None, pause: float = 0.0
) -> bool:
    """Give a lease back, which nobody gets for ``pause`` seconds; False if it was lost."""
    async with sessions.begin() as session:
        mine = update(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == holder)
        gone = mine.values(holder="", until=db_now(timedelta(seconds=pause)), state=state)
        return bool((await session.execute(gone.returning(LeaseRow.name))).all())
