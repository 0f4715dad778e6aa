"""Deletion of results, segments, songs and assets: first the rows, in a transaction, then the files.

A process that dies in between leaves files without rows (``services.retention.orphans``), never rows without files.
Every transaction locks its scene, song or asset (``services.database.engine.advisory_lock``), as do those that start to
use one, and checks again whether it may be deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.clock import db_now
from services.database.engine import Sessions, advisory_lock
from services.database.models import (
    OPEN,
    VIDEOS,
    ArtefactRow,
    AssetClaimRow,
    AssetRow,
    AudioRow,
    CorrectionRow,
    JobAssetRow,
    JobRow,
    SystemAssetRow,
    SystemRow,
    UploadRow,
    is_open,
)
from services.jobs.artefacts import Artefact, FilesToDelete
from services.jobs.lifecycle import Jobs
from services.jobs.transitions import delete_jobs, follow_parts
from services.observability import metrics
from services.retention.analyses import analyses_in_use
from services.storage.deletion_marks import deleting
from services.storage.object_keys import (
    analyses_folder,
    asset_key,
    asset_lock,
    assets_folder,
    audio_key,
    kinds_of_result,
    poster_key,
    song_lock,
)
from services.storage.object_store import Storage, StoredFile
from services.storage.song_analyses import count_analyses

WHENEVER = datetime(9999, 1, 1, tzinfo=UTC)  # everything was last used before that


class Deleter:
    """Deletes results, segments, songs and assets. Every method returns the bytes of storage freed."""

    def __init__(self, sessions: Sessions, storage: Storage) -> None:
        self._sessions, self._storage = sessions, storage

    async def delete_job(self, jobs: Jobs, job: str) -> int:
        """Delete a job that is over, and files that only it used."""
        gone = await jobs.delete(job)
        return 0 if gone is None else await self.delete_files(gone)

    async def delete_files(self, gone: FilesToDelete) -> int:
        """Delete the files of deleted rows."""
        return await self._files(gone.artefacts, "deleted", folders=gone.folders)

    async def delete_result(
        self, scene_key: str, artefact: str, *, unused_since: datetime, reason: str, owner: str | None = None
    ) -> int:
        """Expire a scene's result if it was not used since ``unused_since``; with ``owner``, for this owner only.

        Videos stay listed as expired; previews, frames and analyses are deleted. The file stays while another owner has
        it. A poster goes with its video.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, scene_key)
            if await _is_open(session, scene_key):
                return 0
            row = await session.get(ArtefactRow, artefact)
            of_scene = [JobRow.scene_key == scene_key, JobRow.status == "completed", JobRow.expired_at.is_(None)]
            of_scene.append(JobRow.kind.in_(kinds_of_result(artefact)))  # an analysis may have a scene with a video
            mine = [*of_scene, *([] if owner is None else [JobRow.owner == owner])]
            shared = owner is not None and await session.scalar(
                select(exists().where(*of_scene, JobRow.owner != owner))
            )
            if row is None or (row.used_at >= unused_since and not shared):
                return 0
            looks = list(await session.scalars(select(JobRow.id).where(*mine, JobRow.kind.not_in(VIDEOS))))
            whole = select(JobRow.whole_id).where(*mine, JobRow.whole_id.is_not(None)).distinct()
            wholes = list(await session.scalars(whole))
            await session.execute(update(JobRow).where(*mine, JobRow.kind.in_(VIDEOS)).values(expired_at=db_now()))
            for part_of in wholes:
                await follow_parts(session, str(part_of))
            await delete_jobs(session, looks)
            if shared:
                return 0
            poster = await session.get(ArtefactRow, poster_key(scene_key))
            rows = [row] if poster is None else [row, poster]
            gone = [Artefact(each.key, each.object, each.size) for each in rows]
            for each in rows:
                await session.delete(each)
        return await self._files(gone, reason)

    async def delete_segments(
        self, scene_key: str, artefacts: Sequence[str], *, unused_since: datetime, reason: str
    ) -> int:
        """Delete segments that were not used since then, unless the scene is being rendered."""
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
        """Remove a song from ``owners`` (None: all) who did not use it since then and have no open job with it.

        The song itself is deleted with its last owner.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, song_lock(sha256))
            needing = await _owners_with_open_jobs(session, sha256)
            theirs = [UploadRow.sha256 == sha256, UploadRow.owner.not_in(needing)]
            theirs += [] if owners is None else [UploadRow.owner.in_(owners)]
            await session.execute(delete(UploadRow).where(*theirs, UploadRow.used_at < unused_since))
            left = select(UploadRow.owner).where(UploadRow.sha256 == sha256)
            gone = (CorrectionRow.sha256 == sha256, CorrectionRow.owner.not_in(left))
            await session.execute(delete(CorrectionRow).where(*gone).execution_options(synchronize_session=False))
            if needing or await session.scalar(select(exists().where(UploadRow.sha256 == sha256))):
                return 0
            row = await session.get(AudioRow, sha256)
            if row is None or row.created_at >= unused_since:
                return 0
            size = row.size
            await session.delete(row)
        return await self.delete_song_files(sha256, reason, size=size)

    async def delete_song_files(self, sha256: str, reason: str, *, size: int = 0) -> int:
        """Delete a song's file (``size`` bytes) and analyses unless the song exists (again); returns the bytes freed.

        A new upload of the same song has the same keys, so it waits for this and then checks its file.
        """
        async with deleting(self._sessions, song_lock(sha256)) as alone:
            async with self._sessions.begin() as session:
                await advisory_lock(session, song_lock(sha256))
                if not alone or await session.get(AudioRow, sha256) is not None:
                    return 0
            freed = await asyncio.to_thread(self._delete_song, sha256)
        metrics.count_freed(reason, size + freed)
        return size + freed

    def _delete_song(self, sha256: str) -> int:
        self._storage.delete([audio_key(sha256)])
        return self._storage.delete_folder(analyses_folder(sha256))

    async def delete_analyses(self, sha256: str, files: Sequence[StoredFile], reason: str) -> int:
        """Delete analyses and corrections of a song that nothing needs any more; returns the bytes freed."""
        async with deleting(self._sessions, song_lock(sha256)) as alone:
            async with self._sessions.begin() as session:
                await advisory_lock(session, song_lock(sha256))
                if not alone:
                    return 0
                needed = (await analyses_in_use(session, [sha256]))[sha256]
            gone = [each for each in files if not needed.holds(each.key)]
            await asyncio.to_thread(self._storage.delete, [each.key for each in gone])
            await count_analyses(self._sessions, self._storage, sha256)
        freed = sum(each.size for each in gone)
        metrics.count_freed(reason, freed)
        return freed

    async def delete_asset(
        self, sha256: str, owners: Sequence[str] | None, *, unused_since: datetime, reason: str
    ) -> int:
        """Remove an asset from ``owners`` (None: all) who did not use it since then, and whose systems and open jobs
        do not use it.

        The asset itself is deleted with its last owner, unless a system or an open job of somebody else uses it.
        """
        async with self._sessions.begin() as session:
            await advisory_lock(session, asset_lock(sha256))
            users = await asset_users(session, sha256)
            theirs = [AssetClaimRow.sha256 == sha256, AssetClaimRow.owner.not_in(users)]
            theirs += [] if owners is None else [AssetClaimRow.owner.in_(owners)]
            await session.execute(delete(AssetClaimRow).where(*theirs, AssetClaimRow.used_at < unused_since))
            if users or await session.scalar(select(exists().where(AssetClaimRow.sha256 == sha256))):
                return 0
            row = await session.get(AssetRow, sha256)
            if row is None or row.created_at >= unused_since:
                return 0
            await session.delete(row)
        return await self.delete_asset_files(sha256, reason)

    async def delete_asset_files(self, sha256: str, reason: str) -> int:
        """Delete what is stored of an asset, except what its row, if there is one, refers to; returns the bytes freed.

        A new upload of the same file may have the same key, so it waits for this and then checks its file.
        """
        async with deleting(self._sessions, asset_lock(sha256)) as alone:
            async with self._sessions.begin() as session:
                await advisory_lock(session, asset_lock(sha256))
                row = await session.get(AssetRow, sha256)
            if not alone:
                return 0
            kept = None if row is None else asset_key(sha256, row.digest)
            freed = await asyncio.to_thread(self._delete_asset, sha256, kept)
        metrics.count_freed(reason, freed)
        return freed

    def _delete_asset(self, sha256: str, kept: str | None) -> int:
        found = [each for batch in self._storage.list(assets_folder(sha256)) for each in batch if each.key != kept]
        self._storage.delete(each.key for each in found)
        return sum(each.size for each in found)

    async def _files(self, artefacts: Sequence[Artefact], reason: str, *, folders: Sequence[str] = ()) -> int:
        def work() -> int:
            self._storage.delete(each.object for each in artefacts)
            return sum(self._storage.delete_folder(folder) for folder in folders)

        freed = sum(each.size for each in artefacts) + await asyncio.to_thread(work)
        metrics.count_freed(reason, freed)
        return freed


async def count_jobs_using(session: AsyncSession, sha256: str, owners: Sequence[str]) -> int:
    """Number of open jobs of these owners that need a song."""
    needing = await _owners_with_open_jobs(session, sha256)
    return sum(needing.count(owner) for owner in owners)


async def _owners_with_open_jobs(session: AsyncSession, sha256: str) -> list[str]:
    """Owners of the open jobs that need a song, one per job."""
    open_jobs = select(JobRow.owner).where(is_open(), JobRow.audio == sha256)
    return list(await session.scalars(open_jobs.where(JobRow.whole_id.is_(None))))


async def asset_users(session: AsyncSession, sha256: str) -> list[str]:
    """Owners of the systems and of the open jobs that use an asset, one for each of them."""
    using = select(SystemRow.owner).join(SystemAssetRow, SystemAssetRow.system_id == SystemRow.id)
    systems = await session.scalars(using.where(SystemAssetRow.sha256 == sha256))
    jobs = select(JobRow.owner).join(JobAssetRow, JobAssetRow.job_id == JobRow.id)
    jobs = jobs.where(JobAssetRow.sha256 == sha256, JobRow.whole_id.is_(None))
    return [*systems, *await session.scalars(jobs)]


async def _is_open(session: AsyncSession, scene_key: str) -> bool:
    """Whether a scene has an open job."""
    return bool(await session.scalar(select(exists().where(JobRow.scene_key == scene_key, JobRow.status.in_(OPEN)))))
