"""Tallies say what counting would, whatever changes the rows, and whoever adds them up meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update

from services.database.engine import Sessions
from services.database.models import ArtefactRow, JobRow, SystemRow, TallyChangeRow, new_id
from services.database.tallies import Tally, fold, recount, tallies, totals
from services.storage.object_keys import poster_key, result_key, segment_key
from tests.waiting import eventually

pytestmark = pytest.mark.anyio
STATES = ("queued", "rendering", "completed", "failed", "cancelled")


def job(chance: random.Random) -> JobRow:
    """A job of somebody's."""
    return JobRow(
        id=new_id(),
        owner=chance.choice("ab"),
        fairness_key="f",
        kind=chance.choice(("video", "preview")),
        system_id=new_id(),
        scene={},
        scene_key="k" * 64,
        output_path="v.mp4",
        status="queued",
        promised=7,
    )


async def counted(sessions: Sessions) -> dict[tuple[str, ...], tuple[int, int]]:
    """The jobs as counting finds them: number and bytes."""
    number, size = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    async with sessions() as session:
        for row in await session.scalars(select(JobRow)):
            whole = row.status == "completed" and row.size is None
            key = (row.owner, "whole" if whole else row.kind, "expired" if row.expired_at else row.status)
            number[key] += 1
            kept = row.status == "completed" and row.expired_at is None
            size[key] += row.promised if row.status in STATES[:2] else (row.size or 0) if kept else 0
    return {key: (number[key], size[key]) for key in number}


async def tallied(sessions: Sessions, owner: str | None = None) -> dict[tuple[str, ...], tuple[int, int]]:
    async with sessions() as session:
        found = await tallies(session, "jobs", owner)
    return {(each.owner, each.kind, each.state): (each.number, each.bytes) for each in found}


async def change(sessions: Sessions, chance: random.Random) -> None:
    """Some change of a job."""
    async with sessions.begin() as session:
        ids = list(await session.scalars(select(JobRow.id)))
        if not ids or chance.random() < 0.3:
            session.add(job(chance))
            return
        mine = JobRow.id == chance.choice(ids)
        if chance.random() < 0.2:
            await session.execute(delete(JobRow).where(mine))
            return
        state = chance.choice(STATES)
        size = chance.choice((None, 10, 20)) if state == "completed" else None
        created_at = await session.scalar(select(JobRow.created_at).where(mine))  # None: somebody has deleted it
        expired = created_at if state == "completed" and chance.random() < 0.3 else None
        await session.execute(update(JobRow).where(mine).values(status=state, size=size, expired_at=expired))


async def test_they_follow_every_change_while_they_are_added_up(sessions: Sessions) -> None:
    chance = random.Random(5)
    for _ in range(20):
        await asyncio.gather(*(change(sessions, chance) for _ in range(3)), fold(sessions), fold(sessions))
        assert await tallied(sessions) == await counted(sessions)
    await fold(sessions)
    async with sessions() as session:
        assert list(await session.scalars(select(TallyChangeRow.id))) == []
    of_a = {key: value for key, value in (await counted(sessions)).items() if key[0] == "a"}
    assert await tallied(sessions, "a") == of_a


async def test_counting_afresh_mends_them(sessions: Sessions) -> None:
    chance = random.Random(6)
    for _ in range(30):
        await change(sessions, chance)
    async with sessions.begin() as session:
        await session.execute(delete(TallyChangeRow))
    assert await tallied(sessions) == {}
    await recount(sessions)
    assert await tallied(sessions) == await counted(sessions)


async def test_systems_and_artefacts_are_counted(sessions: Sessions) -> None:
    def artefact(key: str, size: int) -> ArtefactRow:
        return ArtefactRow(key=key, object=key, size=size)

    scene = "s" * 64
    async with sessions.begin() as session:
        session.add_all(SystemRow(owner=owner, particle_type="snow", config={}) for owner in "aab")
        rows: list[Any] = [artefact(segment_key(scene, number), 10) for number in range(3)]
        session.add_all([*rows, artefact(result_key(scene, "video"), 100), artefact(poster_key(scene), 5)])
    async with sessions() as session:
        assert await tallies(session, "systems", "a") == [Tally("a", "", "", 2, 0)]
        assert await totals(session, "systems") == [Tally("", "", "", 3, 0)]
        found = {each.kind: (each.number, each.bytes) for each in await totals(session, "artefacts")}
    assert found == {"segments": (3, 30), "video.mp4": (1, 100), "poster.png": (1, 5)}


async def test_they_are_counted_afresh_while_others_add_them_up(sessions: Sessions) -> None:
    chance = random.Random(4)
    for _ in range(20):
        await change(sessions, chance)
    async with sessions.begin() as session:  # as ``fold`` does
        ids = list(await session.scalars(select(TallyChangeRow.id)))
        await session.execute(delete(TallyChangeRow).where(TallyChangeRow.id.in_(ids)))
        counting = asyncio.create_task(recount(sessions))
        if session.get_bind().dialect.name == "postgresql":
            waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")

            async def is_waiting() -> bool:
                return bool(await session.scalar(waits))

            await eventually(is_waiting)
    await counting
    assert await tallied(sessions) == await counted(sessions)
