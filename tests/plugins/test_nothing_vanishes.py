"""What leaves the picture is removed where nothing of it is seen any more."""

from __future__ import annotations

import numpy as np
import pytest

from tests.plugins.simulate import kicks, play


@pytest.mark.parametrize("kind", ["zen", "enhanced", "continuous_spawning"])
def test_no_particle_is_removed_within_sight(kind: str) -> None:
    removed, before = 0, None
    for moment in play(kind, kicks, 8.0, speed_x=3.0):
        if before is not None:
            for population in np.unique(before.population):
                was, is_now = before.population == population, moment.population == population
                gone = ~np.isin(before.birth[was], moment.birth[is_now])
                is_disc = kind == "zen" and population == before.population.min()
                reach = (1.0 if is_disc else 6.5) * before.radius[was]
                x, y = before.x[was], before.y[was]
                seen = (x + reach > 0) & (x - reach < 1920) & (y + reach > 0) & (y - reach < 1080)
                assert not (gone & seen).any()
                removed += int(gone.sum())
        before = moment
    assert removed > 0
