"""Bindings in a config: on any type, also on those that are deaf by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ecs_core.errors import SceneError
from ecs_core.scene.scene import Scene
from tests.plugins.simulate import PARTICLES_ALONE, TYPES, Moment, last, loud, play, silence, steady

SIZE = {"source": "bass", "target": "size", "gain": 2.0}
DEAF = ("no_music", "zen")


def pair(kind: str, *bindings: dict[str, Any], seconds: float = 0.5) -> tuple[Moment, Moment]:
    """The same moment of loud music without the bindings and with them."""
    config: dict[str, Any] = {"max_particles": 200, "steady_spawn_rate": 200, "enhanced_mode": {"active": False}}
    config |= PARTICLES_ALONE.get(kind, {})
    plain = last(play(kind, steady(1.0), seconds, **config))
    return plain, last(play(kind, steady(1.0), seconds, **config, bindings=bindings))


@pytest.mark.parametrize("kind", TYPES)
class TestOnAnyType:
    def test_size(self, kind: str) -> None:
        plain, bound = pair(kind, SIZE)
        np.testing.assert_allclose(bound.radius, 3 * plain.radius, rtol=1e-5)

    def test_light(self, kind: str) -> None:
        plain, bound = pair(kind, {"source": "rms", "target": "light", "gain": -0.5})
        np.testing.assert_allclose(bound.light, 0.5 * plain.light, rtol=1e-5)

    def test_color_turns(self, kind: str) -> None:
        _, bound = pair(kind, {"source": "rms", "target": "color", "gain": 0.3})
        plain, _ = pair(kind)
        if kind == "snow":  # white has no hue
            np.testing.assert_allclose(bound.seen.red, plain.seen.red, rtol=1e-4)
        else:
            assert np.abs(bound.seen.red - plain.seen.red).max() > 0.1

    def test_speed_moves_particles_farther(self, kind: str) -> None:
        plain, bound = pair(kind, {"source": "rms", "target": "speed", "gain": 4.0}, seconds=0.2)
        kept = [
            np.isin(one.birth, other.birth) & (one.population == 0) for one, other in ((plain, bound), (bound, plain))
        ]
        assert np.abs(bound.x[kept[1]][:5] - plain.x[kept[0]][:5]).max() > 2

    def test_gravity_is_added_to_types_without_it(self, kind: str) -> None:
        if kind == "orbits":
            pytest.skip("nothing takes its bodies off their orbits")
        plain, bound = pair(kind, {"source": "rms", "target": "gravity.y", "gain": 600.0}, seconds=0.4)
        if kind == "portrait":  # a spring holds them: they hang lower
            assert bound.y.mean() > plain.y.mean() + 5
            return
        fallen = bound.vy.mean() - plain.vy.mean()
        assert fallen > 50  # 600 units/s² for up to 0.4 s

    def test_does_nothing_in_silence(self, kind: str) -> None:
        config = {"max_particles": 200, "steady_spawn_rate": 200}
        plain, bound = (last(play(kind, silence, 1, **config, bindings=bindings)) for bindings in ((), (SIZE,)))
        np.testing.assert_array_equal(plain.seen.radius, bound.seen.radius)

    def test_unknown_target_error_lists_the_targets(self, kind: str) -> None:
        scene = Scene(kind, config={"bindings": [{**SIZE, "target": "sizes"}]})
        with pytest.raises(SceneError, match=r"bindings\.0\.target = 'sizes'.*there are: .*light.*look\.radius.*size"):
            scene.resolve()

    def test_unknown_source_error_lists_the_sources(self, kind: str) -> None:
        scene = Scene(kind, config={"bindings": [SIZE, {**SIZE, "source": "treble"}]})
        with pytest.raises(SceneError, match=r"bindings\.1\.source = 'treble'.*there are: .*bass.*beat_phase"):
            scene.resolve()


@pytest.mark.parametrize("kind", DEAF)
def test_types_without_reactions_react_when_bound(kind: str) -> None:
    quiet, noisy = (last(play(kind, song, 1, bindings=[SIZE])) for song in (silence, loud))
    assert noisy.radius.mean() > 2 * quiet.radius.mean()


def test_binding_acts_beside_those_of_the_type() -> None:
    plain, bound = pair("enhanced", {"source": "bass", "target": "size", "op": "add", "gain": 5.0})
    np.testing.assert_allclose(bound.radius, plain.radius + 5, rtol=1e-5)


def test_parameter_of_one_type_only() -> None:
    assert Scene("snow", config={"bindings": [{**SIZE, "target": "emission.rate"}]}).resolve()
    with pytest.raises(SceneError, match=r"emission\.rate"):
        Scene("zen", config={"bindings": [{**SIZE, "target": "emission.rate"}]}).resolve()


def test_emission_of_more_than_one_population() -> None:
    binding = {"source": "bass", "target": "emission.rate", "op": "set", "gain": 0.0}
    assert last(play("snow", loud, 5, fps=10, bindings=[binding])).count == 200
