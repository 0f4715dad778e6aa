"""The files that a database names, and whether storage has them as they were stored."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.models import OPEN, ArtefactRow, AssetRow, AudioRow, CorrectionRow, JobRow
from services.storage.object_keys import asset_key, audio_key, correction_key, is_analysis
from services.storage.object_store import LostFileError, Storage

_AT_ONCE = 1000  # files checked in a thread before it is seen whether somebody wants to stop


@dataclass(frozen=True)
class NamedFile:
    """A file: its key, its size in bytes and its sha256 if they are known. One that is not ``required`` may be gone."""

    key: str
    size: int | None
    digest: str | None
    required: bool = True


@dataclass(frozen=True)
class Named:
    """What a database names, by the keys of its rows: files of songs, assets, artefacts, current corrections by owner
    and song, and the corrections that open jobs need.
    """

    songs: dict[str, NamedFile]
    assets: dict[str, NamedFile]
    artefacts: dict[str, NamedFile]
    corrections: dict[tuple[str, str], NamedFile]
    needed: dict[str, NamedFile]  # by job

    def files(self) -> set[NamedFile]:
        """All of them."""
        groups = (self.songs, self.assets, self.artefacts, self.corrections, self.needed)
        return {file for group in groups for file in group.values()}


async def named_files(session: AsyncSession) -> Named:
    """What the database names."""
    songs = {
        row.sha256: NamedFile(audio_key(row.sha256), row.size, row.sha256) for row in await _all(session, AudioRow)
    }
    assets = {
        row.sha256: NamedFile(asset_key(row.sha256, row.digest), row.size, row.file_digest)
        for row in await _all(session, AssetRow)
    }
    artefacts = {row.key: NamedFile(row.object, row.size, row.digest) for row in await _all(session, ArtefactRow)}
    corrections = {
        (row.owner, row.sha256): NamedFile(correction_key(row.sha256, row.digest), None, row.digest)
        for row in await _all(session, CorrectionRow)
        if row.digest is not None
    }
    corrected = JobRow.scene["analysis"].as_string()
    found = select(JobRow.id, JobRow.scene["audio"].as_string(), corrected)
    needed = {
        job: NamedFile(correction_key(audio, digest), None, digest)
        for job, audio, digest in await session.execute(found.where(JobRow.status.in_(OPEN), corrected.is_not(None)))
    }
    return Named(songs, assets, artefacts, corrections, needed)


async def _all(session: AsyncSession, table: type) -> Sequence:  # type: ignore[type-arg] # of rows of the table
    return (await session.scalars(select(table))).all()


def is_sound(storage: Storage, file: NamedFile, *, deep: bool) -> bool:
    """Whether a file is there with its size; if ``deep``, it is read, and its digest has to be right. Blocking."""
    if not deep:
        size = storage.size(file.key)
        return size is not None and file.size in (None, size)
    try:
        with storage.file(file.key, size=file.size, digest=file.digest):
            return True
    except LostFileError:
        return False


async def damaged(storage: Storage, files: Iterable[NamedFile], *, deep: bool) -> set[NamedFile]:
    """Those of the files that are not sound."""
    left, found = sorted(files, key=lambda each: each.key), set[NamedFile]()
    for first in range(0, len(left), _AT_ONCE):
        some = left[first : first + _AT_ONCE]
        found |= await asyncio.to_thread(
            lambda some: {each for each in some if not is_sound(storage, each, deep=deep)}, some
        )
    return found


def damaged_analyses(storage: Storage) -> Iterator[str]:
    """The keys of stored analyses of songs that cannot be read. Blocking."""
    for batch in storage.list("analyses"):
        for each in batch:
            if is_analysis(each.key):
                with storage.file(each.key) as path:
                    if not _is_whole(path):
                        yield each.key


def _is_whole(path: Path) -> bool:
    """Whether an archive has what its checksums say."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, EOFError, zipfile.BadZipFile):
        return False
