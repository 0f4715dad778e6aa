"""Tails that types have by default: of up to a thousand glows that add light, and of all particles when asked for."""

from __future__ import annotations

from typing import Any

import pytest

from ecs_core import Scene

TRAILS = {"snow": 0.6, "enhanced": 0.6, "bouncing": 0.5, "continuous_spawning": 0.3, "no_music": 1.0}


def trail(kind: str, **config: Any) -> float:
    _, settings = Scene(kind, config=config).resolve()
    length: float = settings.trail
    return length


def count_of(kind: str) -> str:
    return "max_particles" if kind == "continuous_spawning" else "particle_count"


@pytest.mark.parametrize("kind", TRAILS)
def test_up_to_a_thousand_particles_have_the_usual_trail(kind: str) -> None:
    assert trail(kind) == trail(kind, **{count_of(kind): 1000}) == TRAILS[kind]


@pytest.mark.parametrize("kind", TRAILS)
def test_more_have_none(kind: str) -> None:
    assert trail(kind, **{count_of(kind): 1001}) == 0
    assert trail(kind, **{count_of(kind): 1_000_000}) == 0


@pytest.mark.parametrize("kind", TRAILS)
@pytest.mark.parametrize("config", [{"blend": "over"}, {"texture": "leaf"}])
def test_pictures_and_particles_that_cover_have_none(kind: str, config: dict[str, str]) -> None:
    assert trail(kind, **config) == 0


@pytest.mark.parametrize("kind", TRAILS)
def test_a_trail_that_is_asked_for_is_kept(kind: str) -> None:
    assert trail(kind, **{count_of(kind): 5000}, trail=0.4, blend="over", texture="leaf") == 0.4


def test_counts_that_a_type_ignores_do_not_matter() -> None:
    assert trail("continuous_spawning", particle_count=5000) == TRAILS["continuous_spawning"]
    assert trail("enhanced", max_particles=5000) == TRAILS["enhanced"]


def test_types_that_are_made_of_trails_keep_them() -> None:
    assert trail("flow", particle_count=5000, blend="over") == 1.6


def test_layers_have_the_trails_of_their_types() -> None:
    from ecs_core.plugin_api.layers import layers_of

    layers = [{"type": "enhanced"}, {"type": "snow", "config": {"particle_count": 1500}}]
    found = layers_of(*Scene("zen", config={"layers": layers}).resolve())
    assert {layer.name: layer.settings.trail for layer in found} == {"": 0, "enhanced": 0.6, "snow": 0}
