"""Reaping: of the old, and of those too far out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecs_core.ecs.components import Bounds, Lifetime, Position, Trail, TrailPoints, Velocity
from ecs_core.ecs.table import Table
from ecs_core.ecs.world import World

MakeWorld = Callable[..., World]


def populate(world: World, n: int, *components: object) -> tuple[Table, Position, Lifetime]:
    entity = world.populate([Position, Lifetime], components)
    table, position, life = (world.component(entity, kind) for kind in (Table, Position, Lifetime))
    table.spawn(n)
    life.span[:] = np.inf
    return table, position, life


def test_particles_die_at_the_end_of_their_lifetime(make_world: MakeWorld) -> None:
    world = make_world()
    table, _, life = populate(world, 3)
    life.age[:], life.span[:] = [0.9, 1.0, 5.0], [1.0, 1.0, np.inf]
    world.step()
    assert table.birth.tolist() == [0, 2]


def test_particles_die_farther_out_than_the_margin(make_world: MakeWorld) -> None:
    world = make_world(width=1920.0)
    table, position, _ = populate(world, 8, Bounds(50.0))
    position.x[:] = [-49, -51, 1969, 1971, 10, 10, 10, 10]
    position.y[:] = [10, 10, 10, 10, -49, -51, 1129, 1131]
    world.step()
    assert table.birth.tolist() == [0, 2, 4, 6]


def test_particles_without_bounds_survive_anywhere(make_world: MakeWorld) -> None:
    world = make_world()
    table, position, _ = populate(world, 1)
    position.x[:] = 1e9
    world.step()
    assert len(table) == 1


def test_particles_without_a_lifetime_live_on(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate([Position])
    table = world.component(entity, Table)
    table.spawn(2)
    world.step()
    assert len(table) == 2


def test_particle_that_left_dies_when_the_end_of_its_trail_has_left_too(make_world: MakeWorld) -> None:
    alive = []
    for seconds in (0.0, 0.5):  # a trail of 300 units, or none
        world = make_world(width=1920.0)
        trail = (Trail(seconds),) if seconds else ()
        columns = (Position, Velocity, *((TrailPoints,) if seconds else ()))
        entity = world.populate(columns, (Bounds(50.0), *trail))
        table, position, velocity = (world.component(entity, kind) for kind in (Table, Position, Velocity))
        table.spawn(1)
        position.x[:], position.y[:], velocity.x[:] = 1500.0, 400.0, 600.0
        frames = 0
        while len(table):
            world.step()
            frames += 1
        alive.append(frames / 30)
    assert 0.75 <= alive[0] <= 0.85  # 470 units to go
    assert 1.2 <= alive[1] <= 1.4


def test_old_particles_die_with_their_trails(make_world: MakeWorld) -> None:
    world = make_world(width=1920.0)
    entity = world.populate((Position, Velocity, Lifetime, TrailPoints), (Bounds(50.0), Trail(0.5)))
    table, position, velocity, life = (world.component(entity, kind) for kind in (Table, Position, Velocity, Lifetime))
    table.spawn(1)
    position.x[:], position.y[:], velocity.x[:], life.span[:] = 1500.0, 400.0, 600.0, 1.0
    for _ in range(32):
        world.step()
    assert len(table) == 0
