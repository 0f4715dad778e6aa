"""Snapshots as files: what was saved is loaded, and what another version saved is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecs_core import Scene
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from services.worker.plan_files import load_snapshot, save_snapshot
from tests.media import SMALL


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
