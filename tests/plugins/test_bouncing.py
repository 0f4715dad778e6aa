"""bouncing: as many at the end as at the start, always inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.plugins.simulate import FRAME, Song, kicks, last, loud, play, silence, steady

CONFIGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "colliding": {"collide": True},
    "at 200 px a frame": {"speed_x": 200, "speed_y": -160},
    "colliding at 200 px a frame": {"collide": True, "speed_x": 200, "speed_y": -160},
    "off centre": {"x_position": 0.0, "y_position": 1.0},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_particles_stay_inside_the_frame(name: str) -> None:
    for moment in play("bouncing", loud, 60, fps=10, **CONFIGS[name]):
        assert moment.x.min() >= 0
        assert moment.x.max() <= 1920
        assert moment.y.min() >= 0
        assert moment.y.max() <= 1080


@pytest.mark.parametrize("name", CONFIGS)
def test_particles_live_for_the_whole_video(name: str) -> None:
    for moment in play("bouncing", loud, 60, fps=10, **CONFIGS[name]):
        assert moment.birth.tolist() == list(range(200))


def test_starts_all_over_the_frame() -> None:
    moment = next(play("bouncing", particle_count=2000))
    for places, edge in ((moment.x, 1920), (moment.y, 1080)):
        share = np.histogram(places, np.linspace(0, edge, 11))[0] / 2000
        assert share == pytest.approx(np.full(10, 0.1), abs=0.034)  # 5 standard deviations


def test_kicks_are_stronger_the_higher_the_bass() -> None:
    speeds = [last(play("bouncing", song, 20, fps=10)).speed.mean() for song in (steady(0.2), steady(0.4), steady(1.0))]
    assert speeds[0] < 0.3 * speeds[1]
    assert speeds[1] < 0.95 * speeds[2]


@pytest.mark.parametrize(
    ("song", "per_frame"), [(silence, 0.1), (steady(0.2), 0.1), (steady(0.35), 0.3 * 2.4), (steady(1.0), 0.9)]
)
def test_kicks_are_uniform_within_the_documented_range(song: Song, per_frame: float) -> None:
    # (0.35 is amplified to a level of 0.7.) Differences of velocities less drag, on frames at 30 a second.
    first, second = play("bouncing", song, 2 / 30, particle_count=4000, speed_x=1, speed_y=1)
    kick = (second.vx - first.vx * 0.995) / FRAME
    free = np.abs(second.x - 960) < 900  # none that has just been reflected
    assert np.abs(kick[free]).max() == pytest.approx(per_frame, rel=0.03)
    assert kick[free].std() == pytest.approx(per_frame / 3**0.5, rel=0.05)


def test_speed_settles_where_drag_balances_kicks() -> None:
    speeds = [moment.speed.mean() for moment in play("bouncing", loud, 120, fps=10, every=50)]
    assert max(speeds) < 1.4 * np.mean(speeds[4:])
    assert max(speeds) < 12 * FRAME


def test_brighter_and_larger_when_loud() -> None:
    quiet, noisy = (next(play("bouncing", song)) for song in (silence, steady(1.0)))
    np.testing.assert_allclose(noisy.radius, 1.25 * quiet.size, rtol=1e-5)
    assert noisy.light.mean() > 2 * quiet.light.mean()


def overlaps(collide: bool) -> int:
    """How many pairs overlap by more than a tenth of their distance, some seconds after the start."""
    moment = last(play("bouncing", silence, 5, particle_count=300, collide=collide, width=640, height=640))
    apart = np.hypot(moment.x[:, None] - moment.x, moment.y[:, None] - moment.y)
    touching = (moment.size[:, None] + moment.size) * 0.9
    return int((np.triu(touching - apart, 1) > 0).sum())


def test_overlap_without_collisions() -> None:
    assert overlaps(False) > 10


def test_do_not_overlap_with_collisions() -> None:
    assert overlaps(True) <= 1


def test_collisions_keep_the_mean_speed() -> None:
    speeds = [
        last(play("bouncing", kicks, 20, particle_count=600, collide=collide)).speed.mean() for collide in (False, True)
    ]
    assert speeds[0] == pytest.approx(speeds[1], rel=0.15)
