"""Minutes of loud music, two or, as a campaign, ten: counts, speeds and sizes stay what they were after the first.

At 10 frames a second, where steps are large and whatever is unstable is most so.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.plugins.simulate import FRAME, PARTICLES_ALONE, TYPES, Moment, loud, play

MOST = {
    "snow": 400,
    "continuous_spawning": 1000,
    "flow": 1200,
    "orbits": 360,
    "petals": 240,
    "portrait": 6000,
}  # at their defaults; all others keep their 200
FASTEST = 40 * FRAME  # units/s: the width of the picture in a second and a half
NO_VELOCITY = ("orbits",)


@cache
def moments(kind: str, minutes: int) -> list[Moment]:
    """Twelve a minute."""
    return list(play(kind, loud, 60 * minutes, fps=10, every=50, **PARTICLES_ALONE.get(kind, {})))


def halves(values: list[float]) -> NDArray[np.float64]:
    """The means of half minutes, without the first minute."""
    return np.reshape(values, (-1, 6)).mean(axis=1)[2:]


@pytest.mark.parametrize("minutes", [2, pytest.param(10, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("kind", TYPES)
class TestMinutesOfLoudMusic:
    def test_counts_are_bounded(self, kind: str, minutes: int) -> None:
        counts = [moment.count for moment in moments(kind, minutes)]
        assert len(counts) == 12 * minutes
        assert max(counts) <= MOST.get(kind, 200)

    def test_no_particles_go_missing(self, kind: str, minutes: int) -> None:
        assert min(moment.count for moment in moments(kind, minutes)[12:]) >= 0.9 * MOST.get(kind, 200)

    def test_no_particle_is_ever_faster_than_the_picture_is_wide(self, kind: str, minutes: int) -> None:
        if kind in NO_VELOCITY:
            pytest.skip("its bodies are where their orbits are")
        assert max(moment.speed.max() for moment in moments(kind, minutes)) < FASTEST

    def test_speed_does_not_grow(self, kind: str, minutes: int) -> None:
        if kind in NO_VELOCITY:
            pytest.skip("its bodies are where their orbits are")
        means = halves([float(moment.speed.mean()) for moment in moments(kind, minutes)])
        assert means == pytest.approx(np.full(len(means), means.mean()), rel=0.25)

    def test_sizes_are_bounded(self, kind: str, minutes: int) -> None:
        # Discs and petals out of focus, and what is in focus.
        largest = {"zen": 150, "petals": 150, "snow": 60, "portrait": 60}.get(kind, 25)
        assert max(moment.radius.max() for moment in moments(kind, minutes)) < largest
        assert min(moment.radius.min() for moment in moments(kind, minutes)) > 0

    def test_sizes_in_focus_stay_between_half_a_unit_and_ten(self, kind: str, minutes: int) -> None:
        if kind == "petals":
            pytest.skip("petals are as large as their pictures, and near ones come last")
        for moment in moments(kind, minutes):
            sizes = moment.size[moment.population == moment.population.max()]  # discs out of focus come first
            assert sizes.min(initial=9) >= 0.5
            assert sizes.max(initial=0) <= 10

    def test_brightness_is_bounded(self, kind: str, minutes: int) -> None:
        means = halves([float(moment.brightness.mean()) for moment in moments(kind, minutes)])
        assert means == pytest.approx(np.full(len(means), means.mean()), rel=0.25)

    def test_all_values_are_finite(self, kind: str, minutes: int) -> None:
        for moment in moments(kind, minutes):
            velocity = () if kind in NO_VELOCITY else (moment.vx, moment.vy)
            for values in (moment.x, moment.y, *velocity, moment.size, moment.light, moment.color):
                assert np.isfinite(values).all()
