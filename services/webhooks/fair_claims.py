"""Which messages are sent next: every owner's turn comes, however many messages of others wait, or for whom.

Messages under way are counted in the database, over all workers: ``PER_OWNER`` of an owner, ``PER_HOST`` to a host, of
which an owner has at most half. The next message is of the owner with the fewest under way, to that of its hosts with
the fewest. A look skips from owner to owner, and from host to host, along an index: it does not read what waits.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.clock import db_now, time_in
from services.database.engine import Sessions, advisory_lock
from services.database.models import BreakerRow, DeliveryRow, JobRow
from services.webhooks.circuit_breaker import allowed
from services.webhooks.ssrf_guard import TargetRefusedError, parse_url

PER_OWNER, PER_HOST = 8, 8  # messages under way, over all workers
_PER_LANE = PER_HOST // 2  # of one owner to one host
_HOSTS_PER_LOOK = 50  # of an owner; the next look goes on behind them
_SORTED_AT_ONCE = 1000  # messages
_PENDING = DeliveryRow.status == "pending"
_UNSORTED = (_PENDING, DeliveryRow.owner.is_(None))


class Lane(NamedTuple):
    """The messages of an owner to a host."""

    owner: str
    host: str


@dataclass(frozen=True)
class Claimed:
    """A message that is this worker's until its ``next_at``, and when it was claimed, by the database's clock."""

    row: DeliveryRow
    lane: Lane
    at: datetime


@dataclass(frozen=True)
class _Host:
    """A host with messages of an owner: when the first is due, and how many may be under way."""

    name: str
    due: datetime
    room: int


def host_of(url: str) -> str:
    """The host and port that a URL names; empty if it is no URL that could be called."""
    try:
        parts = parse_url(url)
    except TargetRefusedError:
        return ""
    return f"{parts.raw_host.decode('ascii')}:{parts.port or (443 if parts.scheme == 'https' else 80)}"[:300]


class FairClaims:
    """Claims due messages for ``lease``."""

    def __init__(self, sessions: Sessions, *, lease: timedelta) -> None:
        self._sessions, self._lease = sessions, lease
        self._behind: dict[str, str] = {}  # by owner: the host behind which the next look goes on

    async def claim(self, most: int) -> Sequence[Claimed]:
        """Claim at most so many messages; none if none is due, or none may be sent now."""
        async with self._sessions() as session:  # usually nothing is due, and writers need not wait
            if await session.scalar(select(DeliveryRow.id).where(_PENDING, DeliveryRow.next_at <= db_now()).limit(1)):
                unsorted = await session.scalar(select(DeliveryRow.id).where(*_UNSORTED).limit(1)) is not None
            else:
                return []
        while unsorted:
            unsorted = await self._sort()
        async with self._sessions() as session:
            chosen, behind = await self._choose(session, await time_in(session), most)
            if not chosen:
                self._behind = behind
                return []
        async with self._sessions.begin() as session:
            await advisory_lock(session, "webhooks")  # two workers that count at once would exceed what is allowed
            at, claimed = await time_in(session), list[Claimed]()
            chosen, behind = await self._choose(session, at, most)
            for lane, number in chosen.items():
                due = select(DeliveryRow).where(
                    _PENDING, DeliveryRow.owner == lane.owner, DeliveryRow.host == lane.host, DeliveryRow.next_at <= at
                )
                first = due.order_by(DeliveryRow.next_at).limit(number).with_for_update(skip_locked=True)
                for row in await session.scalars(first):
                    # next_at as well: workers of older versions know no other lease
                    row.next_at = row.lease_until = at + self._lease
                    claimed.append(Claimed(row, lane, at))
        self._behind = behind
        return claimed

    async def _sort(self) -> bool:
        """Note owner and host of messages of older versions; whether there may be more of them."""
        async with self._sessions.begin() as session:
            new = select(DeliveryRow.id, DeliveryRow.url, JobRow.owner).join(JobRow, JobRow.id == DeliveryRow.job_id)
            new = new.where(*_UNSORTED).order_by(DeliveryRow.next_at).limit(_SORTED_AT_ONCE)
            found = (await session.execute(new.with_for_update(of=DeliveryRow, skip_locked=True))).all()
            if found:  # in one go: after an upgrade there may be many
                rows = [{"id": id_, "owner": owner, "host": host_of(url)} for id_, url, owner in found]
                await session.execute(update(DeliveryRow), rows)
        return len(found) == _SORTED_AT_ONCE

    async def _choose(
        self, session: AsyncSession, at: datetime, most: int
    ) -> tuple[Mapping[Lane, int], dict[str, str]]:
        """How many messages of each lane to claim, and behind which hosts the next look goes on."""
        lanes, hosts, owners = await _under_way(session, at)
        turns = [(owners[owner], due, owner) for owner, due in await _owners(session) if due <= at]
        heapq.heapify(turns)
        found, chosen, behind = dict[str, list[_Host]](), Counter[Lane](), dict[str, str]()
        while turns and chosen.total() < most:
            _, due, owner = heapq.heappop(turns)
            if owners[owner] >= PER_OWNER:
                continue
            if owner not in found:
                found[owner], last = await self._hosts(session, owner, at)
                if last is not None:
                    behind[owner] = last
            free = [
                host
                for host in found[owner]
                if lanes[Lane(owner, host.name)] < host.room and hosts[host.name] < PER_HOST
            ]
            if not free:
                continue
            host = min(free, key=lambda each: (lanes[Lane(owner, each.name)], each.due))
            lane = Lane(owner, host.name)
            for counted in (chosen, lanes):
                counted[lane] += 1
            hosts[host.name] += 1
            owners[owner] += 1
            heapq.heappush(turns, (owners[owner], due, owner))
        return chosen, behind

    async def _hosts(self, session: AsyncSession, owner: str, at: datetime) -> tuple[list[_Host], str | None]:
        """Some of an owner's hosts with due messages, and the last one if there may be more behind it."""
        behind = self._behind.get(owner)
        found = {each[0]: each for each in await _hosts_behind(session, owner, behind)}
        last = list(found)[-1] if len(found) == _HOSTS_PER_LOOK else None
        if last is None and behind is not None:  # from the beginning again
            found |= {each[0]: each for each in await _hosts_behind(session, owner, None)}
        hosts = [
            _Host(name, due, allowed(failures or 0, open_until, at=at, closed=_PER_LANE))
            for name, due, failures, open_until in found.values()
            if due <= at
        ]
        return hosts, last


