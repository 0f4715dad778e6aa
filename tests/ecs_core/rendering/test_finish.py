"""The finish of a scene: that it is of the whole video, that the song moves it, and that it depends on nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.raster.finish import Finish
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.preparation import needed_kernels
from ecs_core.rendering.simulation import Simulation
from tests.ecs_core.rendering.test_layers import ZEN, states
from tests.media import SMALL

SIZE = {"width": 320, "height": 180, "duration": 0.4}


def finish_of(finish: dict[str, Any] | None, **config: Any) -> Finish | None:
    """That of the fourth frame."""
    plan = make_plan(*Scene("snow", config={**SIZE, "finish": finish, **config}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(3)
        simulation.frame()
        return simulation.finish


def test_scene_has_no_finish_unless_it_names_one() -> None:
    assert finish_of(None) is None
    assert finish_of({}) == Finish()


def test_colours_of_a_finish_are_linear_light() -> None:
    finish = finish_of({"shadows": [0, 128, 255], "bloom": 2.0})
    assert finish is not None
    np.testing.assert_allclose(finish.shadows, (0, 0.21586, 1), atol=1e-4)
    assert finish.lights == (1, 1, 1)
    assert finish.bloom == 2.0


def test_finish_changes_nothing_of_the_simulation(demo_song: Path) -> None:
    plans = [
        make_plan(*Scene("enhanced", config={**SIZE, **config}).resolve(), None)
        for config in ({}, {"finish": {"bloom": 1.0}, "bindings": [{"source": "rms", "target": "finish.exposure"}]})
    ]
    assert states(plans[0], "") == states(plans[1], "")


def test_song_moves_the_finish_the_same_way_for_any_workers(demo_song: Path, tmp_path: Path) -> None:
    moving = [
        {"source": "rms", "target": "finish.bloom", "op": "add", "gain": 6.0, "attack": 0.1, "release": 0.4},
        {"source": "beat", "target": "finish.exposure", "op": "add", "gain": 2.0},
        {"source": "onset", "target": "finish.aberration", "op": "add", "gain": 30.0},
    ]
    scene = Scene("bouncing", demo_song, {**SMALL, "duration": 1.2, "finish": {}, "layers": [ZEN], "bindings": moving})
    hashes = [
        render(scene, tmp_path / "out.mp4", workers=workers, segment_seconds=length, frame_hashes=True).frame_hashes
        for workers, length in ((1, 2.0), (2, 0.3))
    ]
    assert hashes[0] == hashes[1]
    assert render_frame(scene, 20 / 30, tmp_path / "frame.png") == hashes[0][20]
    still = render(Scene("bouncing", demo_song, {**SMALL, "duration": 1.2, "finish": {}, "layers": [ZEN]}),
                   tmp_path / "still.mp4", frame_hashes=True).frame_hashes  # fmt: skip
    assert set(still).isdisjoint(hashes[0][3:])


def test_bound_numbers_stay_within_what_can_be_drawn() -> None:
    wild = [{"source": "rms", "target": f"finish.{name}", "op": "set", "gain": 1e6, "curve": [[0, 1], [1, 1]]}
            for name in ("exposure", "bloom_radius", "vignette", "saturation")]  # fmt: skip
    finish = finish_of({}, bindings=wild)
    assert finish is not None
    for name, (low, high) in Finish.limits.items():
        assert low <= getattr(finish, name) <= high


def test_kernels_of_a_finish_are_compiled_where_there_is_one() -> None:
    for finish in (None, {}):
        names = needed_kernels(*Scene("zen", config={"finish": finish}).resolve(), song=False)
        assert ("finish.finish_band" in names) is (finish is not None)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"finish": {"vignette": 1}}, r"finish\.vignette = 1: must be between 0 and 0\.95"),
        ({"finish": {"blom": 1}}, r"unknown setting 'finish\.blom'"),
        ({"finish": {"shadows": "blue"}}, r"finish\.shadows = 'blue': must be"),
        ({"bindings": [{"source": "rms", "target": "finish.bloom"}]}, r"target = 'finish\.bloom': no such parameter"),
        ({"layers": [{"type": "zen", "config": {"finish": {}}}]}, r"config: finish = \{\}: belongs to the whole video"),
    ],
)
def test_invalid_finish_is_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        Scene("snow", config=config).resolve()
