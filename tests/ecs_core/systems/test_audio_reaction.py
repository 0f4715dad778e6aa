"""Bindings: from a feature of the song to a parameter of a system or a column."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest

from ecs_core.audio.timeline import EVENTS, FeatureTimeline
from ecs_core.ecs.components import Drag, Emission, Look, Position, Size, Velocity
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.table import Table
from ecs_core.ecs.values import Curve, Range
from ecs_core.ecs.world import World
from ecs_core.errors import SceneError
from ecs_core.systems.audio_reaction import Binding, Reactive, ReactiveComponentsSystem
from ecs_core.systems.envelope import follow

MakeWorld = Callable[..., World]
Op = Literal["multiply", "add", "set"]

PLAIN = Binding("bass", Drag, "rate")
BASS = [0.0, 0.25, 0.5, 1.0]


def heard(*bass: float, fps: int = 30) -> FeatureTimeline:
    features = {"bass": np.array(bass, np.float32), "rms": np.zeros(len(bass), np.float32)}
    return FeatureTimeline(
        Fraction(fps), len(bass), len(bass) / fps, 0.0, features, {name: np.zeros(0) for name in EVENTS}
    )


def test_plain_binding_follows_the_feature() -> None:
    assert PLAIN.course(heard(*BASS)).tolist() == BASS


def test_gain_multiplies() -> None:
    assert replace(PLAIN, gain=4.0).course(heard(*BASS)).tolist() == [0, 1, 2, 4]


def test_values_below_the_threshold_are_zero() -> None:
    assert replace(PLAIN, threshold=0.5).course(heard(*BASS)).tolist() == [0, 0, 0.5, 1]


def test_curve_shapes_the_feature() -> None:
    assert replace(PLAIN, curve=Curve(((0.0, 1.0), (1.0, 0.0)))).course(heard(*BASS)).tolist() == [1, 0.75, 0.5, 0]


def test_attack_is_the_time_to_rise_by_63_percent() -> None:
    course = replace(PLAIN, attack=0.5).course(heard(*[1.0] * 60))
    assert course[14] == pytest.approx(1 - np.exp(-1), abs=1e-3)
    assert (np.diff(course) > 0).all()


def test_release_is_the_time_to_fall_by_63_percent() -> None:
    course = replace(PLAIN, release=0.5).course(heard(1.0, *[0.0] * 60))
    assert course[0] == 1
    assert course[15] == pytest.approx(np.exp(-1), abs=1e-3)


def test_attack_and_release_last_as_long_at_any_frame_rate() -> None:
    values = []
    for fps in (24, 30, 60):
        song = heard(*[1.0] * fps, *[0.0] * fps, fps=fps)
        values.append(replace(PLAIN, attack=0.2, release=0.4).course(song)[[fps // 2, fps + fps // 2]])
    np.testing.assert_allclose(values[0], values[2], rtol=0.05, atol=0.03)
    np.testing.assert_allclose(values[1], values[2], rtol=0.05, atol=0.03)


def test_follower_without_times_follows_at_once() -> None:
    assert follow(np.array([0.0, 1.0, 0.3]), 0.0, 0.0).tolist() == pytest.approx([0, 1, 0.3])


def test_equal_objects_have_equal_hashes() -> None:
    one, other = (Reactive((Binding("bass", Look, "light"),)) for _ in range(2))
    assert one != other or hash(one) == hash(other)


def test_unknown_feature_error_lists_the_features() -> None:
    with pytest.raises(SceneError, match=r"'treble'.*bass, rms"):
        replace(PLAIN, source="treble").course(heard(1.0))


def test_unknown_feature_is_refused_when_the_world_starts(make_world: MakeWorld) -> None:
    world = make_world()
    world.populate([Position], [Reactive((replace(PLAIN, source="treble"),), (Drag(),))])
    with pytest.raises(SceneError, match=r"treble.*bass.*rms"):
        world.step()


@pytest.mark.parametrize(("target", "there"), [(Drag, "rate"), (Velocity, "x, y")])
def test_unknown_field_error_lists_the_fields(target: type, there: str) -> None:
    with pytest.raises(SceneError, match=rf"{target.__name__}\.speed.*{there}"):
        Reactive((Binding("bass", target, "speed"),))


def test_binding_without_its_base_component_is_refused(make_world: MakeWorld) -> None:
    world = make_world()
    world.populate([Position], [Reactive((PLAIN,))])
    with pytest.raises(SceneError, match="Drag: the population has none"):
        world.step()


@pytest.mark.parametrize(
    ("op", "rates"), [("multiply", [2, 2.5, 3, 4]), ("add", [2, 2.25, 2.5, 3]), ("set", [0, 0.25, 0.5, 1])]
)
def test_parameter_moves_from_its_base_every_frame(make_world: MakeWorld, op: str, rates: list[float]) -> None:
    world = make_world(features={"bass": BASS})
    entity = world.populate([Position], [Drag(2.0), Reactive((replace(PLAIN, op=op),), (Drag(2.0),))])
    seen = []
    for _ in BASS:
        world.step()
        seen.append(world.component(entity, Drag).rate)
    assert seen == pytest.approx(rates)


def test_bindings_of_one_field_act_one_after_the_other(make_world: MakeWorld) -> None:
    world = make_world(features={"bass": [1.0], "rms": [0.5]})
    bindings = (PLAIN, Binding("rms", Drag, "rate", "add"))
    entity = world.populate([Position], [Reactive(bindings, (Drag(2.0),))])
    world.step()
    assert world.component(entity, Drag).rate == 2 * 2 + 0.5


def test_binding_leaves_the_other_fields_as_they_were(make_world: MakeWorld) -> None:
    base = Emission(10.0, 20.0, rate=30.0)
    world = make_world(features={"bass": [1.0]})
    entity = world.populate([Position], [Reactive((Binding("bass", Emission, "rate"),), (base,))])
    world.step()
    assert world.component(entity, Emission) == replace(base, rate=60.0)


@pytest.mark.parametrize("field", ["shape", "event", "direction"])
def test_non_numeric_field_is_refused(field: str) -> None:
    with pytest.raises(SceneError, match=rf"Emission\.{field}: not a number"):
        Reactive((Binding("bass", Emission, field),), (Emission(0.0, 0.0),))


def test_bound_limit_stays_a_whole_number_of_particles(make_world: MakeWorld) -> None:
    world = make_world(features={"bass": [0.25] * 3})
    base = Emission(0.0, 0.0, rate=30_000.0, limit=10)
    entity = world.populate([Position], [Reactive((Binding("bass", Emission, "limit"),), (base,))])
    world.step()
    assert len(world.component(entity, Table)) == 12


@pytest.mark.parametrize(("op", "low", "high"), [("multiply", 15.0, 30.0), ("add", 10.5, 20.5), ("set", 0.5, 0.5)])
def test_range_moves_at_both_ends(make_world: MakeWorld, op: Op, low: float, high: float) -> None:
    world = make_world(features={"bass": [0.5]})
    base = Emission(0.0, 0.0, speed=Range(10.0, 20.0))
    entity = world.populate([Position], [Reactive((Binding("bass", Emission, "speed", op),), (base,))])
    world.step()
    assert world.component(entity, Emission).speed == Range(low, high)


def test_cached_curves_are_dropped_with_their_song(make_world: MakeWorld) -> None:
    song = heard(1.0)
    with World(seed=1, fps=song.fps, canvas=Canvas(1920.0), timeline=song) as world:
        world.populate([Position], [Reactive((PLAIN,), (Drag(),))])
        world.add(ReactiveComponentsSystem())
        world.step()
    forgotten = weakref.ref(song)
    del song, world
    gc.collect()
    assert forgotten() is None


def populate_one(world: World, *others: object) -> tuple[Position, Velocity, Size, Look]:
    entity = world.populate([Position, Velocity, Size, Look], others)
    world.component(entity, Table).spawn(1)
    position, velocity, size, look = (world.component(entity, kind) for kind in (Position, Velocity, Size, Look))
    size.value[:] = 3
    return position, velocity, size, look


@pytest.mark.parametrize(("op", "radius"), [("multiply", 4.5), ("add", 3.5), ("set", 0.5)])
def test_look_starts_from_this_frames_value(make_world: MakeWorld, op: str, radius: float) -> None:
    world = make_world(features={"bass": [0.5] * 3})
    _, _, size, look = populate_one(world, Reactive((Binding("bass", Look, "radius", op),)))
    for _ in range(3):
        world.step()
    assert look.radius.tolist() == [radius]
    assert size.value.tolist() == [3]


@pytest.mark.parametrize("fps", [24, 60])
def test_lasting_columns_change_by_the_value_per_second(make_world: MakeWorld, fps: int) -> None:
    world = make_world(fps=fps, features={"bass": [0.5] * fps})
    _, velocity, _, _ = populate_one(world, Reactive((Binding("bass", Velocity, "y", "add", gain=100.0),)))
    for _ in range(fps):
        world.step()
    assert velocity.y[0] == pytest.approx(50, rel=1e-4)


@pytest.mark.parametrize("fps", [24, 30, 60])
@pytest.mark.parametrize("gain", [3.0, -40.0])
def test_lasting_columns_multiply_exponentially_at_any_frame_rate(make_world: MakeWorld, fps: int, gain: float) -> None:
    world = make_world(fps=fps, features={"bass": [1.0] * fps})
    _, velocity, _, _ = populate_one(world, Reactive((Binding("bass", Velocity, "x", gain=gain),)))
    velocity.x[:] = 1
    for _ in range(fps // 2):
        world.step()
    assert velocity.x[0] == pytest.approx(np.exp(gain / 2), rel=1e-4)


def test_binding_of_a_column_that_the_population_lacks_does_nothing(make_world: MakeWorld) -> None:
    world = make_world(features={"bass": [1.0]})
    entity = world.populate([Position], [Reactive((Binding("bass", Velocity, "x", "add"),))])
    world.component(entity, Table).spawn(1)
    world.step()
    assert world.component(entity, Position).x.tolist() == [0]
