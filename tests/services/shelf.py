"""Jobs whose files really lie in a storage: what retention is tried on. No process renders anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from services.database.models import ArtefactRow, AssetClaimRow, AssetRow, AudioRow, JobRow, UploadRow, new_id
from services.jobs.tasks import Claim
from services.retention.janitor import Janitor, Report
from services.settings import ServiceSettings
from services.storage.object_keys import analysis_key, audio_key, plan_key, snapshot_key
from services.storage.object_store import Storage
from tests.services.board import FRAMES, Board, made_by
from tests.services.moments import now

SIZE = 1001  # bytes of what a first attempt makes
PLAN = 300  # bytes of a plan and its snapshots
HEARD = 77  # bytes of what was heard in a song


@dataclass
class Shelf:
    """The jobs, the storage, and the settings of retention, in which nothing but age lets anything go."""

    board: Board
    storage: Storage
    settings: ServiceSettings

    def janitor(self, **changed: Any) -> Janitor:
        settings = self.settings.model_copy(update=changed)
        return Janitor(settings, self.board.sessions, self.storage)

    async def clear(self, **changed: Any) -> Report:
        """One look at everything, without its lease."""
        return await self.janitor(**changed).collect(thorough=True)

    def files(self) -> dict[str, int]:
        """What lies in storage, with its size."""
        folders = ("scenes", "audio", "analyses", "assets")
        return {each.key: each.size for folder in folders for batch in self.storage.list(folder) for each in batch}

    def put(self, key: str, size: int) -> None:
        path = self.storage.scratch / new_id()
        path.write_bytes(bytes(size))
        self.storage.put(key, path)

    async def do(self, claim: Claim) -> bool:
        """A task, with the files that it makes."""
        if claim.kind == "plan":
            assert claim.plan == claim.task
            self.put(plan_key(claim.scene_key, claim.task), PLAN - 10 * len(FRAMES))
            for number in range(len(FRAMES)):
                self.put(snapshot_key(claim.scene_key, claim.task, number), 10)
        made = made_by(claim)
        if made is not None:
            self.put(made.object, made.size)
        counts = await self.board.do(claim)
        self.board.made.clear()
        if made is not None and not counts:
            self.storage.delete([made.object])
        return counts

    async def work(self) -> None:
        """Whatever there is to do."""
        while (claim := await self.board.tasks.claim("worker")) is not None:
            await self.do(claim)

    async def submit(self, owner: str = "alice", scene: str | None = None, **more: Any) -> str:
        scene_key = hashlib.sha256((scene or new_id()).encode()).hexdigest()
        return await self.board.submit(owner or "flow", owner=owner, scene_key=scene_key, **more)

    async def rendered(self, owner: str = "alice", scene: str | None = None, **more: Any) -> str:
        """A job that is completed."""
        job = await self.submit(owner, scene, **more)
        await self.work()
        assert await self.board.status(job) == "completed"
        return job

    async def song(self, content: str, *owners: str, size: int = 500) -> str:
        """A song that owners uploaded, and in which something was heard."""
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        self.put(audio_key(sha256), size)
        self.put(analysis_key(sha256, "version"), HEARD)
        facts = {"suffix": ".wav", "size": size, "duration": 1.0, "sample_rate": 44100, "channels": 2}
        async with self.board.sessions.begin() as session:
            session.add(AudioRow(sha256=sha256, analyses=1, analyses_size=HEARD, **facts))
            await session.flush()
            session.add_all(UploadRow(owner=owner, sha256=sha256) for owner in owners)
        return sha256

    async def age(self, **by: float) -> None:
        """Put everything that there is back in time, by so many days …, and files in a folder, too."""
        off = timedelta(**by)
        async with self.board.sessions.begin() as session:
            for table in (ArtefactRow, AssetRow, AssetClaimRow, AudioRow, UploadRow, JobRow):
                for row in await session.scalars(select(table)):
                    for name in ("created_at", "used_at", "ended_at", "expired_at"):
                        if (moment := getattr(row, name, None)) is not None:
                            setattr(row, name, moment - off)
        for path in Path(self.storage.scratch).parent.rglob("*"):
            if path.is_file() and self.storage.free() is not None:
                import os

                facts = path.stat()
                os.utime(path, (facts.st_atime, facts.st_mtime - off.total_seconds()))

    async def artefacts(self) -> set[str]:
        """What counts, by where it lies."""
        async with self.board.sessions() as session:
            return set(await session.scalars(select(ArtefactRow.object)))

    async def owners_of(self, sha256: str) -> set[str]:
        async with self.board.sessions() as session:
            return set(await session.scalars(select(UploadRow.owner).where(UploadRow.sha256 == sha256)))

    async def whole(self) -> None:
        """Everything that a row says is there."""
        files = self.files()
        assert await self.artefacts() <= files.keys()
        async with self.board.sessions() as session:
            songs = set(await session.scalars(select(AudioRow.sha256)))
        assert {audio_key(song) for song in songs} <= files.keys()


def settings_for(folder: Path, database: str, storage: str) -> ServiceSettings:
    """Where nothing but age lets anything go."""
    return ServiceSettings(
        data=folder, database_url=database, storage_url=storage, keep_free="0", reserve="0", keep_at_least=0
    )


__all__ = ["HEARD", "PLAN", "SIZE", "Shelf", "now", "settings_for"]
