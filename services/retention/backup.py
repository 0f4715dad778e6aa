"""Backup and restore of the SQLite database and of the files in storage that it refers to, while the service runs.

A backup is a folder with the layout of a data folder. Files in storage never change, so backing up again into the same
folder copies only new ones. The database is copied first, as of one moment; rows whose files were deleted meanwhile are
removed from the copy. Each file is checked while it is copied: one that the database names and storage has not, or not
as it was, makes the backup fail once everything else is in it. Plans and snapshots are not copied: in a restored
service unfinished jobs are replanned and keep their finished segments.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ecs_core.errors import MotesError
from services.database.engine import open_database
from services.database.migrations import head_revision, revision_at
from services.media.corrections import take_over
from services.retention.named_files import NamedFile
from services.retention.repair import repair
from services.storage.object_keys import asset_key, audio_key, correction_key
from services.storage.object_store import LostFileError, Storage, digest_of, flush

DATABASE, STORAGE, SECRET = "motes.db", "storage", "webhook-secret"


@dataclass(frozen=True)
class BackupResult:
    """Files in the backup, their size in bytes, and how many had to be copied."""

    files: int
    size: int
    copied: int


def back_up(data: Path, storage: Storage, folder: Path) -> BackupResult:
    """Back up the data folder's database and the files it refers to into a folder: a new one, or an earlier backup.

    Raises:
        MotesError: there is no database, its schema revision is not this version's, or the folder cannot be used; or
            files of the service are damaged, which the backup lacks. It has everything else.
    """
    source, part = data / DATABASE, folder / f".{DATABASE}.part"
    if not source.is_file():
        raise MotesError(f"there is no database {source}: say where it is with --data or MOTES_DATA")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / DATABASE).is_file() and any(path.name not in _OWN_FILES for path in folder.iterdir()):
        raise MotesError(f"{folder} is neither empty nor a backup: give another folder")
    with _locked(folder):
        _remove(part)
        if (structure := asyncio.run(revision_at(f"sqlite+aiosqlite:///{source}"))) != head_revision():
            raise MotesError(
                f"{source} has schema revision {structure}, this Motes needs {head_revision()}: run motes db upgrade"
            )
        asyncio.run(_take_over_corrections(f"sqlite+aiosqlite:///{source}", storage))
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(part)) as there:
            here.backup(there)
        url, copied, lacking = f"sqlite+aiosqlite:///{part}", 0, list[str]()
        for file in _referenced_files(part):
            try:
                copied += _export(storage, file, folder / STORAGE / file.key)
            except LostFileError:
                lacking.append(file.key)
        lost = _still_required(source, lacking)
        asyncio.run(repair(url, Storage((folder / STORAGE).absolute().as_uri())))
        with closing(sqlite3.connect(part)) as there:
            there.execute("PRAGMA journal_mode=DELETE")  # a single file, readable on read-only media
        files = {file.key for file in _referenced_files(part)}
        flush(part)
        os.replace(part, folder / DATABASE)
        if (data / SECRET).is_file():
            _copy_atomically(data / SECRET, folder / SECRET)
        for path in sorted((folder / STORAGE).rglob("*"), reverse=True):
            if path.is_dir():
                with suppress(OSError):  # not empty
                    path.rmdir()
            elif path.relative_to(folder / STORAGE).as_posix() not in files:
                path.unlink()
        flush(folder)
        sizes = [path.stat().st_size for key in files if (path := folder / STORAGE / key).is_file()]
    if lost:
        others = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise MotesError(
            f"{folder} lacks {lost[0]}{others}: gone, short or changed in storage. Everything else is in it; run motes "
            "db repair --deep, and back up again"
        )
    return BackupResult(len(sizes), sum(sizes), copied)


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
    files = [each for each in _referenced_files(source) if each.required or (folder / STORAGE / each.key).is_file()]
    for file in files:
        path = folder / STORAGE / file.key
        if not path.is_file() or file.size not in (None, path.stat().st_size):
            raise MotesError(f"the backup is damaged: {path} is missing or not {file.size} bytes long")
    data.mkdir(parents=True, exist_ok=True)
    copied = size = 0
    with _locked(data):
        for file in files:
            path = folder / STORAGE / file.key
            size += path.stat().st_size
            if storage.size(file.key) != path.stat().st_size:
                part = storage.scratch / f"restored-{secrets.token_hex(8)}"
                if _copy_atomically(path, part) != (file.digest or digest_of(part)):
                    part.unlink()
                    raise MotesError(f"the backup is damaged: {path} has changed")
                storage.put(file.key, part)
                copied += 1
        if (folder / SECRET).is_file() and not (data / SECRET).exists():
            _copy_atomically(folder / SECRET, data / SECRET)
        _copy_atomically(source, data / DATABASE)
        flush(data)
    return BackupResult(len(files), size, copied)


async def _take_over_corrections(url: str, storage: Storage) -> None:
    engine, sessions = open_database(url)
    try:
        await take_over(sessions, storage)
    finally:
        await engine.dispose()


_OWN_FILES = (STORAGE, f".{DATABASE}.part", f".{DATABASE}.part-journal")  # of an interrupted backup


def _referenced_files(database: Path) -> Iterator[NamedFile]:
    """The files that a database refers to, in SQL that works with every schema revision."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:

        def has(table: str, column: str) -> str:
            """The column, or NULL before the revision in which it came."""
            known = connection.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (table, column)).fetchone()
            return column if known else "NULL"

        for sha256, size in connection.execute("SELECT sha256, size FROM audio"):
            yield NamedFile(audio_key(sha256), size, sha256)
        artefacts = f"SELECT object, size, {has('artefacts', 'digest')} FROM artefacts"
        for key, size, digest in connection.execute(artefacts):
            yield NamedFile(key, size, digest)
        if has("assets", "sha256") != "NULL":  # since revision 0009
            assets = f"SELECT sha256, digest, size, {has('assets', 'file_digest')} FROM assets"
            for sha256, digest, size, of_file in connection.execute(assets):
                yield NamedFile(asset_key(sha256, digest), size, of_file)
        yield from _corrections(connection, current=has("corrections", "sha256") != "NULL")


