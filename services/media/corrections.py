"""Corrections: documents of what is heard in a song as their owners have them. Kept by content, so that a job that was
asked for before the next correction finds its own; beside each song lies which one counts for whom.
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
        """Let a document count for the owner of a song; returns its sha256."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._put(correction_key(audio, digest), text)
        self._put(current_correction_key(audio, owner), digest)
        return digest

    def current(self, audio: str, owner: str) -> str | None:
        """The sha256 of the document that counts for the owner; None where the song is as it is heard."""
        try:
            with self._storage.file(current_correction_key(audio, owner)) as path:
                return path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None

    def clear(self, audio: str, owner: str) -> None:
        """Let none count; harmless where there is none. The document stays for jobs that have it."""
        self._storage.delete([current_correction_key(audio, owner)])

    def _put(self, key: str, text: str) -> None:
        part = Path(self._storage.scratch) / f"correction-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            part.write_text(text, encoding="utf-8")
            self._storage.put(key, part)
        finally:
            part.unlink(missing_ok=True)
