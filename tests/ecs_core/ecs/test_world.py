"""The world: phases, queries, resources, randomness, snapshots; and that worlds leave each other alone."""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction

import esper
import numpy as np
import pytest

from ecs_core.ecs import components as c
from ecs_core.ecs.components import (
    Burst,
    Color,
    Drag,
    Emission,
    Gravity,
    Jitter,
    Lifetime,
    Look,
    Position,
    Size,
    TrailPoints,
    Velocity,
)
from ecs_core.ecs.resources import AudioFrame, Canvas, Clock
from ecs_core.ecs.schedule import Phase
from ecs_core.ecs.space import Depth
from ecs_core.ecs.table import Column, Table
from ecs_core.ecs.values import Curve, Gradient, Range
from ecs_core.ecs.world import System, World
from ecs_core.errors import PluginError, SceneError, StructuralChangeError
from ecs_core.raster.sprites import Sprites
from ecs_core.systems import BUILT_IN
from ecs_core.systems.audio_reaction import Binding, Reactive

MakeWorld = Callable[..., World]

ALL = (Position, Velocity, Lifetime, Size, Color, Look)
FOUNTAIN = Emission(960.0, 540.0, rate=300.0, speed=Range(10.0, 90.0), span=Range(0.1, 0.5))


def columns_of(world: World) -> list[bytes]:
    return [rows.values.tobytes() + rows.birth.tobytes() for rows in world.snapshot().populations.values()]


def run(world: World, frames: int) -> list[bytes]:
    for _ in range(frames):
        world.step()
    return columns_of(world)


def fountain(world: World) -> World:
    world.populate(ALL, [FOUNTAIN, Gravity(0.0, 200.0), Drag(0.5)])
    return world


class Spy(System):
    """Notes when it runs, and may do something."""

    def __init__(self, notes: list[str], name: str, phase: Phase, act: Callable[[World], None] | None = None) -> None:
        self.notes, self.name, self.act = notes, name, act
        self.phase = phase

    def process(self) -> None:
        self.notes.append(self.name)
        if self.act is not None:
            self.act(self.world)


def test_systems_run_by_phase_then_in_the_order_they_were_added(make_world: MakeWorld) -> None:
    world, notes = make_world(systems=False), []
    for name, phase in [("shade", Phase.SHADE), ("a", Phase.FORCE), ("b", Phase.FORCE), ("sense", Phase.SENSE)]:
        world.add(Spy(notes, name, phase))
    world.step()
    assert notes == ["sense", "a", "b", "shade"]


def test_system_without_process_is_named(make_world: MakeWorld) -> None:
    class Idle(System):
        phase = Phase.SHADE

    world = make_world()
    world.add(Idle())
    with pytest.raises(NotImplementedError, match=r"Idle has no process\(\)"):
        world.step()


def test_order_is_the_same_when_systems_are_timed(make_world: MakeWorld) -> None:
    world, notes = make_world(systems=False), []
    for name, phase in [("b", Phase.SHADE), ("a", Phase.EMIT)]:
        world.add(Spy(notes, name, phase))
    world.measure()
    world.step()
    assert notes == ["a", "b"]
    assert world.timings()["Spy"] > 0


def test_timing_does_not_change_results(make_world: MakeWorld) -> None:
    timed = fountain(make_world())
    timed.measure()
    assert run(timed, 10) == run(fountain(make_world()), 10)


@pytest.mark.parametrize("phase", [Phase.FORCE, Phase.MOVE, Phase.COLLIDE, Phase.SHADE, Phase.EXTRACT])
def test_rows_are_frozen_from_force_on(make_world: MakeWorld, phase: Phase) -> None:
    world = fountain(make_world())
    world.add(Spy([], "spawns", phase, lambda world: world.query(Table)[0][1][0].spawn(1)))
    with pytest.raises(StructuralChangeError):
        world.step(drawn=[])


def test_systems_of_extract_run_only_in_frames_that_are_drawn(make_world: MakeWorld) -> None:
    notes: list[str] = []
    world = make_world()
    world.add(Spy(notes, "draws", Phase.EXTRACT))
    world.step()
    assert notes == []
    world.step(drawn=[])
    assert notes == ["draws"]


