"""The same look at 24, 30 and 60 frames a second, and at 360, 1080 and 2160 lines.

What is not random is compared as pictures; what is random by its distributions.
"""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.scene.scene import Scene
from ecs_core.video.png import rgb_of
from tests.plugins.simulate import PARTICLES_ALONE, TYPES, Moment, last, play, swells

SIZES = {360: (640, 360), 1080: (1920, 1080), 2160: (3840, 2160)}
Picture = NDArray[np.float64]

# --- sizes: everything is the same but how many pixels there are ---------------------------------------------------


@cache
def picture(kind: str, lines: int, fps: int = 30, **config: Any) -> Picture:
    """The frame after two seconds, shrunk to 640 × 360 pixels; linear light 0–1 of what a screen shows."""
    width, height = SIZES[lines]
    config = {"width": width, "height": height, "duration": 2.0, "fps": fps, "steady_spawn_rate": 10, **config}
    plan = make_plan(*Scene(kind, config=config).resolve(), None)
    renderer = SegmentRenderer(plan)
    with renderer.simulation as simulation:
        simulation.skip_to(plan.frames - 1)
        frame = renderer.picture(simulation.snapshot()).frame
    light = (rgb_of(frame).to_ndarray().astype(np.float64) / 255) ** 2.2
    n = height // 360
    shrunk: Picture = light.reshape(360, n, 640, n, 3).mean(axis=(1, 3))
    return shrunk


