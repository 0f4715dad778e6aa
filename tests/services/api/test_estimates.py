"""Estimates: what a render would take is what it is charged, and what it would be refused for, this is, too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from services.database.models import JobRow, TaskRow, UsageRow
from services.jobs.artefacts import Artefact, publish
from services.jobs.cost import RENDERED_SECOND
from services.storage.object_keys import result_key
from tests.services.api.world import SMALL, World, changed, song, world_of

EIGHT_K = {"width": 7680, "height": 4320, "quality": "high"}
CROWD = {"particle_count": 250_000, "width": 160, "height": 90, "duration": 3600.0}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, world_of(tmp_path_factory.mktemp("estimates")) as world:
        patch.setattr("services.api.routes.previews._TIMEOUT", 0.1)  # there is no worker
        yield world


def key(world: World, owner: str, *scopes: str, **limits: float) -> str:
    scopes = scopes or ("read", "render")
    return str(changed(world.database, lambda keys, _: keys.create(owner=owner, scopes=scopes, limits=limits))[1])


def system(world: World, who: str, **config: Any) -> str:
    answer = world.call(who, "POST", "/create", json={"particle_type": "snow", "config": SMALL | config})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["system_id"])


def used(world: World, owner: str) -> float:
    async def sum_of(keys: object, sessions: Any) -> float:
        async with sessions() as session:
            return sum(await session.scalars(select(UsageRow.seconds).where(UsageRow.owner == owner)))

    return float(world.change(sum_of))


def row_of(world: World, owner: str) -> JobRow:
    async def one(keys: object, sessions: Any) -> JobRow:
        async with sessions() as session:
            return (await session.scalars(select(JobRow).where(JobRow.owner == owner))).one()

    found = world.change(one)
    assert isinstance(found, JobRow)
    return found


def test_nothing_is_stored_and_the_render_costs_what_was_said(world: World) -> None:
    who = key(world, "alice")
    made = system(world, who)
    answer = world.call(who, "POST", f"/systems/{made}/estimate")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["seconds"], said["frames"], said["rendered_seconds"]) == (2.0, 60, 2.0)
    assert said["bytes"] > 0
    assert said["cpu_seconds"] > 0
    assert said["seconds_left"] is None  # there is no worker
    assert [each["name"] for each in said["outputs"]] == ["main"]
    assert not said["outputs"][0]["exists"]
    assert used(world, "alice") == 0
    assert world.call(who, "GET", "/jobs").json() == []
    assert world.call(who, "POST", f"/systems/{made}/render").status_code == 202
    assert used(world, "alice") == said["rendered_seconds"]


def test_what_costs_more_than_usual_counts_as_more(world: World) -> None:
    who = key(world, "bob")
    made = system(world, who)
    said = world.call(who, "POST", f"/systems/{made}/estimate", json=EIGHT_K).json()
    assert said["rendered_seconds"] > 5 * said["seconds"]
    assert said["rendered_seconds"] == pytest.approx(said["cpu_seconds"] / RENDERED_SECOND, rel=0.01)
    assert world.call(who, "POST", f"/systems/{made}/render", json=EIGHT_K).status_code == 202
    assert used(world, "bob") == pytest.approx(said["rendered_seconds"], abs=0.001)


def test_outputs_add_up(world: World) -> None:
    who = key(world, "carol")
    body = {"variants": [{"size": "90x160"}, {"size": "64x64", "duration": 1.0}]}
    said = world.call(who, "POST", f"/systems/{system(world, who)}/estimate", json=body).json()
    assert [each["name"] for each in said["outputs"]] == ["main", "90x160", "64x64"]
    assert [each["seconds"] for each in said["outputs"]] == [2.0, 2.0, 1.0]
    assert said["rendered_seconds"] == 5.0
    assert said["frames"] == 150
    assert used(world, "carol") == 0


def test_refuses_what_a_render_refuses(world: World) -> None:
    who = key(world, "dave", rendered_seconds_per_day=1.0)
    made = system(world, who)
    for body, status in (
        ({}, 429),
        ({"width": 7}, 400),
        ({"output_path": "../x.mp4"}, 400),
        ({"priority": "high"}, 403),
        ({"unknown": 1}, 400),
        ({"audio_path": "uploads/" + "0" * 64}, 404),
    ):
        estimated = world.call(who, "POST", f"/systems/{made}/estimate", json=body)
        rendered = world.call(who, "POST", f"/systems/{made}/render", json=body)
        assert (estimated.status_code, estimated.json()) == (status, rendered.json())
    assert world.call(key(world, "erin"), "POST", f"/systems/{made}/estimate").status_code == 404


def test_high_priority_needs_its_scope(world: World) -> None:
    plain, asking = key(world, "frank"), key(world, "frank", "read", "render", "priority")
    made = system(world, plain)
    refused = world.call(plain, "POST", f"/systems/{made}/render", json={"priority": "high"})
    assert refused.status_code == 403
    assert refused.json()["detail"] == "priority high: the API key lacks the scope 'priority'; it has read, render"
    for who, priority in ((plain, "normal"), (plain, "low"), (asking, "high")):
        assert world.call(who, "POST", f"/systems/{made}/render", json={"priority": priority}).status_code == 202
    audio = world.song(plain, song())["audio_id"]
    batch = {"particle_type": "snow", "config": SMALL, "songs": [audio], "priority": "high"}
    assert world.call(plain, "POST", "/batches", json=batch).status_code == 403
    assert world.call(asking, "POST", "/batches", json=batch).status_code == 202


def test_frame_is_charged_for_what_is_simulated_before_it_to_whoever_asks(world: World) -> None:
    who, reader = key(world, "grace"), key(world, "grace", "read", rendered_seconds_per_day=1000.0)
    made = system(world, who, **CROWD)
    assert world.call(reader, "GET", f"/systems/{made}/frame?t=3500").status_code == 503  # nobody makes it
    job, charged = row_of(world, "grace"), used(world, "grace")
    assert 200 < charged == job.price
    assert job.priority == "high"
    assert job.cost > 10  # of turns, though those of high priority are sixteen times as cheap
    assert world.call(reader, "GET", f"/systems/{made}/frame?t=3500").status_code == 503  # the same job
    assert used(world, "grace") == charged
    for number in range(20):
        answer = world.call(reader, "GET", f"/systems/{made}/frame?t={3400 + number}")
        if answer.status_code == 429:
            break
    assert answer.json()["limit"] == "rendered_seconds_per_day"
    assert used(world, "grace") <= 1000


def test_analysis_is_charged(world: World) -> None:
    who = key(world, "heidi")
    audio = world.song(who, song(level=77))["audio_id"]
    assert world.call(who, "GET", f"/audio/{audio}/analysis").status_code == 503
    assert 0 < used(world, "heidi") < 1


def test_slots_of_a_key_are_those_of_its_jobs(world: World) -> None:
    who = key(world, "ivan", running_tasks=3)
    assert world.call(who, "POST", f"/systems/{system(world, who)}/render").status_code == 202
    assert row_of(world, "ivan").slots == 3
    other = key(world, "judy")
    assert world.call(other, "POST", f"/systems/{system(world, other)}/render").status_code == 202
    assert row_of(world, "judy").slots is None


def test_result_that_exists_is_free(world: World) -> None:
    who = key(world, "kate")
    made = system(world, who, seed=4711)
    assert world.call(who, "POST", f"/systems/{made}/render").status_code == 202

    async def complete(keys: object, sessions: Any) -> None:
        async with sessions.begin() as session:
            job = (await session.scalars(select(JobRow).where(JobRow.owner == "kate"))).one()
            await session.execute(TaskRow.__table__.delete().where(TaskRow.job_id == job.id))
            job.status = "completed"
            await publish(session, Artefact(result_key(job.scene_key, "video"), "o", 123))

    world.change(complete)
    before = used(world, "kate")
    said = world.call(who, "POST", f"/systems/{made}/estimate").json()
    assert (said["rendered_seconds"], said["cpu_seconds"], said["seconds_left"]) == (0.0, 0.0, 0.0)
    assert said["outputs"][0]["exists"]
    assert used(world, "kate") == before
