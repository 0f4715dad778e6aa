"""What moves particles in depth as it does on the canvas: gravity, a random walk, collisions and walls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ecs_core import (
    Burst,
    Collide,
    Depth,
    Gravity,
    Jitter,
    Position,
    Range,
    Scene,
    Size,
    Velocity,
    Volume,
    Walls,
    World,
)
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Size, Depth)


def balls(world: World, *components: object, count: int = 1, columns: tuple[type, ...] = COLUMNS) -> tuple[Any, ...]:
    burst = Burst(500.0, 500.0, count=count, size=Range(10, 10), speed=Range(0, 0))
    entity = world.populate(columns, (burst, *components), name="balls")
    return tuple(world.component(entity, kind) for kind in columns)


@pytest.mark.parametrize("fps", [24, 60])
def test_gravity_has_a_third_coordinate(make_world: MakeWorld, fps: int) -> None:
    world = make_world(fps=fps)
    position, velocity, _, depth = balls(world, Gravity(y=20.0, z=-90.0))
    for _ in range(fps):
        world.step()
    assert depth.vz[0] == pytest.approx(-90.0, rel=1e-4)
    assert depth.z[0] == pytest.approx(-45.0, rel=0.05)
    assert velocity.y[0] == pytest.approx(20.0, rel=1e-4)
    assert position.x[0] == 500.0


def test_gravity_in_depth_does_nothing_to_flat_particles(make_world: MakeWorld) -> None:
    world = make_world()
    position, velocity, _ = balls(world, Gravity(z=-90.0), columns=COLUMNS[:-1])
    for _ in range(10):
        world.step()
    assert (position.x[0], position.y[0], velocity.x[0], velocity.y[0]) == (500.0, 500.0, 0.0, 0.0)


def test_bindings_move_gravity_in_depth() -> None:
    bindings = [{"source": "bass", "target": "gravity.z", "gain": 9}]
    config = {"width": 320, "height": 180, "duration": 0.5, "bindings": bindings}
    plan = make_plan(*Scene("tunnel", config=config).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(5)


def test_jitter_is_as_wide_in_depth(make_world: MakeWorld) -> None:
    world = make_world()
    _, velocity, _, depth = balls(world, Jitter(60.0), count=2000)
    for _ in range(10):
        world.step()
    assert depth.vz.std() == pytest.approx(velocity.x.std(), rel=0.1)
    assert abs(np.corrcoef(depth.vz, velocity.x)[0, 1]) < 0.1
    assert abs(np.corrcoef(depth.vz, velocity.y)[0, 1]) < 0.1


def test_balls_pass_before_and_behind_each_other(make_world: MakeWorld) -> None:
    world = make_world()
    _, velocity, _, depth = balls(world, Collide(), count=2)
    world.step()
    depth.z[:], velocity.x[:] = [0.0, 50.0], [30.0, -30.0]
    world.step()
    assert velocity.x.tolist() == [30.0, -30.0]


def test_balls_bounce_off_each_other_in_depth(make_world: MakeWorld) -> None:
    world = make_world()
    position, velocity, _, depth = balls(world, Collide(), count=2)
    world.step()
    position.x[:], position.y[:], velocity.x[:], velocity.y[:] = 500.0, 500.0, 0.0, 0.0
    depth.z[:], depth.vz[:] = [0.0, 25.0], [120.0, -60.0]
    for _ in range(3):
        world.step()
    assert depth.vz.tolist() == pytest.approx([-60.0, 120.0])
    assert velocity.x.tolist() == [0.0, 0.0]


def test_collisions_in_space_keep_momentum_and_energy(make_world: MakeWorld) -> None:
    world = make_world()
    position, velocity, _, depth = balls(world, Collide(), count=200)
    world.step()
    rng = np.random.default_rng(3)
    for places in (position.x, position.y, depth.z):
        places[:] = rng.uniform(400, 600, 200)
    for speeds in (velocity.x, velocity.y, depth.vz):
        speeds[:] = rng.normal(0, 50, 200)

    def sums() -> list[float]:
        speeds = [each.astype(np.float64) for each in (velocity.x, velocity.y, depth.vz)]
        return [*(each.sum() for each in speeds), sum((each**2).sum() for each in speeds)]

    before, deep = sums(), depth.vz.copy()
    for _ in range(5):
        world.step()
    assert sums() == pytest.approx(before, rel=1e-4, abs=0.05)
    assert (depth.vz != deep).mean() > 0.3


@pytest.mark.parametrize(("walls", "kept"), [((), 1.0), ((Walls("reflect", 0.5),), 0.5), ((Walls("wrap", 0.5),), 1.0)])
def test_planes_have_the_restitution_of_the_walls(
    make_world: MakeWorld, walls: tuple[object, ...], kept: float
) -> None:
    world = make_world()
    _, _, _, depth = balls(world, Volume(0.0, 0.0001, walls="reflect"), *walls)
    world.step()
    depth.z[:], depth.vz[:] = 0.00005, 40.0
    world.step()
    assert abs(depth.vz[0]) == pytest.approx(40.0 * kept)
