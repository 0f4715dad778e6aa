"""Collision of a population's particles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecs_core import kernels
from ecs_core.ecs.components import Collide, Position, Size, Velocity
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.rng import generator
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import World
from ecs_core.systems.collision import cell_size

MakeWorld = Callable[..., World]


def populate(world: World, n: int, *components: object) -> tuple[Position, Velocity, Size]:
    entity = world.populate([Position, Velocity, Size], components)
    world.component(entity, Table).spawn(n)
    position, velocity, size = (world.component(entity, kind) for kind in (Position, Velocity, Size))
    rng = generator(1, 2, 3)
    position.x[:], position.y[:] = rng.uniform(100, 200, (2, n))
    velocity.x[:], velocity.y[:] = rng.normal(0, 50, (2, n))
    size.value[:] = rng.uniform(2, 6, n)
    return position, velocity, size


def overlaps(position: Position, size: Size) -> int:
    i, j = np.triu_indices(len(position.x), 1)
    reach = 0.99 * (size.value[i] + size.value[j])
    return int((np.hypot(position.x[i] - position.x[j], position.y[i] - position.y[j]) < reach).sum())


def test_discs_of_all_sizes_come_apart(make_world: MakeWorld) -> None:
    world = make_world()
    position, velocity, size = populate(world, 60, Collide())
    velocity.x[:], velocity.y[:] = 0, 0
    before = overlaps(position, size)
    for _ in range(20):
        world.step()
    assert before > 20
    assert overlaps(position, size) < 0.1 * before


def test_momentum_is_kept(make_world: MakeWorld) -> None:
    world = make_world()
    _, velocity, _ = populate(world, 60, Collide(0.5))
    before = velocity.x.sum(), velocity.y.sum()
    for _ in range(5):
        world.step()
    assert (velocity.x.sum(), velocity.y.sum()) == pytest.approx(before, abs=0.05)


@pytest.mark.parametrize(("restitution", "kept"), [(1.0, True), (0.3, False)])
def test_energy_is_kept_by_full_restitution_only(make_world: MakeWorld, restitution: float, kept: bool) -> None:
    world = make_world()
    _, velocity, _ = populate(world, 60, Collide(restitution))
    before = float((velocity.x**2 + velocity.y**2).sum())
    for _ in range(5):
        world.step()
    after = float((velocity.x**2 + velocity.y**2).sum())
    assert after == pytest.approx(before, rel=1e-4) if kept else after < 0.9 * before


def test_population_without_collide_passes_through_itself(make_world: MakeWorld) -> None:
    world = make_world()
    _, velocity, _ = populate(world, 60)
    before = velocity.x.copy()
    world.step()
    np.testing.assert_array_equal(velocity.x, before)


@pytest.mark.parametrize("n", [0, 1])
def test_zero_or_one_particle_never_collides(make_world: MakeWorld, n: int) -> None:
    world = make_world()
    populate(world, n, Collide())
    world.step()


def test_particles_far_off_the_canvas_collide_too(make_world: MakeWorld) -> None:
    world = make_world()
    position, velocity, size = populate(world, 2, Collide())
    position.x[:], position.y[:] = [-5000, -4996], -300
    velocity.x[:], velocity.y[:] = [10, -10], 0
    size.value[:] = 4
    world.step()
    np.testing.assert_allclose(velocity.x, [-10, 10], rtol=1e-4)


@pytest.mark.parametrize("largest", [0.0, 1e-6, 0.5, 40.0, 5000.0])
def test_grid_has_cells_wide_enough_and_not_too_many(largest: float) -> None:
    canvas = Canvas(1920.0)
    cell = cell_size(largest, canvas)
    assert cell >= 2 * largest
    assert (int(canvas.width / cell) + 1) * (int(canvas.height / cell) + 1) < 1.01 * (1 << 20)


def test_pile_beyond_a_corner_costs_no_more_than_one_on_the_canvas(make_world: MakeWorld) -> None:
    def crowded(off: float) -> int:
        world = make_world()
        position, _, size = populate(world, 4000, Collide())
        position.x[:], position.y[:] = np.random.default_rng(1).uniform((0, 0), (1900, 1000), (4000, 2)).T - off
        canvas = world.get(Canvas)
        cell = cell_size(float(size.value.max()), canvas)
        columns, rows = int(canvas.width / cell) + 1, int(canvas.height / cell) + 1
        starts, order = np.empty(columns * rows + 1, np.int32), np.empty(4000, np.int32)
        kernels.collision.sort_into_cells(
            position.x, position.y, np.float32(cell), columns, rows, starts, order, np.empty_like(order)
        )
        return int(np.diff(starts).max())

    assert crowded(3000.0) <= crowded(0.0) + 2
