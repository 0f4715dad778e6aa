"""What a picture shows: the background that was asked for, and particles that wrap without a jump of light."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ecs_core import Burst, Color, Look, ParticleType, Position, Range, Size, Sprite, Velocity, Walls, render
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.scene.scene import Scene
from ecs_core.scene.settings import validate
from ecs_core.video.png import rgb_of
from tests.media import noise, write_song


@pytest.mark.parametrize(
    "asked", [(0, 0, 0), (32, 32, 32), (128, 128, 128), (255, 255, 255), (230, 30, 40), (0, 90, 200), (250, 128, 114)]
)
def test_background_is_the_colour_asked_for(asked: tuple[int, int, int]) -> None:
    config = {"width": 64, "height": 64, "duration": 1.0, "particle_count": 0, "background": list(asked)}
    renderer = SegmentRenderer(make_plan(*Scene("snow", config=config).resolve(), None))
    with renderer.simulation as simulation:
        frame = renderer.picture(simulation.snapshot()).frame
    shown = rgb_of(frame).to_ndarray().reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(shown, asked, atol=1.6)  # video has 219 steps of luma


@pytest.mark.parametrize("shape", ["glow", "disc"])
def test_particle_wraps_without_a_jump_of_light(shape: str) -> None:
    burst = Burst(
        x=40, y=100, count=1, direction=math.pi, speed=Range(90, 90), size=Range(20, 20), light=Range(0.5, 0.5)
    )
    kind = ParticleType(
        "leaver", archetype=(Position, Velocity, Size, Color, Look), components=(burst, Walls("wrap"), Sprite(shape))
    )
    config = {"duration": 5.0, "width": 360, "height": 360, "background": (0, 0, 0)}
    renderer = SegmentRenderer(make_plan(kind, validate(kind.settings, config, owner="leaver"), None))
    halves = []
    with renderer.simulation as simulation:
        for _ in range(150):
            luma = renderer.picture(simulation.snapshot()).planes.luma[:, :360].astype(float) - 16
            luma[luma <= 1] = 0  # dither
            halves.append((luma[:, :180].sum(), luma[:, 180:].sum()))
    left, right = np.array(halves).T
    assert left[0] > 1000
    assert right[-1] > 1000
    assert (np.minimum(left, right) < 20).all()  # it is at one edge at a time
    entered = int(np.argmax(right > 0))
    assert left[entered - 1] < 0.1 * left.max()
    assert right[entered] < 0.1 * left.max()


def test_render_warns_of_overdraw(tmp_path: Path) -> None:
    vast = {"source": "level", "target": "size", "op": "add", "gain": 1e6}
    config = {"width": 64, "height": 64, "duration": 0.2, "particle_count": 1200, "bindings": [vast]}
    usual = render(Scene("bouncing", config={**config, "bindings": []}), tmp_path / "out.mp4", workers=1)
    assert usual.warnings == ()
    loud = write_song(tmp_path / "loud.wav", noise(0.2))
    result = render(Scene("bouncing", loud, config), tmp_path / "out.mp4", workers=1)
    assert result.warnings == (
        "in 6 frames particles would have covered the picture more than 1000 times, or lines of theirs 100, "
        "and were drawn smaller",
    )
