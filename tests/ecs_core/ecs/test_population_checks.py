"""What a population is made of is looked at when it is made, not in the middle of a render."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecs_core.ecs.components import (
    Attraction,
    Burst,
    Drag,
    Gravity,
    Look,
    Position,
    Sprite,
    Twinkle,
    Velocity,
    Walls,
)
from ecs_core.ecs.values import Range
from ecs_core.ecs.world import World
from ecs_core.errors import PluginError

MakeWorld = Callable[..., World]

WRONG = {
    "component among the columns": ((Position, Twinkle), (), "Twinkle is not a column: columns are classes such as"),
    "instance among the columns": ((Position(),), (), "Position is not a column"),
    "column among the components": ((Position,), (Velocity(),), "Velocity is a column: give it among the columns"),
    "class of a column": ((Position,), (Velocity,), "Velocity is a column"),
    "no such sprite": ((Position,), (Sprite("star"),), "Sprite.shape = 'star': must be 'glow' or 'disc'"),
    "no such shape": (
        (Position,),
        (Burst(0.0, 0.0, count=1, shape="square"),),
        "Burst.shape = 'square': must be 'point' or 'area' or 'ring'",
    ),
    "a number for a range": (
        (Position,),
        (Burst(0.0, 0.0, count=1, speed=300),),
        "Burst.speed = 300: must be a Range or a Pareto, such as Range(300, 300)",
    ),
    "text for a number": ((Position,), (Gravity(y="down"),), "Gravity.y = 'down': must be a number"),
    "no mode of walls": ((Position,), (Walls("bounce"),), "must be 'reflect' or 'wrap'"),
    "no colours": ((Position,), (Burst(0.0, 0.0, count=1, palette=(1, 0, 0)),), "must be a Gradient"),
    "no direction": (
        (Position,),
        (Burst(0.0, 0.0, count=1, direction="up"),),
        "Burst.direction = 'up': must be a number or None",
    ),
}


@pytest.mark.parametrize(("archetype", "components", "said"), WRONG.values(), ids=WRONG)
def test_invalid_populations_are_refused_by_name(
    make_world: MakeWorld, archetype: tuple[type, ...], components: tuple[object, ...], said: str
) -> None:
    with pytest.raises(PluginError) as refused:
        make_world().populate(archetype, components)
    assert said in str(refused.value)


def test_numpy_numbers_and_plugin_components_are_accepted(make_world: MakeWorld) -> None:
    class Mine:
        shape = "anything"

    width = np.float32(960.0)
    make_world().populate((Position, Look), (Burst(width, np.int64(3), count=2, speed=Range(1, 2)), Drag, Mine()))


def test_whole_numbers_become_floats_where_kernels_take_floats(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate([Position], [Attraction(960, 540, strength=3), Walls("wrap", restitution=np.float32(1))])
    attraction, walls = world.component(entity, Attraction), world.component(entity, Walls)
    assert attraction is not None
    assert walls is not None
    assert [type(value) for value in (attraction.x, attraction.y, attraction.strength)] == [float] * 3
    assert type(walls.restitution) is float
