"""Parts of stored files, read as they are sent: nothing copies a file to send some of it."""

from __future__ import annotations

import os
from typing import BinaryIO, Protocol

import obstore
from anyio import to_thread
from obstore.store import ObjectStore


class StoredReader(Protocol):
    """A stored file of a known size that is being read."""

    part: int
    """Bytes that are worth asking for at a time."""

    async def read(self, start: int, stop: int) -> bytes:
        """These bytes of the file.

        Raises:
            FileNotFoundError: it is gone, or shorter or longer than it should be.
        """

    async def close(self) -> None:
        """End reading."""


class LocalReader:
    """A file of this machine; whoever deletes it meanwhile does not disturb its reader."""

    part = 1 << 18

    def __init__(self, key: str, file: BinaryIO) -> None:
        self._key, self._file = key, file

    async def read(self, start: int, stop: int) -> bytes:
        """These bytes of the file."""
        found = await to_thread.run_sync(os.pread, self._file.fileno(), stop - start, start)
        if len(found) < stop - start:
            raise FileNotFoundError(self._key)
        return found

    async def close(self) -> None:
        """Close the file."""
        await to_thread.run_sync(self._file.close)


class ObjectReader:
    """An object in a store. Each part is a request of its own: one for all would have to end before a slow client has
    read it, as stores and their clients end requests that take long.
    """

    part = 1 << 20

    def __init__(self, store: ObjectStore, key: str, *, size: int) -> None:
        self._store, self._key, self._size = store, key, size

    async def read(self, start: int, stop: int) -> bytes:
        """These bytes of the object."""
        found = await obstore.get_async(self._store, self._key, options={"range": (start, stop)} if self._size else {})
        if found.meta["size"] != self._size:
            raise FileNotFoundError(self._key)
        return bytes(await found.bytes_async())

    async def close(self) -> None:
        """Nothing is open between requests."""
