"""Versions side by side on one board: each takes what it can render, what nobody is left for is planned anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from services.database.engine import open_database
from services.database.migrations import schema_revision
from services.database.models import ArtefactRow
from services.jobs import render_spec
from services.jobs.artefacts import FilesToDelete, find_artefact
from services.jobs.render_spec import VERSION_LENGTH, build_spec, migrate_spec, renderable_versions, spec_key
from services.storage.object_keys import plan_folder, result_key, segment_key
from tests.services.board import Board, padded, together

pytestmark = pytest.mark.anyio

OLD, NEW = "a" * VERSION_LENGTH, "b" * VERSION_LENGTH
OLD_1, NEW_1 = padded(OLD + "1"), padded(NEW + "1")


@dataclass
class Sides:
    """The same board as workers of two versions see it."""

    old: Board
    new: Board

    async def adopt(self, key: str, *, by: Board | None = None) -> list[FilesToDelete | None]:
        """Adopt all jobs that the old version left; returns folders to delete."""
        board = by or self.new
        versions = await board.jobs.stranded_versions(board.versions or ())
        alone = [job for version in versions for job in (await board.jobs.stranded_jobs(version))[0]]
        return [await board.jobs.replan(job, job.scene, key) for job in alone]


@pytest.fixture
async def sides(database: str) -> AsyncIterator[Sides]:
    engine, sessions = open_database(database)
    old, new = (Board(sessions, [version]) for version in (OLD, NEW))
    yield Sides(old, new)
    await engine.dispose()


async def test_worker_claims_only_jobs_of_its_version(sides: Sides) -> None:
    first, second = [await sides.old.submit(scene_key=version + "1") for version in (OLD, NEW)]
    assert {offer.version for offer in await sides.new.turns.next()} == {OLD, NEW}
    assert {claim.job for claim in await sides.new.work()} == {second}
    assert await sides.old.status(first) == "queued"
    assert {claim.job for claim in await sides.old.work()} == {first}
    assert await sides.old.status(first) == await sides.old.status(second) == "completed"


async def test_worker_claims_nothing_from_another_database_structure(sides: Sides) -> None:
    await sides.old.submit(scene_key=OLD_1)
    was = await schema_revision(sides.old.sessions)
    change = text("UPDATE alembic_version SET version_num = :structure")
    contract = text("UPDATE compatibility SET oldest = :structure")
    async with sides.old.sessions.begin() as session:
        await session.execute(change, {"structure": "9999"})
    try:
        assert await schema_revision(sides.old.sessions) == was, "it can work with what is newer"
        claim = await sides.old.tasks.claim("worker")
        assert claim is not None
        await sides.old.tasks.requeue(claim)
        async with sides.old.sessions.begin() as session:
            await session.execute(contract, {"structure": "9999"})
        assert await schema_revision(sides.old.sessions) == "9999"
        assert await sides.old.tasks.claim("worker") is None
    finally:
        async with sides.old.sessions.begin() as session:
            await session.execute(contract, {"structure": "0001"})
        async with sides.old.sessions.begin() as session:  # the database is shared by tests
            await session.execute(change, {"structure": was})
    assert await sides.old.tasks.claim("worker") is not None


async def test_job_is_stranded_only_if_no_task_of_its_version_runs(sides: Sides) -> None:
    jobs = [await sides.old.submit(scene_key=OLD + str(number)) for number in range(2)]
    claim = await sides.old.take()
    assert await sides.new.jobs.stranded_versions([NEW]) == []
    await sides.old.tasks.requeue(claim)
    assert await sides.new.jobs.stranded_versions([NEW]) == [OLD]
    alone, _ = await sides.new.jobs.stranded_jobs(OLD)
    assert {job.id for job in alone} == set(jobs)
    assert await sides.old.jobs.stranded_versions([OLD]) == []


async def test_stranded_jobs_are_read_a_few_at_a_time_and_then_again(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.jobs.lifecycle._STRANDED", 2)
    jobs = [await sides.old.submit(scene_key=OLD + str(number)) for number in range(5)]
    read, after = list[list[str]](), ""
    for _ in range(4):
        some, after = await sides.new.jobs.stranded_jobs(OLD, after=after)
        read.append(sorted(job.id for job in some))
    assert read == [sorted(jobs[:2]), sorted(jobs[2:4]), jobs[4:], sorted(jobs[:2])]


async def test_adopted_job_is_replanned_and_rendered_by_one_version(sides: Sides) -> None:
    job = await sides.old.submit(scene_key=OLD_1)
    begun = await sides.old.until("segment")
    await sides.old.do(begun)
    late = await sides.old.take()
    await sides.old.tasks.requeue(late)
    [gone] = await sides.adopt(NEW_1)
    assert gone is not None
    assert {made.key for made in gone.artefacts} == {segment_key(OLD_1, begun.number)}
    assert gone.folders == (plan_folder(OLD_1, begun.plan or ""),)
    assert (await sides.new.job(job)).progress == 0
    assert not await sides.old.renew(late, 5)
    done = await sides.new.work()
    assert [claim.kind for claim in done] == ["plan", "segment", "segment", "segment", "join"]
    assert {claim.scene_key for claim in done} == {NEW_1}
    assert await sides.new.status(job) == "completed"
    assert await find_artefact(sides.new.sessions, segment_key(OLD_1, begun.number)) is None


async def test_adopting_keeps_segments_of_other_jobs_with_the_scene(sides: Sides) -> None:
    over = await sides.old.submit(scene_key=OLD_1)
    await sides.old.work()
    async with sides.old.sessions.begin() as session:
        row = await session.get_one(ArtefactRow, result_key(OLD_1, "video"))
        await session.delete(row)  # so that the next one has something to do
    await sides.old.submit(scene_key=OLD_1)
    [gone] = await sides.adopt(NEW_1)
    assert gone is not None
    assert gone.artefacts == ()
    assert await find_artefact(sides.old.sessions, segment_key(OLD_1, 0)) is not None
    assert await sides.old.status(over) == "completed"


async def test_adopted_job_completes_at_once_if_already_rendered(sides: Sides) -> None:
    await sides.new.submit(scene_key=NEW_1)
    await sides.new.work()
    job = await sides.old.submit(scene_key=OLD_1)
    await sides.adopt(NEW_1)
    assert await sides.new.status(job) == "completed"
    assert await sides.new.work() == []


async def test_concurrent_adoption_happens_once(sides: Sides) -> None:
    job = await sides.old.submit(scene_key=OLD_1)
    [row], _ = await sides.new.jobs.stranded_jobs(OLD)
    await together(*(sides.new.jobs.replan(row, row.scene, NEW_1) for _ in range(5)))
    assert [task.kind for task in await sides.new.tasks_of(job)] == ["plan"]
    claim = await sides.new.take()
    assert await sides.new.jobs.replan(row, row.scene, NEW_1) is None
    assert await sides.new.renew(claim, 1), "who came late took it from who works on it"


async def test_finished_job_is_not_adopted(sides: Sides) -> None:
    job = await sides.old.submit(scene_key=OLD_1)
    [row], _ = await sides.new.jobs.stranded_jobs(OLD)
    await sides.old.jobs.cancel(job)
    assert await sides.new.jobs.replan(row, row.scene, NEW_1) is None
    assert await sides.new.status(job) == "cancelled"
    assert await sides.new.jobs.stranded_versions([NEW]) == []


async def test_waiting_for_another_version_is_reported_once(sides: Sides) -> None:
    job = await sides.old.submit(scene_key=OLD_1)
    [row], _ = await sides.new.jobs.stranded_jobs(OLD)
    for _ in range(2):
        await sides.new.jobs.set_blocked_reason(row, "waiting")
    assert [event["error"] for event in await sides.new.events(job)] == [None, "waiting"]


def test_key_begins_with_the_version_and_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = build_spec("snow", {"duration": 2.0}, None, "draft")
    key = spec_key(scene)
    assert len(key) == 64
    assert key[:VERSION_LENGTH] in renderable_versions()
    assert migrate_spec(scene) == scene
    render_spec.renderer_version.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(render_spec, "version", lambda name: "9.9")
        other = spec_key(scene)
        assert other[:VERSION_LENGTH] not in {key[:VERSION_LENGTH]}
        assert other[VERSION_LENGTH:] != key[VERSION_LENGTH:]
    render_spec.renderer_version.cache_clear()
    assert spec_key(scene) == key
