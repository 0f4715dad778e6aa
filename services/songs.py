"""Songs: from an upload, or a name that a client gave, to a song in storage, kept once per content.

Whether a file is a song is found out in a process of its own, with limits on its memory and time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from ecs_core import AudioError
from services.database import AudioRow, Sessions
from services.keys import audio_key
from services.settings import ServiceSettings
from services.storage import Storage

_MEMORY, _SECONDS = 2 << 30, 20
_UPLOADED = re.compile(r"uploads/([0-9a-f]{64})(\.[a-z0-9]{1,8})?")


class Songs:
    """Songs by what clients call them."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
        self._settings, self._sessions, self._storage = settings, sessions, storage

    async def get(self, sha256: str | None) -> AudioRow | None:
        """A song in storage, by its content."""
        async with self._sessions() as session:
            return None if sha256 is None else await session.get(AudioRow, sha256)

    async def find(self, audio_path: str) -> AudioRow:
        """The song that a client names: one it uploaded, or one under the media root.

        Raises:
            AudioError: there is none, or it may not be named.
        """
        uploaded = _UPLOADED.fullmatch(audio_path)
        if uploaded:
            async with self._sessions() as session:
                row = await session.get(AudioRow, uploaded[1])
            if row is not None:
                return row
            raise AudioError(f"audio_path {audio_path!r}: no such upload")
        return await self.keep(self._under_media_root(audio_path), audio_path)

    def _under_media_root(self, audio_path: str) -> Path:
        root = self._settings.media_root
        if root is None:
            raise AudioError(f"audio_path {audio_path!r}: upload the song first: POST /particles/audio")
        if not audio_path or "\0" in audio_path or len(audio_path) > 1024 or Path(audio_path).is_absolute():
            raise AudioError(f"audio_path {audio_path!r}: must be a path relative to the media root")
        path = (root / audio_path).resolve()
        if not path.is_relative_to(root.resolve()):
            raise AudioError(f"audio_path {audio_path!r}: leads out of the media root")
        if not path.is_file():
            raise AudioError(f"audio_path {audio_path!r}: no such file")
        return path

    async def keep(self, path: Path, name: str) -> AudioRow:
        """Put a file into storage, if it is a song; the file stays where it is.

        Raises:
            AudioError: it is none, by the ``name`` that the client knows.
        """
        sha256 = await asyncio.to_thread(_hash, path)
        async with self._sessions() as session:
            known = await session.get(AudioRow, sha256)
        if known is not None:
            return known
        facts = await _probe(path, name)
        size = await asyncio.to_thread(self._copy, sha256, path)
        suffix = Path(name).suffix.lower()
        suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
        row = AudioRow(sha256=sha256, suffix=suffix, size=size, **facts)
        try:
            async with self._sessions.begin() as session:
                session.add(row)
        except IntegrityError:  # somebody else kept the same song meanwhile
            async with self._sessions() as session:
                return await session.get_one(AudioRow, sha256)
        return row

    def _copy(self, sha256: str, path: Path) -> int:
        with tempfile.TemporaryDirectory(dir=self._storage.scratch) as folder:
            copy = Path(folder) / "song"
            shutil.copyfile(path, copy)
            return self._storage.put(audio_key(sha256), copy)


def path_of(row: AudioRow) -> str:
    """What clients call a song."""
    return f"uploads/{row.sha256}{row.suffix}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _probe(path: Path, name: str) -> dict[str, float | int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.songs",
        str(path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=_limit,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AudioError(f"{name}: cannot be read in {_SECONDS} s") from None
    try:
        answer = json.loads(out)
    except ValueError:
        raise AudioError(f"{name}: is no audio that can be read") from None
    if "error" in answer:
        raise AudioError(str(answer["error"]).replace(str(path), name))
    facts: dict[str, float | int] = answer
    return facts


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Print what kind of song the file is, as JSON."""
    from ecs_core.audio.decode import AudioFile  # noqa: PLC0415

    try:
        with AudioFile(sys.argv[1]) as song:
            samples = sum(block.shape[1] for block in song.blocks())
            print(json.dumps({"duration": samples / song.rate, "sample_rate": song.rate, "channels": song.channels}))
    except AudioError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main()
