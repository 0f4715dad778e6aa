"""Finished files by content: the one that counts, of those that attempts wrote, and what is deleted with a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.database import ArtefactRow, JobRow, alone
from services.keys import plan_folder, scene_folder


@dataclass(frozen=True)
class Artefact:
    """A finished file: what it is, by its key, where it lies in storage, and its size in bytes."""

    key: str
    object: str
    size: int


@dataclass(frozen=True)
class Forgotten:
    """What is to be deleted from storage with a job: files that counted, and folders."""

    artefacts: tuple[Artefact, ...]
    folders: tuple[str, ...]


async def publish(session: AsyncSession, made: Artefact) -> ArtefactRow:
    """Let a file be what counts as finished, unless another does already; returns the one that counts."""
    await alone(session, made.key)
    row = await session.get(ArtefactRow, made.key)
    if row is None:
        row = ArtefactRow(key=made.key, object=made.object, size=made.size)
        session.add(row)
        await session.flush()
    return row


async def forget_scene(session: AsyncSession, key: str, plans: Sequence[str]) -> Forgotten:
    """Forget what these tasks planned for a scene and, unless there are jobs with it, what was made of it."""
    folders = tuple(plan_folder(key, plan) for plan in plans)
    if await session.scalar(select(exists().where(JobRow.scene_key == key))):
        return Forgotten((), folders)
    gone = delete(ArtefactRow).where(ArtefactRow.key.startswith(scene_folder(key), autoescape=True))
    rows = await session.execute(gone.returning(ArtefactRow.key, ArtefactRow.object, ArtefactRow.size))
    return Forgotten(tuple(Artefact(*row) for row in rows), folders)
