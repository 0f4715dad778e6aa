"""Reaping: of the old, and of those too far out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecs_core.ecs.components import Bounds, Lifetime, Position
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
