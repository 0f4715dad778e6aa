"""Colours: each of those that are set about as often, and red is red in the decoded video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ecs_core import Scene, render
from tests.plugins.simulate import PARTICLES_ALONE, TYPES, last, play

RED, GREEN, BLUE = [255, 0, 0], [0, 255, 0], [0, 0, 255]
# These colour by place, by family, and along a word.
AT_RANDOM = [kind for kind in TYPES if kind not in ("flow", "orbits", "portrait")]
MANY = {"particle_count": 3000, "max_particles": 3000, "steady_spawn_rate": 30}


@pytest.mark.parametrize("kind", AT_RANDOM)
def test_three_colours_are_used_about_equally(kind: str) -> None:
    color = last(
        play(kind, seconds=2, fps=10, particle_colors=[RED, GREEN, BLUE], **MANY, **PARTICLES_ALONE.get(kind, {}))
    ).color
    assert ((color > 0).sum(axis=1) == 1).all()  # one colour each, not a mixture
    shares = (color > 0).mean(axis=0)
    assert shares == pytest.approx(np.full(3, 1 / 3), abs=5 * (2 / 9 / len(color)) ** 0.5)  # standard deviations


@pytest.mark.parametrize("kind", AT_RANDOM)
def test_colour_given_twice_is_used_twice_as_often(kind: str) -> None:
    color = last(
        play(kind, seconds=2, fps=10, particle_colors=[RED, RED, BLUE], **MANY, **PARTICLES_ALONE.get(kind, {}))
    ).color
    assert (color[:, 0] > 0).mean() == pytest.approx(2 / 3, abs=5 * (2 / 9 / len(color)) ** 0.5)


def decoded(kind: str, colour: list[int], path: Path) -> np.ndarray:
    """How much red, green and blue there is in the last frame of a video, over its black background."""
    config: dict[str, Any] = {
        "width": 320,
        "height": 180,
        "duration": 0.5,
        "fps": 12,
        "background": [0, 0, 0],
        "particle_colors": [colour],
        "max_particles": 200,
        "steady_spawn_rate": 200,
    }
    render(Scene(kind, config=config), path, workers=1)
    with av.open(str(path)) as container:
        *_, frame = container.decode(video=0)
    total: np.ndarray = frame.to_ndarray(format="rgb24").astype(float).sum(axis=(0, 1))
    return total


@pytest.mark.parametrize("kind", TYPES)
def test_red_is_red_in_the_decoded_video(kind: str, tmp_path: Path) -> None:
    # Bright cores go towards white, so there is some of the others.
    red, green, blue = decoded(kind, RED, tmp_path / "out.mp4")
    assert red > 2 * max(green, blue)


@pytest.mark.parametrize(("colour", "strongest"), [(GREEN, 1), (BLUE, 2)])
def test_green_is_green_and_blue_is_blue(colour: list[int], strongest: int, tmp_path: Path) -> None:
    assert decoded("enhanced", colour, tmp_path / "out.mp4").argmax() == strongest