def _corrections(connection: sqlite3.Connection, *, current: bool) -> Iterator[NamedFile]:
    """The current corrections, if the database knows them, and those that jobs were submitted with."""
    queries = [
        "SELECT json_extract(scene, '$.audio'), json_extract(scene, '$.analysis'), status IN ('queued', 'rendering')"
        " FROM jobs WHERE json_extract(scene, '$.analysis') IS NOT NULL"
    ]
    queries += ["SELECT sha256, digest, 1 FROM corrections WHERE digest IS NOT NULL"] if current else []
    found: dict[str, NamedFile] = {}
    songs = {sha256 for (sha256,) in connection.execute("SELECT sha256 FROM audio")}
    for query in queries:
        for song, digest, counts in connection.execute(query):
            if song in songs:  # otherwise they were deleted with it
                key = correction_key(song, digest)
                required = bool(counts) or (key in found and found[key].required)
                found[key] = NamedFile(key, None, digest, required)
    return iter(found.values())


def _still_required(database: Path, lacking: Sequence[str]) -> list[str]:
    """Those of the files that are required by now, too: others were deleted meanwhile, the rows before the files."""
    if not lacking:
        return []
    required = {each.key for each in _referenced_files(database) if each.required}
    return [key for key in lacking if key in required]


def _export(storage: Storage, file: NamedFile, target: Path) -> bool:
    """Copy a file out of storage unless the target exists; returns whether it was copied.

    Raises:
        LostFileError: it is not there, or not as it was stored.
    """
    if target.is_file() and file.size in (None, target.stat().st_size):
        return False
    with storage.file(file.key, size=file.size) as path:
        if _copy_atomically(path, target, digest=file.digest) != (file.digest or digest_of(target)):
            raise LostFileError(file.key)
    return True


def _copy_atomically(path: Path, target: Path, *, digest: str | None = None) -> str:
    """Copy a file with mode 0600; returns its sha256. The target appears only when it is complete.

    If its ``digest`` is given, it does not appear if that is another one.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    found = hashlib.sha256()
    with path.open("rb") as source, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as copy:
        while chunk := source.read(1 << 20):
            found.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    if digest not in (None, found.hexdigest()):
        part.unlink()
        return found.hexdigest()
    os.replace(part, target)
    flush(target.parent)
    return found.hexdigest()


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
