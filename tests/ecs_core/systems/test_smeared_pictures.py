"""Pictures that move while the shutter is open: fainter copies along their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import Brightness, Burst, Color, Look, Position, Range, Scene, Size, Sprite, Sprites, Velocity, World
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.raster.textures import texture_numbers
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.systems.extraction import smeared
from tests.ecs_core.raster.painting import light_of

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Size, Color, Brightness, Look)


def petals(n: int = 1, *, radius: float = 20.0, cover: float | None = None, **more: Any) -> Sprites:
    """Petals in the middle of a picture of 320 × 180."""
    place = np.full(n, 160, np.float32), np.full(n, 90, np.float32)
    light = np.full(n, 0.2, np.float32)
    return Sprites(
        *place,
        np.full(n, radius, np.float32),
        light,
        light,
        light,
        np.zeros(n, np.float32),
        np.zeros(n, np.uint8),
        None if cover is None else np.full(n, cover, np.float32),
        texture=np.full(n, texture_numbers("petal")[0], np.uint8),
        **more,
    )


def along(*way: float) -> tuple[np.ndarray, np.ndarray]:
    """Ways to the right."""
    return np.array(way, np.float32), np.zeros(len(way), np.float32)


def painted(sprites: Sprites) -> np.ndarray:
    planes = Planes.empty(320, 180)
    Rasteriser(320, 180).paint(sprites, planes)
    return light_of(planes)


def moving(world: World, sprite: Sprite, *, speed: float) -> list[Sprites]:
    burst = Burst(500.0, 500.0, count=1, size=Range(20, 20), speed=Range(speed, speed), direction=0.0)
    world.populate(COLUMNS, (burst, sprite))
    found: list[Sprites] = []
    world.step(drawn=found)
    return found


def test_copies_lie_along_the_way_round_where_the_picture_is(make_world: MakeWorld) -> None:
    [copies] = moving(make_world(), Sprite(texture="petal", shutter=0.1), speed=300.0)
    assert len(copies) > 20
    assert copies.x.mean() == pytest.approx(510.0)
    assert 28.0 < np.ptp(copies.x) < 30.0
    assert (copies.y == 500.0).all()


def test_picture_that_hardly_moves_is_a_single_one(make_world: MakeWorld) -> None:
    [copies] = moving(make_world(), Sprite(texture="petal", shutter=0.1), speed=8.0)
    assert len(copies) == 1


def test_pictures_have_no_copies_while_the_shutter_is_closed(make_world: MakeWorld) -> None:
    [copies] = moving(make_world(), Sprite(texture="petal"), speed=300.0)
    assert len(copies) == 1


@pytest.mark.parametrize("way", [3.0, 20.0, 90.0])
def test_light_that_adds_up_is_kept(way: float) -> None:
    assert smeared(petals(), *along(way)).red.sum() == pytest.approx(0.2, rel=1e-5)
    assert painted(smeared(petals(), *along(way))).sum() == pytest.approx(painted(petals()).sum(), rel=0.03)


@pytest.mark.parametrize("way", [15.0, 60.0, 120.0])
def test_no_steps_are_seen_along_the_way(way: float) -> None:
    row = painted(smeared(petals(radius=12.0), *along(way)))[90]
    seen = row[row > 0.02 * row.max()]
    ripple = seen[2:-2] - np.convolve(seen, np.full(5, 0.2), "valid")
    assert np.abs(ripple).max(initial=0) < 0.06 * row.max()


@pytest.mark.parametrize("way", [3.0, 8.0])
def test_what_covers_hides_nearly_as_much_in_its_middle(way: float) -> None:
    cover = smeared(petals(cover=1.0), *along(way)).cover
    assert cover is not None
    assert 1 - np.prod(1 - cover) == pytest.approx(0.98, abs=0.001)


def test_what_covers_hides_less_where_it_passes_quickly() -> None:
    copies = smeared(petals(cover=0.5), *along(280.0))  # ten times as long as a petal is wide
    assert copies.cover is not None
    over = len(copies) * 28.0 / 280.0
    assert 1 - (1 - copies.cover[0]) ** over == pytest.approx(0.05, rel=0.05)
    np.testing.assert_array_equal(copies.red, petals(len(copies)).red)


@settings(max_examples=60, deadline=None)
@given(
    ways=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=5),
    radius=st.floats(0, 1e4, width=32),
    cover=st.none() | st.floats(0, 1, width=32),
    squeeze=st.none() | st.floats(-1, 1, width=32),
)
def test_copies_are_bounded_and_finite(
    ways: list[float], radius: float, cover: float | None, squeeze: float | None
) -> None:
    n = len(ways)
    more = {} if squeeze is None else {"squeeze": np.full(n, squeeze, np.float32), "angle": np.zeros(n, np.float32)}
    copies = smeared(petals(n, radius=radius, cover=cover, **more), *along(*ways))
    assert n <= len(copies) <= 128 * n
    assert np.isfinite([copies.x, copies.y, copies.radius, copies.red]).all()
    if copies.cover is not None and cover is not None:
        assert (copies.cover >= 0).all()
        assert (copies.cover <= cover + 1e-6).all()


def test_many_pictures_share_a_number_of_copies() -> None:
    copies = smeared(petals(5000), *along(*[3000.0] * 5000))
    assert len(copies) <= 200_000


def seen(kind: str, **config: Any) -> Sprites:
    plan = make_plan(*Scene(kind, config={"width": 640, "height": 360, "duration": 1.0, **config}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(plan.frames - 1)
        return simulation.frame()


def test_motion_of_the_camera_blurs_pictures() -> None:
    still = {"texture": "flake", "speed_y": 0.01, "seed": 3, "particle_count": 30, "shutter": 6}
    usual, shaken = (seen("snow", **still, camera=camera) for camera in ({}, {"shake": 60}))
    assert len(shaken) > 2 * len(usual)


def test_pictures_in_space_grow_along_their_way() -> None:
    sharp, blurred = (seen("tunnel", texture="leaf", shutter=shutter, particle_count=300) for shutter in (0, 4))
    assert len(blurred) > 2 * len(sharp)
    assert not blurred.dx.any() if blurred.dx is not None else True
    nearest = int(sharp.radius.argmax())
    assert np.unique(blurred.radius[np.abs(blurred.angle - sharp.angle[nearest]) < 1e-6]).size > 3


def test_overdraw_is_that_of_the_copies() -> None:
    planes = Planes.empty(320, 180)
    crowd = petals(400, radius=160.0)
    assert Rasteriser(320, 180).paint(smeared(crowd, *along(*[120.0] * 400)), planes) < Rasteriser(320, 180).paint(
        crowd, planes
    )
