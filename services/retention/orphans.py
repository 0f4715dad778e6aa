"""Orphans: files without rows, left by attempts that died or were too late, or by an interrupted deletion.

A file is an orphan only if nothing can make it count any more: no attempt that writes it is running, and no job of its
scene is open. Its name is then never used again (``services.storage.object_keys``), except for songs and assets, which
``services.retention.deletion`` handles.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.engine import Sessions
from services.database.models import OPEN, ArtefactRow, AssetRow, AudioRow, JobRow, ResumablePartRow, TaskRow
from services.observability import metrics
from services.retention.analyses import analyses_in_use
from services.retention.deletion import Deleter
from services.storage.object_keys import asset_key, is_correction
from services.storage.object_store import Storage, StoredFile

_BATCH_SIZE = 400  # values per query
_ATTEMPT = re.compile(r"(?P<stem>.+)\.(?P<task>[0-9a-f-]{36})\.(?P<attempt>\d{1,9})(?P<suffix>\.\w+)")


@dataclass(frozen=True)
class Orphan:
    """A file to delete, and why. Plans of jobs that are over count as expired."""

    file: StoredFile
    reason: str  # leftover or expired
    of_song: bool = False  # that there is

    @property
    def kind(self) -> str:
        """The kind of file, as far as its key tells."""
        if is_correction(self.file.key):
            return "correction"
        if self.reason != "expired":
            return "file"
        return "analysis" if self.file.key.startswith("analyses/") else "plan"


class Orphans:
    """Orphans in storage older than ``grace``, and analyses of songs older than ``keep_analyses``, if it is given."""

    def __init__(
        self, sessions: Sessions, storage: Storage, *, grace: timedelta, keep_analyses: timedelta | None = None
    ) -> None:
        self._sessions, self._storage, self._grace = sessions, storage, grace
        self._keep_analyses = keep_analyses

    async def find(self) -> list[Orphan]:
        """Find all orphans."""
        return (await self.search())[0]

    async def search(self) -> tuple[list[Orphan], int]:
        """Find all orphans; also returns how many files there are."""
        limit, found, seen = await asyncio.to_thread(self._storage.now) - self._grace, list[Orphan](), 0
        for folder, find in _FINDERS.items():
            batches = self._storage.list(folder)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                seen += len(batch)
                old = [each for each in batch if each.modified < limit]
                for few in _batches(old):
                    async with self._sessions() as session:
                        found += await find(session, few)
                        if folder == "analyses":
                            found += await self._old_analyses(session, few, limit)
        return found, seen

    async def _old_analyses(self, session: AsyncSession, files: Sequence[StoredFile], limit: datetime) -> list[Orphan]:
        """Of songs that there are: corrections that nobody needs, and analyses that are old."""
        needed = await analyses_in_use(session, {each.key.split("/")[1] for each in files})
        songs = set(await session.scalars(select(AudioRow.sha256).where(AudioRow.sha256.in_(needed))))
        kept = self._keep_analyses
        old = None if kept is None else limit + self._grace - kept
        free = [each for each in files if each.key.split("/")[1] in songs]
        return [
            Orphan(each, "leftover" if is_correction(each.key) else "expired", of_song=True)
            for each in free
            if (is_correction(each.key) or (old is not None and each.modified < old))
            and not needed[each.key.split("/")[1]].holds(each.key)
        ]

    async def remove(self, orphans: Sequence[Orphan]) -> int:
        """Delete these orphans; returns the bytes freed."""
        freed = 0
        of_songs = [each for each in orphans if each.of_song]
        for (song, reason), files in _by_song(of_songs).items():
            freed += await Deleter(self._sessions, self._storage).delete_analyses(song, files, reason)
        for folder in ("audio", "analyses"):
            theirs = [each for each in orphans if each.file.key.startswith(f"{folder}/") and not each.of_song]
            for song in {each.file.key.split("/")[1] for each in theirs}:
                size = sum(each.file.size for each in theirs if each.file.key.split("/")[1] == song)
                freed += await Deleter(self._sessions, self._storage).delete_song_files(
                    song, "leftover", size=size if folder == "audio" else 0
                )
        for asset in {each.file.key.split("/")[1] for each in orphans if each.file.key.startswith("assets/")}:
            freed += await Deleter(self._sessions, self._storage).delete_asset_files(asset, "leftover")
        for reason in ("leftover", "expired"):
            files = [
                each.file
                for each in orphans
                if each.reason == reason and each.file.key.startswith(("scenes/", "uploads/"))
            ]
            await asyncio.to_thread(self._storage.delete, [each.key for each in files])
            size = sum(each.size for each in files)
            metrics.count_freed(reason, size)
            freed += size
        return freed


def _by_song(orphans: Sequence[Orphan]) -> dict[tuple[str, str], list[StoredFile]]:
    found: dict[tuple[str, str], list[StoredFile]] = {}
    for each in orphans:
        found.setdefault((each.file.key.split("/")[1], each.reason), []).append(each.file)
    return found


async def _scene_orphans(session: AsyncSession, files: Sequence[StoredFile]) -> list[Orphan]:
    scenes = {each.key.split("/")[1] for each in files}
    in_use = select(JobRow.scene_key).where(JobRow.scene_key.in_(scenes), JobRow.status.in_(OPEN))
    busy = set(await session.scalars(in_use))
    attempts = {each.key: found for each in files if (found := _ATTEMPT.fullmatch(each.key))}
    # Running attempts first, then artefacts: an attempt that finishes in between is seen twice rather than never.
    wanted = [(found["task"], int(found["attempt"])) for found in attempts.values()]
    at_it = select(TaskRow.id, TaskRow.attempt).where(tuple_(TaskRow.id, TaskRow.attempt).in_(wanted))
    running = {tuple(row) for row in await session.execute(at_it.where(TaskRow.status == "running"))}
    keys = {f"{found['stem']}{found['suffix']}" for found in attempts.values()}
    count = set(await session.scalars(select(ArtefactRow.object).where(ArtefactRow.key.in_(keys))))
    orphans = []
    for each in files:
        attempt, parts = attempts.get(each.key), each.key.split("/")
        if parts[1] in busy or each.key in count:
            continue
        if attempt is None or (attempt["task"], int(attempt["attempt"])) not in running:
            orphans.append(Orphan(each, "expired" if parts[2] == "plans" else "leftover"))
    return orphans


async def _song_orphans(session: AsyncSession, files: Sequence[StoredFile]) -> list[Orphan]:
    songs = {each.key.split("/")[1] for each in files}
    known = set(await session.scalars(select(AudioRow.sha256).where(AudioRow.sha256.in_(songs))))
    return [Orphan(each, "leftover") for each in files if each.key.split("/")[1] not in known]


async def _asset_orphans(session: AsyncSession, files: Sequence[StoredFile]) -> list[Orphan]:
    assets = {each.key.split("/")[1] for each in files}
    rows = await session.execute(select(AssetRow.sha256, AssetRow.digest).where(AssetRow.sha256.in_(assets)))
    known = {asset_key(*row) for row in rows}
    return [Orphan(each, "leftover") for each in files if each.key not in known]


async def _upload_orphans(session: AsyncSession, files: Sequence[StoredFile]) -> list[Orphan]:
    keys = [each.key for each in files]
    known = set(await session.scalars(select(ResumablePartRow.object).where(ResumablePartRow.object.in_(keys))))
    return [Orphan(each, "leftover") for each in files if each.key not in known]


_FINDERS = {
    "uploads": _upload_orphans,
    "scenes": _scene_orphans,
    "audio": _song_orphans,
    "analyses": _song_orphans,
    "assets": _asset_orphans,
}


def _batches(files: Sequence[StoredFile]) -> Iterator[Sequence[StoredFile]]:
    return (files[first : first + _BATCH_SIZE] for first in range(0, len(files), _BATCH_SIZE))
