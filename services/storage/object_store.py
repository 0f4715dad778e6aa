"""Storage: files by key, in a local folder or an object store."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from ecs_core.heartbeat import beat

_CHUNK = 8 << 20  # bytes that are sent at a time
_MAX_ATTEMPTS = 20  # to move a file into a folder that others delete whenever it is empty


@dataclass(frozen=True)
class StoredFile:
    """A file in storage: its key, size in bytes, and modification time."""

    key: str
    size: int
    modified: datetime


class Storage:
    """Files under a URL, ``file:///srv/motes`` or ``s3://bucket/prefix``. A file appears only when it is complete.

    ``scratch`` is a local folder for incomplete files. With a local storage it lies inside, so that a finished file
    is only renamed.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._folder = Path(parts.path) if parts.scheme == "file" else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.scratch = self._folder / ".scratch"
            self._store: ObjectStore = LocalStore(self._folder, automatic_cleanup=True)
        else:
            self.scratch = Path(tempfile.gettempdir()) / f"motes-scratch-{os.getuid()}"
            self._store = from_url(url)
        self.scratch.mkdir(mode=0o700, exist_ok=True)

    def put(self, key: str, path: Path) -> int:
        """Move a file from the scratch folder to ``key``; returns its size in bytes."""
        size = path.stat().st_size
        if self._folder is None:
            obstore.put(self._store, key, path if size <= _CHUNK else _chunks(path))
            path.unlink()
            return size
        os.utime(path)  # its age counts from now, however long it took to write
        target = self._folder / key
        for left in reversed(range(_MAX_ATTEMPTS)):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.replace(path, target)
                break
            except FileNotFoundError:  # the empty folder was deleted again
                if not left or not path.exists():
                    raise
        return size

    def exists(self, key: str) -> bool:
        """Whether there is a file under ``key``."""
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def file(self, key: str) -> Iterator[Path]:
        """Yield a path to read the file from. Raises FileNotFoundError if there is none."""
        if self._folder is not None:
            path = self._folder / key
            if not path.is_file():
                raise FileNotFoundError(key)
            yield path
            return
        with tempfile.TemporaryFile(dir=self.scratch) as copy:  # unnamed, so it goes with the process
            for chunk in obstore.get(self._store, key).stream():
                copy.write(chunk)
                beat()
            copy.flush()
            yield Path(f"/proc/self/fd/{copy.fileno()}")

    def delete(self, keys: Iterable[str]) -> None:
        """Delete files; missing ones are ignored. A reader that has one open can read it to its end."""
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
        for batch in obstore.list(self._store, folder, chunk_size=1000):
            yield [StoredFile(each["path"], each["size"], each["last_modified"]) for each in batch]

    def free(self) -> int | None:
        """Free bytes; None for an object store, which has no limit."""
        return None if self._folder is None else shutil.disk_usage(self._folder).free

    def total(self) -> int:
        """Size of the disk in bytes; 0 for an object store."""
        return 0 if self._folder is None else shutil.disk_usage(self._folder).total


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


@contextmanager
def work_folder(scratch: Path, name: str) -> Iterator[Path]:
    """Yield a folder below ``scratch`` for this process; removes those of dead processes."""
    remove_dead_work_folders(scratch)
    folder = scratch / f"{name}-{secrets.token_hex(4)}".replace("/", "-")
    lock = folder.with_name(f"{folder.name}.lock")
    new = lock.with_suffix(".new")
    with new.open("ab") as held:
        _locked(held.fileno())
        new.rename(lock)  # others see it only now, when they can no longer lock it
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _remove(lock)


def remove_dead_work_folders(scratch: Path, *, dry_run: bool = False) -> int:
    """Remove the work folders of dead processes; returns the bytes freed, or with ``dry_run`` the bytes to free."""
    freed = 0
    for lock in scratch.glob("*.lock"):
        with suppress(FileNotFoundError), lock.open("rb") as held:
            if _locked(held.fileno()):
                freed += _size(lock.with_suffix(""))
                if not dry_run:
                    _remove(lock)
    return freed


def _size(folder: Path) -> int:
    """Bytes of the files in a folder that another process may be deleting."""
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(path, name)).st_size
    return size


def _remove(lock: Path) -> None:
    """Remove the folder, then its lock; the lock stays if something is written meanwhile."""
    folder = lock.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        lock.unlink(missing_ok=True)


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
