"""Presets: each is a valid config of its type, shows something in silence or with music, and differs from the rest."""

from __future__ import annotations

import numpy as np
import pytest

from ecs_core.plugin_api import particle_types
from ecs_core.scene.scene import Scene
from tests.plugins.simulate import BUILT_IN, kicks, last, play

PRESETS = [(kind, name) for kind in BUILT_IN for name in particle_types().types[kind].preset_names()]


def config_of(kind: str, name: str) -> dict[str, object]:
    return dict(particle_types().types[kind].preset(name))


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_type_has_at_least_three(kind: str) -> None:
    assert len(particle_types().types[kind].preset_names()) >= 3


@pytest.mark.parametrize(("kind", "name"), PRESETS)
def test_is_a_valid_config(kind: str, name: str) -> None:
    _, settings = Scene(kind, config=config_of(kind, name)).resolve()
    assert settings.particle_colors


@pytest.mark.parametrize(("kind", "name"), PRESETS)
def test_leaves_output_settings_alone(kind: str, name: str) -> None:
    assert config_of(kind, name).keys().isdisjoint({"width", "height", "fps", "duration", "seed", "hud"})


@pytest.mark.parametrize(("kind", "name"), PRESETS)
def test_shows_particles_within_the_frame(kind: str, name: str) -> None:
    seen = last(play(kind, kicks, 8, fps=10, **config_of(kind, name))).seen
    inside = (seen.x > 0) & (seen.x < 1920) & (seen.y > 0) & (seen.y < 1080)
    assert inside.sum() >= 50
    assert np.mean(inside) > 0.6


@pytest.mark.parametrize(("kind", "name"), PRESETS)
def test_particles_are_spread_over_the_frame(kind: str, name: str) -> None:
    moment = last(play(kind, kicks, 8, fps=10, **config_of(kind, name)))
    assert np.std(moment.x) > 150
    assert np.std(moment.y) > 80
