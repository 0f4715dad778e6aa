"""Bindings as data: parameters by name, and attached to the populations that have them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest

from ecs_core.audio.timeline import LEVELS, FeatureTimeline
from ecs_core.ecs.components import (
    Attraction,
    Bounds,
    Burst,
    Collide,
    Drag,
    Emission,
    FadeWithDistance,
    Gravity,
    Growth,
    Hue,
    Jitter,
    Look,
    Position,
    Size,
    Speed,
    Turbulence,
    Twinkle,
    Velocity,
    Walls,
)
from ecs_core.ecs.table import F32, Column, Table
from ecs_core.ecs.values import Pareto, Range
from ecs_core.ecs.world import World
from ecs_core.errors import SceneError
from ecs_core.rendering.simulation import Simulation
from ecs_core.scene.bindings import ALIASES, attach, check_bindings, parameters
from ecs_core.scene.nested_settings import BindingSettings
from ecs_core.scene.scene import Scene
from ecs_core.systems.audio_reaction import Binding, Reactive

MakeWorld = Callable[..., World]
COLUMNS = (Position, Velocity, Size, Look)
AT_REST = {
    "drag.rate": (Drag, "rate"),
    "gravity.x": (Gravity, "x"),
    "gravity.y": (Gravity, "y"),
    "gravity.z": (Gravity, "z"),
    "hue.shift": (Hue, "shift"),
    "jitter.strength": (Jitter, "strength"),
    "speed.factor": (Speed, "factor"),
    "turbulence.strength": (Turbulence, "strength"),
}


@dataclass(frozen=True)
class Spring:
    """What a plugin might bring."""

    stiffness: float = 1.0
    name: str = "spring"
    tight: bool = False
    turns: int = 3


@dataclass(frozen=True)
class Picky:
    """A component that lets only some of its numbers be bound."""

    bindable: ClassVar[tuple[str, ...]] = ("open",)

    open: float = 0.0
    closed: float = 0.0


def bind(source: str = "bass", target: str = "size", **more: Any) -> BindingSettings:
    return BindingSettings(source=source, target=target, **more)


class TestParameters:
    def test_neutral_parameters_are_always_available(self) -> None:
        assert parameters([]) == AT_REST

    def test_numbers_of_a_component_by_its_name_in_snake_case(self) -> None:
        assert parameters([Attraction(1.0, 2.0, 3.0)])["attraction.strength"] == (Attraction, "strength")
        assert parameters([Twinkle()]).keys() - AT_REST == {"twinkle.low", "twinkle.high", "twinkle.pace"}

    def test_only_numbers_of_a_plugin_component(self) -> None:
        assert parameters([Spring()]).keys() - AT_REST == {"spring.stiffness", "spring.turns"}

    @pytest.mark.parametrize("value", [Range(1.0, 2.0), Pareto(1.0, 2.0)])
    def test_ranges_count_as_numbers(self, value: Range | Pareto) -> None:
        assert "emission.size" in parameters([Emission(0.0, 0.0, size=value)])

    @pytest.mark.parametrize("component", [Bounds(), Burst(0.0, 0.0, count=1), Walls("wrap")])
    def test_excluded_fields_are_not_parameters(self, component: object) -> None:
        found = parameters([component]).keys() - AT_REST
        assert found <= {"walls.restitution"}

    def test_only_those_that_a_component_allows(self) -> None:
        assert parameters([Picky()]).keys() - AT_REST == {"picky.open"}

    def test_only_look_and_velocity_columns(self) -> None:
        columns = [column() for column in (*COLUMNS, Growth)]
        assert parameters(columns).keys() - AT_REST == {"look.radius", "look.light", "velocity.x", "velocity.y"}

    def test_reactions_are_not_parameters(self) -> None:
        assert parameters([Reactive(())]) == AT_REST

    def test_every_alias_is_a_parameter(self) -> None:
        assert set(ALIASES.values()) <= parameters([Look()]).keys()


class Bound:
    """A population with some components, bindings attached, after a frame in which bass is 0.5 and onset 1."""

    def __init__(self, world: World, components: tuple[object, ...], *wanted: BindingSettings) -> None:
        self._world = world
        self.entity = world.populate(COLUMNS, components)
        attach(world, wanted)
        table = world.component(self.entity, Table)
        table.spawn(1)
        size = world.component(self.entity, Size)
        size.value[:] = 4
        world.step()

    def __getitem__(self, kind: type[Any]) -> Any:
        return self._world.component(self.entity, kind)


@pytest.fixture
def bound(make_world: MakeWorld) -> Callable[..., Bound]:
    def make(*wanted: BindingSettings, components: tuple[object, ...] = ()) -> Bound:
        world = make_world(features={"bass": [0.5, 1.0], "onset": [1.0, 0.0]})
        return Bound(world, components, *wanted)

    return make


MakeBound = Callable[..., Bound]


class TestAttach:
    @pytest.mark.parametrize("target", ["size", "look.radius"])
    def test_size_changes_the_visible_radius(self, bound: MakeBound, target: str) -> None:
        seen = bound(bind(target=target))
        assert seen[Look].radius.tolist() == [6]
        assert seen[Size].value.tolist() == [4]

    def test_light(self, bound: MakeBound) -> None:
        assert bound(bind(target="light", gain=-1.0))[Look].light.tolist() == [0.5]

    def test_speed_is_a_factor_with_neutral_value_one(self, bound: MakeBound) -> None:
        assert bound(bind(target="speed", gain=4.0))[Speed] == Speed(3.0)

    def test_color_turns_the_hue(self, bound: MakeBound) -> None:
        assert bound(bind(target="color", gain=0.5))[Hue] == Hue(0.25)

    @pytest.mark.parametrize(
        ("target", "moved"),
        [
            ("gravity.y", Gravity(0.0, 50.0)),
            ("jitter.strength", Jitter(50.0)),
            ("drag.rate", Drag(50.0)),
            ("turbulence.strength", Turbulence(50.0)),
        ],
    )
    def test_parameters_with_neutral_value_zero_are_added(self, bound: MakeBound, target: str, moved: object) -> None:
        assert bound(bind(target=target, gain=100.0))[type(moved)] == moved

    def test_other_parameters_are_multiplied(self, bound: MakeBound) -> None:
        assert bound(bind(target="drag.rate", gain=2.0), components=(Drag(3.0),))[Drag] == Drag(6.0)

    @pytest.mark.parametrize(("op", "rate"), [("multiply", 9.0), ("add", 5.0), ("set", 2.0)])
    def test_operation_can_be_given(self, bound: MakeBound, op: str, rate: float) -> None:
        assert bound(bind(target="drag.rate", gain=4.0, op=op), components=(Drag(3.0),))[Drag].rate == rate

    @pytest.mark.parametrize(
        ("op", "wanted"),
        [(None, Range(15, 30)), ("multiply", Range(15, 30)), ("add", Range(10.5, 20.5)), ("set", Range(0.5, 0.5))],
    )
    def test_range_moves_at_both_ends(self, bound: MakeBound, op: str | None, wanted: Range) -> None:
        emission = Emission(0.0, 0.0, speed=Range(10.0, 20.0))
        assert bound(bind(target="emission.speed", op=op), components=(emission,))[Emission].speed == wanted

    def test_range_at_zero_is_multiplied(self, bound: MakeBound) -> None:
        emission = Emission(0.0, 0.0, orbit=Range(0.0, 0.0))
        assert bound(bind(target="emission.orbit"), components=(emission,))[Emission].orbit == Range(0, 0)

    def test_whole_numbers_stay_whole(self, bound: MakeBound) -> None:
        emission = Emission(0.0, 0.0, event="onsets", per_event=3)
        found = bound(bind(target="emission.per_event"), components=(emission,))[Emission].per_event
        assert (found, type(found)) == (4, int)  # 4.5, to even

    def test_component_of_a_plugin(self, bound: MakeBound) -> None:
        assert bound(bind(target="spring.stiffness"), components=(Spring(2.0),))[Spring] == Spring(3.0)

    @pytest.mark.parametrize(
        ("curve", "radius"),
        [
            ("linear", 6.0),
            ("square", 5.0),
            ("root", 4 * (1 + 0.5**0.5)),
            ("smooth", 6.0),
            ("step", 8.0),
            (((0.0, 1.0), (1.0, 0.5)), 7.0),
        ],
    )
    def test_curves(self, bound: MakeBound, curve: Any, radius: float) -> None:
        assert bound(bind(curve=curve))[Look].radius[0] == pytest.approx(radius, rel=1e-3)

    def test_step_is_nothing_below_its_threshold(self, bound: MakeBound) -> None:
        assert bound(bind(curve="step", threshold=0.6))[Look].radius.tolist() == [4]
        assert bound(bind(curve="step", threshold=0.4))[Look].radius.tolist() == [8]

    def test_attack_is_passed_on(self, bound: MakeBound) -> None:
        follow = 1 - np.exp(-1 / 30 / 0.1)
        assert bound(bind(attack=0.1))[Look].radius[0] == pytest.approx(4 * (1 + 0.5 * follow), rel=1e-5)

    def test_several_act_one_after_the_other(self, bound: MakeBound) -> None:
        two = bind(), bind("onset", op="add", gain=10.0)
        assert bound(*two)[Look].radius.tolist() == [16]

    def test_acts_after_the_reactions_of_the_type(self, bound: MakeBound) -> None:
        own = Reactive((Binding("onset", Look, "radius", op="set", gain=10.0),))
        assert bound(bind(), components=(own,))[Look].radius.tolist() == [15]

    def test_starts_from_the_original_component_each_frame(self, make_world: MakeWorld) -> None:
        world = make_world(features={"bass": [1.0] * 9})
        entity = world.populate(COLUMNS, (Drag(3.0),))
        attach(world, [bind(target="drag.rate")])
        for _ in range(9):
            world.step()
        assert world.component(entity, Drag) == Drag(6.0)

    def test_only_populations_that_have_the_parameter_are_bound(self, make_world: MakeWorld) -> None:
        world = make_world(features={"bass": [1.0]})
        with_pull = world.populate(COLUMNS, (Attraction(0.0, 0.0, 10.0),))
        without = world.populate(COLUMNS)
        attach(world, [bind(target="attraction.strength")])
        world.step()
        assert world.component(with_pull, Attraction).strength == 20
        assert world.component(without, Attraction) is None

    def test_base_component_of_a_reaction_is_optional(self, bound: MakeBound) -> None:
        own = Reactive((Binding("bass", Drag, "rate"),))
        assert bound(components=(Drag(2.0), own))[Drag] == Drag(3.0)

    def test_no_bindings_change_nothing(self, bound: MakeBound) -> None:
        seen = bound(components=(Drag(3.0),))
        assert seen[Drag] == Drag(3.0)
        assert seen[Speed] is None
        assert seen[Look].radius.tolist() == [4]


class Stretched(Column):
    """A column of a plugin that says what its values may be."""

    limits = MappingProxyType({"by": (-1.0, 3.0)})

    by: F32


WILD = [-1e6, -30.0, 0.0, 30.0, 1e6]


class TestWithinLimits:
    """Bindings clamp every parameter to the range that its system supports."""

    @pytest.mark.parametrize(
        ("target", "component", "gain", "wanted"),
        [
            ("drag.rate", Drag(3.0), -50.0, 0.0),
            ("drag.rate", Drag(3.0), 1e6, 1_500_003.0),
            ("walls.restitution", Walls(), 2.0, 1.0),
            ("walls.restitution", Walls(), -4.0, 0.0),
            ("collide.restitution", Collide(0.9), 2.0, 1.0),
            ("fade_with_distance.reach", FadeWithDistance(0, 0, reach=90.0), -2.0, 1.0),
            ("fade_with_distance.floor", FadeWithDistance(0, 0, reach=90.0), -20.0, 0.0),
            ("twinkle.low", Twinkle(), -8.0, 0.0),
            ("emission.rate", Emission(0, 0, rate=5.0), -8.0, 0.0),
            ("emission.per_event", Emission(0, 0, event="beats", per_event=5), -8.0, 0),
            ("emission.size", Emission(0, 0, size=Range(2.0, 4.0)), -8.0, Range(0.0, 0.0)),
            ("emission.size", Emission(0, 0, size=Pareto(2.0, 4.0)), 1e6, Pareto(1e4, 1e4)),
            ("emission.light", Emission(0, 0, light=Range(1.0, 2.0)), -8.0, Range(0.0, 0.0)),
            ("spring.stiffness", Spring(2.0), 1e6, 1_000_002.0),  # a plugin's, which says nothing of limits
        ],
    )
    def test_of_components(self, bound: MakeBound, target: str, component: object, gain: float, wanted: object) -> None:
        moved = bound(bind(target=target, gain=gain), components=(component,))[type(component)]
        assert getattr(moved, target.split(".")[1]) == wanted

    @pytest.mark.parametrize("value", [0.0, -1e6, 1e6])
    def test_of_components_with_operation_set(self, bound: MakeBound, value: float) -> None:
        fade = FadeWithDistance(0, 0, reach=90.0)
        moved = bound(
            bind(target="fade_with_distance.reach", op="set", gain=value),
            bind(target="drag.rate", op="set", gain=value),
            components=(fade, Drag(1.0)),
        )
        assert moved[FadeWithDistance].reach >= 1
        assert moved[Drag].rate >= 0

    @pytest.mark.parametrize("target", ["size", "light"])
    @pytest.mark.parametrize(("gain", "wanted"), [(-50.0, 0.0), (1e6, 1e4)])
    def test_of_look(self, bound: MakeBound, target: str, gain: float, wanted: float) -> None:
        look = bound(bind(target=target, gain=gain))[Look]
        assert (look.radius if target == "size" else look.light).tolist() == [wanted]

    def test_of_the_sum_of_bindings(self, bound: MakeBound) -> None:
        less, more = bind(target="drag.rate", op="add", gain=-10.0), bind(target="drag.rate", op="add", gain=8.0)
        assert bound(less, more, components=(Drag(3.0),))[Drag] == Drag(2.0)

    def test_of_columns_of_plugins(self, make_world: MakeWorld) -> None:
        world = make_world(features={"bass": [1.0] * 40})
        own = Reactive((Binding("bass", Stretched, "by", op="add", gain=1e6),))
        entity = world.populate((*COLUMNS, Stretched), (own,))
        attach(world)
        world.component(entity, Table).spawn(1)
        world.step()
        assert world.component(entity, Stretched).by.tolist() == [3.0]

    @pytest.mark.parametrize("op", ["multiply", "add", "set"])
    @pytest.mark.parametrize("kind", ["snow", "bouncing", "continuous_spawning"])
    def test_nothing_becomes_infinite_and_nothing_warns(self, kind: str, op: str) -> None:
        """Every target, moved as far as the settings allow by several bindings at once."""
        particle_type, settings = Scene(kind, config={"duration": 1.0, "particle_count": 30}).resolve()
        targets = check_bindings(particle_type, settings, ())
        for gain in WILD:
            wild = [bind("bass", target, op=op, gain=gain, curve=((0, 1e6), (1, 1e6))) for target in targets]
            config = {"bindings": [binding.model_dump() for binding in wild], "duration": 1.0, "particle_count": 30}
            _, wanted = Scene(kind, config=config).resolve()
            song = FeatureTimeline.silence(Fraction(30), 30, more=LEVELS)
            with Simulation(particle_type, wanted, song) as simulation:
                for _ in range(12):
                    seen = simulation.frame()
                    for table in simulation.world.snapshot().populations.values():
                        assert not np.isnan(table.values).any()
                    for values in (seen.x, seen.y, seen.radius):
                        assert np.isfinite(values).all()
                    for light in (seen.red, seen.green, seen.blue):
                        assert ((light >= 0) & (light < 1e15)).all()  # more would be too much for the tone curve


class TestRefused:
    def test_unknown_source_lists_the_known_ones(self, bound: MakeBound) -> None:
        with pytest.raises(
            SceneError, match=r"^bindings\.1\.source = 'treble': no such feature; there are: air, bar_phase, bass"
        ):
            bound(bind(), bind("treble"))

    def test_unknown_target_lists_the_known_ones(self, bound: MakeBound) -> None:
        there = (
            r"^bindings\.1\.target = 'bulk': no such parameter; there are: color, drag\.rate, .*light.*size, speed, "
        )
        with pytest.raises(SceneError, match=there):
            bound(bind(), bind(target="bulk"))

    def test_parameters_of_all_populations_are_named(self, make_world: MakeWorld) -> None:
        world = make_world()
        world.populate(COLUMNS, (Twinkle(),))
        world.populate(COLUMNS, (Spring(),))
        with pytest.raises(SceneError, match=r"spring\.stiffness.*twinkle\.pace"):
            attach(world, [bind(target="bulk")])

    @pytest.mark.parametrize(
        "target", ["position.x", "emission.shape", "emission.limit", "burst.count", "spring.name", ""]
    )
    def test_excluded_parameter(self, bound: MakeBound, target: str) -> None:
        components = (Emission(0.0, 0.0), Burst(0.0, 0.0, count=3), Spring())
        with pytest.raises(SceneError, match=r"no such parameter"):
            bound(bind(target=target), components=components)

    @pytest.mark.parametrize(
        ("binding", "named"),
        [
            ({"source": "bass"}, r"bindings\.0\.target"),
            ({"source": "bass", "target": "size", "power": 2}, r"unknown setting 'bindings\.0\.power'"),
            ({"source": "bass", "target": "size", "op": "divide"}, r"bindings\.0\.op"),
            ({"source": "bass", "target": "size", "curve": "cube"}, r"bindings\.0\.curve"),
            ({"source": "bass", "target": "size", "curve": [[0.5, 1], [0.5, 2]]}, r"ascending"),
            ({"source": "bass", "target": "size", "curve": [[0, 1]]}, r"bindings\.0\.curve"),
            ({"source": "bass", "target": "size", "threshold": 1.5}, r"bindings\.0\.threshold"),
            ({"source": "bass", "target": "size", "attack": -1}, r"bindings\.0\.attack"),
            ({"source": "bass", "target": "size", "gain": float("inf")}, r"gain"),
            ({"source": "treble", "target": "size"}, r"bindings\.0\.source = 'treble'.*bass"),
            ({"source": "bass", "target": "bulk"}, r"bindings\.0\.target = 'bulk'.*size"),
        ],
    )
    def test_in_a_config_when_the_scene_is_resolved(self, binding: dict[str, Any], named: str) -> None:
        with pytest.raises(SceneError, match=named):
            Scene("zen", config={"bindings": [binding]}).resolve()

    @pytest.mark.parametrize("source", ["level", "bass_high", "rms", "beat_phase"])
    def test_every_known_source_is_accepted(self, source: str) -> None:
        assert Scene("zen", config={"bindings": [{"source": source, "target": "size"}]}).resolve()


CUT_AT = [7, 20]


def test_bound_simulation_does_not_depend_on_segments(make_world: MakeWorld) -> None:
    rng = np.random.Generator(np.random.Philox(5))
    song = {name: rng.uniform(0, 1, 30).tolist() for name in ("bass", "onset", "rms")}
    wanted = [
        bind(target="speed", release=0.3),
        bind("onset", "velocity.y", op="add", gain=300.0, attack=0.1),
        bind("rms", "emission.rate", gain=5.0, release=0.2),
        bind("rms", "turbulence.strength", gain=100.0),
        bind("onset", "size", release=0.4),
    ]

    def fresh() -> World:
        world = make_world(frames=30, features=song)
        world.populate(COLUMNS, (Emission(500.0, 500.0, rate=60.0),))
        attach(world, wanted)
        return world

    def state(world: World) -> list[bytes]:
        return [rows.values.tobytes() for rows in world.snapshot().populations.values()]

    whole = fresh()
    expected = [state(whole) for _ in range(30) if whole.step() is None]
    seen, packed = [], pickle.dumps(fresh().snapshot())
    for first, last in zip([0, *CUT_AT], [*CUT_AT, 30], strict=True):
        part = fresh()
        part.restore(pickle.loads(packed))
        seen += [state(part) for _ in range(first, last) if part.step() is None]
        packed = pickle.dumps(part.snapshot())
    assert seen == expected
    assert len(set(map(tuple, seen))) == 30
