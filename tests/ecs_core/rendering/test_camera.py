"""The camera: what it shows, that it changes nothing else, and that it depends on the frame and the song alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from tests.ecs_core.rendering.test_layers import ZEN, states
from tests.media import SMALL

SIZE = {"width": 320, "height": 180, "duration": 0.4}


def seen(camera: dict[str, Any] | None, **config: Any) -> Sprites:
    """The sprites of the fourth frame."""
    config = {**SIZE, "particle_count": 40, "camera": camera, **config}
    plan = make_plan(*Scene("snow", config=config).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(3)
        return simulation.frame()


@pytest.mark.parametrize("camera", [{}, {"zoom": 1.0, "roll": 0.0, "x": 0.5, "y": 0.5}])
def test_camera_at_rest_shows_what_none_shows(camera: dict[str, float]) -> None:
    for name in ("x", "y", "radius", "red"):
        np.testing.assert_array_equal(getattr(seen(camera), name), getattr(seen(None), name))


def test_zoom_enlarges_around_the_middle() -> None:
    usual, near = seen(None), seen({"zoom": 2.5})
    np.testing.assert_allclose(near.x - 160, 2.5 * (usual.x - 160), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(near.y - 90, 2.5 * (usual.y - 90), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(near.radius, 2.5 * usual.radius, rtol=1e-5)
    np.testing.assert_array_equal(near.red, usual.red)


def test_what_lies_at_its_place_is_in_the_middle() -> None:
    usual, moved = seen(None), seen({"x": 0.75, "y": 0.25})
    np.testing.assert_allclose(moved.x, usual.x - 80, atol=1e-2)
    np.testing.assert_allclose(moved.y, usual.y + 45, atol=1e-2)


def test_roll_turns_clockwise() -> None:
    usual, turned = seen(None), seen({"roll": 90.0})  # what was right is below
    np.testing.assert_allclose(turned.y - 90, usual.x - 160, atol=1e-2)
    np.testing.assert_allclose(turned.x - 160, -(usual.y - 90), atol=1e-2)


def test_camera_sees_all_layers(demo_song: Path) -> None:
    usual, near = (seen(camera, layers=[{**ZEN, "behind": True}]) for camera in (None, {"zoom": 2.0}))
    np.testing.assert_allclose(near.x[:12] - 160, 2 * (usual.x[:12] - 160), rtol=1e-4, atol=1e-2)


def test_camera_changes_nothing_of_the_simulation(demo_song: Path) -> None:
    moving = [{"source": "rms", "target": "camera.zoom", "gain": 1.0}]
    configs: list[dict[str, Any]] = [{}, {"camera": {"roll": 30.0}, "bindings": moving}]
    plans = [make_plan(*Scene("enhanced", config={**SIZE, **config}).resolve(), None) for config in configs]
    assert states(plans[0], "") == states(plans[1], "")


def test_song_moves_the_camera_the_same_way_for_any_workers(demo_song: Path, tmp_path: Path) -> None:
    moving = [
        {"source": "rms", "target": "camera.zoom", "gain": 2.0, "attack": 0.1, "release": 0.4},
        {"source": "beat", "target": "camera.roll", "op": "add", "gain": 8.0},
    ]
    config = {**SMALL, "duration": 1.2, "camera": {}, "bindings": moving}
    scene = Scene("bouncing", demo_song, config)
    hashes = [
        render(scene, tmp_path / "out.mp4", workers=workers, segment_seconds=length, frame_hashes=True).frame_hashes
        for workers, length in ((1, 2.0), (2, 0.3))
    ]
    assert hashes[0] == hashes[1]
    assert render_frame(scene, 20 / 30, tmp_path / "frame.png") == hashes[0][20]
    still = render(
        Scene("bouncing", demo_song, {**config, "bindings": []}), tmp_path / "out.mp4", frame_hashes=True
    ).frame_hashes
    assert set(still).isdisjoint(hashes[0][3:])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"camera": {"zoom": 0}}, r"camera\.zoom = 0: must be between 0\.05 and 20"),
        ({"camera": {"pan": 1}}, r"unknown setting 'camera\.pan'"),
        ({"bindings": [{"source": "rms", "target": "camera.zoom"}]}, r"target = 'camera\.zoom': no such parameter"),
        ({"layers": [{"type": "zen", "config": {"camera": {}}}]}, r"config: camera = \{\}: belongs to the whole video"),
    ],
)
def test_invalid_camera_is_named(config: dict[str, Any], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        Scene("snow", config=config).resolve()
