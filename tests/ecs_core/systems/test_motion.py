"""Motion: forces, drag, walls; and that a scene moves the same at any frame rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecs_core.ecs.components import (
    Attraction,
    Drag,
    Emission,
    Gravity,
    Lifetime,
    Position,
    Speed,
    Turbulence,
    Velocity,
    Walls,
)
from ecs_core.ecs.rng import generator
from ecs_core.ecs.table import Column, Table
from ecs_core.ecs.values import Range
from ecs_core.ecs.world import World

MakeWorld = Callable[..., World]
RATES = (24, 30, 60)
N = 200


class Cloud:
    """Particles all over a canvas that fly in all directions, after a while."""

    def __init__(self, world: World, *components: object, speed: float = 100.0, n: int = N) -> None:
        entity = world.populate([Position, Velocity, Lifetime], components)
        world.component(entity, Table).spawn(n)
        self.world = world
        self.position, self.velocity = world.component(entity, Position), world.component(entity, Velocity)
        self.life = world.component(entity, Lifetime)
        rng = generator(5, 6, 7)
        angle = rng.uniform(0, 2 * np.pi, n)
        self.position.x[:], self.position.y[:] = rng.uniform(100, 1800, n), rng.uniform(100, 900, n)
        self.velocity.x[:], self.velocity.y[:] = speed * np.cos(angle), speed * np.sin(angle)
        self.life.span[:] = np.inf
        self.start = self.places()

    def places(self) -> np.ndarray:
        return np.stack([self.position.x, self.position.y]).astype(np.float64)

    def run(self, seconds: float) -> Cloud:
        for _ in range(round(seconds * self.world.fps)):
            self.world.step()
        return self

    def displacement(self) -> float:
        return float(np.hypot(*(self.places() - self.start)).mean())

    def fall(self) -> float:
        return float((self.places() - self.start)[1].mean())

    def spread(self) -> float:
        return float((self.places() - self.start).std())

    def speed(self) -> float:
        return float(np.hypot(self.velocity.x, self.velocity.y).mean())


SCENES: dict[str, tuple[tuple[object, ...], float]] = {
    "free": ((), 100.0),
    "drag": ((Drag(1.2),), 200.0),
    "strong drag": ((Drag(6.0),), 400.0),
    "gravity": ((Gravity(0.0, 150.0),), 50.0),
    "gravity and drag": ((Gravity(0.0, 300.0), Drag(2.0)), 100.0),
    "attraction": ((Attraction(960.0, 540.0, 120.0), Drag(0.5)), 20.0),
    "turbulence": ((Turbulence(150.0, 250.0, 0.3), Drag(1.0)), 0.0),
    "half speed": ((Speed(0.5), Drag(0.3)), 200.0),
    "walls": ((Walls("reflect", 0.8), Drag(0.1)), 700.0),
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("measure", [Cloud.displacement, Cloud.spread, Cloud.speed], ids=lambda each: each.__name__)
def test_statistics_agree_at_all_frame_rates(
    make_world: MakeWorld, scene: str, measure: Callable[[Cloud], float]
) -> None:
    components, speed = SCENES[scene]
    values = [measure(Cloud(make_world(fps=fps), *components, speed=speed).run(2.0)) for fps in RATES]
    assert min(values) > 1e-4
    assert max(values) / min(values) < 1.05, dict(zip(RATES, values, strict=True))


@pytest.mark.parametrize("fps", RATES)
def test_gravity_falls_by_half_g_t_squared(make_world: MakeWorld, fps: int) -> None:
    cloud = Cloud(make_world(fps=fps), Gravity(0.0, 150.0), speed=0.0).run(2.0)
    assert cloud.fall() == pytest.approx(0.5 * 150 * 4, rel=0.05)
    assert cloud.velocity.y.mean() == pytest.approx(300, rel=1e-3)


@pytest.mark.parametrize("fps", RATES)
def test_drag_slows_exponentially(make_world: MakeWorld, fps: int) -> None:
    assert Cloud(make_world(fps=fps), Drag(1.2)).run(2.0).speed() == pytest.approx(100 * np.exp(-2.4), rel=1e-3)


@pytest.mark.parametrize("rate", [0.0, 1.2, 12.0])
@pytest.mark.parametrize("fps", RATES)
def test_distance_against_drag_is_exact_however_strong_it_is(make_world: MakeWorld, fps: int, rate: float) -> None:
    exact = 100 * (1 - np.exp(-2 * rate)) / rate if rate else 200
    assert Cloud(make_world(fps=fps), Drag(rate)).run(2.0).displacement() == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize("fps", RATES)
def test_terminal_speed_does_not_depend_on_the_frame_rate(make_world: MakeWorld, fps: int) -> None:
    cloud = Cloud(make_world(fps=fps), Gravity(0.0, 600.0), Drag(6.0), speed=0.0).run(2.0)
    before = cloud.fall()
    assert cloud.run(1.0).fall() - before == pytest.approx(100, rel=1e-3)


def test_speed_factor_changes_the_distance_but_not_the_velocity(make_world: MakeWorld) -> None:
    cloud = Cloud(make_world(), Speed(0.25)).run(1.0)
    assert cloud.displacement() == pytest.approx(25, rel=1e-3)
    assert cloud.speed() == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize(("strength", "nearer"), [(200.0, True), (-200.0, False)])
def test_attraction_draws_near_and_a_negative_one_pushes_away(
    make_world: MakeWorld, strength: float, nearer: bool
) -> None:
    cloud = Cloud(make_world(), Attraction(960.0, 540.0, strength), speed=0.0)
    centre = np.array([[960.0], [540.0]])
    before = np.hypot(*(cloud.start - centre)).mean()
    after = np.hypot(*(cloud.run(1.0).places() - centre)).mean()
    assert (after < before - 50) if nearer else (after > before + 50)


def test_attraction_flings_nothing_out_of_its_centre(make_world: MakeWorld) -> None:
    cloud = Cloud(make_world(), Attraction(960.0, 540.0, 200.0), speed=0.0)
    cloud.position.x[:], cloud.position.y[:] = 960, 540
    cloud.run(1.0)
    assert cloud.speed() < 1e-3


def test_ages_are_seconds(make_world: MakeWorld) -> None:
    cloud = Cloud(make_world(fps=24)).run(2.0)
    np.testing.assert_allclose(cloud.life.age, 2.0, rtol=1e-4)


@pytest.mark.parametrize("mode", ["reflect", "wrap"])
def test_walls_keep_particles_on_the_canvas(make_world: MakeWorld, mode: str) -> None:
    cloud = Cloud(make_world(width=1920.0), Walls(mode), speed=3000.0)
    for _ in range(60):
        cloud.world.step()
        x, y = cloud.places()
        assert ((x >= 0) & (x <= 1920) & (y >= 0) & (y <= 1080)).all()


def test_reflection_keeps_speed_and_wrapping_keeps_velocity(make_world: MakeWorld) -> None:
    reflected = Cloud(make_world(), Walls("reflect"), speed=2000.0)
    wrapped = Cloud(make_world(), Walls("wrap"), speed=2000.0)
    before = wrapped.velocity.x.copy()
    assert reflected.run(2.0).speed() == pytest.approx(2000, rel=1e-4)
    np.testing.assert_array_equal(wrapped.run(2.0).velocity.x, before)


def test_wrapped_particles_come_back_where_they_started(make_world: MakeWorld) -> None:
    cloud = Cloud(make_world(width=1920.0), Walls("wrap"), n=2)
    cloud.velocity.x[:], cloud.velocity.y[:] = 1920, -1080
    np.testing.assert_allclose(cloud.run(1.0).places(), cloud.start, atol=0.1)


@pytest.mark.parametrize("components", [(Walls("reflect"),), (Walls("wrap"),), ()], ids=["reflect", "wrap", "none"])
def test_particles_without_a_lifetime_move_too(make_world: MakeWorld, components: tuple[object, ...]) -> None:
    world = make_world()
    entity = world.populate([Position, Velocity], components)
    world.component(entity, Table).spawn(1)
    world.component(entity, Velocity).x[:] = 30
    world.step()
    assert world.component(entity, Position).x[0] == pytest.approx(1)


def test_turbulence_depends_on_the_seed(make_world: MakeWorld) -> None:
    clouds = [Cloud(make_world(seed=seed), Turbulence(100.0), speed=0.0).run(0.5) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(clouds[0].places(), clouds[1].places())
    assert (clouds[0].places() != clouds[2].places()).any()


@pytest.mark.parametrize("columns", [[Lifetime], [Position, Lifetime], [Velocity, Lifetime]])
def test_what_does_not_move_ages_too(make_world: MakeWorld, columns: list[type[Column]]) -> None:
    world = make_world()
    entity = world.populate(columns, [Emission(0.0, 0.0, rate=30.0, span=Range(0.2, 0.2))])
    for _ in range(60):
        world.step()
    assert 0.1 < world.component(entity, Lifetime).age.max() < 0.2 + 1 / 30
    assert len(world.component(entity, Table)) in range(4, 9)
