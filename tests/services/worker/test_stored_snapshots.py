"""A plan that was lost goes on from its last snapshot, and a frame begins at the last one before it: exactly."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ecs_core import Scene, render
from ecs_core.ecs.world import World
from ecs_core.rendering.still import render_frame
from services.jobs.render_spec import build_spec, spec_key
from services.storage.object_keys import plan_folder, snapshot_key
from services.storage.object_store import Storage
from services.worker import stored_snapshots, task_runner
from tests.services.board import Board
from tests.services.worker.workshop import Workshop, plugin, workshop
from tests.waiting import HANG, eventually

CONFIG = {"width": 64, "height": 36, "particle_count": 40, "fps": 10}
FRAMES = 400  # of forty seconds


class KilledError(Exception):
    """Stands for the death of a task's process."""


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The frames that are simulated."""
    frames: list[int] = []
    step = World.step

    def counted(world: World, **more: Any) -> None:
        frames.append(world.frame)
        step(world, **more)

    monkeypatch.setattr(World, "step", counted)
    return frames


class Scenery:
    """Does tasks of a scene in this process."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.config = CONFIG | {"duration": FRAMES / 10} | config
        self.folder, self.storage = folder, Storage((folder / "storage").as_uri())

    def spec(self, **more: Any) -> dict[str, Any]:
        return build_spec("snow", self.config, None, "standard", **more)

    def do(self, kind: str, scene: dict[str, Any], *, attempt: int = 1, dies_at: int | None = None) -> None:
        def report(message: Mapping[str, Any]) -> None:
            if dies_at is not None and message.get("snapshot") == dies_at:
                raise KilledError

        (self.folder / kind).mkdir(exist_ok=True)
        spec = {"task": "t", "attempt": attempt, "plan": "p", "number": 0, "scene": scene, "kind": kind}
        spec |= {"scene_key": spec_key(scene), "folder": str(self.folder / kind)}
        task_runner.run(spec, self.storage, report)

    def frame(self, at: float, *, attempt: int = 1) -> str:
        """The digest of the picture of a frame, as the service makes it."""
        scene = self.spec(at=at)
        self.do("frame", scene, attempt=attempt)
        [made] = [
            each.key
            for batch in self.storage.list(f"scenes/{spec_key(scene)}")
            for each in batch
            if f"frame.t.{attempt}.png" in each.key
        ]
        with self.storage.file(made) as file:
            return hashlib.sha256(file.read_bytes()).hexdigest()

    def stored(self, plan: str = "p") -> dict[str, str]:
        """The digests of what a plan left, by key."""
        found = {}
        for batch in self.storage.list(plan_folder(spec_key(self.spec()), plan)):
            for each in batch:
                with self.storage.file(each.key) as file:
                    found[each.key.split("/", 4)[4]] = hashlib.sha256(file.read_bytes()).hexdigest()
        return found

    def expected(self, at: float) -> str:
        """The digest of the picture as the engine makes it."""
        render_frame(Scene("snow", config=self.config), at, self.folder / "expected.png")
        return hashlib.sha256((self.folder / "expected.png").read_bytes()).hexdigest()


def test_second_attempt_of_a_plan_simulates_what_the_first_did_not(tmp_path: Path, simulated: list[int]) -> None:
    (tmp_path / "whole").mkdir()
    whole, lost = Scenery(tmp_path / "whole"), Scenery(tmp_path)
    whole.do("plan", whole.spec())
    begun = simulated[-1]  # at the start of the last segment no more is simulated
    simulated.clear()
    with pytest.raises(KilledError):
        lost.do("plan", lost.spec(), dies_at=15)
    first = list(simulated)
    simulated.clear()
    lost.do("plan", lost.spec(), attempt=2)
    assert first == list(range(first[-1] + 1))
    assert simulated == list(range(first[-1] + 1, begun + 1))
    assert len(first) > FRAMES / 2
    assert lost.stored() == whole.stored()


def test_third_attempt_of_a_plan_that_stored_all_simulates_nothing(tmp_path: Path, simulated: list[int]) -> None:
    scenery = Scenery(tmp_path, duration=8.0)
    for attempt in (1, 2, 3):
        simulated.clear()
        scenery.do("plan", scenery.spec(), attempt=attempt)
        assert bool(simulated) == (attempt == 1)


def test_snapshot_that_is_gone_is_made_again_from_the_one_before(tmp_path: Path, simulated: list[int]) -> None:
    scenery = Scenery(tmp_path)
    scenery.do("plan", scenery.spec())
    before = scenery.stored()
    scenery.storage.delete([snapshot_key(spec_key(scenery.spec()), "p", number) for number in (5, 9)])
    simulated.clear()
    scenery.do("plan", scenery.spec(), attempt=2)
    assert simulated == [*range(80, 100), *range(160, 180)]
    assert scenery.stored() == before


