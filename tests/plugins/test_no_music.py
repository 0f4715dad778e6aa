"""no_music: a whirl that turns by itself."""

from __future__ import annotations

import numpy as np
import pytest

from tests.plugins.simulate import FRAME, last, play


def test_starts_on_a_ring_of_200_to_400() -> None:
    moment = next(play("no_music", particle_count=1000))
    assert moment.distance.min() > 194  # a frame of circling has passed
    assert moment.distance.max() < 406


def test_starts_clockwise() -> None:
    # Clockwise with y down: from the right of the centre, down. The random drift is far slower than the circling.
    first, second = play("no_music", seconds=2 / 30, particle_count=400)
    right = first.x > 960 + 190
    assert (second.y - first.y)[right].mean() > 3  # 90–170 units/s for a thirtieth of a second


def test_count_never_changes() -> None:
    moments = list(play("no_music", seconds=60, fps=10))
    assert {moment.count for moment in moments} == {200}
    assert moments[-1].birth.tolist() == list(range(200))


@pytest.mark.parametrize("speed", [0.0, 60.0])
def test_wraps_round_the_edges(speed: float) -> None:
    jumped = False
    before = last_radius = None
    for moment in play("no_music", seconds=20, fps=10, speed_x=speed, inner_movement_strength=0):
        # As far as its light reached in the picture before, and a frame of its way farther.
        radius = moment.radius if last_radius is None else np.maximum(moment.radius, last_radius)
        margin = np.maximum(20, 6.5 * radius) + 1.05 * moment.speed / 10
        last_radius = moment.radius
        assert (moment.x >= -margin).all()
        assert (moment.x <= 1920 + margin).all()
        assert (moment.y >= -margin).all()
        assert (moment.y <= 1080 + margin).all()
        jumped = jumped or (before is not None and bool((np.abs(moment.x - before) > 960).any()))
        before = moment.x
    assert jumped


def test_inner_movement_strength_draws_together() -> None:
    distances = [
        np.mean(
            [
                moment.distance.mean()
                for moment in play("no_music", seconds=30, fps=10, every=20, inner_movement_strength=inner)
            ]
        )
        for inner in (0.3, 1.0, 3.0)
    ]
    assert distances[0] > 1.2 * distances[1] > 1.2 * 1.2 * distances[2]


def test_outer_movement_strength_changes_nothing() -> None:
    one, other = (last(play("no_music", seconds=3, outer_movement_strength=outer)) for outer in (0, 50))
    np.testing.assert_array_equal(one.x, other.x)


def test_never_comes_to_rest() -> None:
    speeds = [moment.speed.mean() for moment in play("no_music", seconds=300, fps=10, every=300)]
    assert min(speeds) > 3 * FRAME
    assert max(speeds) < 10 * FRAME
