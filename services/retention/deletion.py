"""Removal: what was finished goes, for whatever reason. First its rows, in a transaction; then its files.

So whoever dies in between leaves files that no row knows (``services.retention.orphans``), never a row without its
file. Every transaction is alone with the scene or the song (``services.database.engine.advisory_lock``), as are those
that begin to use one, and looks once more whether it may: what was in use or used again meanwhile stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.engine import Sessions, advisory_lock
from services.database.models import OPEN, ArtefactRow, AudioRow, JobRow, UploadRow, now
from services.jobs.artefacts import Artefact, FilesToDelete
from services.jobs.lifecycle import Jobs
from services.jobs.transitions import delete_jobs
from services.observability import metrics
from services.storage.object_keys import analyses_folder, audio_key, song_lock
from services.storage.object_store import Storage


class Deleter:
    """Removes results, segments and songs. Every method returns how many bytes of storage that freed."""

    def __init__(self, sessions: Sessions, storage: Storage) -> None:
        self._sessions, self._storage = sessions, storage

    async def delete_job(self, jobs: Jobs, job: str) -> int:
        """Forget a job that is over, and what only it had."""
        gone = await jobs.delete(job)
        return 0 if gone is None else await self.delete_files(gone)

    async def delete_files(self, gone: FilesToDelete) -> int:
        """Delete the files of what was forgotten."""
        return await self._files(gone.artefacts, "deleted", folders=gone.folders)

    async def delete_result(
        self, scene_key: str, artefact: str, *, unused_since: datetime, reason: str, owner: str | None = None
    ) -> int:
        """Let a scene's result expire if it was not used since then; for its ``owner`` alone, if there is one.

        Renders stay known as expired, frames and previews are forgotten. While another owner has the result, it stays.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, scene_key)
            if await _is_open(session, scene_key):
                return 0
            row = await session.get(ArtefactRow, artefact)
            of_scene = [JobRow.scene_key == scene_key, JobRow.status == "completed", JobRow.expired_at.is_(None)]
            mine = [*of_scene, *([] if owner is None else [JobRow.owner == owner])]
            shared = owner is not None and await session.scalar(
                select(exists().where(*of_scene, JobRow.owner != owner))
            )
            if row is None or (row.used_at >= unused_since and not shared):
                return 0
            looks = list(await session.scalars(select(JobRow.id).where(*mine, JobRow.kind != "video")))
            await session.execute(update(JobRow).where(*mine, JobRow.kind == "video").values(expired_at=now()))
            await delete_jobs(session, looks)
            if shared:
                return 0
            gone = Artefact(row.key, row.object, row.size)
            await session.delete(row)
        return await self._files([gone], reason)

    async def delete_segments(
        self, scene_key: str, artefacts: Sequence[str], *, unused_since: datetime, reason: str
    ) -> int:
        """Remove segments of a scene that nobody is rendering and that were not used since then."""
        async with self._sessions.begin() as session:
            await advisory_lock(session, scene_key)
            if await _is_open(session, scene_key):
                return 0
            gone = delete(ArtefactRow).where(ArtefactRow.key.in_(artefacts), ArtefactRow.used_at < unused_since)
            rows = await session.execute(gone.returning(ArtefactRow.key, ArtefactRow.object, ArtefactRow.size))
            found = [Artefact(*row) for row in rows]
        return await self._files(found, reason)

    async def delete_song(
        self, sha256: str, owners: Sequence[str] | None, *, unused_since: datetime, reason: str
    ) -> int:
        """Take a song from owners, or all (None), who did not use it since then and whose open jobs do not need it.

        The song itself goes with its last owner, when no open job needs it.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, song_lock(sha256))
            needing = await _owners_with_open_jobs(session, sha256)
            theirs = [UploadRow.sha256 == sha256, UploadRow.owner.not_in(needing)]
            theirs += [] if owners is None else [UploadRow.owner.in_(owners)]
            await session.execute(delete(UploadRow).where(*theirs, UploadRow.used_at < unused_since))
            if needing or await session.scalar(select(exists().where(UploadRow.sha256 == sha256))):
                return 0
            row = await session.get(AudioRow, sha256)
            if row is None or row.created_at >= unused_since:
                return 0
            size = row.size
            await session.delete(row)
        return await self.delete_song_files(sha256, reason, size=size)

    async def delete_song_files(self, sha256: str, reason: str, *, size: int = 0) -> int:
        """Delete the files of a song, ``size`` bytes and what was heard in it, unless there is such a song (again).

        Their names are those of a later upload of the same song, so it waits for us, and looks whether they are there.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, song_lock(sha256))
            if await session.get(AudioRow, sha256) is not None:
                return 0
            freed = await asyncio.to_thread(self._delete_song, sha256)
        metrics.count_freed(reason, size + freed)
        return size + freed

    def _delete_song(self, sha256: str) -> int:
        self._storage.delete([audio_key(sha256)])
        return self._storage.delete_folder(analyses_folder(sha256))

    async def _files(self, artefacts: Sequence[Artefact], reason: str, *, folders: Sequence[str] = ()) -> int:
        def work() -> int:
            self._storage.delete(each.object for each in artefacts)
            return sum(self._storage.delete_folder(folder) for folder in folders)

        freed = sum(each.size for each in artefacts) + await asyncio.to_thread(work)
        metrics.count_freed(reason, freed)
        return freed


async def count_jobs_using(session: AsyncSession, sha256: str, owners: Sequence[str]) -> int:
    """How many jobs of these owners that are not over need a song."""
    needing = await _owners_with_open_jobs(session, sha256)
    return sum(needing.count(owner) for owner in owners)


async def _owners_with_open_jobs(session: AsyncSession, sha256: str) -> list[str]:
    """Whose jobs that are not over need a song, an owner for each of them."""
    open_jobs = select(JobRow.owner).where(JobRow.status.in_(OPEN), JobRow.scene["audio"].as_string() == sha256)
    return list(await session.scalars(open_jobs))


async def _is_open(session: AsyncSession, scene_key: str) -> bool:
    """Whether a scene is being rendered."""
    return bool(await session.scalar(select(exists().where(JobRow.scene_key == scene_key, JobRow.status.in_(OPEN)))))
