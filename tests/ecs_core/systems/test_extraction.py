"""Extraction: what particles look like as sprites, and what systems of plugins draw besides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ecs_core import (
    Brightness,
    Burst,
    Color,
    Gradient,
    Look,
    ParticleType,
    Phase,
    PluginError,
    Position,
    Range,
    Settings,
    Size,
    Skirt,
    Sprite,
    Sprites,
    System,
    World,
)
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.simulation import Simulation

MakeWorld = Callable[..., World]
DRAWN = (Position, Size, Color, Look)


def drawn(world: World) -> list[Sprites]:
    found: list[Sprites] = []
    world.step(drawn=found)
    return found


def burst(radius: float, count: int = 1) -> Burst:
    return Burst(x=10.0, y=20.0, count=count, size=Range(radius, radius))


@pytest.mark.parametrize(("radius", "light"), [(1.0, 0.0), (1.95, 0.025), (3.0, 0.05)])
def test_large_particles_have_a_skirt(make_world: MakeWorld, radius: float, light: float) -> None:
    world = make_world()
    world.populate(DRAWN, [burst(radius), Sprite()])
    [sprites] = drawn(world)
    assert sprites.skirt.tolist() == pytest.approx([light], abs=1e-6)


def test_skirt_is_a_component(make_world: MakeWorld) -> None:
    world = make_world()
    world.populate(DRAWN, [burst(3.0), Sprite(), Skirt(light=0.0)])
    world.populate(DRAWN, [burst(5.0), Sprite(), Skirt(light=0.4, speck=4.0, star=6.0)])
    none, half = drawn(world)
    assert none.skirt.tolist() == [0.0]
    assert half.skirt.tolist() == pytest.approx([0.2])


def test_in_a_crowd_only_larger_particles_have_skirts(make_world: MakeWorld) -> None:
    world = make_world()
    world.populate(DRAWN, [burst(3.0, 3000), Sprite()])
    world.populate(DRAWN, [burst(3.0, 1000), Sprite()])  # together 4000: twice as large a radius
    for sprites in drawn(world):
        assert sprites.skirt.max() == pytest.approx(0.05 * (1.5 - 1.3) / 1.3, rel=1e-4)


def test_covering_particles_are_as_dim_as_they_cover_little(make_world: MakeWorld) -> None:
    world = make_world()
    for light in (0.05, 1.0, 3.0):
        burst = Burst(x=10.0, y=20.0, count=1, light=Range(light, light), palette=Gradient(((1.0, 0.5, 0.0),)))
        world.populate(DRAWN, [burst, Sprite(blend="over")])
    faint, plain, bright = drawn(world)
    for sprites, cover in ((faint, 0.05 / 0.24 * 1.19), (plain, 1.0), (bright, 1.0)):  # of what black shows
        assert sprites.cover is not None
        assert sprites.cover.tolist() == pytest.approx([cover], rel=1e-4)
        assert sprites.green / sprites.red == pytest.approx(0.5)
    assert faint.red.tolist() == pytest.approx([1.0])
    assert bright.red.tolist() == pytest.approx([3.0])


@pytest.mark.parametrize("brightness", [True, False])
def test_dark_colours_cover_by_their_brightness(make_world: MakeWorld, brightness: bool) -> None:
    world = make_world()
    black = Burst(x=10.0, y=20.0, count=1, light=Range(2.0, 2.0), palette=Gradient(((0.0, 0.0, 0.0),)))
    world.populate((*DRAWN, Brightness) if brightness else DRAWN, [black, Sprite(blend="over")])
    [sprites] = drawn(world)
    assert sprites.cover is not None
    assert sprites.cover.tolist() == [1.0 if brightness else 0.0]
    assert sprites.red.tolist() == [0.0]


def test_skirt_of_a_faint_particle_is_as_faint(make_world: MakeWorld) -> None:
    world = make_world()
    for light in (0.05, 2.0):
        big = Burst(x=10.0, y=20.0, count=1, size=Range(5, 5), light=Range(light, light))
        world.populate(DRAWN, [big, Sprite(blend="over")])
    faint, bright = drawn(world)
    assert (faint.skirt * faint.red).tolist() == pytest.approx([0.05 * 0.05], rel=1e-4)
    assert (bright.skirt * bright.red).tolist() == pytest.approx([0.05 * 2.0], rel=1e-4)


def test_negative_light_covers_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    entity = world.populate(DRAWN, [burst(3.0), Sprite(blend="over")])
    drawn(world)
    color = world.component(entity, Color)
    assert color is not None
    for channel in (color.r, color.g, color.b):
        channel[:] = -1.0
    [sprites] = drawn(world)
    assert sprites.cover is not None
    assert sprites.cover.tolist() == [0.0]


def test_light_that_adds_up_covers_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    world.populate(DRAWN, [burst(3.0), Sprite()])
    [sprites] = drawn(world)
    assert sprites.cover is None


def test_populations_without_a_sprite_are_not_drawn(make_world: MakeWorld) -> None:
    world = make_world()
    world.populate(DRAWN, [burst(3.0)])
    assert drawn(world) == []


class Crosshair(System):
    """Marks the middle of each particle with a dark red point, and tries to draw a hole."""

    phase = Phase.EXTRACT

    def process(self) -> None:
        for _, (position,) in self.world.query(Position):
            n = len(position.x)
            one, none = np.ones(n, np.float32), np.zeros(n, np.float32)
            self.world.draw(Sprites(position.x, position.y, one, one, none, -one, none, np.zeros(n, np.uint8)))


def test_systems_of_plugins_draw_after_the_particles() -> None:
    kind = ParticleType("marked", archetype=DRAWN, components=(burst(3.0, 5), Sprite("disc")), systems=(Crosshair,))
    settings = Settings(width=320, height=180, duration=1.0)
    timeline = with_levels(FeatureTimeline.silence(settings.rate, 30), settings)
    with Simulation(kind, settings, timeline) as simulation:
        sprites = simulation.frame()
    assert sprites.disc.tolist() == [1] * 5 + [0] * 5
    np.testing.assert_array_equal(sprites.x[:5], sprites.x[5:])
    np.testing.assert_allclose(sprites.radius, np.float32(180 / 1080) * np.float32([3] * 5 + [1] * 5))
    assert sprites.blue[5:].tolist() == [0.0] * 5  # less than no light is none


def test_drawn_columns_are_checked_and_converted(make_world: MakeWorld) -> None:
    class Draws(System):
        phase = Phase.EXTRACT
        cover = np.ones(1)

        def process(self) -> None:
            two = np.ones(2)
            self.world.draw(Sprites(two, two, two, two, two, two, two * 0, np.zeros(2), self.cover))

    world = make_world()
    world.add(Draws())
    with pytest.raises(PluginError, match=r"Sprites\.cover has the shape \(1,\), but x has \(2,\)"):
        drawn(world)
    Draws.cover = np.ones(2)
    [sprites] = drawn(world)
    assert sprites.x.dtype == sprites.cover.dtype == np.float32
    assert sprites.disc.dtype == np.uint8
