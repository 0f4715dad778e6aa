"""Songs: uploaded or named by clients, checked by ``services.media.probe`` and stored once per content."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Exists, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core import AudioError
from ecs_core.song_file.tags import SongTags
from services.auth.api_keys import Caller
from services.auth.limits import QuotaError, check_limit
from services.auth.quotas import admit_bytes, owner_lock, quotas_of
from services.database.clock import time_in
from services.database.engine import Sessions, advisory_lock
from services.database.models import AudioRow, UploadRow
from services.media.decoding_limits import MAX_SONG_SECONDS
from services.media.probe import probe
from services.media.song_tags import read_tags
from services.settings import ServiceSettings
from services.storage.deletion_marks import is_being_deleted, until_deleted
from services.storage.object_keys import audio_key, song_lock
from services.storage.object_store import LostFileError, Storage
from services.storage.reserved_names import is_reserved

_CONCURRENCY = 2  # songs probed at a time
_CACHE_SIZE = 1000  # files under the media root
_CHUNK = 1 << 20
_TRIES = 5
_LONGEST_PART = 255  # bytes of a file name in most file systems
_UPLOADED = re.compile(r"uploads/([0-9a-f]{64})(\.[a-z0-9]{1,8})?")


class SongNotFoundError(AudioError):
    """There is no song of that name."""


class _File(NamedTuple):
    """The identity of a file under the media root; a modified file is another."""

    path: Path
    size: int
    changed: int


class Songs:
    """Songs by the names that clients use; ``folder``, on the same file system as storage, is for incoming files."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage, folder: Path) -> None:
        self._settings, self._sessions, self._storage, self._folder = settings, sessions, storage, folder
        self._probing = asyncio.Semaphore(_CONCURRENCY)
        self._digests: dict[_File, str] = {}  # sha256 of known files, so that a song is not read again for each render

    async def get(self, sha256: str | None) -> AudioRow | None:
        """A song in storage, by its sha256."""
        if sha256 is None:
            return None
        async with self._sessions() as session:
            return await session.get(AudioRow, sha256)

    async def find(self, audio_path: str, caller: Caller) -> AudioRow:
        """The song that a caller names: an upload of its owner, or a file under the media root.

        Raises:
            SongNotFoundError: there is no such song.
            AudioError: the name is not allowed.
        """
        uploaded = _UPLOADED.fullmatch(audio_path)
        if uploaded:
            row = await self._claim(uploaded[1], caller, new=caller.is_admin)
            if row is None:
                raise SongNotFoundError(f"audio_path {audio_path!r}: no such upload")
            return row
        file = await asyncio.to_thread(self._under_media_root, audio_path)
        known = self._digests.get(file)
        row = None if known is None else await self._claim(known, caller, new=True)
        if row is not None and await asyncio.to_thread(self._storage.size, audio_key(row.sha256)) == row.size:
            return row
        async with self.staging_file() as copy:
            sha256 = await asyncio.to_thread(_copy, file.path, copy)
            row = await self.store(copy, sha256=sha256, name=audio_path, caller=caller)
        if len(self._digests) >= _CACHE_SIZE:
            self._digests.clear()
        self._digests[file] = sha256
        return row

    async def tags(self, sha256: str, *, required: bool) -> SongTags:
        """What a song in storage says of itself; if ``required``, nothing is read unless the sandbox is complete.

        Raises:
            SongNotFoundError: its file is gone.
            AudioError: it cannot be read.
        """

        def read() -> SongTags:
            with ExitStack() as held:
                try:
                    path = held.enter_context(self._storage.file(audio_key(sha256)))
                except FileNotFoundError:
                    raise SongNotFoundError("the song is gone; upload it again") from None
                return read_tags(path, name="the song", required=required)

        async with self._probing:
            return await asyncio.to_thread(read)

    def _is_whole(self, sha256: str) -> bool:
        """Whether the file of a song is what was stored: the owner has it, and can mend it now."""
        try:
            with self._storage.file(audio_key(sha256), digest=sha256):
                return True
        except LostFileError:
            return False

    def _under_media_root(self, audio_path: str) -> _File:
        root = self._settings.media_root
        if root is None:
            raise AudioError(f"audio_path {audio_path!r}: upload the song first: POST /particles/audio")
        parts = Path(audio_path).parts
        if not parts or "\0" in audio_path or len(audio_path) > 1024 or Path(audio_path).is_absolute() or ".." in parts:
            raise AudioError(f"audio_path {audio_path!r}: must be a path relative to the media root, without ..")
        if any(is_reserved(part) or len(part.encode(errors="replace")) > _LONGEST_PART for part in parts):
            raise AudioError(f"audio_path {audio_path!r}: holds a name that is reserved or too long")
        try:
            path = (root / audio_path).resolve()
            if not path.is_relative_to(root.resolve()):
                raise AudioError(f"audio_path {audio_path!r}: leads out of the media root")
            if path.is_file():
                facts = path.stat()
                return _File(path, facts.st_size, facts.st_mtime_ns)
        except (OSError, RuntimeError):  # in an unreadable folder, or a loop of links
            pass
        raise SongNotFoundError(f"audio_path {audio_path!r}: no such file")

    @asynccontextmanager
    async def staging_file(self) -> AsyncIterator[Path]:
        """Yield a path for an incoming song; whatever is left there is removed at the end."""
        folder = await asyncio.to_thread(tempfile.mkdtemp, dir=self._folder)
        try:
            yield Path(folder) / "song"
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def store(self, path: Path, *, sha256: str, name: str, caller: Caller) -> AudioRow:
        """Move a staged file with this content into storage, if it is a song, and make it the caller's.

        Raises:
            AudioError: it is no song; the message calls it ``name``.
            LimitError: it is too long, or the caller's owner has no room for it.
        """
        key = audio_key(sha256)
        known = await self._claim(sha256, caller, new=True)
        if known is not None and await asyncio.to_thread(self._is_whole, sha256):
            return known
        if known is None:  # a song that would not fit need not be probed
            size = (await asyncio.to_thread(path.stat)).st_size
            async with self._sessions() as session:
                try:
                    await admit_bytes(session, caller.owner, size, quotas_of(self._settings, caller))
                except QuotaError:
                    # it may have been uploaded meanwhile
                    if not await session.scalar(select(_is_of(caller.owner, sha256))):
                        raise
        async with self._probing:
            facts = await probe(path, name, required=self._settings.sandbox_required(caller.owner))
        check_song(self._settings, name, facts)
        spare = path.with_name(f"{path.name}.spare")
        for _ in range(_TRIES):
            await until_deleted(self._sessions, song_lock(sha256))
            spare.hardlink_to(path)
            size = await asyncio.to_thread(self._storage.put, key, path)
            async with self._sessions.begin() as session:
                await advisory_lock(session, owner_lock(caller.owner), song_lock(sha256))
                if not (deleted := await is_being_deleted(session, song_lock(sha256))):
                    row = await session.get(AudioRow, sha256)
                    if row is None:  # otherwise another request stored the same song meanwhile
                        row = AudioRow(sha256=sha256, suffix=_suffix(name), size=size, **facts)
                        session.add(row)
                        await session.flush()
                    await self._use(session, row, caller)
            # An earlier deletion of the same song may have removed the file after it was put; from now on none can.
            if not deleted and await asyncio.to_thread(self._storage.exists, key):
                assert row is not None
                return row
            spare.rename(path)
        raise RuntimeError(f"song {sha256} was removed {_TRIES} times while it was being stored")

    async def _claim(self, sha256: str, caller: Caller, *, new: bool) -> AudioRow | None:
        """A song in storage, marked as used by the caller's owner; None if there is none or it is not theirs.

        With ``new`` it becomes theirs, if their quota allows.
        """
        found = select(AudioRow).where(AudioRow.sha256 == sha256)
        if not new:
            found = found.where(_is_of(caller.owner, sha256))
        async with self._sessions.begin() as session:
            await advisory_lock(session, owner_lock(caller.owner), song_lock(sha256))
            row = (await session.scalars(found)).one_or_none()
            if row is not None:
                await self._use(session, row, caller)
        return row

    async def _use(self, session: AsyncSession, row: AudioRow, caller: Caller) -> None:
        """Mark a song as used by the caller's owner; it becomes theirs, if their quota allows."""
        if not await session.scalar(select(_is_of(caller.owner, row.sha256))):
            await admit_bytes(session, caller.owner, row.size, quotas_of(self._settings, caller))
        await session.merge(UploadRow(owner=caller.owner, sha256=row.sha256, used_at=await time_in(session)))


