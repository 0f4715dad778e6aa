"""tunnel: stars rush past the viewer, by tempo, loudness and drops."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ecs_core.ecs.space import Depth
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.simulation import Simulation
from ecs_core.scene.scene import Scene
from tests.plugins.simulate import Song, events, kicks, last, play, silence, steady
from tests.plugins.test_same_look import coarse, picture


def depths(song: Song, seconds: float, **config: Any) -> np.ndarray:
    """The depth of all stars after each frame, (frames, stars)."""
    config = {"width": 320, "height": 180, "duration": seconds, **config}
    kind, settings = Scene("tunnel", config=config).resolve()
    frames = settings.frames(Fraction(0))
    found = []
    with Simulation(kind, settings, with_levels(song(settings.rate, frames), settings)) as simulation:
        for _ in range(frames):
            simulation.world.step()
            [(_, (depth,))] = simulation.world.query(Depth)
            found.append(depth.z.copy())
    return np.array(found)


def speed(song: Song, seconds: float = 1.0, **config: Any) -> np.ndarray:
    """Units a second towards the viewer, in each frame but the first."""
    return np.median(-30 * np.diff(depths(song, seconds, **config), axis=0), axis=1)


def test_calm_floats_and_loud_rushes() -> None:
    calm, loud = speed(silence, 3)[-1], speed(steady(1.0), 3)[-1]
    assert 100 < calm < 300
    assert loud > 3 * calm


def test_drop_accelerates_and_ebbs_away() -> None:
    course = speed(events(drops=1.0), 8)
    calm = course[20]
    assert course[45] > 3.5 * calm
    assert course[-1] < 1.5 * calm
    assert np.abs(np.diff(course)).max() < 1.6 * calm  # it does not jump


def test_drop_draws_longer_streaks() -> None:
    def longest(song: Song) -> float:
        seen = last(play("tunnel", song, 1.4)).seen
        assert seen.dx is not None
        assert seen.dy is not None
        return float(np.quantile(np.hypot(seen.dx, seen.dy), 0.9))

    assert longest(events(drops=1.0)) > 4 * longest(silence)


def test_pace_0_stands_still() -> None:
    assert speed(kicks, pace=0).max() == pytest.approx(0, abs=1e-3)


def test_no_star_appears_or_vanishes_at_once() -> None:
    before = None
    for moment in play("tunnel", silence, 4, particle_count=400):
        if before is not None:
            assert np.abs(moment.light - before).max() < 0.35
        before = moment.light


def test_number_of_stars_is_the_set_one_and_never_changes() -> None:
    assert {moment.count for moment in play("tunnel", kicks, 5, fps=10, particle_count=500)} == {500}


def test_tunnel_turns() -> None:
    one, other = (last(play("tunnel", roll=roll, bend=0, pace=0)) for roll in (0.0, 30.0))
    angles = [np.arctan2(moment.y - 540, moment.x - 960) for moment in (one, other)]
    turned = np.degrees(np.angle(np.exp(1j * (angles[1] - angles[0]))))
    assert turned == pytest.approx(np.full(len(turned), 30.0 * 59 / 30), abs=0.1)


def test_picture_is_the_same_at_any_size() -> None:
    usual, small = picture("tunnel", 1080), picture("tunnel", 360)
    assert np.abs(coarse(usual) - coarse(small)).max() < 0.03
    assert small.mean() == pytest.approx(usual.mean(), rel=0.05)


def test_tunnel_that_runs_backwards_has_streaks_as_long_as_its_way() -> None:
    config = {"bindings": [{"source": "rms", "target": "speed", "gain": -2.5}]}
    speeds = [np.median(last(play("tunnel", steady(1.0), 1.0, **more)).speed) for more in ({}, config)]
    assert speeds[1] < 3 * speeds[0]
