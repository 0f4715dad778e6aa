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

from services.database.engine import Sessions
from services.database.leases import acquire, release
from services.database.models import new_id
from services.database.tallies import fold
from services.media.corrections import take_over
from services.media.resumable import ResumableUploads
from services.observability import metrics
from services.retention.cap import Cap
from services.retention.orphans import Orphans
from services.retention.policy import RetentionPolicy
from services.retention.pruning import Pruner
from services.settings import ServiceSettings
from services.storage.disk_admission import format_size
from services.storage.object_store import Storage
from services.storage.song_analyses import count_unknown_analyses
from services.storage.usage import plural

_log = logging.getLogger("motes.retention")
_LEASE, _LEASE_SECONDS = "retention", 60.0  # without renewal
_RENEW_EVERY = 10.0  # seconds
_THOROUGH_EVERY = timedelta(hours=1)


@dataclass
class Report:
    """What was deleted, or would be: count and bytes by reason and kind, and rows by table."""

    freed: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    is_capped: bool = False  # whether more was due
    goes_on: bool = False  # whether the next run should look at everything again

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
        """Run every so often; the dispatcher's process does. Never returns."""
        while True:
            await asyncio.sleep(self._settings.keep_every)
            await self.tick()

    async def tick(self, *, patience: float | None = None) -> None:
        """Run unless a run is in progress or ended less than ``patience`` seconds ago."""
        lately = timedelta(seconds=self._settings.keep_every / 2 if patience is None else patience)
        try:
            async with self._leased(lately) as run:
                _log.debug("retention started%s", ", thoroughly" if run.thorough else "")
                report = await self.collect(thorough=run.thorough)
                run.goes_on = report.goes_on
                _log_report(report)
        except BusyError:
            pass
        except Exception:
            _log.exception("retention failed; it will be tried again")

    async def gc(self, *, everything: bool = False) -> Report:
        """Run now, thoroughly; ``everything`` lifts the cap on what one run deletes.

        Raises:
            BusyError: another process is running retention.
        """
        async with self._leased(timedelta(0), thorough=True) as run:
            report = await self.collect(thorough=True, everything=everything)
            run.goes_on = report.goes_on
            _log_report(report)
            return report

    async def dry_run(self) -> Report:
        """Report all that is due, without deleting it."""
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

    async def collect(self, *, thorough: bool, everything: bool = False) -> Report:
        """Delete what is due; if ``thorough``, also orphans, work folders of dead processes, and old rows.

        What the cap (``services.retention.cap``) holds back waits for the next run, unless ``everything`` lifts it.
        """
        report, cap = Report(), Cap(lifted=everything)
        await fold(self._sessions)
        for deletion in await self._policy.capped(await self._policy.due(thorough=thorough), cap):
            size = await self._policy.delete(deletion)
            report.add(deletion.reason, deletion.item.kind, 1 if size or not deletion.size else 0, size)
        number, size = await self._uploads.expire()
        metrics.count_freed("expired", size)
        report.add("expired", "upload", number, size)
        known = cap.held_back.total()
        if thorough:
            orphans, files = await self._orphans.search()
            cap.count("orphans", max(0, len(orphans) - cap.most(files)))
            orphans = sorted(orphans, key=lambda each: each.file.modified)[: cap.most(files)]
            await self._orphans.remove(orphans)
            for orphan in orphans:
                report.add(orphan.reason, orphan.kind, 1, orphan.file.size)
            if dead := await asyncio.to_thread(self._storage.remove_dead_work_folders):
                metrics.count_freed("leftover", dead)
                report.add("leftover", "workplace", 1, dead)
            report.rows = await self._pruner.prune(cap)
            await take_over(self._sessions, self._storage)
            await count_unknown_analyses(self._sessions, self._storage)
        cap.report()
        report.is_capped, report.goes_on = bool(cap.held_back), cap.held_back.total() > known
        return report

    @asynccontextmanager
    async def _leased(self, lately: timedelta, *, thorough: bool = False) -> AsyncIterator[_Run]:
        """Hold the lease during a run. Losing it is harmless: deletions are safe.

        Raises:
            BusyError: another process holds the lease, or released it less than ``lately`` ago.
        """
        me = new_id()
        state = await acquire(self._sessions, _LEASE, holder=me, seconds=_LEASE_SECONDS)
        if state is None:
            raise BusyError
        at = await self._sessions.clock.ask()
        ended, swept = (datetime.fromisoformat(state[name]) if state.get(name) else None for name in ("ended", "swept"))
        run = _Run(thorough or swept is None or at - swept >= _THOROUGH_EVERY)
        too_early = ended is not None and at - ended < lately
        holding = asyncio.create_task(self._renew(me))
        try:
            if too_early:
                raise BusyError
            yield run
            ended = await self._sessions.clock.ask()
            swept = ended if run.thorough and not run.goes_on else swept
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
            moments = {"ended": ended, "swept": swept}
            state = {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
            await release(self._sessions, _LEASE, holder=me, state=state)

    async def _renew(self, me: str) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            try:
                await acquire(self._sessions, _LEASE, holder=me, seconds=_LEASE_SECONDS)
            except Exception:
                _log.exception("renewing the lease of retention failed; it will be tried again")


@dataclass
class _Run:
    """A run under the lease: whether it is thorough, and whether the next one should go on with it."""

    thorough: bool
    goes_on: bool = False


def _log_report(report: Report) -> None:
    if report.freed or any(report.rows.values()):
        _log.info("%s", report)
