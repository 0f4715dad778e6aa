"""A circuit breaker for each owner and host: receivers that do not answer are left alone, and asked now and then.

After ``THRESHOLD`` messages in a row without any answer, no message goes there for a while; then one at a time, which
closes the breaker if it is answered, and otherwise opens it for twice as long. Messages that wait for that have no
attempt, and keep their place. An answer of any status is an answer: it took no time, and the message has its backoff.
State is per owner, since one owner's slow path at a host that others use as well must not hold theirs up.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.clock import db_now, time_in
from services.database.engine import advisory_lock
from services.database.models import BreakerRow

THRESHOLD = 5  # failures in a row that open it
_PAUSE, _LONGEST = timedelta(seconds=30), timedelta(minutes=10)
_FORGOTTEN = timedelta(days=3)  # after the last failure
_TRIAL = timedelta(minutes=2)  # that a message takes which tries a receiver


def allowed(failures: int, open_until: datetime | None, *, at: datetime, closed: int) -> int:
    """How many messages may be under way: ``closed`` usually, one to try a breaker that was open, none if it is."""
    if open_until is not None and open_until > at:
        return 0
    return closed if failures < THRESHOLD else 1


async def note_failure(session: AsyncSession, owner: str, host: str) -> bool:
    """Count a message without an answer; whether the breaker is open now."""
    await advisory_lock(session, f"webhooks of {owner} to {host}")
    at, row = await time_in(session), await session.get(BreakerRow, (owner, host), populate_existing=True)
    if row is None:
        row = BreakerRow(owner=owner, host=host, failures=0, failed_at=at)
        session.add(row)
    if row.open_until is not None and row.open_until > at:
        return True  # it was sent before, and says nothing new
    row.failures, row.failed_at = row.failures + 1, at
    if row.failures < THRESHOLD:
        return False
    # Of receivers that nothing was sent to for days, nobody needs to know it any more.
    await session.execute(delete(BreakerRow).where(BreakerRow.failed_at < at - _FORGOTTEN))
    row.open_until = at + min(_PAUSE * 2 ** min(row.failures - THRESHOLD, 16), _LONGEST)
    return True


async def note_answer(session: AsyncSession, owner: str, host: str) -> None:
    """Close the breaker: the receiver answered."""
    await session.execute(delete(BreakerRow).where(BreakerRow.owner == owner, BreakerRow.host == host))


async def count_open(session: AsyncSession) -> int:
    """How many breakers are open, or were until just now, as their receivers are being tried."""
    still = BreakerRow.open_until > db_now(-_TRIAL)
    return await session.scalar(select(func.count()).select_from(BreakerRow).where(still)) or 0
