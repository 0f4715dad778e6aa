"""Storage: files by key, in a local folder or an object store.

What was put is there after a power cut, too. It is never used within a transaction that writes, as others would wait
for it (``services.database.engine.outside_transactions``).
"""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from ecs_core.heartbeat import beat
from services.database.engine import outside_transactions
from services.storage.presigned import presigned_url
from services.storage.private_folders import private_folder, private_temporary_folders
from services.storage.reading import LocalReader, ObjectReader, StoredReader
from services.storage.work_folders import remove_dead_work_folders

_SCRATCH = "motes-scratch"
_CLOCK = ".clock"  # a file that is written to learn the time
_CHUNK = 8 << 20  # bytes that are sent at a time
_MAX_ATTEMPTS = 20  # to move a file into a folder that others delete whenever it is empty


@dataclass(frozen=True)
class StoredFile:
    """A file in storage: its key, size in bytes, and modification time."""

    key: str
    size: int
    modified: datetime


class LostFileError(FileNotFoundError):
    """A file in storage is gone, shorter or longer than it should be, or changed."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Storage:
    """Files under a URL, ``file:///srv/motes`` or ``s3://bucket/prefix``. A file appears only when it is complete.

    ``scratch`` is a local folder for incomplete files, of this user alone. With a local storage it lies inside, so
    that a finished file is only renamed.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._folder = Path(parts.path) if parts.scheme == "file" else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.scratch = private_folder(self._folder / ".scratch")
            self._store: ObjectStore = LocalStore(self._folder, automatic_cleanup=True)
        else:
            self.scratch = private_temporary_folders(_SCRATCH)[0]
            self._store = from_url(url)

    def remove_dead_work_folders(self, *, dry_run: bool = False) -> int:
        """Remove the work folders of dead processes; returns the bytes freed, or with ``dry_run`` the bytes to free."""
        folders = [self.scratch] if self._folder is not None else private_temporary_folders(_SCRATCH)
        return sum(remove_dead_work_folders(each, dry_run=dry_run) for each in folders)

    def put(self, key: str, path: Path, *, durable: bool = True) -> int:
        """Move a file from the scratch folder to ``key``; returns its size in bytes.

        It survives a power cut then, unless it need not be ``durable``, as it is easily made again.
        """
        outside_transactions()
        size = path.stat().st_size
        if self._folder is None:
            kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
            sent = path if size <= _CHUNK else _chunks(path)
            obstore.put(self._store, key, sent, attributes={"Content-Type": kind})
            path.unlink()
            return size
        os.utime(path)  # its age counts from now, however long it took to write
        if durable:
            flush(path)
        target = self._folder / key
        for left in reversed(range(_MAX_ATTEMPTS)):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(path, target)
                break
            except FileNotFoundError:  # the empty folder was deleted again
                if not left or not path.exists():
                    raise
        with suppress(FileNotFoundError):  # it was deleted again
            for folder in Path(key).parents if durable else ():  # whoever made them may not have flushed them yet
                flush(self._folder / folder)
        return size

    def exists(self, key: str) -> bool:
        """Whether there is a file under ``key``."""
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        """The size of a file in bytes; None if there is none."""
        outside_transactions()
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    def url(self, key: str, *, headers: Mapping[str, str]) -> str | None:
        """An address at which anybody gets the file for a short time, see ``services.storage.presigned``; None if the
        storage has none.
        """
        outside_transactions()
        return presigned_url(self._store, key, headers=headers)

    @contextmanager
    def file(self, key: str, *, size: int | None = None, digest: str | None = None) -> Iterator[Path]:
        """Yield a path to read the file from.

        With ``digest``, its sha256, it is read whole before.

        Raises:
            LostFileError: there is none, or it is not of this ``size`` in bytes, or not with this digest.
        """
        outside_transactions()
        with self._opened(key) as path:
            if (size is not None and path.stat().st_size != size) or digest not in (None, digest_of(path)):
                raise LostFileError(key)
            yield path

    @contextmanager
    def _opened(self, key: str) -> Iterator[Path]:
        if self._folder is not None:
            path = self._folder / key
            if not path.is_file():
                raise LostFileError(key)
            yield path
            return
        with tempfile.TemporaryFile(dir=self.scratch) as copy:  # unnamed, so it goes with the process
            try:
                found = obstore.get(self._store, key)
            except FileNotFoundError:
                raise LostFileError(key) from None
            for chunk in found.stream():
                copy.write(chunk)
                beat()
            copy.flush()
            yield Path(f"/proc/self/fd/{copy.fileno()}")

    def open(self, key: str, *, size: int) -> StoredReader:
        """A reader of parts of a file of ``size`` bytes. Of an object store, the first part that is read tells whether
        it is there.

        Raises:
            LostFileError: there is none of that size.
        """
        outside_transactions()
        if self._folder is None:
            return ObjectReader(self._store, key, size=size)
        try:
            file = (self._folder / key).open("rb")
        except FileNotFoundError:
            raise LostFileError(key) from None
        if os.fstat(file.fileno()).st_size != size:
            file.close()
            raise LostFileError(key)
        return LocalReader(key, file)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files; missing ones are ignored. A reader that has one open can read it to its end."""
        outside_transactions()
        if self._folder is None:
            if found := list(keys):
                obstore.delete(self._store, found)
            return
        for key in keys:
            path = self._folder / key
            path.unlink(missing_ok=True)
            with suppress(OSError):  # stops at the first folder that is not empty
                for parent in path.relative_to(self._folder).parents[:-1]:
                    (self._folder / parent).rmdir()

    def delete_folder(self, folder: str) -> int:
        """Delete everything under a folder; returns the bytes freed."""
        found = [each for batch in self.list(folder) for each in batch]
        self.delete(each.key for each in found)
        return sum(each.size for each in found)

    def list(self, folder: str) -> Iterator[list[StoredFile]]:
        """Everything under a folder, in batches."""
        outside_transactions()
        for batch in obstore.list(self._store, folder, chunk_size=1000):
            yield [StoredFile(each["path"], each["size"], each["last_modified"]) for each in batch]

    def now(self) -> datetime:
        """The time by the clock that dates files: that of the file system, or of the object store."""
        if self._folder is None:
            obstore.put(self._store, _CLOCK, b"")
            return obstore.head(self._store, _CLOCK)["last_modified"]
        with tempfile.TemporaryFile(dir=self.scratch) as file:
            return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)

    def free(self) -> int | None:
        """Free bytes; None for an object store, which has no limit."""
        outside_transactions()
        return None if self._folder is None else shutil.disk_usage(self._folder).free

    def total(self) -> int:
        """Size of the disk in bytes; 0 for an object store."""
        outside_transactions()
        return 0 if self._folder is None else shutil.disk_usage(self._folder).total


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Have a file or a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            beat()


def retry_reason(error: Exception) -> str | None:
    """Why work must wait, if the error is about storage; None if a retry would fail the same way."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; trying again every few seconds"
    if isinstance(error, BaseError):
        return "the storage returns errors; trying again every few seconds"
    return None
