"""Plans and snapshots as files: what was saved is loaded; a plan is mapped; what another version saved is refused."""

from __future__ import annotations

import mmap
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ecs_core import Scene
from ecs_core.audio import document
from ecs_core.audio.features import analyze
from ecs_core.audio.sonogram import TABLES
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.rendering.simulation import Simulation
from services.worker.plan_files import load_plan, load_snapshot, save_plan, save_snapshot
from tests.media import SMALL


@pytest.fixture
def scene(demo_song: Path) -> Scene:
    return Scene("enhanced", demo_song, {**SMALL, "duration": 2.0, "start": 0.5})


@pytest.fixture
def plan(scene: Scene) -> RenderPlan:
    assert scene.audio is not None
    return make_plan(*scene.resolve(), analyze(scene.audio))


def assert_same(loaded: RenderPlan, plan: RenderPlan) -> None:
    assert (loaded.segments, loaded.video, loaded.peak) == (plan.segments, plan.video, plan.peak)
    for field in fields(plan.timeline):
        ours, saved = getattr(loaded.timeline, field.name), getattr(plan.timeline, field.name)
        if isinstance(saved, dict):
            assert ours.keys() == saved.keys()
            for name, values in saved.items():
                np.testing.assert_array_equal(ours[name], values)
        else:
            assert ours == saved


def test_plan_is_mapped_and_gives_the_same_frames(scene: Scene, plan: RenderPlan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan.npz")
    loaded = load_plan(scene, tmp_path / "plan.npz")
    (tmp_path / "plan.npz").unlink()
    assert_same(loaded, plan)
    assert loaded.timeline.start == Fraction("0.5")
    for values in (*loaded.timeline.features.values(), *loaded.timeline.lead.values()):
        assert isinstance(values.base, mmap.mmap)
    digests = []
    for number, each in enumerate((plan, loaded)):
        with Simulation(each.particle_type, each.settings, each.timeline) as simulation:
            start = simulation.snapshot()
        renderer = SegmentRenderer(each, digests=True)
        digests.append(renderer.render(each.segments[0], start, tmp_path / f"{number}.mp4").digests)
    assert digests[0] == digests[1]


def test_plan_of_an_earlier_version_is_loaded(scene: Scene, plan: RenderPlan, tmp_path: Path) -> None:
    save_plan(plan, tmp_path / "plan.npz")
    with np.load(tmp_path / "plan.npz") as arrays:
        np.savez(tmp_path / "earlier.npz", **arrays)
    assert_same(load_plan(scene, tmp_path / "earlier.npz"), plan)


def test_snapshot_of_several_layers_is_what_was_saved(tmp_path: Path) -> None:
    config = {**SMALL, "duration": 1.0, "layers": [{"type": "zen"}, {"type": "snow", "name": "é/… "}]}
    plan = make_plan(*Scene("snow", config=config).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(7)
        saved = simulation.snapshot()
        save_snapshot(saved, tmp_path / "snapshot.npz")
        loaded = load_snapshot(tmp_path / "snapshot.npz")
        simulation.restore(loaded)
    assert loaded.frame == saved.frame == 7
    assert {layer: list(world.populations) for layer, world in loaded.layers.items()} == {
        "": ["blurred", "sharp"],
        "zen": ["discs", "lights"],
        "é/… ": ["blurred", "sharp"],
    }
    for layer, world in saved.layers.items():
        for name, rows in world.populations.items():
            other = loaded.layers[layer].populations[name]
            np.testing.assert_array_equal(rows.values, other.values)
            np.testing.assert_array_equal(rows.birth, other.birth)
            assert rows.next_birth == other.next_birth


def test_snapshot_of_an_earlier_version_is_refused_by_its_version(tmp_path: Path) -> None:
    np.savez(tmp_path / "snapshot.npz", frame=np.array(3), values0=np.zeros((2, 1)))
    with pytest.raises(ValueError, match="the snapshot has version 1, and this Motes reads 2"):
        load_snapshot(tmp_path / "snapshot.npz")


def test_plan_with_a_spectrum_has_what_it_needs_of_the_sonogram(demo_song: Path, tmp_path: Path) -> None:
    layers = [{"kind": "spectrum", "style": "bars"}, {"kind": "waveform"}, {"kind": "progress"}]
    config = {**SMALL, "particle_count": 0, "duration": 0.5, "start": 4.0, "layers": layers}
    scene = Scene("zen", demo_song, config)
    document.save(analyze(demo_song), tmp_path / "analysis.npz")
    plan = make_plan(*scene.resolve(), document.load(tmp_path / "analysis.npz"))
    save_plan(plan, tmp_path / "plan.npz")
    loaded = load_plan(scene, tmp_path / "plan.npz")
    (tmp_path / "plan.npz").unlink()
    ours, saved = loaded.timeline.sonogram, plan.timeline.sonogram
    assert ours is not None
    assert saved is not None
    assert (ours.peak, ours.begin) == (saved.peak, saved.begin)
    for name in TABLES:
        table = getattr(ours, name)
        assert isinstance(table, np.ndarray)
        assert isinstance(table.base, mmap.mmap)
        np.testing.assert_array_equal(table, getattr(saved, name)[:])
    digests = []
    for number, each in enumerate((plan, loaded)):
        with Simulation(each.particle_type, each.settings, each.timeline) as simulation:
            start = simulation.snapshot()
        renderer = SegmentRenderer(each, digests=True)
        digests.append(renderer.render(each.segments[0], start, tmp_path / f"{number}.mp4").digests)
    assert digests[0] == digests[1]
    assert len(set(digests[0])) > 10
