"""Room: whether there is enough on the disk for something new, so that what is being done never runs out of it."""

from __future__ import annotations

import asyncio
import shutil
import time
from fractions import Fraction
from typing import Any

from sqlalchemy import select

from ecs_core import MotesError
from services.database import OPEN, JobRow, Sessions
from services.scenes import seconds_of
from services.settings import ServiceSettings
from services.storage import Storage

_BITS = {"draft": 0.4, "standard": 0.15, "high": 0.2}  # a pixel of a busy video; measured: 0.04 to 0.46, 0.16 and 0.19
_HEARD = 8_000  # bytes for a second of a song's analysis
_COPIES = 2  # of a video while it is rendered: its segments, and itself
_REMEMBERED = 2.0  # seconds


class NoRoomError(MotesError):
    """The disk is too full for it; says how much is free and how much is needed."""


class Room:
    """The room that is left when the jobs that are not over are done, and the operator's reserve is untouched."""

    def __init__(self, settings: ServiceSettings, sessions: Sessions, storage: Storage) -> None:
        self._settings, self._sessions, self._storage = settings, sessions, storage
        self._promised, self._at = 0, -_REMEMBERED

    async def for_job(self, scene: dict[str, Any], seconds: float) -> None:
        """Refuse to render a frozen scene, whose song is so many ``seconds`` long, where there is no room for it.

        Raises:
            NoRoomError: says how much is free and how much is needed.
        """
        free = await asyncio.to_thread(self._storage.free)
        reserve = self._settings.reserve_of(await asyncio.to_thread(self._storage.total))
        if free is None or not reserve:
            return
        needed = bytes_of(scene, seconds)
        promised = await self._for_open_jobs()
        if free - reserve - promised < needed:
            kept = f"{mb(reserve)} of that are a reserve, {mb(promised)} are for jobs that are not over"
            raise NoRoomError(f"no room: this needs about {mb(needed)}, {mb(free)} are free, but {kept}")
        self._promised += needed

    async def for_upload(self, size: int) -> None:
        """Refuse an upload of so many bytes where there is no room for it.

        Raises:
            NoRoomError: says how much is free and how much is needed.
        """
        disk = await asyncio.to_thread(shutil.disk_usage, self._storage.scratch)
        reserve = self._settings.reserve_of(disk.total)
        if not reserve:
            return
        if await asyncio.to_thread(self._storage.free) is None:  # it only passes through here
            reserve = 0
        if disk.free - reserve < size:
            kept = f", but {mb(reserve)} of that are a reserve" if reserve else ""
            raise NoRoomError(f"no room: this needs {mb(size)}, {mb(disk.free)} are free{kept}")

    async def _for_open_jobs(self) -> int:
        """What they may still write; looked up every few seconds."""
        if time.monotonic() - self._at >= _REMEMBERED:
            self._at = time.monotonic()
            wanted = select(JobRow.scene, JobRow.seconds).where(JobRow.status.in_(OPEN))
            async with self._sessions() as session:
                rows = (await session.execute(wanted)).all()
            self._promised = sum(bytes_of(scene, seconds) for scene, seconds in rows)
        return self._promised


def bytes_of(scene: dict[str, Any], seconds: float) -> int:
    """About how many bytes rendering a frozen scene takes in storage, if its song is so many ``seconds`` long."""
    if "config" not in scene:
        return int(_HEARD * seconds)
    config = scene["config"]
    pixels = config["width"] * config["height"]
    if "at" in scene:
        return int(3 * pixels)  # a PNG that could not be compressed
    frames = seconds_of(scene, seconds) * float(Fraction(str(config["fps"])))
    return int(_COPIES * frames * pixels * _BITS[scene["quality"]] / 8)


def mb(size: int) -> str:
    """Bytes, to be read."""
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
