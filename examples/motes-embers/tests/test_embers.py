"""Do the embers keep the contract?"""

from collections.abc import Callable

import pytest
from motes_embers import EMBERS


def test_embers_keep_the_contract(check_particle_type: Callable[..., object]) -> None:
    check_particle_type(EMBERS)


@pytest.mark.parametrize("preset", EMBERS.preset_names())
def test_presets_do_too(preset: str, check_particle_type: Callable[..., object]) -> None:
    check_particle_type(EMBERS, config=dict(EMBERS.preset(preset)), checks=("determinism", "resume", "finite"))
