"""The janitor runs retention, woken through the queue or, without Redis, by its own timer.

A lease in the database prevents two runs at a time. What is due is checked often; scanning the storage and pruning old
rows happen once an hour.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlalchemy.exc import IntegrityError

from services.database.engine import Sessions
from services.database.models import IdempotencyRow, new_id, now
from services.database.tallies import fold
from services.media.corrections import take_over
from services.media.resumable import ResumableUploads
from services.observability import metrics
from services.retention.orphans import Orphans
from services.retention.policy import RetentionPolicy
from services.retention.pruning import INTERNAL_PREFIX, Pruner
from services.settings import ServiceSettings
from services.storage.disk_admission import format_size
from services.storage.object_store import Storage
from services.storage.usage import plural

_log = logging.getLogger("motes.retention")
_LEASE = f"{INTERNAL_PREFIX}retention"
_LEASE_TTL = timedelta(seconds=60)  # without renewal
_RENEW_EVERY = 10.0  # seconds
_THOROUGH_EVERY = timedelta(hours=1)


@dataclass
class Report:
    """What was deleted, or would be: count and bytes by reason and kind, and rows by table."""

    freed: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def add(self, reason: str, kind: str, number: int, size: int) -> None:
        """Add deleted items of one kind."""
        before, bytes_before = self.freed.get((reason, kind), (0, 0))
        if number:
            self.freed[reason, kind] = before + number, bytes_before + size

    @property
    def bytes(self) -> int:
        """Bytes freed in total."""
        return sum(size for _, size in self.freed.values())

    def __str__(self) -> str:
        files = [f"{number} {plural(kind)} {reason}" for (reason, kind), (number, _) in sorted(self.freed.items())]
        rows = [f"{number} {what} pruned" for what, number in self.rows.items() if number]
        return f"freed {format_size(self.bytes)}: {', '.join(files + rows) or 'nothing was due'}"


class BusyError(Exception):
    """Another process is running retention, or ran it recently."""


class Janitor:
    """Runs retention for one database and storage, as often as the settings say."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
        self._settings, self._sessions, self._storage = settings, sessions, storage
        self._policy, self._pruner = RetentionPolicy(settings, sessions, storage), Pruner(settings, sessions)
        self._uploads = ResumableUploads(settings, sessions, storage)
        kept = timedelta(seconds=settings.keep_analyses) if settings.keep_analyses else None
        self._orphans = Orphans(sessions, storage, grace=timedelta(seconds=settings.keep_orphans), keep_analyses=kept)

    async def run(self) -> None:
        """Run whenever no other process has done so in time, for instance without Redis. Never returns."""
        while True:
            await asyncio.sleep(self._settings.keep_every)
            await self.tick(patience=2 * self._settings.keep_every + 5)

    async def tick(self, *, patience: float | None = None) -> None:
        """Run unless a run is in progress or ended less than ``patience`` seconds ago."""
        lately = timedelta(seconds=self._settings.keep_every / 2 if patience is None else patience)
        try:
            async with self._leased(lately) as thorough:
                _log.debug("retention started%s", ", thoroughly" if thorough else "")
                _log_report(await self.collect(thorough=thorough))
        except BusyError:
            pass
        except Exception:
            _log.exception("retention failed; it will be tried again")

    async def gc(self) -> Report:
        """Run now, thoroughly.

        Raises:
            BusyError: another process is running retention.
        """
        async with self._leased(timedelta(0), thorough=True):
            report = await self.collect(thorough=True)
            _log_report(report)
            return report

    async def dry_run(self) -> Report:
        """Report what ``gc`` would delete, without deleting it."""
        report = Report()
        songs = set()
        for deletion in await self._policy.due():
            report.add(deletion.reason, deletion.item.kind, 1, deletion.size)
            if deletion.item.kind == "song" and deletion.size:
                songs.add(deletion.item.name)
        for orphan in await self._orphans.find():
            if orphan.of_song and orphan.file.key.split("/")[1] in songs:
                continue  # which takes its analyses along
            report.add(orphan.reason, orphan.kind, 1, orphan.file.size)
        if dead := await asyncio.to_thread(self._storage.remove_dead_work_folders, dry_run=True):
            report.add("leftover", "workplace", 1, dead)
        report.rows = await self._pruner.due()
        return report

    async def collect(self, *, thorough: bool) -> Report:
        """Delete what is due; if ``thorough``, also orphans, work folders of dead processes, and old rows."""
        report = Report()
        await fold(self._sessions)
        for deletion in await self._policy.due(thorough=thorough):
            size = await self._policy.delete(deletion)
            report.add(deletion.reason, deletion.item.kind, 1 if size or not deletion.size else 0, size)
        number, size = await self._uploads.expire()
        metrics.count_freed("expired", size)
        report.add("expired", "upload", number, size)
        if thorough:
            orphans = await self._orphans.find()
            await self._orphans.remove(orphans)
            for orphan in orphans:
                report.add(orphan.reason, orphan.kind, 1, orphan.file.size)
            if dead := await asyncio.to_thread(self._storage.remove_dead_work_folders):
                metrics.count_freed("leftover", dead)
                report.add("leftover", "workplace", 1, dead)
            report.rows = await self._pruner.prune()
            await take_over(self._sessions, self._storage)
        return report

    @asynccontextmanager
    async def _leased(self, lately: timedelta, *, thorough: bool = False) -> AsyncIterator[bool]:
        """Hold the lease; yields whether the run should be thorough. Losing the lease is harmless: deletions are safe.

        Raises:
            BusyError: another process holds the lease, or released it less than ``lately`` ago.
        """
        me = new_id()
        swept = await self._acquire(me, lately)
        thorough = thorough or swept is None or not timedelta(0) <= now() - swept < _THOROUGH_EVERY
        holding = asyncio.create_task(self._renew(me))
        try:
            yield thorough
            swept = now() if thorough else swept
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            answer = {"swept": None if swept is None else swept.isoformat()}
            async with self._sessions.begin() as session:
                await session.execute(
                    update(IdempotencyRow).where(*_owned_lease(me)).values(answer=answer, created_at=now())
                )

    async def _acquire(self, me: str, lately: timedelta) -> datetime | None:
        """Take the lease; returns the time of the last thorough run."""
        try:
            async with self._sessions.begin() as session:
                row = await session.get(IdempotencyRow, _LEASE, with_for_update=True)
                if row is None:
                    session.add(IdempotencyRow(key=_LEASE, request=me, created_at=now()))
                    return None
                if abs(now() - row.created_at) < (
                    _LEASE_TTL if row.answer is None or row.answer.get("doing") else lately
                ):
                    raise BusyError
                swept = None if row.answer is None else row.answer.get("swept")
                row.request, row.created_at = me, now()
                row.answer = {"doing": True, "swept": swept}
                return None if swept is None else datetime.fromisoformat(swept)
        except IntegrityError:  # another process was faster
            raise BusyError from None

    async def _renew(self, me: str) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            async with self._sessions.begin() as session:
                await session.execute(update(IdempotencyRow).where(*_owned_lease(me)).values(created_at=now()))


def _log_report(report: Report) -> None:
    if report.freed or any(report.rows.values()):
        _log.info("%s", report)


def _owned_lease(me: str) -> tuple[ColumnElement[bool], ...]:
    return IdempotencyRow.key == _LEASE, IdempotencyRow.request == me