def test_what_systems_draw_comes_in_their_order(make_world: MakeWorld) -> None:
    def one(x: float) -> Sprites:
        value = np.full(1, x, np.float32)
        return Sprites(value, value, value, value, value, value, value, np.zeros(1, np.uint8))

    world, drawn = make_world(), list[Sprites]()
    for x in (3.0, 1.0, 2.0):
        world.add(Spy([], "", Phase.EXTRACT, lambda world, x=x: world.draw(one(x))))
    world.step(drawn=drawn)
    assert [float(each.x[0]) for each in drawn] == [3.0, 1.0, 2.0]


@pytest.mark.parametrize("phase", [Phase.SENSE, Phase.SHADE])
def test_nothing_is_drawn_in_other_phases(make_world: MakeWorld, phase: Phase) -> None:
    world = make_world()
    world.add(Spy([], "", phase, lambda world: world.draw(Sprites.join([]))))
    with pytest.raises(StructuralChangeError, match="only by systems of the phase EXTRACT"):
        world.step()


@pytest.mark.parametrize("phase", [Phase.REAP, Phase.EMIT])
def test_rows_may_change_before_that_in_every_frame(make_world: MakeWorld, phase: Phase) -> None:
    world = make_world()
    world.populate([Position])
    world.add(Spy([], "spawns", phase, lambda world: world.query(Table)[0][1][0].spawn(1)))
    run(world, 3)
    assert len(world.query(Table)[0][1][0]) == 3


def test_same_seed_same_columns(make_world: MakeWorld) -> None:
    assert run(fountain(make_world(seed=7)), 30) == run(fountain(make_world(seed=7)), 30)


def test_another_seed_gives_other_columns(make_world: MakeWorld) -> None:
    assert run(fountain(make_world(seed=7)), 30) != run(fountain(make_world(seed=8)), 30)


def test_two_worlds_side_by_side_do_not_disturb_each_other(make_world: MakeWorld) -> None:
    alone = run(fountain(make_world()), 20)
    first, second = fountain(make_world()), fountain(make_world(seed=2))
    for _ in range(20):
        first.step()
        second.step()
    assert columns_of(first) == alone
    assert len(second.query(Table)) == 1


def test_queries_are_sorted_by_entity(make_world: MakeWorld) -> None:
    world = make_world(systems=False)
    made = [world.populate([Position], [Gravity()] if n % 2 else []) for n in range(300)]
    assert [entity for entity, _ in world.query(Table, Position)] == made
    assert [entity for entity, _ in world.query(Gravity)] == made[1::2]


def test_query_sees_replaced_components(make_world: MakeWorld) -> None:
    world = make_world(systems=False)
    entity = world.populate([Position], [Gravity(1.0)])
    world.query(Gravity)
    world.replace(entity, Gravity(2.0))
    assert world.query(Gravity) == [(entity, (Gravity(2.0),))]
    assert world.component(entity, Gravity) == Gravity(2.0)


def test_query_gives_none_for_optional_components_that_an_entity_lacks(make_world: MakeWorld) -> None:
    world = make_world(systems=False)
    bare, dragged = world.populate([Position]), world.populate([Position], [Drag(1.0)])
    assert [found[1:] for _, found in world.query(Position, optional=(Drag,))] == [(None,), (Drag(1.0),)]
    world.replace(bare, Drag(2.0))
    world.replace(dragged, Drag(3.0))
    assert [found[1:] for _, found in world.query(Position, optional=(Drag,))] == [(Drag(2.0),), (Drag(3.0),)]


def test_component_that_an_entity_lacks_is_none(make_world: MakeWorld) -> None:
    world = make_world(systems=False)
    assert world.component(world.populate([Position]), Drag) is None


def test_component_given_as_a_class_is_a_tag(make_world: MakeWorld) -> None:
    class Flake:
        pass

    world = make_world(systems=False)
    entity = world.populate([Position], [Flake])
    assert isinstance(world.component(entity, Flake), Flake)


def test_clock_has_the_frame_and_its_exact_time(make_world: MakeWorld) -> None:
    world = make_world()
    run(world, 4)
    clock = world.get(Clock)
    assert (clock.frame, clock.t, clock.dt) == (3, 3 / 30, 1 / 30)


def test_resource_of_a_kind_is_replaced_by_inserting_another(make_world: MakeWorld) -> None:
    world = make_world()
    world.insert(Canvas(500.0))
    assert world.get(Canvas).width == 500


