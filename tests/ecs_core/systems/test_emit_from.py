"""Births at the particles of another population, and the dust that those of a scene leave behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ecs_core import PluginError, Scene, SceneError
from ecs_core.ecs.components import Burst, Color, Emission, EmitFrom, Lifetime, Position, Size, Speed, Velocity
from ecs_core.ecs.space import Depth, Volume
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Gradient, Range
from ecs_core.ecs.world import World
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.systems.audio_reaction import Reactive

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Lifetime, Size, Color)
RED_AND_BLUE = Gradient(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))


def heads(world: World, count: int = 40, **settings: Any) -> int:
    """A population called "heads", all over the canvas and moving."""
    everywhere = {"shape": "area", "width": 900.0, "height": 700.0, "palette": RED_AND_BLUE, "direction": 0.3}
    burst = Burst(500.0, 400.0, count=count, **{**everywhere, "speed": Range(50.0, 400.0), **settings})
    return world.populate(COLUMNS, (burst,), name="heads")


def behind(world: World, origin: EmitFrom, columns: tuple[type, ...] = COLUMNS, **settings: Any) -> int:
    emission = Emission(0.0, 0.0, **{"rate": 900.0, "speed": Range(0.0, 0.0), **settings})
    return world.populate(columns, (emission, origin), name="behind")


def column(world: World, entity: int, kind: type[Any]) -> Any:
    found = world.component(entity, kind)
    assert found is not None
    return found


@pytest.mark.parametrize("columns", [COLUMNS, (Position, Velocity), (Position,)])
def test_particles_are_born_along_the_ways_of_the_others(make_world: MakeWorld, columns: tuple[type, ...]) -> None:
    world = make_world()
    source = heads(world, count=1, speed=Range(300.0, 300.0))
    entity = behind(world, EmitFrom("heads"), columns)
    for _ in range(30):
        world.step()
    place, head = column(world, entity, Position), column(world, source, Position)
    velocity = column(world, source, Velocity)
    along = ((place.x - head.x) * velocity.x + (place.y - head.y) * velocity.y) / 300.0
    across = ((place.x - head.x) * velocity.y - (place.y - head.y) * velocity.x) / 300.0
    assert np.abs(across).max() < 0.01
    # Evenly over the way of a second, and not in heaps, of which there would be one a frame.
    gaps = np.diff(np.sort(along))
    assert len(along) > 800
    assert along.max() <= 0.01
    assert along.min() == pytest.approx(-300.0, abs=12.0)
    assert gaps.max() < 4.0


def test_all_others_have_their_turn(make_world: MakeWorld) -> None:
    world = make_world()
    heads(world, count=20, speed=Range(0.0, 0.0))
    entity = behind(world, EmitFrom("heads"))
    for _ in range(10):
        world.step()
    places = column(world, entity, Position)
    assert len({(float(x), float(y)) for x, y in zip(places.x, places.y, strict=True)}) == 20


@pytest.mark.parametrize("inherit", [0.0, 0.4, 1.0])
def test_share_of_the_velocity_is_inherited(make_world: MakeWorld, inherit: float) -> None:
    world = make_world()
    source = heads(world, count=1, speed=Range(300.0, 300.0))
    entity = behind(world, EmitFrom("heads", inherit=inherit))
    world.step()
    world.step()
    theirs, ours = column(world, source, Velocity), column(world, entity, Velocity)
    np.testing.assert_allclose(ours.x, inherit * theirs.x[0], rtol=1e-5)
    head, place = column(world, source, Position), column(world, entity, Position)
    if inherit == 1.0:  # they stay with it
        np.testing.assert_allclose(place.x, head.x[0], atol=1e-2)


def test_rate_can_be_that_of_each_particle(make_world: MakeWorld) -> None:
    counts = []
    for count in (5, 50):
        world = make_world()
        heads(world, count=count)
        entity = behind(world, EmitFrom("heads", per_particle=True), rate=12.0)
        for _ in range(30):
            world.step()
        counts.append(len(column(world, entity, Table)))
    assert counts[0] == pytest.approx(60, abs=8)
    assert counts[1] == pytest.approx(600, abs=25)


def test_tint_is_that_of_the_particle(make_world: MakeWorld) -> None:
    world = make_world()
    heads(world)
    entity = behind(world, EmitFrom("heads", tinted=True), light=Range(0.5, 0.5))
    world.step()
    world.step()
    color = column(world, entity, Color)
    assert (color.g == 0).all()
    assert set(np.unique(color.r + color.b)) == {0.5}
    assert color.r.any()
    assert color.b.any()


def test_nobody_is_born_where_nobody_is(make_world: MakeWorld) -> None:
    world = make_world()
    heads(world, count=0)
    entity = behind(world, EmitFrom("heads"))
    world.step()
    assert len(column(world, entity, Table)) == 0


def test_pace_of_the_others_counts(make_world: MakeWorld) -> None:
    world = make_world()
    source = heads(world, count=1, speed=Range(100.0, 100.0))
    world.replace(source, Speed(factor=3.0))
    entity = behind(world, EmitFrom("heads"))
    for _ in range(30):
        world.step()
    place, head = column(world, entity, Position), column(world, source, Position)
    assert np.hypot(place.x - head.x, place.y - head.y).max() == pytest.approx(300.0, abs=12.0)


@pytest.mark.parametrize("inherit", [0.0, 1.0])
def test_birth_in_depth_is_along_the_way_too(make_world: MakeWorld, inherit: float) -> None:
    world = make_world()
    columns = (*COLUMNS, Depth)
    burst = Burst(500.0, 400.0, count=1, speed=Range(0.0, 0.0))
    source = world.populate(columns, (burst, Volume(0.0, 0.0, Range(-500.0, -500.0), "open"), Speed(0.4)), name="heads")
    emission = Emission(0.0, 0.0, rate=900.0, speed=Range(0.0, 0.0))
    entity = world.populate(columns, (emission, EmitFrom("heads", inherit=inherit)), name="behind")
    for _ in range(30):
        world.step()
    behind_it = np.sort(column(world, entity, Depth).z - column(world, source, Depth).z[0])
    if inherit:  # it goes at the same pace, 200 units/s
        np.testing.assert_allclose(behind_it, 0.0, atol=0.05)
        np.testing.assert_allclose(column(world, entity, Depth).vz, -200.0, rtol=1e-5)
    else:
        assert behind_it.min() >= -0.01
        assert behind_it.max() == pytest.approx(200.0, abs=8.0)
        assert np.diff(behind_it).max() < 3.0


def test_pace_is_inherited(make_world: MakeWorld) -> None:
    world = make_world()
    source = heads(world, count=1, speed=Range(100.0, 100.0))
    world.replace(source, Speed(factor=3.0))
    entity = behind(world, EmitFrom("heads", inherit=1.0))
    for _ in range(10):
        world.step()
    place, head = column(world, entity, Position), column(world, source, Position)
    np.testing.assert_allclose(place.x, head.x[0], atol=0.05)


def test_bindings_are_of_the_particles_and_not_of_their_dust() -> None:
    binding = {"source": "rms", "target": "gravity.y", "gain": 200.0}
    plan = make_plan(*Scene("no_music", config={"duration": 1.0, "dust": 9.0, "bindings": [binding]}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        world = simulation.world
        bound = [
            entity for entity, (reactive,) in world.query(Reactive) for each in reactive.bindings if each.field == "y"
        ]
        assert bound
        assert not any(world.name(entity).endswith(".dust") for entity in bound)
    with pytest.raises(SceneError, match=r"target = 'emission\.rate': no such parameter"):
        Scene("no_music", config={"dust": 9.0, "bindings": [{"source": "rms", "target": "emission.rate"}]}).resolve()


def test_orbits_say_that_they_take_no_dust() -> None:
    _, settings = Scene("orbits", config={"dust": 9.0}).resolve()
    assert settings.warnings == ["dust = 9.0: has no effect on this particle type"]


def test_source_must_be_another_population(make_world: MakeWorld) -> None:
    world = make_world()
    heads(world)
    behind(world, EmitFrom("behind"))
    with pytest.raises(
        PluginError, match=r"EmitFrom\.source = 'behind': must be the name of another population; .*'heads'"
    ):
        world.step()


def sprites_of(config: dict[str, Any], frame: int = 20) -> int:
    plan = make_plan(*Scene("no_music", config={"width": 160, "height": 90, "duration": 1.0, **config}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(frame)
        return len(simulation.frame())


def test_dust_follows_the_particles_of_a_scene_and_changes_nothing_of_them() -> None:
    plain, dusty = ({"particle_count": 30, **more} for more in ({}, {"dust": 20.0}))
    assert sprites_of(dusty) > sprites_of(plain) + 150
    states = []
    for config in (plain, dusty):
        plan = make_plan(*Scene("no_music", config={"duration": 1.0, **config}).resolve(), None)
        with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
            simulation.skip_to(20)
            (name, rows), *_ = simulation.world.snapshot().populations.items()
            states.append((name, rows.values.tobytes()))
    assert states[0] == states[1]
