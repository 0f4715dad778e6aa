"""Depth: births, motion and walls in it, fading, trails and links."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecs_core import (
    Attraction,
    Burst,
    Canvas,
    Color,
    Depth,
    Drag,
    Emission,
    Links,
    Look,
    PluginError,
    Position,
    Range,
    Size,
    Speed,
    Sprite,
    Sprites,
    Trail,
    TrailDepths,
    TrailPoints,
    Turbulence,
    Velocity,
    Volume,
    Walls,
    World,
)

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Depth, Size, Color, Look)


def stars(
    world: World, *components: object, count: int = 500, columns: tuple[type, ...] = COLUMNS
) -> tuple[int, Depth]:
    burst = Burst(x=500.0, y=500.0, count=count, size=Range(3, 3), speed=Range(0, 0))
    entity = world.populate(columns, [burst, *components], name="stars")
    depth = world.component(entity, Depth)
    assert depth is not None
    return entity, depth


def drawn(world: World) -> list[Sprites]:
    found: list[Sprites] = []
    world.step(drawn=found)
    return found


def test_births_fill_the_volume(make_world: MakeWorld) -> None:
    world = make_world()
    _, depth = stars(world, Volume(-200.0, 800.0, Range(-30.0, -10.0), walls="open"))
    world.step()
    depth.z -= depth.vz * np.float32(1 / 30)
    assert np.histogram(depth.z, bins=4, range=(-200.0, 800.0))[0].min() > 90
    assert depth.vz.min() > -30.001
    assert depth.vz.max() < -9.999
    assert np.unique(depth.vz).size > 400


def test_births_do_not_depend_on_how_many_are_born(make_world: MakeWorld) -> None:
    few, many = make_world(), make_world()
    _, one = stars(few, Volume(), count=10)
    _, other = stars(many, Volume(), count=300)
    few.step()
    many.step()
    np.testing.assert_array_equal(one.z, other.z[:10])


def test_without_a_volume_births_are_in_the_plane_of_the_canvas(make_world: MakeWorld) -> None:
    world = make_world()
    _, depth = stars(world)
    world.step()
    assert not depth.z.any()


@pytest.mark.parametrize("fps", [24, 60])
def test_depth_has_drag_and_speed(make_world: MakeWorld, fps: int) -> None:
    world = make_world(fps=fps)
    _, depth = stars(world, Volume(0.0, 0.0, Range(100.0, 100.0), walls="open"), Drag(1.0), Speed(2.0), count=1)
    for _ in range(fps):
        world.step()
    assert depth.vz[0] == pytest.approx(100 * np.exp(-1), rel=1e-4)
    assert depth.z[0] == pytest.approx(2 * 100 * (1 - np.exp(-1)), rel=1e-4)


def test_what_leaves_through_the_near_plane_comes_in_at_the_far_one(make_world: MakeWorld) -> None:
    world = make_world()
    _, depth = stars(world, Volume(-100.0, 300.0, Range(-300.0, -300.0)))
    for _ in range(60):
        before = depth.z.copy() if len(depth.z) else None
        world.step()
        assert depth.z.min() >= -100.0
        assert depth.z.max() <= 300.0
        if before is not None:
            np.testing.assert_allclose((depth.z - before - -10.0 + 1) % 400.0, 1.0, atol=1e-2)


def test_nothing_is_seen_where_it_wraps(make_world: MakeWorld) -> None:
    world = make_world()
    entity, depth = stars(world, Volume(0.0, 1000.0, fade=200.0))
    look = world.component(entity, Look)
    assert look is not None
    world.step()
    middle, plane = (depth.z > 200) & (depth.z < 800), (depth.z < 10) | (depth.z > 990)
    assert plane.any()
    assert (look.light[middle] == 1).all()
    assert look.light[plane].max() < 0.01
    order = np.argsort(depth.z)
    assert np.abs(np.diff(look.light[order]) / np.diff(depth.z[order]).clip(1e-6)).max() < 1.6 / 200


def test_reflecting_volume_keeps_particles(make_world: MakeWorld) -> None:
    world = make_world()
    _, depth = stars(world, Volume(-50.0, 50.0, Range(-4000.0, 4000.0), walls="reflect"))
    for _ in range(20):
        world.step()
        assert np.abs(depth.z).max() <= 50.0
    assert np.unique(np.sign(depth.vz)).size == 2


def test_emission_gives_depth_to_each_birth(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate(COLUMNS, [Emission(0.0, 0.0, rate=300.0), Volume(100.0, 900.0, walls="open")])
    for _ in range(20):
        world.step()
    depth = world.component(entity, Depth)
    assert depth is not None
    assert np.unique(depth.z).size == len(depth.z) > 100
    assert depth.z.min() > 100.0


def test_births_of_a_rate_lie_in_no_planes(make_world: MakeWorld) -> None:
    world = make_world()
    gate = Volume(500.0, 500.0, Range(-600.0, -600.0), walls="open")
    entity = world.populate(COLUMNS, [Emission(0.0, 0.0, rate=900.0), gate, Speed(0.5)])
    for _ in range(30):
        world.step()
    depth = world.component(entity, Depth)
    assert depth is not None
    z = np.sort(depth.z)
    assert z[-1] <= 500.01
    assert z[0] == pytest.approx(200.0, abs=8.0)
    assert np.diff(z).max() < 4.0  # 900 births within 300 units; planes would be 10 apart


def test_wrong_value_is_named(make_world: MakeWorld) -> None:
    with pytest.raises(PluginError, match=r"Volume\.walls = 'bounce': must be 'wrap' or 'reflect' or 'open'"):
        make_world().populate(COLUMNS, [Volume(walls="bounce")])  # type: ignore[arg-type]


# --- trails ---


def test_trail_in_space_leads_back_along_the_way(make_world: MakeWorld) -> None:
    world = make_world()
    columns = (*COLUMNS, TrailPoints, TrailDepths)
    volume = Volume(0.0, 0.0, Range(-600.0, -600.0), walls="open")
    stars(world, volume, Trail(seconds=0.5), count=1, columns=columns)
    for _ in range(40):
        found = drawn(world)
    [trail] = found
    assert trail.z is not None
    assert trail.dz is not None
    assert trail.fade is not None
    np.testing.assert_allclose(trail.z[1:], (trail.z + trail.dz)[:-1], atol=1e-3)  # each continues the one before
    assert trail.dz.sum() == pytest.approx(300.0, rel=1e-3)  # half a second of 600 units/s
    assert (np.diff(trail.red) < 0).all()
    assert trail.fade[-1] < 1e-6


def test_trail_does_not_lead_through_the_whole_volume(make_world: MakeWorld) -> None:
    world = make_world()
    columns = (*COLUMNS, TrailPoints, TrailDepths)
    stars(world, Volume(-400.0, 400.0, Range(-600.0, -600.0)), Trail(seconds=0.3), count=50, columns=columns)
    for _ in range(80):
        found = drawn(world)
        for trail in found:
            assert trail.dz is not None
            assert np.abs(trail.dz).max(initial=0) < 60.0


# --- links ---


def test_links_are_lines_between_particles(make_world: MakeWorld) -> None:
    world = make_world()
    entity, depth = stars(world, Links(reach=400.0, most=3, light=0.5, width=2.0), Volume(), count=40)
    [lines] = drawn(world)
    position = world.component(entity, Position)
    assert position is not None
    assert lines.dx is not None
    assert lines.z is not None
    assert lines.dz is not None
    assert len(lines) > 10
    assert set(np.round(lines.z, 3)) <= set(np.round(depth.z, 3))
    assert set(np.round(lines.z + lines.dz, 2)) <= set(np.round(depth.z, 2))
    assert (lines.radius == 2.0).all()


def test_link_to_a_dark_particle_is_dark(make_world: MakeWorld) -> None:
    world = make_world()
    stars(world, Links(reach=4000.0, most=16), Volume(0.0, 1000.0, fade=300.0), count=17)
    [lines] = drawn(world)
    ends = np.minimum(lines.z, lines.z + lines.dz)  # type: ignore[operator]
    assert lines.red[ends < 20].max(initial=0) < 0.05 * lines.red.max()


def test_link_is_dark_before_its_end_wraps(make_world: MakeWorld) -> None:
    world = make_world()
    burst = Burst(x=890.0, y=500.0, count=2, size=Range(3, 3), speed=Range(0, 0))
    columns = (Position, Velocity, Size, Color, Look)
    entity = world.populate(columns, [burst, Links(reach=300.0, light=1.0), Walls("wrap"), Sprite()])
    world.step()
    position, velocity = world.component(entity, Position), world.component(entity, Velocity)
    assert position is not None
    assert velocity is not None
    width = world.get(Canvas).width
    position.x[:], velocity.x[:] = (width - 60, width - 20), (0.0, 60.0)
    light = []
    while position.x[1] > width / 2:
        links = [each for each in drawn(world) if each.dx is not None]
        light.append(float(links[0].red[0]) if links and position.x[1] > width / 2 else 0.0)
    assert len(light) > 15
    assert light[0] > 0.2
    assert np.abs(np.diff(light)).max() < 0.2 * light[0]


@pytest.mark.parametrize("links", [Links(most=0), Links(reach=0.0), Links(light=0.0), Links(width=0.0)])
def test_links_of_nothing_draw_nothing(make_world: MakeWorld, links: Links) -> None:
    world = make_world()
    stars(world, links)
    assert drawn(world) == []


def test_links_of_a_population_without_sprites_or_depth(make_world: MakeWorld) -> None:
    world = make_world()
    burst = Burst(x=500.0, y=500.0, shape="area", width=400.0, height=400.0, count=50, speed=Range(0, 0))
    world.populate((Position, Size, Color, Look), [burst, Links(reach=100.0), Sprite()])
    lines, points = drawn(world)
    assert lines.z is None
    assert lines.dx is not None
    assert np.hypot(lines.dx, lines.dy).max() < 100.0  # type: ignore[arg-type]
    assert len(points) == 50


# --- forces ---


def test_attraction_is_towards_a_point_in_space(make_world: MakeWorld) -> None:
    world = make_world()
    entity, depth = stars(
        world, Volume(300.0, 300.0, walls="open"), Attraction(500.0, 900.0, 300.0, softness=0.0, z=0.0), count=1
    )
    world.step()
    velocity = world.component(entity, Velocity)
    assert velocity is not None
    assert [velocity.x[0], velocity.y[0], depth.vz[0]] == pytest.approx([0.0, 8.0, -6.0], rel=1e-4)  # 3, 4, 5


def test_turbulence_stirs_depth(make_world: MakeWorld) -> None:
    world = make_world()
    _, depth = stars(world, Volume(), Turbulence(100.0, 80.0))
    for _ in range(30):
        world.step()
    assert np.std(depth.vz) > 10