def coarse(picture: Picture, n: int = 20) -> Picture:
    """Means over squares of n pixels."""
    means: Picture = picture.reshape(360 // n, n, 640 // n, n, 3).mean(axis=(1, 3))
    return means


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("lines", [360, pytest.param(2160, marks=pytest.mark.campaign)])
def test_picture_is_the_same_at_any_size(kind: str, lines: int) -> None:
    usual, other = picture(kind, 1080), picture(kind, lines)
    # Means over squares of 20 pixels may differ by 2.5 % of full light, the whole by 5 % of its own.
    assert np.abs(coarse(usual) - coarse(other)).max() < 0.025
    assert other.mean() == pytest.approx(usual.mean(), rel=0.05)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("lines", [1080, pytest.param(2160, marks=pytest.mark.campaign)])
def test_background_is_the_same_at_any_size(kind: str, lines: int) -> None:
    small, other = (
        picture(kind, each, particle_count=0, max_particles=0, **PARTICLES_ALONE.get(kind, {})) for each in (360, lines)
    )
    # A step between two shades is larger in bright ones.
    assert np.abs(coarse(small) - coarse(other)).max() < 0.0005 + 0.001 * small.mean()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("lines", [360, 2160])
def test_simulation_does_not_depend_on_resolution(kind: str, lines: int) -> None:
    width, height = SIZES[lines]
    usual, other = (last(play(kind, swells, 1, **size)) for size in ({}, {"width": width, "height": height}))
    for field in fields(Moment):
        if field.name != "seen":
            np.testing.assert_array_equal(getattr(usual, field.name), getattr(other, field.name))


# --- frame rates: what is not random -------------------------------------------------------------------------------

RATES = [Fraction(24), Fraction(30000, 1001), Fraction(60)]


@pytest.mark.parametrize("fps", [24, 60])
def test_picture_without_randomness_is_the_same_at_any_rate(fps: int) -> None:
    # no_music draws no random number after the first frame.
    usual, other = picture("no_music", 360), picture("no_music", 360, fps)
    assert np.abs(coarse(usual, 40) - coarse(other, 40)).max() < 0.02
    assert other.mean() == pytest.approx(usual.mean(), rel=0.03)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("fps", [24, 60])
def test_background_is_the_same_at_any_rate(kind: str, fps: int) -> None:
    still = {"particle_count": 0, "max_particles": 0}
    np.testing.assert_array_equal(picture(kind, 360, **still), picture(kind, 360, fps, **still))


@pytest.mark.parametrize("fps", RATES)
def test_whirl_paths_do_not_depend_on_the_frame_rate(fps: Fraction) -> None:
    usual, other = (last(play("no_music", seconds=4, fps=rate)) for rate in (Fraction(30), fps))
    apart = np.hypot(usual.x - other.x, usual.y - other.y)
    apart = np.minimum(apart, np.hypot(np.abs(usual.x - other.x) - 1920, usual.y - other.y))
    # Way after way of some 500 units; the duration of 30000/1001 is a little other.
    assert np.quantile(apart, 0.9) < 15


@pytest.mark.parametrize("fps", RATES)
def test_snow_paths_in_silence_do_not_depend_on_the_frame_rate(fps: Fraction) -> None:
    usual, other = (last(play("snow", seconds=4, fps=rate)) for rate in (Fraction(30), fps))
    places = {(p, b): (x, y) for p, b, x, y in zip(usual.population, usual.birth, usual.x, usual.y, strict=True)}
    apart = [
        np.hypot(x - places[p, b][0], y - places[p, b][1])
        for p, b, x, y in zip(other.population, other.birth, other.x, other.y, strict=True)
        if (p, b) in places and b < (12 if p == 0 else 188)  # those that were there from the beginning
    ]
    assert len(apart) > 150
    assert np.quantile(apart, 0.95) < 3


# --- frame rates: what is random ------------------------------------------------------------------------------------

MANY = {"particle_count": 3000, "max_particles": 3000, "bounce": True}
SECONDS = 8
QUANTITIES = ("x", "y", "distance", "speed", "size", "radius", "light", "brightness")


@cache
def observed(kind: str, fps: int) -> list[Moment]:
    """Two moments a second."""
    return list(play(kind, swells, SECONDS, fps=fps, every=fps // 2, **MANY))


def gap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How far apart two distributions are, by Kolmogorov and Smirnov: 0 the same, 1 without overlap."""
    places = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(values), places, "right") / len(values) for values in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("fps", [24, 60])
class TestAtAnyFrameRate:
    @pytest.mark.parametrize("quantity", QUANTITIES)
    def test_distributions_are_the_same(self, kind: str, fps: int, quantity: str) -> None:
        # 3000 particles differ by chance by up to 0.05 in 999 of 1000 cases. Moments of fewer than 300 say nothing.
        gaps = [
            gap(getattr(one, quantity), getattr(other, quantity))
            for one, other in zip(observed(kind, 30), observed(kind, fps), strict=True)
            if min(one.count, other.count) > 300
        ]
        assert len(gaps) > 10
        assert np.mean(gaps) < 0.05
        assert max(gaps) < 0.1

    def test_counts_over_time_are_the_same(self, kind: str, fps: int) -> None:
        usual, other = ([moment.count for moment in observed(kind, rate)] for rate in (30, fps))
        assert other == pytest.approx(usual, rel=0.05, abs=30)  # 1 % of the cap

    def test_path_lengths_are_the_same(self, kind: str, fps: int) -> None:
        assert way(observed(kind, fps)) == pytest.approx(way(observed(kind, 30)), rel=0.05)


@pytest.mark.parametrize("fps", [1, 5, 240])
def test_strong_forces_move_alike_at_extreme_rates(fps: int) -> None:
    # At one step a second, an inward pull of 20 would have flung half of them beyond 500 units.
    distances = []
    for rate in (30, fps):
        play_on = play("enhanced", seconds=20, fps=rate, every=rate, inner_movement_strength=20, particle_count=500)
        distances.append(np.mean([np.median(moment.distance) for moment in list(play_on)[5:]]))
    assert distances[1] == pytest.approx(distances[0], rel=0.15)


def way(moments: list[Moment]) -> float:
    """The mean way in half a second of those that were there before, units."""
    ways = []
    for one, other in pairwise(moments):
        keys = [moment.birth + 10**7 * moment.population for moment in (one, other)]
        _, first, second = np.intersect1d(*keys, return_indices=True)
        lengths = np.hypot(other.x[second] - one.x[first], other.y[second] - one.y[first])
        ways.append(lengths[lengths < 500])  # no wrap round the edges
    return float(np.concatenate(ways).mean())
