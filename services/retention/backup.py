"""Backup and restore of the SQLite database and of the files in storage that it refers to, while the service runs.

A backup is a folder with the layout of a data folder. Files in storage never change, so backing up again into the same
folder copies only new ones. The database is copied first, as of one moment; rows whose files were deleted meanwhile are
removed from the copy. Plans and snapshots are not copied: in a restored service unfinished jobs are replanned and keep
their finished segments.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete, select, update

from ecs_core.errors import MotesError
from services.database.clock import time_in
from services.database.engine import Sessions, open_database
from services.database.migrations import head_revision, revision_at
from services.database.models import OPEN, ArtefactRow, AssetRow, AudioRow, JobRow, SystemRow, renders_itself
from services.jobs.lifecycle import Jobs
from services.jobs.transitions import follow_parts
from services.storage.object_keys import asset_key, audio_key, poster_key, result_key
from services.storage.object_store import Storage

DATABASE, STORAGE, SECRET = "motes.db", "storage", "webhook-secret"


@dataclass(frozen=True)
class BackupResult:
    """Files in the backup, their size in bytes, and how many had to be copied."""

    files: int
    size: int
    copied: int


@dataclass(frozen=True)
class RepairResult:
    """Rows deleted because their files are missing, and jobs replanned."""

    songs: int
    assets: int
    artefacts: int
    videos: int
    jobs: int


def back_up(data: Path, storage: Storage, folder: Path) -> BackupResult:
    """Back up the data folder's database and the files it refers to into a folder: a new one, or an earlier backup.

    Raises:
        MotesError: there is no database, its schema revision is not this version's, or the folder cannot be used.
    """
    source, part = data / DATABASE, folder / f".{DATABASE}.part"
    if not source.is_file():
        raise MotesError(f"there is no database {source}: say where it is with --data or MOTES_DATA")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / DATABASE).is_file() and any(path.name not in _OWN_FILES for path in folder.iterdir()):
        raise MotesError(f"{folder} is neither empty nor a backup: give another folder")
    with _locked(folder):
        _remove(part)
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(part)) as there:
            here.backup(there)
        url = f"sqlite+aiosqlite:///{part}"
        if (structure := asyncio.run(revision_at(url))) != head_revision():
            _remove(part)
            raise MotesError(
                f"{source} has schema revision {structure}, this Motes needs {head_revision()}: run motes db upgrade"
            )
        copied = sum(_export(storage, key, folder / STORAGE / key, size) for key, size in _referenced_files(part))
        asyncio.run(repair(url, lambda key: (folder / STORAGE / key).is_file()))
        with closing(sqlite3.connect(part)) as there:
            there.execute("PRAGMA journal_mode=DELETE")  # a single file, readable on read-only media
        files = dict(_referenced_files(part))
        _fsync(part)
        os.replace(part, folder / DATABASE)
        if (data / SECRET).is_file():
            _copy_atomically(data / SECRET, folder / SECRET)
        for path in sorted((folder / STORAGE).rglob("*"), reverse=True):
            if path.is_dir():
                with suppress(OSError):  # not empty
                    path.rmdir()
            elif path.relative_to(folder / STORAGE).as_posix() not in files:
                path.unlink()
        _fsync(folder)
    return BackupResult(len(files), sum(files.values()), copied)


def restore(folder: Path, data: Path, storage: Storage) -> BackupResult:
    """Create a data folder and fill a storage from a backup. The database is copied last.

    Raises:
        MotesError: there is no backup, it is damaged, or the data folder already has a database.
    """
    source = folder / DATABASE
    if not source.is_file():
        raise MotesError(f"{folder} is not a backup: it has no {DATABASE}")
    if (data / DATABASE).exists():
        raise MotesError(f"{data} already has a database: give a new or empty folder with --data")
    files = dict(_referenced_files(source))
    for key, size in files.items():
        path = folder / STORAGE / key
        if not path.is_file() or path.stat().st_size != size:
            raise MotesError(f"the backup is damaged: {path} is missing or not {size} bytes long")
    data.mkdir(parents=True, exist_ok=True)
    copied = 0
    with _locked(data):
        for key in files:
            if not storage.exists(key):
                part = storage.scratch / f"restored-{os.getpid()}"
                _copy_atomically(folder / STORAGE / key, part)
                storage.put(key, part)
                copied += 1
        if (folder / SECRET).is_file() and not (data / SECRET).exists():
            _copy_atomically(folder / SECRET, data / SECRET)
        _copy_atomically(source, data / DATABASE)
    return BackupResult(len(files), sum(files.values()), copied)


async def repair(url: str, exists: Callable[[str], bool]) -> RepairResult:
    """Make an unused database consistent with its storage; ``exists`` says whether there is a file under a key.

    Deletes the rows of songs, assets and artefacts whose files are missing, marks videos without a file as expired, and
    replans unfinished jobs.
    """
    engine, sessions = open_database(url)
    try:
        songs, assets, artefacts = await _missing(sessions, exists)
        async with sessions.begin() as session:
            for some in _batched(artefacts):
                await session.execute(delete(ArtefactRow).where(ArtefactRow.key.in_(some)))
            for some in _batched(songs):
                await session.execute(delete(AudioRow).where(AudioRow.sha256.in_(some)))
                await session.execute(update(SystemRow).where(SystemRow.audio.in_(some)).values(audio=None))
            for some in _batched(assets):
                await session.execute(delete(AssetRow).where(AssetRow.sha256.in_(some)))
            kept = set(await session.scalars(select(ArtefactRow.key)))
            over = select(JobRow).where(JobRow.status == "completed", JobRow.expired_at.is_(None))
            videos = [job for job in await session.scalars(over) if result_key(job.scene_key, job.kind) not in kept]
            at = await time_in(session)
            for job in videos:
                job.expired_at = at
            for part_of in {job.whole_id for job in videos if job.whole_id is not None}:
                await follow_parts(session, part_of)
            posters = [poster_key(job.scene_key) for job in videos]
            for some in _batched(posters):
                await session.execute(delete(ArtefactRow).where(ArtefactRow.key.in_(some)))
        jobs = Jobs(sessions)
        async with sessions() as session:
            still_open = select(JobRow).where(JobRow.status.in_(OPEN), renders_itself())
            unfinished = list(await session.scalars(still_open.order_by(JobRow.virtual_time, JobRow.id)))
            there = set(await session.scalars(select(AudioRow.sha256)))
            whole = {row.sha256: row.digest for row in await session.scalars(select(AssetRow))}
        for job in unfinished:
            if job.scene["audio"] not in {None, *there}:
                await jobs.fail(job.id, "its song is gone")
            elif not job.scene.get("assets", {}).items() <= whole.items():
                await jobs.fail(job.id, "an asset of it is gone")
            else:
                await jobs.replan(job, job.scene, job.scene_key)
        return RepairResult(len(songs), len(assets), len(artefacts), len(videos), len(unfinished))
    finally:
        await engine.dispose()


def _batched(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Batches small enough for one statement."""
    return (keys[start : start + 1000] for start in range(0, len(keys), 1000))