def test_audio_frame_gives_features_of_the_frame(make_world: MakeWorld) -> None:
    world = make_world(features={"bass": [0.25, 0.5, 0.5]}, events={"beats": [0.04]})
    run(world, 2)
    audio = world.get(AudioFrame)
    assert audio.bass == audio["bass"] == 0.5
    assert (audio.before("beats"), audio.count("beats")) == (0, 1)
    world.step()
    assert (world.get(AudioFrame).before("beats"), world.get(AudioFrame).count("beats")) == (1, 0)


def test_event_between_two_frames_belongs_to_the_later_one(make_world: MakeWorld) -> None:
    world = make_world(fps=2, events={"beats": [0.0, 0.5]})
    for _ in range(2):
        world.step()
        assert world.get(AudioFrame).count("beats") == 1
    world.step()
    assert world.get(AudioFrame).count("beats") == 0


def test_unknown_feature_error_lists_the_features(make_world: MakeWorld) -> None:
    world = make_world()
    world.step()
    with pytest.raises(SceneError, match=r"'treble'.*bass.*centroid"):
        _ = world.get(AudioFrame).treble


def test_unknown_event_error_lists_the_events(make_world: MakeWorld) -> None:
    world = make_world()
    world.step()
    with pytest.raises(SceneError, match=r"'claps'.*beats.*onsets"):
        world.get(AudioFrame).count("claps")
    with pytest.raises(SceneError, match=r"'claps'.*beats.*onsets"):
        world.get(AudioFrame).before("claps")


def test_rng_differs_between_calls_in_one_frame(make_world: MakeWorld) -> None:
    world = make_world()
    system = BUILT_IN[0]()
    first, second = (world.rng(system, 1).uniform(size=4).tolist() for _ in range(2))
    assert first != second


def test_rng_differs_between_entities_systems_and_frames(make_world: MakeWorld) -> None:
    world = make_world()
    a, b = BUILT_IN[0](), BUILT_IN[1]()
    drawn = [world.rng(a, 1).uniform(), world.rng(a, 2).uniform(), world.rng(b, 1).uniform()]
    world.step()
    drawn.append(world.rng(a, 1).uniform())
    assert len(set(drawn)) == 4


def test_rng_with_nth_does_not_depend_on_the_frame(make_world: MakeWorld) -> None:
    world = make_world()
    system = BUILT_IN[0]()
    before = [world.rng(system, 1, nth=n).uniform() for n in (0, 1, 1)]
    in_a_frame = world.rng(system, 1).uniform()
    world.step()
    assert [world.rng(system, 1, nth=n).uniform() for n in (0, 1, 1)] == before
    assert before[1] == before[2]
    assert len({*before, in_a_frame, world.rng(system, 2, nth=0).uniform()}) == 4


def test_rng_of_a_renamed_system_follows_its_random_key(make_world: MakeWorld) -> None:
    class Old(System):
        phase = Phase.MOVE

    class New(System):
        phase = Phase.MOVE
        random_key = f"{Old.__module__}.{Old.__qualname__}"

    world = make_world()
    old, new = Old(), New()
    table = Table([])
    assert world.rng(old, 1, nth=0).uniform() == world.rng(new, 1, nth=0).uniform()
    other = make_world()
    assert world.rng(old, 1).uniform() == other.rng(new, 1).uniform()
    table.spawn(3)
    assert world.traits(old, 1, table).tolist() == world.traits(new, 1, table).tolist()


def test_rng_differs_between_systems_of_one_name_in_different_modules(make_world: MakeWorld) -> None:
    class JitterSystem(System):
        phase = Phase.FORCE

    world = make_world()
    theirs, ours = JitterSystem(), next(each for each in world.systems if type(each).__name__ == "JitterSystem")
    assert world.rng(theirs, 1).uniform() != world.rng(ours, 1).uniform()


def test_rng_of_a_named_population_does_not_change_with_the_others(make_world: MakeWorld) -> None:
    first, second = make_world(), make_world()
    system = BUILT_IN[0]()
    alone = first.populate([Position], name="sparks")
    second.populate([Position])
    together = second.populate([Position], name="sparks")
    assert alone != together
    assert first.rng(system, alone).uniform() == second.rng(system, together).uniform()
    assert first.rng(system, alone, nth=3).uniform() == second.rng(system, together, nth=3).uniform()