def check_song(settings: ServiceSettings, name: str, facts: Mapping[str, Any]) -> None:
    """Refuse a song that is too long or has too many samples; ``facts``: duration, sample_rate and channels.

    Raises:
        LimitError: the song exceeds a limit.
    """
    duration = facts["duration"]
    # Decoding stops at MAX_SONG_SECONDS, so the real duration of a longer song is unknown.
    length = f"{duration:g} s" if duration <= MAX_SONG_SECONDS else f"more than {MAX_SONG_SECONDS} s"
    check_limit("max_song_seconds", settings.max_song_seconds, duration, f"{name}: its duration is {length}")
    samples = round(duration * facts["sample_rate"] * facts["channels"])
    check_limit("max_song_samples", settings.max_song_samples, samples, f"{name}: has {samples} samples")


def _is_of(owner: str, sha256: str) -> Exists:
    """Condition: the owner has the song."""
    return exists().where(UploadRow.owner == owner, UploadRow.sha256 == sha256)


def audio_path_of(sha256: str, name: str) -> str:
    """The audio_path that clients use for an uploaded song."""
    return f"uploads/{sha256}{_suffix(name)}"


def _suffix(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


def _copy(path: Path, copy: Path) -> str:
    """Copy a file; returns the sha256 of the copy, whatever happens to the original meanwhile."""
    digest = hashlib.sha256()
    with path.open("rb") as source, copy.open("wb") as target:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()