async def _missing(sessions: Sessions, exists: Callable[[str], bool]) -> tuple[list[str], list[str], list[str]]:
    """Songs, assets and artefacts, by their keys, whose files are missing."""
    async with sessions() as session:
        songs = await session.scalars(select(AudioRow.sha256))
        assets = await session.scalars(select(AssetRow))
        artefacts = await session.scalars(select(ArtefactRow))
        return (
            [song for song in songs if not exists(audio_key(song))],
            [each.sha256 for each in assets if not exists(asset_key(each.sha256, each.digest))],
            [each.key for each in artefacts if not exists(each.object)],
        )


_OWN_FILES = (STORAGE, f".{DATABASE}.part", f".{DATABASE}.part-journal")  # of an interrupted backup


def _referenced_files(database: Path) -> Iterator[tuple[str, int]]:
    """Storage keys and sizes that a database refers to, in SQL that works with every schema revision."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for sha256, size in connection.execute("SELECT sha256, size FROM audio"):
            yield audio_key(sha256), size
        yield from connection.execute("SELECT object, size FROM artefacts")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'assets'").fetchone():  # since revision 0009
            for sha256, digest, size in connection.execute("SELECT sha256, digest, size FROM assets"):
                yield asset_key(sha256, digest), size


def _export(storage: Storage, key: str, target: Path, size: int) -> bool:
    """Copy a file out of storage unless the target exists or the file was deleted; returns whether it was copied."""
    if target.is_file() and target.stat().st_size == size:
        return False
    with suppress(FileNotFoundError), storage.file(key) as path:
        _copy_atomically(path, target)
        return True
    return False


def _copy_atomically(path: Path, target: Path) -> None:
    """Copy a file with mode 0600; the target appears only when it is complete."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    with path.open("rb") as source, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    os.replace(part, target)


def _fsync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(part: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        part.with_name(part.name + suffix).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder; fails if another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise MotesError(f"another process is using {folder}") from None
    finally:
        os.close(descriptor)
