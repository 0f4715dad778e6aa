"""Backups: a copy of the SQLite database and of every file in storage that it names, made while work goes on.

A backup is a folder with the layout of a data folder. Files in storage never change, so what an earlier backup into the
same folder copied stays. The database is copied first, as it was at one moment; what was deleted since is forgotten in
the copy. Plans and snapshots are not copied: in the copy unfinished jobs are planned anew, and keep their finished
segments.
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
from services.database.engine import Sessions, open_database
from services.database.migrations import head_revision, revision_at
from services.database.models import OPEN, ArtefactRow, AudioRow, JobRow, SystemRow, now
from services.jobs.lifecycle import Jobs
from services.storage.object_keys import audio_key, result_key
from services.storage.object_store import Storage

DATABASE, STORAGE, SECRET = "motes.db", "storage", "webhook-secret"


@dataclass(frozen=True)
class BackupResult:
    """How many files a backup has, their size in bytes, and how many of them had to be copied."""

    files: int
    size: int
    copied: int


@dataclass(frozen=True)
class RepairResult:
    """How many were forgotten, as their files are gone, and how many jobs were planned anew."""

    songs: int
    artefacts: int
    videos: int
    jobs: int


def back_up(data: Path, storage: Storage, folder: Path) -> BackupResult:
    """Back up the database in the data folder, and what it names in storage, into a folder: a new one, or a backup.

    Raises:
        MotesError: there is no database, it has another structure than this Motes needs, or the folder cannot be used.
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
                f"{source} has structure {structure}, this Motes needs {head_revision()}: run motes db upgrade"
            )
        copied = sum(_export(storage, key, folder / STORAGE / key, size) for key, size in _referenced_files(part))
        asyncio.run(repair(url, lambda key: (folder / STORAGE / key).is_file()))
        with closing(sqlite3.connect(part)) as there:
            there.execute("PRAGMA journal_mode=DELETE")  # one file, that can also be read where nothing can be written
        files = dict(_referenced_files(part))
        _fsync(part)
        os.replace(part, folder / DATABASE)
        if (data / SECRET).is_file():
            _copy_atomically(data / SECRET, folder / SECRET)
        for path in sorted((folder / STORAGE).rglob("*"), reverse=True):
            if path.is_dir():
                with suppress(OSError):  # it is not empty
                    path.rmdir()
            elif path.relative_to(folder / STORAGE).as_posix() not in files:
                path.unlink()
        _fsync(folder)
    return BackupResult(len(files), sum(files.values()), copied)


def restore(folder: Path, data: Path, storage: Storage) -> BackupResult:
    """Make a data folder and fill a storage from a backup. The database comes last: until then there is no service.

    Raises:
        MotesError: it is no backup, it is damaged, or the data folder has a database.
    """
    source = folder / DATABASE
    if not source.is_file():
        raise MotesError(f"{folder} is no backup: it has no {DATABASE}")
    if (data / DATABASE).exists():
        raise MotesError(f"{data} has a database: give a folder that is new or empty with --data")
    files = dict(_referenced_files(source))
    for key, size in files.items():
        path = folder / STORAGE / key
        if not path.is_file() or path.stat().st_size != size:
            raise MotesError(f"the backup is damaged: {path} is missing or has another size than {size} bytes")
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
    """Let a database that nobody works on fit its storage, in which a file ``exists`` or does not, by its key.

    What has no file is forgotten: songs, artefacts, and the videos of completed jobs, which have expired. Unfinished
    jobs are planned anew.
    """
    engine, sessions = open_database(url)
    try:
        songs, artefacts = await _missing(sessions, exists)
        async with sessions.begin() as session:
            for some in _batched(artefacts):
                await session.execute(delete(ArtefactRow).where(ArtefactRow.key.in_(some)))
            for some in _batched(songs):
                await session.execute(delete(AudioRow).where(AudioRow.sha256.in_(some)))
                await session.execute(update(SystemRow).where(SystemRow.audio.in_(some)).values(audio=None))
            kept = set(await session.scalars(select(ArtefactRow.key)))
            over = select(JobRow).where(JobRow.status == "completed", JobRow.expired_at.is_(None))
            videos = [job for job in await session.scalars(over) if result_key(job.scene_key, job.kind) not in kept]
            for job in videos:
                job.expired_at = now()
        jobs = Jobs(sessions)
        async with sessions() as session:
            unfinished = list(await session.scalars(select(JobRow).where(JobRow.status.in_(OPEN))))
            there = set(await session.scalars(select(AudioRow.sha256)))
        for job in unfinished:
            if job.scene["audio"] in {None, *there}:
                await jobs.replan(job, job.scene, job.scene_key)
            else:
                await jobs.fail(job.id, "its song is gone")
        return RepairResult(len(songs), len(artefacts), len(videos), len(unfinished))
    finally:
        await engine.dispose()


def _batched(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at a time as any database takes."""
    return (keys[start : start + 1000] for start in range(0, len(keys), 1000))


async def _missing(sessions: Sessions, exists: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Songs and artefacts, by their keys, whose file is not there."""
    async with sessions() as session:
        songs = await session.scalars(select(AudioRow.sha256))
        artefacts = await session.scalars(select(ArtefactRow))
        return (
            [song for song in songs if not exists(audio_key(song))],
            [each.key for each in artefacts if not exists(each.object)],
        )


_OWN_FILES = (STORAGE, f".{DATABASE}.part", f".{DATABASE}.part-journal")  # of a backup that did not come to its end


def _referenced_files(database: Path) -> Iterator[tuple[str, int]]:
    """What a database names in storage: keys and sizes. In words that any structure of it understands."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for sha256, size in connection.execute("SELECT sha256, size FROM audio"):
            yield audio_key(sha256), size
        yield from connection.execute("SELECT object, size FROM artefacts")


def _export(storage: Storage, key: str, target: Path, size: int) -> bool:
    """Copy a file out of storage, unless it is there or has been deleted meanwhile; whether it was copied."""
    if target.is_file() and target.stat().st_size == size:
        return False
    with suppress(FileNotFoundError), storage.file(key) as path:
        _copy_atomically(path, target)
        return True
    return False


def _copy_atomically(path: Path, target: Path) -> None:
    """A copy that is there whole or not at all, whatever happens; for nobody else to read."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    with path.open("rb") as source, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    os.replace(part, target)


def _fsync(path: Path) -> None:
    """What was written is on the disk."""
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
    """For one process at a time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise MotesError(f"another process is at work in {folder}") from None
    finally:
        os.close(descriptor)