async def _under_way(session: AsyncSession, at: datetime) -> tuple[Counter[Lane], Counter[str], Counter[str]]:
    """How many messages are being sent, by lane, by host and by owner."""
    leased = select(DeliveryRow.owner, DeliveryRow.host, func.count()).where(_PENDING, DeliveryRow.lease_until > at)
    lanes, hosts, owners = Counter[Lane](), Counter[str](), Counter[str]()
    for owner, host, number in await session.execute(leased.group_by(DeliveryRow.owner, DeliveryRow.host)):
        if owner is None or host is None:
            continue
        lanes[Lane(owner, host)] += number
        hosts[host] += number
        owners[owner] += number
    return lanes, hosts, owners


async def _owners(session: AsyncSession) -> Sequence[tuple[str, datetime]]:
    """The owners with pending messages, and when their first is due."""
    owners = select(func.min(DeliveryRow.owner).label("owner")).where(_PENDING).cte("owners", recursive=True)
    following = select(func.min(DeliveryRow.owner)).where(_PENDING, DeliveryRow.owner > owners.c.owner)
    owners = owners.union_all(select(following.scalar_subquery()).where(owners.c.owner.is_not(None)))
    due = select(func.min(DeliveryRow.next_at)).where(_PENDING, DeliveryRow.owner == owners.c.owner).scalar_subquery()
    found = await session.execute(select(owners.c.owner, due).where(owners.c.owner.is_not(None)))
    return [(owner, moment) for owner, moment in found if moment is not None]


async def _hosts_behind(
    session: AsyncSession, owner: str, behind: str | None
) -> Sequence[tuple[str, datetime, int | None, datetime | None]]:
    """Hosts of an owner's pending messages, in order: when the first is due, and the state of the breaker."""
    mine = and_(_PENDING, DeliveryRow.owner == owner)
    first = select(func.min(DeliveryRow.host).label("host"), literal(1).label("number")).where(mine)
    if behind is not None:
        first = first.where(DeliveryRow.host > behind)
    hosts = first.cte("hosts", recursive=True)
    following = select(func.min(DeliveryRow.host)).where(mine, DeliveryRow.host > hosts.c.host).scalar_subquery()
    more = hosts.c.host.is_not(None), hosts.c.number < _HOSTS_PER_LOOK
    hosts = hosts.union_all(select(following, hosts.c.number + 1).where(*more))
    due = select(func.min(DeliveryRow.next_at)).where(mine, DeliveryRow.host == hosts.c.host).scalar_subquery()
    breaker = and_(BreakerRow.owner == owner, BreakerRow.host == hosts.c.host)
    found = select(hosts.c.host, due, BreakerRow.failures, BreakerRow.open_until).outerjoin_from(
        hosts, BreakerRow, breaker
    )
    rows = await session.execute(found.where(hosts.c.host.is_not(None)).order_by(hosts.c.host))
    return [(host, moment, failures, until) for host, moment, failures, until in rows if moment is not None]
