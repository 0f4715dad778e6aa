"""Renders with variants over HTTP: one job for clients, each output at an address of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from services.api.routes import previews
from services.database.engine import open_database
from services.database.models import JobRow
from services.jobs.outputs import part_id
from services.jobs.render_spec import build_spec, build_specs, spec_key
from tests.services.api.world import SMALL, World, world_of
from tests.services.board import Board

VARIANTS = [{"size": "90x160"}, {"name": "clip", "format": "gif", "duration": 1.0}]
NAMES = ["main", "90x160", "clip"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(tmp_path_factory.mktemp("outputs"), auth="off") as world:
        yield world


def create(world: World, **config: Any) -> str:
    answer = world.call(None, "POST", "/create", json={"particle_type": "snow", "config": SMALL | config})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["system_id"])


def submit(world: World, system: str, **body: Any) -> str:
    answer = world.call(None, "POST", f"/systems/{system}/render", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def job_of(world: World, job: str) -> dict[str, Any]:
    return dict(world.call(None, "GET", f"/jobs/{job}").json())


def on_board(world: World, do: Callable[[Board], Awaitable[Any]]) -> Any:
    """What workers do to the database, without files."""

    async def run() -> Any:
        engine, sessions = open_database(world.database)
        try:
            return await do(Board(sessions))
        finally:
            await engine.dispose()

    return asyncio.run(run())


@pytest.mark.parametrize("place", ["config", "request"])
def test_job_tells_of_its_outputs_and_lists_show_it_alone(world: World, place: str) -> None:
    system = create(world, **({"variants": VARIANTS} if place == "config" else {}))
    job = submit(world, system, seed=1, **({"variants": VARIANTS} if place == "request" else {}))
    outputs = job_of(world, job)["outputs"]
    queued = {"status": "queued", "progress": 0, "bytes": None, "url": None}
    assert outputs == [
        {"name": "main", "width": 160, "height": 90, "format": "mp4", **queued},
        {"name": "90x160", "width": 90, "height": 160, "format": "mp4", **queued},
        {"name": "clip", "width": 160, "height": 90, "format": "gif", **queued},
    ]
    listed = world.call(None, "GET", "/jobs", params={"system_id": system}).json()
    assert [each["job_id"] for each in listed] == [job]
    assert listed[0]["outputs"] == outputs
    for part in (part_id(job, name) for name in NAMES):
        assert world.call(None, "GET", f"/jobs/{part}").status_code == 404
        assert world.call(None, "DELETE", f"/jobs/{part}").status_code == 404
    answer = world.call(None, "GET", f"/jobs/{job}/outputs/main")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Output not completed: it is queued")
    answer = world.call(None, "GET", f"/jobs/{job}/outputs/tall")
    said = "Output 'tall' not found; there are: main, 90x160, clip"
    assert (answer.status_code, answer.json()["detail"]) == (404, said)
    world.call(None, "POST", f"/jobs/{job}/cancel")
    assert [each["status"] for each in job_of(world, job)["outputs"]] == ["cancelled"] * 3
    assert world.call(None, "DELETE", f"/jobs/{job}").status_code == 200
    assert world.call(None, "GET", f"/jobs/{job}/outputs/main").status_code == 404
    assert on_board(world, lambda board: board.count(JobRow)) == 0


def test_job_without_variants_has_one_output(world: World) -> None:
    job = submit(world, create(world), output_path="a.webm")
    [output] = job_of(world, job)["outputs"]
    assert (output["name"], output["format"], output["url"]) == ("main", "webm", None)
    on_board(world, lambda board: board.work())
    [output] = job_of(world, job)["outputs"]
    assert (output["status"], output["bytes"], output["url"]) == ("completed", 1001, f"jobs/{job}/outputs/main")
    world.call(None, "DELETE", f"/jobs/{job}")


def test_an_output_has_an_address_as_soon_as_it_is_completed(world: World) -> None:
    job = submit(world, create(world), variants=VARIANTS, seed=2)

    async def work(board: Board) -> None:
        while (await board.job(part_id(job, "main"))).status != "completed":
            await board.do(await board.take())

    on_board(world, work)
    told = job_of(world, job)
    assert told["status"] == "rendering"
    assert [each["url"] for each in told["outputs"]] == [f"jobs/{job}/outputs/main", None, None]
    answer = world.call(None, "GET", f"/download/{job}")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Job not completed: it is rendering")
    on_board(world, lambda board: board.work())
    told = job_of(world, job)
    assert told["status"] == "completed"
    assert [each["url"] for each in told["outputs"]] == [f"jobs/{job}/outputs/{name}" for name in NAMES]
    world.call(None, "DELETE", f"/jobs/{job}")


def test_deleting_the_system_leaves_its_renders(world: World) -> None:
    system = create(world)
    job = submit(world, system, variants=VARIANTS)
    assert world.call(None, "DELETE", f"/systems/{system}").status_code == 200
    assert [each["status"] for each in job_of(world, job)["outputs"]] == ["queued"] * 3
    world.call(None, "DELETE", f"/jobs/{job}")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"variants": [{"size": "big"}]}, "variants.0.size = 'big': must be WIDTHxHEIGHT, for example 1920x1080"),
        ({"variants": [{"size": "64x64"}, {"name": "64x64"}]}, "variants.1.name = '64x64': another output has this"),
        ({"variants": [{"format": "mov"}], "quality": "8M"}, "variants.0: quality '8M': mov has no bit rate"),
        ({"variants": [{"format": "gif"}], "duration": 21}, "variants.0: format = gif with 21 s of video"),
        ({"variants": 7}, "variants = 7: must be a list of up to 8"),
        ({"variants": [{"size": f"{n}x16"} for n in range(16, 34, 2)]}, "9 variants: at most 8 here"),
        ({"variants": [{"colour": 1}]}, "unknown setting 'variants.0.colour'"),
    ],
)
def test_wrong_variants_are_refused_by_name(world: World, body: dict[str, Any], said: str) -> None:
    answer = world.call(None, "POST", f"/systems/{create(world)}/render", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"].startswith(said)
    assert on_board(world, lambda board: board.count(JobRow)) == 0


def test_spec_of_a_variant_is_that_of_a_scene_of_its_own() -> None:
    config = {**SMALL, "variants": [*VARIANTS, {"size": "160x90", "name": "again"}]}
    specs = build_specs("snow", config, None, "standard")
    assert [*specs] == [*NAMES, "again"]
    alone = {
        "main": SMALL,
        "90x160": {**SMALL, "width": 90, "height": 160},
        "clip": {**SMALL, "format": "gif", "duration": 1.0},
        "again": SMALL,
    }
    for name, own in alone.items():
        assert spec_key(specs[name]) == spec_key(build_spec("snow", own, None, "standard")), name


@pytest.mark.parametrize("look", ["frame", "preview"])
def test_looks_are_of_the_main_output_whatever_the_variants_are(
    world: World, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    monkeypatch.setattr(previews, "_TIMEOUT", 0.1)  # there is no worker
    variants = [{"size": "64x64"}, {"size": "64x64", "format": "mp4"}]  # of the same name if the video were an mp4
    system = create(world, format="webm", variants=variants)
    answer = world.call(None, "GET", f"/systems/{system}/{look}")
    assert (answer.status_code, answer.json()["detail"][:21]) == (503, f"The {look} is queued; "[:21])

    async def specs(board: Board) -> list[dict[str, Any]]:
        async with board.sessions() as session:
            return list(await session.scalars(select(JobRow.scene)))

    [spec] = on_board(world, specs)
    assert (spec["config"]["variants"], spec["config"]["width"]) == ([], 160)
    world.call(None, "DELETE", f"/systems/{system}")


def test_outputs_are_named_after_the_main_one(world: World) -> None:
    job = submit(world, create(world), variants=VARIANTS, output_path="my song.mp4")

    async def names(board: Board) -> list[str]:
        return [(await board.job(part_id(job, name))).output_path for name in NAMES]

    assert on_board(world, names) == ["my song.mp4", "my song-90x160.mp4", "my song-clip.gif"]
    world.call(None, "DELETE", f"/jobs/{job}")