def test_named_population_is_born_alike_whatever_else_there_is(make_world: MakeWorld) -> None:
    def births(world: World) -> list[list[float]]:
        burst = Burst(x=0.0, y=0.0, count=20)
        entity = world.populate([Position, Velocity], [burst, Jitter(40.0)], name="sparks")
        run(world, 3)
        velocity = world.component(entity, Velocity)
        assert velocity is not None
        return [velocity.x.tolist(), velocity.y.tolist()]

    alone, together = make_world(), make_world()
    together.populate([Position, Velocity], [Burst(x=5.0, y=5.0, count=7)])
    assert births(alone) == births(together)


def test_two_populations_of_one_name_are_refused(make_world: MakeWorld) -> None:
    world = make_world()
    world.populate([Position], name="sparks")
    with pytest.raises(PluginError, match=r"two populations are named 'sparks'"):
        world.populate([Position], name="sparks")


def test_rng_does_not_depend_on_the_first_frame(make_world: MakeWorld) -> None:
    class Draw(System):
        phase = Phase.SENSE

        def process(self) -> None:
            drawn[self.world] = self.world.rng(self, 3).uniform(size=3).tolist()

    drawn: dict[World, list[float]] = {}
    first, second = make_world(systems=False), make_world(systems=False)
    first.add(Draw())
    second.add(Draw())
    run(first, 6)
    second.frame = 5
    second.step()
    assert drawn[first] == drawn[second]


def test_snapshot_restored_in_a_fresh_world_continues_bit_exactly(make_world: MakeWorld) -> None:
    first, second = fountain(make_world()), fountain(make_world())
    run(first, 10)
    second.restore(pickle.loads(pickle.dumps(first.snapshot())))
    assert second.frame == 10
    assert run(first, 10) == run(second, 10)


def test_restore_refuses_a_snapshot_of_other_populations(make_world: MakeWorld) -> None:
    snapshot = fountain(make_world()).snapshot()
    with pytest.raises(ValueError, match=r"the snapshot has the populations \['0'\], not \['0', '1'\]"):
        fountain(fountain(make_world())).restore(snapshot)


def test_closed_world_leaves_nothing_in_esper(make_world: MakeWorld) -> None:
    before = set(esper.list_worlds())
    world = fountain(make_world())
    run(world, 2)
    world.close()
    world.close()
    assert set(esper.list_worlds()) == before


# Two systems may write one column in one phase only where their order is meant and does no harm. They run in the order
# of BUILT_IN, so each of these is deterministic; any other pair is a mistake until it is listed here with its reason.
SHARED: dict[tuple[Phase, type[Column]], tuple[tuple[str, ...], str]] = {
    (Phase.FORCE, Velocity): (
        ("GravitySystem", "AttractionSystem", "TurbulenceSystem", "JitterSystem", "ReactiveColumnsSystem"),
        "forces add up: each adds its own and none reads it; bindings come last, as they may scale or set the sum",
    ),
    (Phase.FORCE, Depth): (("GravitySystem", "JitterSystem"), "forces add up in depth, too"),
    (Phase.REAP, Position): (
        ("LifetimeSystem", "WrapSystem"),
        "each puts others elsewhere: the dead back to where they died, those that left to the other edge",
    ),
    (Phase.REAP, TrailPoints): (
        ("LifetimeSystem", "WrapSystem"),
        "each moves the trails of those that it puts elsewhere",
    ),
    (Phase.SHADE, Look): (
        (
            "LookSystem",
            "SizeOverLifeSystem",
            "LightOverLifeSystem",
            "ColorBySystem",
            "TwinkleSystem",
            "FadeWithDistanceSystem",
            "ScaleWithDistanceSystem",
            "VolumeFadeSystem",
            "ReactiveLookSystem",
        ),
        "LookSystem sets what is seen afresh, each of the others scales it, bindings come last and see the result",
    ),
    (Phase.SHADE, Color): (
        ("ColorOverLifeSystem", "ColorBySystem"),
        "each sets it; what a particle does counts for more than its age",
    ),
}


def test_systems_share_columns_in_a_phase_only_if_declared() -> None:
    writers: dict[tuple[Phase, type[Column]], list[str]] = defaultdict(list)
    for system in BUILT_IN:
        for column in system.writes:
            writers[system.phase, column].append(system.__name__)
    shared = {key: tuple(names) for key, names in writers.items() if len(names) > 1}
    assert shared == {key: names for key, (names, _) in SHARED.items()}


