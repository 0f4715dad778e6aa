"""Births: how many, when, where, and with what."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ecs_core.ecs.components import (
    Birth,
    Burst,
    Color,
    Emission,
    Growth,
    Lifetime,
    Position,
    Pulse,
    Size,
    Upkeep,
    Velocity,
)
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Gradient, Range
from ecs_core.ecs.world import World

MakeWorld = Callable[..., World]
ALL = (Position, Velocity, Lifetime, Size, Color)


class Born:
    """The particles of some births after some frames; ``counts`` holds how many there were after each."""

    def __init__(self, world: World, *births: Birth, frames: int = 1) -> None:
        entity = world.populate(ALL, births)
        table = world.component(entity, Table)
        self.counts = []
        for _ in range(frames):
            world.step()
            self.counts.append(len(table))
        columns: list[Any] = [world.component(entity, kind) for kind in ALL]
        self.position, self.velocity, self.life, self.size, self.color = columns

    def offsets(self, emission: Birth) -> tuple[np.ndarray, np.ndarray]:
        """From the centre, at the moment of birth."""
        dt = np.float32(1 / 30)
        x, y = self.position.x - self.velocity.x * dt, self.position.y - self.velocity.y * dt
        return x - emission.x, y - emission.y


def burst(n: int = 400, **settings: Any) -> Burst:
    return Burst(500.0, 400.0, count=n, **settings)


@pytest.mark.parametrize("fps", [24, 30, 60])
@pytest.mark.parametrize("rate", [7.0, 250.0])
def test_births_per_second_match_the_rate(make_world: MakeWorld, fps: int, rate: float) -> None:
    born = Born(make_world(fps=fps), Emission(0.0, 0.0, rate=rate), frames=10 * fps)
    assert born.counts[-1] == pytest.approx(10 * rate, abs=3 * (10 * fps * 0.25) ** 0.5)  # three standard deviations


def test_whole_rates_per_frame_are_exact(make_world: MakeWorld) -> None:
    assert Born(make_world(), Emission(0.0, 0.0, rate=60.0), frames=5).counts == pytest.approx([2, 4, 6, 8, 10], abs=1)


@pytest.mark.parametrize(("at", "counts"), [(0.0, [25] * 4), (0.05, [0, 25, 25, 25]), (9.0, [0] * 4)])
def test_burst_happens_in_the_frame_its_time_falls_into(make_world: MakeWorld, at: float, counts: list[int]) -> None:
    assert Born(make_world(), burst(25, at=at), frames=4).counts == counts


def test_upkeep_replaces_missing_particles(make_world: MakeWorld) -> None:
    counts = Born(make_world(), Upkeep(0.0, 0.0, count=40, span=Range(0.01, 0.3)), frames=30).counts
    assert counts == [40] * 30


def test_speed_can_depend_on_size(make_world: MakeWorld) -> None:
    born = Born(make_world(), burst(size=Range(1.0, 5.0), speed=Range(10.0, 50.0), speed_with_size=1.0))
    np.testing.assert_allclose(np.hypot(born.velocity.x, born.velocity.y), 10 * born.size.value, rtol=1e-4)


def test_orbit_is_tangential(make_world: MakeWorld) -> None:
    ring = burst(shape="ring", inner=100.0, outer=100.0, speed=Range(0.0, 0.0), orbit=Range(60.0, 60.0))
    born = Born(make_world(), ring)
    x, y = born.offsets(ring)
    np.testing.assert_allclose(x * born.velocity.y - y * born.velocity.x, 100 * 60, rtol=1e-3)  # clockwise, y down


def test_drift_is_added(make_world: MakeWorld) -> None:
    still = {"speed": Range(0.0, 0.0), "drift_x": Range(30.0, 30.0), "drift_y": Range(-9.0, -9.0)}
    velocity = Born(make_world(), burst(5, **still)).velocity
    np.testing.assert_allclose(velocity.x, 30)
    np.testing.assert_allclose(velocity.y, -9)


def test_growth_and_pulse_columns_are_filled(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate((Size, Growth, Pulse), [burst(50, size=Range(4.0, 4.0), growth=Range(-2.0, 2.0))])
    world.step()
    growth, pulse = world.component(entity, Growth), world.component(entity, Pulse)
    assert len(np.unique(growth.rate)) == 50
    assert (growth.low[0], growth.high[0]) == pytest.approx((2.4, 6.0))
    assert ((pulse.phase >= 0) & (pulse.phase < 1) & (pulse.rate >= 0.3) & (pulse.rate <= 1.2)).all()


def test_size_limits_hold_at_birth_and_later(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate(
        (Size, Growth), [burst(50, size=Range(0.1, 20.0), sizes=(2.0, 5.0), growth=Range(-90.0, 90.0))]
    )
    for _ in range(20):
        world.step()
        size = world.component(entity, Size).value
        assert (size.min(), size.max()) == (2, 5)


def test_light_can_depend_on_size(make_world: MakeWorld) -> None:
    born = Born(make_world(), burst(size=Range(1.0, 5.0), light_by_size=0.5))
    np.testing.assert_allclose(born.color.r, 1 + 0.5 * born.size.value, rtol=1e-5)


def test_events_spawn_in_their_frame(make_world: MakeWorld) -> None:
    world = make_world(events={"beats": [0.05, 0.11, 0.12], "onsets": [0.0]})
    emission = Emission(0.0, 0.0, event="beats", per_event=10)
    assert Born(world, emission, frames=5).counts == [0, 10, 10, 30, 30]


def test_limit_is_never_exceeded(make_world: MakeWorld) -> None:
    counts = Born(make_world(), burst(50), Emission(0.0, 0.0, rate=3000.0, limit=120), frames=10).counts
    assert counts[0] <= 120
    assert counts[-1] == 120


def test_limit_allows_replacing_dead_particles(make_world: MakeWorld) -> None:
    counts = Born(make_world(), Emission(0.0, 0.0, rate=9000.0, limit=100, span=Range(0.1, 0.1)), frames=30).counts
    assert set(counts) == {100}


def test_limit_below_the_population_spawns_and_kills_none(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate(ALL, [burst(20)])
    world.step()
    world.replace(entity, Emission(0.0, 0.0, rate=300.0, limit=10))
    world.step()
    assert len(world.component(entity, Table)) == 20


def test_point_spawns_in_one_place(make_world: MakeWorld) -> None:
    x, y = Born(make_world(), burst()).offsets(burst())
    np.testing.assert_allclose(np.hypot(x, y), 0, atol=1e-3)


def test_area_is_filled_evenly(make_world: MakeWorld) -> None:
    emission = burst(shape="area", width=200.0, height=100.0, speed=Range(0.0, 0.0))
    x, y = Born(make_world(), emission).offsets(emission)
    assert np.abs(x).max() <= 100
    assert np.abs(y).max() <= 50
    assert x.std() == pytest.approx(200 / 12**0.5, rel=0.1)
    assert y.std() == pytest.approx(100 / 12**0.5, rel=0.1)


def test_ring_is_filled_evenly_between_its_radii(make_world: MakeWorld) -> None:
    emission = burst(2000, shape="ring", inner=50.0, outer=100.0, speed=Range(0.0, 0.0))
    x, y = Born(make_world(), emission).offsets(emission)
    distance = np.hypot(x, y)
    assert distance.min() >= 49.99
    assert distance.max() <= 100.01
    half = np.sqrt((50**2 + 100**2) / 2)  # half of the ring's area lies within
    assert (distance < half).mean() == pytest.approx(0.5, abs=0.04)
    assert abs(x.mean()) + abs(y.mean()) < 8


def test_without_a_direction_particles_leave_the_centre(make_world: MakeWorld) -> None:
    emission = burst(shape="ring", inner=50.0, outer=100.0)
    born = Born(make_world(), emission)
    x, y = born.offsets(emission)
    outward = (x * born.velocity.x + y * born.velocity.y) / np.hypot(x, y) / np.hypot(born.velocity.x, born.velocity.y)
    np.testing.assert_allclose(outward, 1, atol=1e-4)


def test_particles_from_a_point_leave_in_all_directions(make_world: MakeWorld) -> None:
    velocity = Born(make_world(), burst()).velocity
    quarters = np.histogram(np.arctan2(velocity.y, velocity.x), 4, (-np.pi, np.pi))[0]
    assert quarters.min() > 70


def test_direction_and_spread_bound_the_angle(make_world: MakeWorld) -> None:
    velocity = Born(make_world(), burst(direction=1.0, spread=0.2)).velocity
    angle = np.arctan2(velocity.y, velocity.x)
    assert angle.min() >= 0.8 - 1e-5
    assert angle.max() <= 1.2 + 1e-5
    assert angle.std() == pytest.approx(0.4 / 12**0.5, rel=0.1)


def test_speed_size_span_and_light_lie_in_their_ranges(make_world: MakeWorld) -> None:
    ranges = {
        "speed": Range(20.0, 30.0), "size": Range(2.0, 3.0), "span": Range(4.0, 5.0), "light": Range(0.5, 2.0)
    }  # fmt: skip
    born = Born(make_world(), burst(**ranges))
    drawn = {
        "speed": np.hypot(born.velocity.x, born.velocity.y), "size": born.size.value, "span": born.life.span,
        "light": born.color.r,
    }  # fmt: skip
    for name, each in ranges.items():
        assert drawn[name].min() >= each.low - 1e-4, name
        assert drawn[name].max() <= each.high + 1e-4, name
        assert drawn[name].std() > 0.2 * (each.high - each.low), name


def test_colours_come_from_the_palette(make_world: MakeWorld) -> None:
    palette = Gradient(((1.0, 0.5, 0.0), (0.0, 0.25, 1.0)))
    color = Born(make_world(), burst(palette=palette)).color
    assert set(zip(color.r.tolist(), color.g.tolist(), color.b.tolist(), strict=True)) == set(palette.colours)


def test_missing_columns_are_optional(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate([Position], [burst(3)])
    world.step()
    assert len(world.component(entity, Table)) == 3


def test_two_emitters_of_one_world_draw_differently(make_world: MakeWorld) -> None:
    world = make_world()
    first, second = (world.populate(ALL, [burst(5)]) for _ in range(2))
    world.step()
    assert world.component(first, Velocity).x.tolist() != world.component(second, Velocity).x.tolist()


@pytest.mark.parametrize("at", [0.7, 1.1, 4.1, 0.29])
@pytest.mark.parametrize("fps", [30, 60, 100])
def test_burst_begins_in_the_frame_that_shows_its_second(make_world: MakeWorld, at: float, fps: int) -> None:
    world = make_world(fps=fps, frames=1000)
    entity = world.populate(ALL, [burst(20, at=at)])
    frame = int(Fraction(str(at)) * fps)
    for _ in range(frame):
        world.step()
    assert len(world.component(entity, Table)) == 0
    world.step()
    assert len(world.component(entity, Table)) == 20


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_particles_of_a_rate_fly_in_no_shells(make_world: MakeWorld, fps: int) -> None:
    fountain = Emission(500.0, 400.0, rate=3000.0, speed=Range(600.0, 600.0), span=Range(9.0, 9.0))
    born = Born(make_world(fps=fps), fountain, frames=fps)
    away = np.sort(np.hypot(born.position.x - 500, born.position.y - 400))
    assert away[0] < 2
    assert away[-1] == pytest.approx(600, abs=2)
    assert np.diff(away).max() < 4  # 3000 sparks within 600 units; at 24 frames a second shells would be 25 apart
    np.testing.assert_allclose(np.sort(born.life.age) * 600, away, atol=0.5)


def test_replaced_particles_are_born_throughout_the_frame(make_world: MakeWorld) -> None:
    upkeep = Upkeep(500.0, 400.0, count=1000, speed=Range(600.0, 600.0), span=Range(0.1, 0.1))
    born = Born(make_world(), upkeep, frames=4)
    assert len(np.unique(np.hypot(born.position.x - 500, born.position.y - 400).round(1))) > 150


def test_particle_is_the_same_whatever_else_is_born_with_it(make_world: MakeWorld) -> None:
    one, many = (Born(make_world(), burst(n)) for n in (10, 400))
    assert one.position.x.tolist() == many.position.x[:10].tolist()
    assert one.velocity.y.tolist() == many.velocity.y[:10].tolist()


def test_particles_that_do_not_move_start_in_their_place(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate((Position, Lifetime), [Emission(5.0, 7.0, rate=300.0, span=Range(9.0, 9.0))])
    world.step()
    assert set(world.component(entity, Position).x.tolist()) == {5.0}
