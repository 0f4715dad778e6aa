"""Colours by birth, speed, height, and the bands of the song."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from ecs_core.arrays import F32
from ecs_core.ecs.components import (
    Brightness,
    Burst,
    Color,
    ColorBy,
    Emission,
    Look,
    Position,
    Size,
    Speed,
    Sprite,
    Trail,
    TrailPoints,
    Velocity,
)
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.space import Depth
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Gradient, Range
from ecs_core.ecs.world import World
from ecs_core.raster.sprites import Sprites
from ecs_core.systems import BUILT_IN
from ecs_core.systems.shading import bands_of
from tests.ecs_core.conftest import timeline_of

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Size, Color, Brightness, Look)
RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
RGB = Gradient((RED, GREEN, BLUE))
STILL = {"speed": Range(0.0, 0.0), "size": Range(2.0, 2.0)}


def particles(world: World, by: ColorBy, *more: object, count: int = 3, columns: tuple[Any, ...] = COLUMNS) -> int:
    """Particles at rest, which are 0.5 bright, after their first frame."""
    burst = Burst(500.0, 400.0, count=count, light=Range(0.5, 0.5), palette=RGB, **STILL)
    entity = world.populate(columns, (burst, by, *more))
    world.step()
    return entity


def column(world: World, entity: int, kind: type[Any]) -> Any:
    found = world.component(entity, kind)
    assert found is not None
    return found


def colours(world: World, entity: int) -> F32:
    """The colours of particles, (n, 3)."""
    color = column(world, entity, Color)
    return np.stack([color.r, color.g, color.b], axis=1)


class TestSpeed:
    def test_slow_ones_have_the_first_colour_usual_ones_the_middle_and_fast_ones_the_last(
        self, make_world: MakeWorld
    ) -> None:
        world = make_world()
        entity = particles(world, ColorBy("speed", RGB, usual=60.0))
        velocity = column(world, entity, Velocity)
        velocity.x[:], velocity.y[:] = [0.0, 36.0, 1e6], [0.0, -48.0, 1e6]
        world.step()
        np.testing.assert_allclose(colours(world, entity), 0.5 * np.array([RED, GREEN, BLUE]), atol=1e-5)

    def test_scale_is_smooth_and_saturates(self, make_world: MakeWorld) -> None:
        world = make_world()
        entity = particles(world, ColorBy("speed", Gradient(((0, 0, 0), (1, 1, 1))), usual=60.0), count=400)
        column(world, entity, Velocity).x[:] = np.linspace(0, 400, 400)
        world.step()
        shown = 2 * colours(world, entity)[:, 0]
        assert (np.diff(shown) >= 0).all()
        assert np.diff(shown).max() < 0.02
        assert 0.95 < shown[-1] < 1

    def test_depth_and_pace_count(self, make_world: MakeWorld) -> None:
        world = make_world()
        entity = particles(world, ColorBy("speed", RGB, usual=60.0), Speed(2.0), columns=(*COLUMNS, Depth))
        column(world, entity, Depth).vz[:] = [0.0, -30.0, 1e6]
        world.step()
        np.testing.assert_allclose(colours(world, entity), 0.5 * np.array([RED, GREEN, BLUE]), atol=1e-5)

    def test_what_is_no_number_or_infinite_has_a_colour(self, make_world: MakeWorld) -> None:
        world = make_world()
        entity = particles(world, ColorBy("speed", RGB, usual=60.0), Speed(0.0))
        column(world, entity, Velocity).x[:] = [np.nan, np.inf, -np.inf]
        with np.errstate(invalid="ignore"):
            world.step()
        np.testing.assert_allclose(colours(world, entity), 0.5 * np.array([RED, BLUE, BLUE]), atol=1e-5)

    def test_particles_without_a_velocity_keep_their_colours(self, make_world: MakeWorld) -> None:
        world = make_world()
        columns = tuple(kind for kind in COLUMNS if kind is not Velocity)
        entity = particles(world, ColorBy("speed", RGB), count=60, columns=columns)
        before = colours(world, entity).copy()
        world.step()
        np.testing.assert_array_equal(colours(world, entity), before)
        assert len(np.unique(before, axis=0)) == 3


@pytest.mark.parametrize(("wide", "high"), [(1920.0, 1080.0), (1080.0, 1920.0), (1080.0, 1080.0)])
def test_height_is_from_the_bottom_to_the_top_of_any_picture(wide: float, high: float) -> None:
    timeline = timeline_of(Fraction(30), 9, {}, {})
    with World(seed=1, fps=Fraction(30), canvas=Canvas(wide, high), timeline=timeline) as world:
        for system in BUILT_IN:
            world.add(system())
        entity = particles(world, ColorBy("height", RGB), count=5)
        column(world, entity, Position).y[:] = [1.2 * high, high, 0.5 * high, 0.25 * high, -50.0]
        world.step()
        expected = 0.5 * np.array([RED, RED, GREEN, (0, 0.5, 0.5), BLUE])
        np.testing.assert_allclose(colours(world, entity), expected, atol=1e-5)


class TestBand:
    def test_each_particle_has_one_of_the_colours_for_life_in_equal_shares(self, make_world: MakeWorld) -> None:
        world = make_world()
        entity = particles(world, ColorBy("band", RGB), count=60)
        first = colours(world, entity).copy()
        kinds, counts = np.unique(first, axis=0, return_counts=True)
        np.testing.assert_allclose(kinds, 0.5 * np.array([BLUE, GREEN, RED]))
        assert counts.tolist() == [20, 20, 20]
        table = column(world, entity, Table)
        table.frozen = False
        table.remove(np.arange(60) % 7 == 0)
        world.step()
        np.testing.assert_array_equal(colours(world, entity), first[np.arange(60) % 7 != 0])

    def test_light_follows_the_band_of_the_colour(self, make_world: MakeWorld) -> None:
        world = make_world(features={"bass": [0.0, 1.0, 0.2], "high": [0.0, 0.0, 0.6]})
        entity = particles(world, ColorBy("band", RGB))
        look = column(world, entity, Look)
        silent = look.light.copy()
        world.step()
        bass = look.light.copy()
        world.step()
        both = look.light.copy()
        assert 0.2 < silent[0] < 0.5
        np.testing.assert_array_equal(silent, silent[0])  # its second frame has no mid, its first nothing at all
        assert bass[0] > 3 * silent[0]
        np.testing.assert_array_equal(bass[1:], silent[1:])
        assert silent[0] < both[0] < both[2] < bass[0]

    def test_without_a_song_particles_are_as_bright_as_always(self, make_world: MakeWorld) -> None:
        world = make_world()
        entity = particles(world, ColorBy("band", RGB))
        np.testing.assert_array_equal(column(world, entity, Look).light, 1)

    @pytest.mark.parametrize("count", range(1, 14))
    def test_bands_go_from_low_to_high(self, count: int) -> None:
        order = ["sub", "bass", "low_mid", "mid", "high", "air"]
        places = [order.index(band) for band in bands_of(count)]
        assert len(places) == count
        assert places == sorted(places)
        assert len(set(places)) == min(count, 6)

    def test_few_colours_have_the_bands_that_music_is_made_of(self) -> None:
        assert bands_of(1) == ["bass"]
        assert bands_of(4) == ["bass", "low_mid", "mid", "high"]


class TestBirth:
    def births(self, world: World, **more: Any) -> int:
        emission = Emission(500.0, 400.0, rate=300.0, light=Range(0.5, 0.5), palette=RGB, **STILL)
        return world.populate((Position, Velocity, Size, Color, Look), (emission, ColorBy("birth", RGB, **more)))

    def test_first_particles_have_the_colours_of_all_moments(self, make_world: MakeWorld) -> None:
        world = make_world()
        shown = colours(world, particles(world, ColorBy("birth", RGB), count=900))
        np.testing.assert_allclose(shown.sum(axis=1), 0.5, atol=1e-5)
        assert len(np.unique(shown, axis=0)) > 150
        assert shown[:, 0].max() == pytest.approx(0.5, abs=0.01)
        assert shown[:, 2].max() == pytest.approx(0.5, abs=0.01)

    @pytest.mark.parametrize("fps", [24, 30, 60])
    def test_later_ones_keep_the_colour_of_their_moment_which_goes_there_and_back(
        self, make_world: MakeWorld, fps: int
    ) -> None:
        world = make_world(fps=fps)
        entity = self.births(world, seconds=2.0)
        seen, first = [], np.zeros((0, 3))
        for frame in range(4 * fps + 1):
            before = column(world, entity, Table).next_birth
            world.step()
            table = column(world, entity, Table)
            new = table.birth >= before
            if frame and frame % (fps // 2) == 0:
                seen.append(np.unique(colours(world, entity)[new], axis=0))
            if frame == 0:
                first = colours(world, entity).copy()
        np.testing.assert_array_equal(colours(world, entity)[: len(first)], first)
        assert [len(each) for each in seen] == [1] * 8
        turn = [GREEN, BLUE, GREEN, RED]  # at 0.5, 1, 1.5 and 2 s
        np.testing.assert_allclose(np.concatenate(seen), 0.5 * np.array([*turn, *turn]), atol=0.01)

    def test_moments_are_those_of_the_song(self, make_world: MakeWorld) -> None:
        shown = []
        for start in (0, 1):
            timeline = timeline_of(Fraction(30), 100, {}, {})
            object.__setattr__(timeline, "start", Fraction(start))
            with World(seed=1, fps=Fraction(30), canvas=Canvas(1920.0), timeline=timeline) as world:
                for system in BUILT_IN:
                    world.add(system())
                entity = self.births(world)
                for _ in range(46 - 30 * start):
                    world.step()
                shown.append(colours(world, entity)[-1])
        np.testing.assert_array_equal(shown[0], shown[1])


def test_light_of_a_particle_is_kept(make_world: MakeWorld) -> None:
    world = make_world()
    burst = Burst(500.0, 400.0, count=50, light=Range(0.1, 3.0), palette=RGB, **STILL)
    entity = world.populate(COLUMNS, (burst, ColorBy("height", Gradient((RED, RED)))))
    for _ in range(3):
        world.step()
    np.testing.assert_array_equal(colours(world, entity)[:, 0], column(world, entity, Brightness).value)
    assert np.ptp(column(world, entity, Brightness).value) > 2


def test_trails_have_the_colour_of_their_particle(make_world: MakeWorld) -> None:
    world = make_world()
    burst = Burst(500.0, 400.0, count=30, speed=Range(50.0, 900.0), palette=RGB)
    by = ColorBy("speed", RGB, usual=300.0)
    world.populate((*COLUMNS, TrailPoints), (burst, by, Trail(0.3), Sprite("glow")))
    for _ in range(12):
        world.step()
    drawn: list[Sprites] = []
    world.step(drawn=drawn)
    kinds = []
    for sprites in drawn:
        light = np.stack([sprites.red, sprites.green, sprites.blue], axis=1)
        kinds.append({tuple(np.round(each / each.sum(), 3)) for each in light if each.sum() > 0})
    trails, heads = kinds
    assert len(heads) > 20
    assert trails <= heads