def test_systems_write_only_the_columns_they_declare(make_world: MakeWorld) -> None:
    """Watch every column while every built-in system runs on a population that has everything."""
    world = make_world(systems=False, features={"bass": [1.0] * 5}, width=300.0)
    entity = world.populate((*ALL, c.Brightness), everything())
    undeclared: list[str] = []
    for kind in BUILT_IN:
        system = kind()
        world.add(watched(system, entity, undeclared))
    run(world, 4)
    assert undeclared == []


def everything() -> list[object]:
    fade = Curve(((0.0, 1.0), (1.0, 0.2)))
    return [
        c.Burst(150.0, 500.0, count=60, shape="area", width=300.0, height=300.0, span=Range(0.5, 1.0)),
        Gravity(5.0, 50.0), Drag(0.5), c.Attraction(150.0, 500.0, 40.0), c.Turbulence(80.0), c.Speed(1.5),
        c.Walls("reflect", 0.9), c.Bounds(20.0), c.Collide(0.9), c.SizeOverLife(fade), c.LightOverLife(fade),
        c.ColorOverLife(Gradient(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))), c.Twinkle(), c.Jitter(40.0),
        c.FadeWithDistance(0.0, 0.0, 400.0), c.ColorBy("band", Gradient(((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))),
        Reactive(
            (Binding("bass", Velocity, "x", "add", 9.0), Binding("bass", Look, "light"), Binding("bass", Drag, "rate")),
            (Drag(0.5),),
        ),
    ]  # fmt: skip


def watched(system: System, entity: int, undeclared: list[str]) -> System:
    process = system.process

    def values(kind: type[Column]) -> bytes:
        column = system.world.component(entity, kind)
        assert column is not None
        return b"".join(np.ascontiguousarray(getattr(column, name)).tobytes() for name in kind.fields)

    def watch() -> None:
        if system.phase in (Phase.REAP, Phase.EMIT):  # these add and remove whole rows
            return process()
        before = {kind: values(kind) for kind in ALL}
        process()
        for kind in ALL:
            if kind not in system.writes and values(kind) != before[kind]:
                undeclared.append(f"{type(system).__name__} writes {kind.__name__}")
        return None

    system.process = watch
    return system


class Aim(System):
    """Replaces in frame 3 what it takes for granted afterwards."""

    phase = Phase.SENSE

    def process(self) -> None:
        if self.world.frame == 3:
            for entity, (gravity,) in self.world.query(Gravity):
                self.world.replace(entity, Gravity(gravity.x + 1.0))
                self.world.replace(entity, Drag(0.5))
            self.world.insert(Canvas(500.0))
            self.world.insert(Clock(0, 0.0, 0.0, Fraction(1)))


def test_components_and_resources_replaced_in_a_step_last_until_the_next(make_world: MakeWorld) -> None:
    world = make_world(systems=False)
    world.add(Aim())
    entity = world.populate([Position], [Gravity(1.0)])
    seen = []
    for _ in range(5):
        world.step()
        drag = world.component(entity, Drag)
        seen.append(
            (world.query(Gravity)[0][1][0].x, drag and drag.rate, world.get(Canvas).width, len(world.query(Drag)))
        )
        assert world.get(Clock).frame == (0 if world.frame == 4 else world.frame - 1)
    before = (1.0, None, 1920.0, 0)
    assert seen == [before, before, before, (2.0, 0.5, 500.0, 1), before]


def test_snapshot_restored_after_a_replacement_is_as_it_was(make_world: MakeWorld) -> None:
    world = make_world(systems=False)
    world.add(Aim())
    entity = world.populate([Position], [Gravity(1.0)])
    snapshot = world.snapshot()
    run(world, 4)
    assert world.component(entity, Gravity) == Gravity(2.0)
    world.restore(snapshot)
    assert world.component(entity, Gravity) == Gravity(1.0)


def test_population_cannot_be_created_in_a_step(make_world: MakeWorld) -> None:
    class Late(System):
        phase = Phase.EMIT

        def process(self) -> None:
            self.world.populate([Position])

    world = make_world(systems=False)
    world.add(Late())
    with pytest.raises(StructuralChangeError, match="only when a scene is set up"):
        world.step()