@pytest.mark.parametrize("quality", ["draft", "standard", "high"])
def test_frame_begins_at_the_last_snapshot_of_a_plan(tmp_path: Path, simulated: list[int], quality: str) -> None:
    scenery = Scenery(tmp_path)
    scenery.do("plan", build_spec("snow", scenery.config, None, quality))  # type: ignore[arg-type]
    expected = scenery.expected(31.5)
    simulated.clear()
    assert scenery.frame(31.5) == expected
    assert simulated == list(range(300, 316))


def test_frame_far_into_a_video_leaves_snapshots_for_the_next_one(
    tmp_path: Path, simulated: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_snapshots, "_APART", 5)
    scenery = Scenery(tmp_path)
    expected = [scenery.expected(at) for at in (31.5, 31.7, 12.0)]
    simulated.clear()
    assert scenery.frame(31.5) == expected[0]
    assert simulated == list(range(316))
    assert sorted(scenery.stored("t-1")) == [f"snapshots/{number}.npz" for number in (10, 15, 5)]
    simulated.clear()
    assert scenery.frame(31.7) == expected[1]
    assert simulated == list(range(300, 318))
    simulated.clear()
    assert scenery.frame(12.0, attempt=2) == expected[2]
    assert simulated == list(range(100, 121))


def test_frame_near_the_beginning_leaves_nothing(tmp_path: Path) -> None:
    scenery = Scenery(tmp_path)
    scenery.frame(20.0)
    assert not scenery.stored("t-1")


def test_frame_whose_light_is_limited_needs_no_pass_where_a_plan_is_stored(
    tmp_path: Path, simulated: list[int]
) -> None:
    scenery = Scenery(tmp_path, duration=12.0, flash_guard="limit")
    scenery.do("plan", scenery.spec())
    expected = scenery.expected(10.5)
    simulated.clear()
    assert scenery.frame(10.5) == expected
    assert len(simulated) < 30


def test_frames_equal_those_of_the_video(tmp_path: Path) -> None:
    scenery = Scenery(tmp_path, duration=12.0)
    scenery.do("plan", scenery.spec())
    result = render(Scene("snow", config=scenery.config), tmp_path / "video.mp4", frame_hashes=True)
    seen = render_frame(Scene("snow", config=scenery.config), 10.5, tmp_path / "expected.png")
    assert seen == result.frame_hashes[105]
    assert scenery.frame(10.5) == hashlib.sha256((tmp_path / "expected.png").read_bytes()).hexdigest()


PLUGIN = """
import time
from pathlib import Path
from ecs_core import ParticleType, Phase, Position, System, hookimpl

class StopsOnce(System):
    phase = Phase.FORCE

    def process(self):
        stopped = Path(STOPPED)
        if self.world.frame == 700 and not stopped.exists():
            stopped.touch()
            time.sleep(3600)

@hookimpl
def motes_particle_types(register):
    register(ParticleType("stops_once", archetype=(Position,), systems=(StopsOnce,)))
"""


@pytest.fixture
async def shop(board: Board, tmp_path: Path) -> AsyncIterator[Workshop]:
    with plugin(tmp_path, PLUGIN.replace("STOPPED", repr(str(tmp_path / "stopped")))):
        async with workshop(board, tmp_path, stall_seconds=HANG) as made:
            yield made


@pytest.mark.anyio
async def test_killed_plan_goes_on_from_its_last_snapshot(shop: Workshop, tmp_path: Path) -> None:
    job = await shop.submit(particle_type="stops_once", **CONFIG | {"fps": 30, "duration": 60.0})
    pids: list[int] = []
    shop.on_fork = lambda child, claim: pids.append(child.pid)
    first = asyncio.create_task(shop.next())
    scene = (await shop.board.job(job)).scene
    folder = tmp_path / "storage" / plan_folder(spec_key(scene), (await shop.board.tasks_of(job))[0].id)
    await eventually(lambda: (tmp_path / "stopped").exists() and (folder / "snapshots" / "9.npz").exists())
    os.kill(pids[0], signal.SIGKILL)
    await first
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / "snapshots").iterdir()}
    await shop.next()
    now = {path.name: path.stat().st_mtime_ns for path in (folder / "snapshots").iterdir()}
    assert len(now) > len(kept)
    assert {name: now[name] for name in kept} == kept  # none was made again
    rows = [row for row in await shop.board.tasks_of(job) if row.kind == "segment"]
    assert len(rows) == len(now)
    assert {row.status for row in rows} == {"ready"}
