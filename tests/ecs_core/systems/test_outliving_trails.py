"""Trails outlive their particles, which are gone in every other respect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ecs_core import (
    Bounds,
    Burst,
    Collide,
    Color,
    Emission,
    EmitFrom,
    Lifetime,
    LightOverLife,
    Links,
    Look,
    Position,
    Range,
    Size,
    Sprite,
    Sprites,
    Trail,
    TrailPoints,
    Upkeep,
    Velocity,
    World,
)
from ecs_core.ecs.components import alive
from ecs_core.ecs.space import Depth, TrailDepths
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Curve
from ecs_core.raster.rasteriser import Planes, Rasteriser
from tests.ecs_core.raster.painting import light_of

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Size, Color, Look, Lifetime, TrailPoints)
SPACE = (*COLUMNS, Depth, TrailDepths)


def flying(world: World, *more: object, columns: tuple[type, ...] = COLUMNS, **settings: Any) -> int:
    """Particles that fly to the right for a second at 300 units/s, with trails of half a second."""
    burst = Burst(
        500.0,
        500.0,
        **{
            "count": 1,
            "size": Range(3, 3),
            "speed": Range(300, 300),
            "direction": 0.0,
            "span": Range(1, 1),
            **settings,
        },
    )
    return world.populate(columns, (burst, Trail(seconds=0.5), Sprite(), *more))


def drawn(world: World) -> list[Sprites]:
    found: list[Sprites] = []
    world.step(drawn=found)
    return found


def column(world: World, entity: int, kind: type[Any]) -> Any:
    found = world.component(entity, kind)
    assert found is not None
    return found


def rows_after(world: World, entity: int, seconds: float) -> int:
    while world.frame < round(seconds * float(world.fps)):
        world.step()
    return len(column(world, entity, Table))


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_trail_of_an_old_particle_stays_until_it_has_faded(make_world: MakeWorld, fps: int) -> None:
    world = make_world(fps=fps)
    entity = flying(world)
    assert rows_after(world, entity, 1.45) == 1
    assert rows_after(world, entity, 1.6) == 0


@pytest.mark.parametrize("columns", [COLUMNS, SPACE])
@pytest.mark.parametrize("fps", [24, 30, 60])
def test_trail_shrinks_to_where_the_particle_died(make_world: MakeWorld, columns: Any, fps: int) -> None:
    world = make_world(fps=fps)
    flying(world, columns=columns)
    while world.frame < 1.25 * fps:
        world.step()
    lines, heads = drawn(world)
    since = (world.frame / fps) - 1.0  # its death: ages are those of the end of a frame
    assert len(heads) == 0
    assert lines.dx is not None
    ends = np.concatenate([lines.x, lines.x + lines.dx])
    assert ends.max() == pytest.approx(800.0, abs=0.5)
    assert ends.min() == pytest.approx(800.0 - 300.0 * (0.5 - since), abs=0.5)
    assert lines.red.max() == pytest.approx(0.4 * (1 - since / 0.5) ** 2, rel=0.01)


def test_light_of_a_trail_does_not_jump_as_its_particle_dies(make_world: MakeWorld) -> None:
    fading = LightOverLife(Curve(((0, 1), (0.8, 1), (1, 0.5))))
    world = make_world()
    flying(world, fading, direction=-0.3)
    rasteriser, planes, light = Rasteriser(960, 540), Planes.empty(960, 540), []
    for _ in range(50):
        rasteriser.paint(Sprites.join(drawn(world)[:1]), planes)
        light.append(light_of(planes).sum())
    assert np.abs(np.diff(light[20:])).max() < 0.12 * max(light)
    assert light[29] > 0.3 * max(light)
    assert light[-1] == 0


def test_dark_particles_leave_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    entity = flying(world, LightOverLife(Curve(((0, 1), (1, 0)))))
    assert rows_after(world, entity, 1.1) == 0


def test_particle_that_left_leaves_its_trail(make_world: MakeWorld) -> None:
    world = make_world(width=800.0)
    entity = flying(world, Bounds(20.0), span=Range(9, 9), speed=Range(600, 600))
    path = column(world, entity, TrailPoints)
    while not path.gone.any():
        lines, heads = drawn(world)
    assert 800 + 20 <= column(world, entity, Position).x[0] <= 800 + 20 + 20
    assert len(heads) == 0
    assert (lines.x + lines.dx).min() < 600
    assert rows_after(world, entity, world.frame / 30 + 0.55) == 0


def test_dead_particles_are_replaced_at_once(make_world: MakeWorld) -> None:
    births = []
    for more in ((), (TrailPoints,)):
        world = make_world()
        spark = {"span": Range(0.2, 0.5), "speed": Range(50, 300)}
        births_of = (Burst(500.0, 500.0, count=20, **spark), Upkeep(500.0, 500.0, count=20, **spark))
        entity = world.populate((*COLUMNS[:-1], *more), (*births_of, Trail(seconds=0.5), Sprite()))
        for _ in range(60):
            world.step()
        births.append(column(world, entity, Table).next_birth)
        assert int(np.count_nonzero(column(world, entity, Lifetime).age < 0.51)) >= 20
    assert births[0] == births[1] > 60


def test_trails_of_the_dead_do_not_count_for_a_limit(make_world: MakeWorld) -> None:
    world = make_world()
    emission = Emission(500.0, 500.0, rate=100.0, limit=10, span=Range(0.3, 0.3), speed=Range(200, 200))
    entity = world.populate(COLUMNS, (emission, Trail(seconds=1.0), Sprite()))
    for _ in range(60):
        world.step()
        living = alive(column(world, entity, TrailPoints))
        assert living is None or np.count_nonzero(living) <= 10
    assert len(column(world, entity, Table)) > 20


def test_nothing_is_born_at_the_dead(make_world: MakeWorld) -> None:
    world = make_world()
    heads = world.populate(
        COLUMNS,
        (Burst(300.0, 500.0, count=4, speed=Range(200, 200), direction=0.0, span=Range(0.5, 0.5)), Trail(2.0)),
        name="heads",
    )
    dust = world.populate(COLUMNS[:-1], (Emission(0.0, 0.0, rate=600.0, speed=Range(0, 0)), EmitFrom("heads")))
    for _ in range(17):
        world.step()
    born = column(world, dust, Table).next_birth
    assert born > 200
    for _ in range(10):
        world.step()
    assert len(column(world, heads, Table)) == 4
    assert column(world, dust, Table).next_birth == born


def test_the_dead_neither_collide_nor_make_links(make_world: MakeWorld) -> None:
    world = make_world()
    dying = Range(0.5, 0.5)
    entity = world.populate(
        COLUMNS, (Burst(500.0, 500.0, count=1, speed=Range(300, 300), direction=0.0, span=dying, size=Range(9, 9)),
                  Trail(2.0), Collide(), Links(reach=400.0), Sprite()),
    )  # fmt: skip
    for _ in range(20):
        world.step()
    table, position, velocity = (column(world, entity, kind) for kind in (Table, Position, Velocity))
    life, size = (column(world, entity, kind) for kind in (Lifetime, Size))
    there = float(position.x[0])
    table.frozen = False
    new = table.spawn(1)
    position.x[new], position.y[new], velocity.x[new], size.value[new], life.span[new] = there, 500.0, 60.0, 9.0, 9.0
    lines, heads = drawn(world)  # those of links, too, if there were any
    assert position.x[0] == there
    assert position.x[1] == pytest.approx(there + 2.0)
    assert velocity.x[1] == 60.0
    assert len(heads) == 1
    assert (lines.x + lines.dx).max() <= there
