"""Reaping: of the old, and of those too far out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecs_core.ecs.components import Bounds, Color, Lifetime, Look, Position, Size, Sprite, Velocity
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


def test_particles_die_where_their_light_is_not_seen_any_more(make_world: MakeWorld) -> None:
    world = make_world(width=1920.0)
    entity = world.populate([Position, Velocity, Size, Look, Color], (Bounds(20.0), Sprite("disc")))
    table, position, velocity, size = (world.component(entity, kind) for kind in (Table, Position, Velocity, Size))
    table.spawn(2)
    position.x[:], position.y[:], velocity.x[:], size.value[:] = 1900.0, 500.0, 300.0, [5.0, 90.0]
    left = {}
    for frame in range(30):
        world.step()
        for birth in {0, 1} - left.keys() - set(table.birth.tolist()):
            left[birth] = 1900.0 + 10 * frame
    assert left[0] == pytest.approx(1920 + 20, abs=10)
    assert left[1] == pytest.approx(1920 + 90, abs=10)
