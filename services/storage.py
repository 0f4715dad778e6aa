"""Storage: files by key, in a local folder or in an object store. Keys are made by the server, never by clients."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.store import LocalStore, from_url


class Storage:
    """What is kept under a URL, ``file:///srv/motes`` or ``s3://bucket/prefix``. A file appears when it is whole."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._folder = Path(parts.path) if parts.scheme == "file" else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._store = LocalStore(self._folder, automatic_cleanup=True)
        else:
            self._store = from_url(url)  # type: ignore[assignment]

    def put(self, key: str, path: Path) -> int:
        """Keep the file under ``key``; it may be moved there. Returns its size in bytes."""
        size = path.stat().st_size
        if self._folder is not None:
            target = self._folder / key
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.{os.getpid()}.part")
            try:
                shutil.copyfile(path, part)
                os.replace(part, target)
            finally:
                part.unlink(missing_ok=True)
        else:
            obstore.put(self._store, key, path)
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
        """The file as a path to read while the context lasts. FileNotFoundError where there is none."""
        if self._folder is not None:
            path = self._folder / key
            if not path.is_file():
                raise FileNotFoundError(key)
            yield path
            return
        with tempfile.NamedTemporaryFile(suffix=Path(key).suffix) as copy:
            for chunk in obstore.get(self._store, key).stream():
                copy.write(chunk)
            copy.flush()
            yield Path(copy.name)

    def delete(self, prefix: str) -> None:
        """Delete whatever lies under a folder."""
        for batch in obstore.list(self._store, prefix):
            for found in batch:
                obstore.delete(self._store, found["path"])