def test_system_without_what_it_needs_is_skipped_until_there_is_some(make_world: MakeWorld) -> None:
    ran = []

    class Fall(System):
        phase = Phase.FORCE
        needs = (Gravity, Position)

        def process(self) -> None:
            ran.append(self.world.frame)

    class Add(System):
        phase = Phase.SENSE

        def process(self) -> None:
            if self.world.frame == 2:
                self.world.replace(entity, Gravity())

    world = make_world(systems=False)
    world.add(Fall())
    world.add(Add())
    entity = world.populate([Position])
    run(world, 5)
    assert ran == [2]


def test_derived_value_is_computed_again_only_for_another_component(make_world: MakeWorld) -> None:
    computed = []

    def compute(world: World, entity: int, gravity: Gravity) -> float:
        computed.append(gravity)
        return 2 * gravity.x

    world = make_world(systems=False)
    entity = world.populate([Position], [Gravity(1.0)])
    for component in (Gravity(1.0), Gravity(3.0)):
        world.replace(entity, component)
        assert [world.derived(entity, component, compute) for _ in range(3)] == [2 * component.x] * 3
    assert computed == [Gravity(1.0), Gravity(3.0)]
    assert len(world._derived) == 1


def test_rows_are_frozen_outside_reap_and_emit(make_world: MakeWorld) -> None:
    seen = {}

    def watching(phase: Phase) -> type[System]:
        def process(self: System) -> None:
            seen[phase] = self.world.tables[0].frozen

        return type(f"Watch{phase.name}", (System,), {"phase": phase, "process": process})

    world = make_world(systems=False)
    for phase in Phase:
        world.add(watching(phase)())
    world.populate([Position])
    world.step()
    assert {phase for phase, frozen in seen.items() if not frozen} == {Phase.REAP, Phase.EMIT}
    assert world.tables[0].frozen


def test_changed_component_lasts_for_the_frame(make_world: MakeWorld) -> None:
    class Faster(System):
        phase = Phase.SENSE

        def process(self) -> None:
            for entity, (emission,) in self.world.query(Emission):
                self.world.change(entity, Emission, rate=2 * emission.rate)

    world = make_world(systems=False)
    world.add(Faster())
    before = Emission(1.0, 2.0, rate=5.0, direction=0.5)
    entity = world.populate([Position], [before])
    run(world, 3)
    assert world.component(entity, Emission) == Emission(1.0, 2.0, rate=10.0, direction=0.5)
    assert before.rate == 5.0


def test_change_of_an_unknown_field_names_those_that_there_are(make_world: MakeWorld) -> None:
    world = make_world(systems=False)
    entity = world.populate([Position], [Gravity(1.0)])
    with pytest.raises(TypeError, match="Gravity has no field w; it has: x, y, z"):
        world.change(entity, Gravity, w=1.0)


@pytest.mark.parametrize(("fps", "moves"), [(1, 20), (3, 7), (10, 2), (19, 2), (20, 1), (60, 1)])
def test_slow_frames_move_in_steps_that_end_at_their_time_and_hear_events_once(
    make_world: MakeWorld, fps: int, moves: int
) -> None:
    world = make_world(fps=fps, events={"beats": [0.0, 1.0, 1.5]}, frames=10 * fps)
    seen: list[tuple[float, float, int]] = []

    def look(world: World) -> None:
        clock = world.get(Clock)
        assert clock.dt == world.dt
        seen.append((clock.t, clock.dt, world.get(AudioFrame).count("beats")))

    heard: list[int] = []
    world.add(Spy([], "", Phase.FORCE, look))
    world.add(Spy([], "", Phase.SHADE, lambda world: heard.append(world.get(AudioFrame).count("beats"))))
    run(world, 2 * fps)
    assert len(seen) == 2 * fps * moves
    assert sum(beats for _, _, beats in seen) == sum(heard) == 3
    assert [t for t, _, _ in seen[moves - 1 :: moves]] == [frame / fps for frame in range(2 * fps)]
    assert {round(dt * fps * moves, 9) for _, dt, _ in seen} == {1.0}
    assert world.dt == 1 / fps


@pytest.mark.parametrize("name", ["", 3, ("a",)])
def test_names_of_populations_are_texts(make_world: MakeWorld, name: object) -> None:
    with pytest.raises(PluginError, match="a population's name must be a text that is not empty, not "):
        make_world().populate([Position], name=name)


def test_default_names_do_not_collide_with_given_ones(make_world: MakeWorld) -> None:
    world = make_world()
    names = [world.name(world.populate([Position], name=name)) for name in ("1", None, None)]
    assert len(set(names)) == 3
