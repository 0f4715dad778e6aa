"""Tumbling: pictures spin and turn over exactly, alike at any frame rate, each particle in its own way."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ecs_core import (
    Burst,
    Color,
    Look,
    PluginError,
    Position,
    Range,
    Scene,
    SceneError,
    Size,
    Sprite,
    Sprites,
    Tumble,
    Turn,
    Upkeep,
    World,
    texture_number,
)
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation

MakeWorld = Callable[..., World]
COLUMNS = (Position, Size, Color, Look, Turn)


def drawn(world: World) -> Sprites:
    found: list[Sprites] = []
    world.step(drawn=found)
    return Sprites.join(found)


def leaves(world: World, *components: object, count: int = 200, columns: tuple[type, ...] = COLUMNS) -> int:
    burst = Burst(500.0, 500.0, count=count, size=Range(10, 10), speed=Range(0, 0))
    return world.populate(columns, [burst, *components])


def turn_of(world: World, entity: int) -> Turn:
    turn = world.component(entity, Turn)
    assert turn is not None
    return turn


def test_pictures_begin_at_angles_and_rates_of_their_own(make_world: MakeWorld) -> None:
    world = make_world()
    entity = leaves(world, Tumble(spin=Range(-0.5, 0.5), flip=Range(0.2, 0.8)), Sprite(texture="leaf"))
    world.step()
    turn = turn_of(world, entity)
    for column, low, high in (
        (turn.angle, 0, 1), (turn.spin, -0.5, 0.5), (turn.flip, 0, 1), (turn.flip_rate, 0.2, 0.8),
    ):  # fmt: skip
        assert column.min() >= low
        assert column.max() <= high
        assert column.mean() == pytest.approx((low + high) / 2, abs=0.12 * (high - low))
    assert abs(np.corrcoef(turn.spin, turn.angle)[0, 1]) < 0.3


@pytest.mark.parametrize("fps", [7, 24, 60])
def test_pictures_are_turned_as_far_at_any_frame_rate(make_world: MakeWorld, fps: int) -> None:
    found = []
    for rate in (30, fps):
        world = make_world(fps=Fraction(rate))
        entity = leaves(world, Tumble(spin=Range(-0.9, 0.9), flip=Range(0.2, 0.8)), count=30)
        for _ in range(2 * rate):
            world.step()
        turn = turn_of(world, entity)
        found.append(np.stack([turn.angle, turn.flip]))
    apart = np.abs(found[0] - found[1])
    assert np.minimum(apart, 1 - apart).max() < 1e-4


def test_angles_stay_within_a_turn(make_world: MakeWorld) -> None:
    world = make_world()
    entity = leaves(world, Tumble(spin=Range(-9, 9), flip=Range(-9, 9)))
    for _ in range(40):
        world.step()
        turn = turn_of(world, entity)
        assert min(turn.angle.min(), turn.flip.min()) >= 0
        assert max(turn.angle.max(), turn.flip.max()) <= 1


def test_without_tumble_what_is_set_stays(make_world: MakeWorld) -> None:
    world = make_world()
    entity = leaves(world, Sprite(texture="note"), count=5)
    sprites = drawn(world)
    assert sprites.angle is not None
    assert sprites.squeeze is not None
    assert not sprites.angle.any()
    assert (sprites.squeeze == 1).all()
    turn_of(world, entity).spin[:] = 0.5
    for _ in range(15):
        world.step()
    np.testing.assert_allclose(turn_of(world, entity).angle, 0.25, atol=1e-5)


def test_what_is_seen_from_behind_is_mirrored_and_darker(make_world: MakeWorld) -> None:
    world = make_world()
    entity = leaves(world, Tumble(shade=0.4, flip=Range(0, 0)), Sprite(texture="leaf"), count=3)
    world.step()
    turn_of(world, entity).flip[:] = 0, 0.25, 0.5
    sprites = drawn(world)
    assert sprites.squeeze is not None
    np.testing.assert_allclose(sprites.squeeze[[0, 2]], [1, -1], atol=1e-6)
    assert 0 < abs(sprites.squeeze[1]) < 0.1
    np.testing.assert_allclose(sprites.red / sprites.red[0], [1, 0.8, 0.6], atol=1e-5)


def test_each_particle_has_one_of_several_pictures_for_life(make_world: MakeWorld) -> None:
    world = make_world()
    upkeep = Upkeep(500.0, 500.0, count=300, size=Range(10, 10))
    world.populate(COLUMNS, [upkeep, Sprite(texture=("leaf", "petal", "note"))])
    first, later = drawn(world), [drawn(world) for _ in range(5)][-1]
    assert first.texture is not None
    assert later.texture is not None
    names, counts = np.unique(first.texture, return_counts=True)
    assert set(names) == {texture_number(name) for name in ("leaf", "petal", "note")}
    assert counts.min() > 60
    np.testing.assert_array_equal(first.texture, later.texture)


def test_size_of_a_picture_follows_radius_and_scale(make_world: MakeWorld) -> None:
    world = make_world()
    leaves(world, Sprite(texture="leaf", scale=3.5))
    np.testing.assert_allclose(drawn(world).radius, 35.0)


@pytest.mark.parametrize(
    ("texture", "words"),
    [
        ("rose", "no such picture"),
        ((), "must be the name of a picture"),
        (3, "must be"),
        (("leaf", 3), "must be the name of a picture"),
        (Path("nowhere.png"), "No such file"),
    ],
)
def test_texture_that_cannot_be_used_fails_when_a_scene_is_set_up(
    make_world: MakeWorld, texture: object, words: str
) -> None:
    with pytest.raises(PluginError, match=words):
        leaves(make_world(), Sprite(texture=texture))  # type: ignore[arg-type]


# --- the setting ---


def seen(kind: str, **config: object) -> Sprites:
    config = {"width": 480, "height": 270, "duration": 0.2, "particle_count": 40, **config}
    plan = make_plan(*Scene(kind, config=config).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(3)
        return simulation.frame()


@pytest.mark.parametrize("kind", ["zen", "enhanced", "snow", "bouncing"])
def test_any_type_can_be_drawn_with_pictures(kind: str) -> None:
    usual, pictures = seen(kind, trail=0), seen(kind, texture="flake", texture_scale=5.0)
    np.testing.assert_array_equal(usual.x, pictures.x)
    assert usual.texture is None
    assert pictures.texture is not None
    assert pictures.texture.all()
    assert pictures.radius.max() > 2 * usual.radius.max()
    assert pictures.angle is not None
    assert len(np.unique(pictures.angle)) > 20


def test_camera_turns_pictures() -> None:
    usual, rolled = (seen("zen", texture="note", camera={"roll": roll}) for roll in (0.0, 90.0))
    assert usual.angle is not None
    assert rolled.angle is not None
    np.testing.assert_allclose(rolled.angle - usual.angle, 0.25, atol=1e-6)


def test_unknown_picture_in_a_config_is_named() -> None:
    with pytest.raises(SceneError, match=r"texture = 'rose': must be 'flake', 'leaf', 'note', 'petal'"):
        Scene("zen", config={"texture": "rose"}).resolve()
