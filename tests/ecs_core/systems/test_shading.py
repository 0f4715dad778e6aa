"""Shading: what is seen of a particle is worked out afresh from what it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecs_core.ecs.components import (
    Color,
    ColorOverLife,
    FadeWithDistance,
    Lifetime,
    LightOverLife,
    Look,
    Position,
    Pulse,
    ScaleWithDistance,
    Size,
    SizeOverLife,
    Twinkle,
)
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Curve, Gradient
from ecs_core.ecs.world import World

MakeWorld = Callable[..., World]
HALVES = np.array([0.0, 0.25, 0.5, 0.75], np.float32)
FALLING = Curve(((0.0, 1.0), (1.0, 0.0)))


class Seen:
    """Four particles, of 0, ¼, ½ and ¾ of their lives of 8 s, 4 units in radius."""

    def __init__(self, world: World, *components: object, n: int = 4) -> None:
        entity = world.populate([Position, Lifetime, Size, Color, Look, Pulse], components)
        world.component(entity, Table).spawn(n)
        self.world = world
        self.position, self.life, self.look = (world.component(entity, kind) for kind in (Position, Lifetime, Look))
        self.pulse = world.component(entity, Pulse)
        self.pulse.phase[:], self.pulse.rate[:] = np.arange(n) * 0.618 % 1, 0.5 + np.arange(n) / n
        self.size, self.color = world.component(entity, Size), world.component(entity, Color)
        self.life.span[:], self.size.value[:] = 8, 4
        self.life.age[:] = 8 * np.resize(HALVES, n)
        for name in "rgb":
            getattr(self.color, name)[:] = 1

    def after(self, frames: int = 1) -> Seen:
        for _ in range(frames):
            self.world.step()
        return self


def test_particle_looks_as_big_as_it_is_and_fully_lit(make_world: MakeWorld) -> None:
    seen = Seen(make_world()).after(3)
    assert seen.look.radius.tolist() == [4] * 4
    assert seen.look.light.tolist() == [1] * 4


def test_size_over_life_scales_the_radius_by_share_of_life(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), SizeOverLife(FALLING)).after()
    np.testing.assert_allclose(seen.look.radius, 4 * (1 - HALVES), atol=0.05)
    assert seen.size.value.tolist() == [4] * 4


def test_light_over_life_scales_the_light_by_share_of_life(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), LightOverLife(FALLING)).after()
    np.testing.assert_allclose(seen.look.light, 1 - HALVES, atol=0.01)
    assert seen.look.radius.tolist() == [4] * 4


def test_color_over_life_passes_through_the_gradient(make_world: MakeWorld) -> None:
    gradient = Gradient(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    color = Seen(make_world(), ColorOverLife(gradient)).after().color
    np.testing.assert_allclose(color.r, [1, 0.5, 0, 0], atol=0.02)
    np.testing.assert_allclose(color.g, [0, 0.5, 1, 0.5], atol=0.02)
    np.testing.assert_allclose(color.b, [0, 0, 0, 0.5], atol=0.02)


def test_looks_do_not_pile_up_from_frame_to_frame(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), SizeOverLife(Curve(((0.0, 0.5),))), LightOverLife(Curve(((0.0, 0.25),)))).after(5)
    assert seen.look.radius.tolist() == [2] * 4
    assert seen.look.light.tolist() == [0.25] * 4


def test_endless_lives_stay_at_their_beginning(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), LightOverLife(FALLING))
    seen.life.span[:] = np.inf
    assert seen.after().look.light.tolist() == [1] * 4


def test_twinkle_swings_over_its_whole_range_and_no_farther(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), Twinkle(0.25, 0.75, 2.0), n=50)
    lights = []
    for _ in range(60):
        lights.append(seen.after().look.light.copy())
    assert np.min(lights) == pytest.approx(0.25, abs=0.005)
    assert np.max(lights) == pytest.approx(0.75, abs=0.005)
    assert np.min(lights) >= 0.2499
    assert np.max(lights) <= 0.7501


def test_twinkle_follows_each_particles_pulse(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), Twinkle(0.0, 1.0), n=50).after()
    np.testing.assert_allclose(seen.look.light, 0.5 + 0.5 * np.sin(2 * np.pi * seen.pulse.phase), atol=1e-5)
    assert seen.look.light.std() > 0.3


def test_pace_is_a_factor_on_the_rate_of_the_pulse(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), Twinkle(0.0, 1.0, 2.0), n=50)
    seen.life.span[:] = np.inf
    above = np.array([seen.after().look.light > 0.5 for _ in range(300)])
    swings = np.abs(np.diff(above.astype(int), axis=0)).sum(axis=0) / 2 / 10
    np.testing.assert_allclose(swings, 2 * seen.pulse.rate, atol=0.11)


def test_phase_stays_within_one_turn(make_world: MakeWorld) -> None:
    phase = Seen(make_world(), Twinkle(pace=40.0), n=50).after(100).pulse.phase
    assert ((phase >= 0) & (phase < 1)).all()


def test_light_fades_with_distance_down_to_the_floor(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), FadeWithDistance(100.0, 100.0, 200.0, 0.2))
    seen.position.x[:], seen.position.y[:] = [100, 200, 300, 900], 100
    np.testing.assert_allclose(seen.after().look.light, [1, 0.6, 0.2, 0.2], rtol=1e-5)


def test_shadings_multiply(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), LightOverLife(Curve(((0.0, 0.5),))), FadeWithDistance(0.0, 0.0, 10.0, 0.5))
    seen.position.x[:] = 99
    np.testing.assert_allclose(seen.after().look.light, 0.25)


def test_invisible_population_needs_no_look(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate([Position, Size, Pulse], [Twinkle()])
    world.component(entity, Table).spawn(1)
    world.step()


def test_radius_scales_with_distance(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), ScaleWithDistance(100.0, 100.0, 200.0, near=0.5, far=1.5))
    seen.position.x[:], seen.position.y[:] = [100, 200, 300, 900], 100
    np.testing.assert_allclose(seen.after().look.radius, [2, 4, 6, 6], rtol=1e-5)


def test_twinkle_is_a_sine(make_world: MakeWorld) -> None:
    seen = Seen(make_world(), Twinkle(-1.0, 1.0, 0.0), n=1000)
    seen.pulse.phase[:] = np.arange(1000) / 1000
    np.testing.assert_allclose(seen.after().look.light, np.sin(2 * np.pi * np.arange(1000) / 1000), atol=5e-6)
