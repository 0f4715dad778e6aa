"""Finished files by content: the one that counts, of those that attempts wrote, and what is deleted with a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.database.engine import Sessions, advisory_lock
from services.database.models import ArtefactRow, JobRow, now
from services.storage.object_keys import plan_folder, scene_folder

TOUCH_EVERY = timedelta(minutes=10)  # as exactly is it known when something was used last


@dataclass(frozen=True)
class Artefact:
    """A finished file: what it is, by its key, where it lies in storage, and its size in bytes."""

    key: str
    object: str
    size: int


@dataclass(frozen=True)
class FilesToDelete:
    """What is to be deleted from storage with a job: files that counted, and folders."""

    artefacts: tuple[Artefact, ...]
    folders: tuple[str, ...]


async def find_artefact(sessions: Sessions, key: str) -> Artefact | None:
    """Something finished, by its key."""
    async with sessions() as session:
        row = await session.get(ArtefactRow, key)
        return None if row is None else Artefact(row.key, row.object, row.size)


async def touch(sessions: Sessions, key: str) -> None:
    """Somebody wants what is finished: it counts as new. To be called often it costs little."""
    fresh = now() - TOUCH_EVERY
    async with sessions() as session:
        mine = select(ArtefactRow.key).where(ArtefactRow.key == key, ArtefactRow.used_at < fresh)
        if await session.scalar(mine) is None:
            return
    async with sessions.begin() as session:
        await session.execute(update(ArtefactRow).where(ArtefactRow.key == key).values(used_at=now()))


async def publish(session: AsyncSession, made: Artefact) -> ArtefactRow:
    """Let a file be what counts as finished, unless another does already; returns the one that counts."""
    await advisory_lock(session, made.key)
    row = await session.get(ArtefactRow, made.key)
    if row is None:
        row = ArtefactRow(key=made.key, object=made.object, size=made.size)
        session.add(row)
        await session.flush()
    return row


async def delete_scene_rows(session: AsyncSession, key: str, plans: Sequence[str]) -> FilesToDelete:
    """Forget what these tasks planned for a scene and, unless there are jobs with it, what was made of it."""
    folders = tuple(plan_folder(key, plan) for plan in plans)
    if await session.scalar(select(exists().where(JobRow.scene_key == key))):
        return FilesToDelete((), folders)
    gone = delete(ArtefactRow).where(ArtefactRow.key.startswith(scene_folder(key), autoescape=True))
    rows = await session.execute(gone.returning(ArtefactRow.key, ArtefactRow.object, ArtefactRow.size))
    return FilesToDelete(tuple(Artefact(*row) for row in rows), folders)
