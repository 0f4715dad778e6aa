"""zen: a ring that wanders, deaf to the music."""

from __future__ import annotations

import numpy as np
import pytest

from tests.plugins.simulate import FRAME, last, loud, play

DISCS, LIGHTS = 0, 1  # populations


def test_starts_on_a_ring_of_200_to_400() -> None:
    moment = next(play("zen", particle_count=1000))
    assert moment.distance.min() > 198  # a frame of drifting has passed
    assert moment.distance.max() < 402


def test_ring_is_around_the_set_centre() -> None:
    moment = next(play("zen", particle_count=1000, x_position=0.25, y_position=0.6))
    distance = np.hypot(moment.x - 480, moment.y - 648)
    assert distance.min() > 198
    assert distance.max() < 402


def test_count_is_kept_while_particles_leave_and_are_reborn() -> None:
    moments = list(play("zen", seconds=30, fps=10, speed_x=20))
    assert {moment.count for moment in moments} == {200}
    assert moments[-1].birth.max() > 1000


def test_leavers_are_reborn_anywhere() -> None:
    births: dict[int, tuple[float, float]] = {}
    for moment in play("zen", seconds=20, fps=10, speed_x=40, particle_count=400):
        for birth, x, y in zip(moment.birth, moment.x, moment.y, strict=True):
            births.setdefault(birth, (x, y))
    x, y = np.array([place for birth, place in births.items() if birth > 400]).T
    assert len(x) > 1000
    # Even over the canvas: a tenth in each tenth, within 5 standard deviations and the frame that has passed.
    for places, edge in ((x - 40 * FRAME * 0.1, 1920), (y, 1080)):
        share = np.histogram(places, np.linspace(0, edge, 11))[0] / len(places)
        assert share[1:-1] == pytest.approx(np.full(8, 0.1), abs=5 * (0.09 / len(places)) ** 0.5 + 0.01)


def test_bounce_keeps_all_particles_inside() -> None:
    for moment in play("zen", seconds=30, fps=10, bounce=True, speed_x=20, speed_y=-13):
        assert moment.x.min() >= 0
        assert moment.x.max() <= 1920
        assert moment.y.min() >= 0
        assert moment.y.max() <= 1080
        assert len(set(moment.birth)) <= 200
        assert moment.birth.max() < 200


def test_moves_slowly() -> None:
    for moment in play("zen", seconds=60, fps=10, every=50):
        assert moment.speed.mean() < 2 * FRAME
        assert moment.speed.max() < 5 * FRAME


def test_light_swings_between_30_and_100_percent() -> None:
    light = np.stack([moment.light for moment in play("zen", seconds=18, fps=10, bounce=True)])
    assert light.min() == pytest.approx(0.3, abs=0.01)
    assert light.max() == pytest.approx(1.0, abs=0.01)


def test_pulse_is_slow() -> None:
    rate = next(play("zen", particle_count=1000)).rate
    assert rate.min() >= 0.06  # turns a second
    assert rate.max() <= 0.2


def test_one_particle_in_six_is_a_disc_behind_the_others() -> None:
    moment = next(play("zen", particle_count=600))
    assert (moment.population == DISCS).sum() == 100
    assert moment.seen.disc.tolist() == [1] * 100 + [0] * 500


def test_at_most_120_discs() -> None:
    assert next(play("zen", particle_count=10_000)).seen.disc.sum() == 120


@pytest.mark.parametrize("count", [0, 1, 7, 10_000])
def test_has_the_requested_count(count: int) -> None:
    assert last(play("zen", loud, 1, fps=10, particle_count=count)).count == count
