"""Artefacts: finished files by content key. Of several attempts' files exactly one counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnClause, delete, exists, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ecs_core.formats import FACTS
from services.database.clock import db_now
from services.database.engine import Sessions, advisory_lock
from services.database.models import FILE_OF_ARTEFACT, SCENE_OF_ARTEFACT, ArtefactRow, JobRow
from services.storage.object_keys import (
    SINGLE_TASK_KINDS,
    light_key,
    plan_folder,
    poster_key,
    result_key,
    segment_key,
    sound_key,
)

SCENE: ColumnClause[str] = literal_column(SCENE_OF_ARTEFACT)  # of an artefact; as text, for its index to be found
FILE: ColumnClause[str] = literal_column(FILE_OF_ARTEFACT)  # the first eight characters of its file's name
TOUCH_EVERY = timedelta(minutes=10)  # precision of ``used_at``


@dataclass(frozen=True)
class Artefact:
    """A finished file: its content key, its storage key, its size in bytes, and its sha256 if that is known.

    ``overdrawn`` is the number of frames of a segment or a video in which particles were drawn smaller. ``flashes`` are
    the passages in which a video flashes too often, as plain ``ecs_core.flashes.flashing.Flashing``; None where nobody
    looked.
    """

    key: str
    object: str
    size: int
    overdrawn: int = 0
    flashes: list[dict[str, Any]] | None = None
    digest: str | None = None


@dataclass(frozen=True)
class FilesToDelete:
    """What to delete from storage: artefacts, and whole folders."""

    artefacts: tuple[Artefact, ...]
    folders: tuple[str, ...]


async def find_artefact(sessions: Sessions, key: str) -> Artefact | None:
    """The artefact with this key, if it exists."""
    async with sessions() as session:
        row = await session.get(ArtefactRow, key)
        return None if row is None else as_artefact(row)


def looks_for_flashes(scene: Mapping[str, Any]) -> bool:
    """Whether flashes are counted in a scene's video, as ``Settings.looks_for_flashes``."""
    config = scene.get("config", {})
    return bool(config.get("flash_guard", "off") != "off" and config.get("format", "mp4") == "mp4")


def has_sound(scene: Mapping[str, Any]) -> bool:
    """Whether a scene's video has the sound of its song."""
    config = scene.get("config", {})
    has_track = FACTS[config.get("format", "mp4")].has_sound
    return scene.get("audio") is not None and bool(config.get("sound", True)) and has_track


def keys_left(scene: Mapping[str, Any], scene_key: str, kind: str, number: int) -> list[str]:
    """The keys of what a task leaves for the join: a piece of the sound, or a segment's file, and the light of its
    frames if flashes are counted.
    """
    if kind == "sound":
        return [sound_key(scene_key, number)]
    return [segment_key(scene_key, number), *([light_key(scene_key, number)] if looks_for_flashes(scene) else [])]


def as_artefact(row: ArtefactRow) -> Artefact:
    """What a row says."""
    return Artefact(row.key, row.object, row.size, row.overdrawn, row.flashes, row.digest)


async def touch(sessions: Sessions, key: str) -> None:
    """Mark an artefact as used now. Cheap to call often."""
    async with sessions() as session:
        mine = select(ArtefactRow.key).where(ArtefactRow.key == key, ArtefactRow.used_at < db_now(-TOUCH_EVERY))
        if await session.scalar(mine) is None:
            return
    async with sessions.begin() as session:
        await session.execute(update(ArtefactRow).where(ArtefactRow.key == key).values(used_at=db_now()))


async def publish(session: AsyncSession, made: Artefact) -> ArtefactRow:
    """Publish a file under its key unless another was published before; returns the one that counts."""
    await advisory_lock(session, made.key)
    row = await session.get(ArtefactRow, made.key)
    if row is None:
        row = ArtefactRow(**asdict(made))
        session.add(row)
        await session.flush()
    return row


async def finished_result(session: AsyncSession, job: JobRow, *, reopened: bool = False) -> ArtefactRow | None:
    """The result of a job, if nothing of it has to be made; of one that is ``reopened`` a video has its poster."""
    row = await session.get(ArtefactRow, result_key(job.scene_key, job.kind))
    if row is None or job.kind in SINGLE_TASK_KINDS or not (reopened or job.reopened_at is not None):
        return row
    return row if await session.get(ArtefactRow, poster_key(job.scene_key)) is not None else None


async def result_size(session: AsyncSession, scene_key: str, kind: str) -> int:
    """Bytes of a scene's result, together with the poster of a video."""
    keys = (result_key(scene_key, kind), poster_key(scene_key))
    return int(await session.scalar(select(func.sum(ArtefactRow.size)).where(ArtefactRow.key.in_(keys))) or 0)


async def delete_scene_rows(session: AsyncSession, key: str, plans: Sequence[str]) -> FilesToDelete:
    """Delete the rows of a scene's artefacts unless a job still has the scene; ``plans`` are ids of plan tasks."""
    folders = tuple(plan_folder(key, plan) for plan in plans)
    if await session.scalar(select(exists().where(JobRow.scene_key == key))):
        return FilesToDelete((), folders)
    gone = delete(ArtefactRow).where(SCENE.in_([key]))
    rows = await session.execute(gone.returning(ArtefactRow.key, ArtefactRow.object, ArtefactRow.size))
    return FilesToDelete(tuple(Artefact(*row) for row in rows), folders)
