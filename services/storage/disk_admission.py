"""Disk admission: refuse new jobs and uploads before the disk is full, so that running jobs can finish."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core import MotesError
from ecs_core.video.quality import wanted
from services.database.engine import Sessions, advisory_lock
from services.database.models import OPEN, JobRow
from services.database.tallies import totals
from services.settings import ServiceSettings
from services.storage.object_store import Storage

# By quality, for a busy video. Measured: 0.04 to 0.46 (draft), 0.16 (standard) and 0.19 (high).
_BITS_PER_PIXEL = {"draft": 0.4, "standard": 0.15, "high": 0.2}
# Of other formats, whose segments are ProRes or PNG files.
_OF_FORMAT: Mapping[str, float] = {"mov": 5.0, "png": 3.5, "webp": 2.5, "gif": 5.0}
_ANALYSIS_BYTES_PER_SECOND = 8_000
_COPIES = 2  # a video is stored twice while it is rendered: as segments, and joined


class InsufficientStorageError(MotesError):
    """The disk has no room for it; says how much is free and how much is needed."""


class DiskAdmission:
    """Admits new work if it fits beside what open jobs still need and the operator's reserve."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
        self._settings, self._sessions, self._storage = settings, sessions, storage

    async def jobs_admission(self, seconds: Mapping[str, float]) -> Callable[..., Awaitable[None]]:
        """What refuses to render jobs, whose videos will last ``seconds`` by id, if the disk has no room for all.

        It is to be called with a session and the jobs, and raises InsufficientStorageError, which says how much is free
        and how much is needed. It holds a lock until the end of the transaction that stores the jobs, so that no space
        is promised twice. What is free was measured before: what is written since then is in the reserve.
        """
        reserve = self._settings.reserve_of(await asyncio.to_thread(self._storage.total))
        free = await asyncio.to_thread(self._storage.free)

        async def admit(session: AsyncSession, jobs: Sequence[JobRow]) -> None:
            if reserve and free is not None:
                for job in jobs:
                    job.promised = estimate_bytes(job.scene, seconds[job.id])
                await advisory_lock(session, "room")
                promised = await self._reserved_bytes(session)
                _check(sum(job.promised for job in jobs), free, reserve, promised, about="about ")

        return admit

    async def admit_upload(self, size: int) -> None:
        """Refuse an upload of which ``size`` bytes are still to come, if the disk has no room for them.

        Raises:
            InsufficientStorageError: says how much is free and how much is needed.
        """
        reserve, promised = self._settings.reserve_of((await self._disk()).total), 0
        if not reserve:
            return
        # an upload to an object store only passes through the local disk
        if await asyncio.to_thread(self._storage.free) is None:
            reserve = 0
        else:
            async with self._sessions() as session:
                promised = await self._reserved_bytes(session)
        _check(size, (await self._disk()).free, reserve, promised)

    async def _disk(self) -> Any:
        return await asyncio.to_thread(shutil.disk_usage, self._storage.scratch)

    async def _reserved_bytes(self, session: AsyncSession) -> int:
        """Bytes that open jobs may still write."""
        return sum(each.bytes for each in await totals(session, "jobs") if each.state in OPEN)


def _check(needed: int, free: int, reserve: int, promised: int, *, about: str = "") -> None:
    if free - reserve - promised < needed:
        kept = [f"{format_size(reserve)} of that are reserved"] if reserve else []
        kept += [f"{format_size(promised)} are needed by open jobs"] if promised else []
        this = f"this needs {about}{format_size(needed)}, " if needed else ""
        problem = f"no room: {this}{format_size(free)} are free"
        raise InsufficientStorageError(f"{problem}, but {', '.join(kept)}" if kept else problem)


def estimate_bytes(scene: dict[str, Any], seconds: float) -> int:
    """Estimate the bytes of storage that rendering a scene needs; ``seconds`` is the duration of the video."""
    if "config" not in scene:
        return int(_ANALYSIS_BYTES_PER_SECOND * seconds)
    config = scene["config"]
    pixels = config["width"] * config["height"]
    if "at" in scene:
        return int(3 * pixels)  # an uncompressed picture, as the worst case of a PNG
    frames = seconds * float(Fraction(str(config["fps"])))
    asked, form = wanted(scene["quality"]), config.get("format", "mp4")
    if asked.max_bytes is not None:
        return _COPIES * asked.max_bytes
    if asked.bit_rate is not None:
        return int(_COPIES * asked.bit_rate * seconds / 8)
    return int(_COPIES * frames * pixels * _OF_FORMAT.get(form, _BITS_PER_PIXEL[asked.quality]) / 8)


def format_size(size: int) -> str:
    """A number of bytes for people to read."""
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
