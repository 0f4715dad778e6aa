"""Corrections: analyses of songs as corrected by their owners.

They are stored by content, so a job keeps the correction that it was submitted with. A pointer beside each song names
the owner's current one.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from services.storage.object_keys import correction_key, current_correction_key
from services.storage.object_store import Storage


class Corrections:
    """The corrections in a storage. Blocking."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def save(self, audio: str, owner: str, text: str) -> str:
        """Store a corrected document and make it the owner's current one; returns its sha256."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._put(correction_key(audio, digest), text)
        self._put(current_correction_key(audio, owner), digest)
        return digest

    def current(self, audio: str, owner: str) -> str | None:
        """The sha256 of the owner's current correction; None if there is none."""
        try:
            with self._storage.file(current_correction_key(audio, owner)) as path:
                return path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None

    def clear(self, audio: str, owner: str) -> None:
        """Remove the owner's pointer, if any. The document stays for jobs that refer to it."""
        self._storage.delete([current_correction_key(audio, owner)])

    def _put(self, key: str, text: str) -> None:
        part = Path(self._storage.scratch) / f"correction-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            part.write_text(text, encoding="utf-8")
            self._storage.put(key, part)
        finally:
            part.unlink(missing_ok=True)
