"""A simulation cut anywhere, packed and unpacked into a fresh world, goes on as if it had never been cut."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.audio.timeline import FEATURES, FeatureTimeline
from ecs_core.ecs.components import (
    Attraction,
    Bounds,
    Brightness,
    Burst,
    Collide,
    Color,
    ColorBy,
    ColorOverLife,
    Drag,
    Emission,
    FadeWithDistance,
    Gravity,
    Growth,
    Hue,
    Jitter,
    Lifetime,
    LightOverLife,
    Look,
    Position,
    Pulse,
    Size,
    SizeOverLife,
    Speed,
    Sprite,
    Trail,
    TrailPoints,
    Tumble,
    Turbulence,
    Turn,
    Twinkle,
    Velocity,
    Walls,
)
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.rng import generator
from ecs_core.ecs.space import Depth, Links, TrailDepths, Volume
from ecs_core.ecs.values import Curve, Gradient, Range
from ecs_core.ecs.world import Snapshot, World
from ecs_core.systems import BUILT_IN
from ecs_core.systems.audio_reaction import Binding, Reactive

FRAMES = 24
COLUMNS = (
    Position, Velocity, Lifetime, Size, Color, Brightness, Look, Pulse, Growth, Depth, TrailPoints, TrailDepths, Turn,
)  # fmt: skip
FADE = Curve(((0.0, 0.2), (0.3, 1.0), (1.0, 0.0)))
FIRE = Gradient(((1.0, 0.9, 0.4), (1.0, 0.2, 0.0), (0.1, 0.0, 0.2)))

# Every component that a built-in system looks for; a scene has some of them.
OPTIONAL: tuple[object, ...] = (
    Gravity(10.0, 120.0, -90.0), Drag(0.7), Attraction(300.0, 500.0, 90.0), Turbulence(120.0, 80.0, 1.3), Speed(1.4),
    Walls("reflect", 0.8), Walls("wrap"), Bounds(30.0), Collide(0.8), SizeOverLife(FADE), LightOverLife(FADE),
    ColorOverLife(FIRE), Twinkle(0.3, 1.0, 2.0), Hue(0.2), Jitter(40.0),
    FadeWithDistance(300.0, 500.0, 400.0), Sprite("disc"), Volume(-200.0, 300.0, Range(-400.0, 900.0)),
    Volume(-90.0, 90.0, Range(-400.0, 900.0), walls="reflect"), Links(150.0, 3), Trail(0.4),
    Tumble(Range(-0.8, 0.8), Range(0.1, 2.0)),
    *(ColorBy(by, FIRE, seconds=0.7) for by in ("birth", "speed", "height", "band")),
)  # fmt: skip
EMISSION = Emission(
    300.0, 500.0, rate=90.0, event="beats", per_event=7, limit=80, shape="ring", inner=20.0, outer=150.0,
    speed=Range(20.0, 300.0, 2.0), span=Range(0.1, 0.6), size=Range(2.0, 20.0), light=Range(0.5, 2.0), palette=FIRE,
)  # fmt: skip
BURST = Burst(300.0, 500.0, count=15, at=0.1, growth=Range(-9.0, 9.0), span=Range(0.1, 0.6))
BINDINGS = (
    Binding("bass", Emission, "rate", "multiply", gain=2.0, threshold=0.3, attack=0.05, release=0.3),
    Binding("rms", Drag, "rate", "add", curve=FADE),
    Binding("onset", Velocity, "x", "add", gain=200.0, release=0.2),
    Binding("mid", Position, "y", "multiply", gain=0.1),
    Binding("beat_phase", Look, "light", "multiply", attack=0.1),
    Binding("high", Look, "radius", "add", gain=3.0),
    Binding("mid", Turn, "spin", "add", gain=4.0),
)


@dataclass(frozen=True)
class Scene:
    seed: int
    fps: Fraction
    shape: str
    event: str | None
    components: tuple[int, ...]
    bindings: tuple[int, ...]
    populations: int

    def timeline(self) -> FeatureTimeline:
        rng = generator(self.seed, 99, 0)
        features = {name: rng.uniform(0, 1, FRAMES).astype(np.float32) for name in FEATURES}
        events = {"beats": np.sort(rng.uniform(0, 0.8, 6)), "onsets": np.sort(rng.uniform(0, 0.8, 9))}
        return FeatureTimeline(self.fps, FRAMES, float(FRAMES / self.fps), 120.0, features, events)

    @contextmanager
    def world(self) -> Iterator[World]:
        emission = replace(EMISSION, shape=self.shape, event=self.event)
        others = {type(OPTIONAL[i]): OPTIONAL[i] for i in self.components}
        reactive = Reactive(tuple(BINDINGS[i] for i in self.bindings), (emission, Drag(0.7)))
        with World(seed=self.seed, fps=self.fps, canvas=Canvas(600.0), timeline=self.timeline()) as world:
            for n in range(self.populations):
                world.populate(COLUMNS, [replace(emission, x=200.0 + 100 * n), BURST, *others.values(), reactive])
            for system in BUILT_IN:
                world.add(system())
            yield world


def scenes(components: st.SearchStrategy[tuple[int, ...]]) -> st.SearchStrategy[Scene]:
    return st.builds(
        Scene,
        seed=st.integers(0, 2**32 - 1),
        fps=st.sampled_from([Fraction(7), Fraction(24), Fraction(30), Fraction(30000, 1001), Fraction(60)]),
        shape=st.sampled_from(["point", "area", "ring"]),
        event=st.sampled_from([None, "beats", "onsets"]),
        components=components,
        bindings=st.lists(st.integers(0, len(BINDINGS) - 1), unique=True).map(tuple),
        populations=st.integers(1, 2),
    )


SOME = st.lists(st.integers(0, len(OPTIONAL) - 1), unique=True).map(tuple)
CUTS = st.lists(st.integers(0, FRAMES), max_size=4).map(sorted)


def columns(snapshot: Snapshot) -> list[tuple[bytes, bytes, int]]:
    return [(rows.values.tobytes(), rows.birth.tobytes(), rows.next_birth) for rows in snapshot.populations.values()]


def in_one_go(scene: Scene) -> list[list[tuple[bytes, bytes, int]]]:
    """The columns after every frame."""
    with scene.world() as world:
        return [columns(world.snapshot()) for _ in range(FRAMES) if world.step() is None]


def resumed(scene: Scene, cuts: list[int]) -> list[list[tuple[bytes, bytes, int]]]:
    """The same, by a new world from each cut on, which knows of those before it only what was packed."""
    seen = []
    packed: bytes | None = None
    for first, last in zip([0, *cuts], [*cuts, FRAMES], strict=True):
        with scene.world() as world:
            if packed is not None:
                world.restore(pickle.loads(packed))
            for _ in range(first, last):
                world.step()
                seen.append(columns(world.snapshot()))
            packed = pickle.dumps(world.snapshot())
    return seen


@settings(max_examples=60, deadline=None)
@given(scene=scenes(SOME), cuts=CUTS)
def test_resumed_columns_are_identical_to_the_bit(scene: Scene, cuts: list[int]) -> None:
    assert resumed(scene, cuts) == in_one_go(scene)


@settings(max_examples=20, deadline=None)
@given(scene=scenes(st.just(tuple(range(len(OPTIONAL))))), cut=st.integers(1, FRAMES - 1))
def test_resuming_works_with_all_features_together(scene: Scene, cut: int) -> None:
    assert resumed(scene, [cut]) == in_one_go(scene)


@settings(max_examples=20, deadline=None)
@given(scene=scenes(SOME), frame=st.integers(0, FRAMES - 1))
def test_snapshot_changes_nothing_and_restore_repeats(scene: Scene, frame: int) -> None:
    with scene.world() as world:
        for _ in range(frame):
            world.step()
        snapshot = world.snapshot()
        world.step()
        once = columns(world.snapshot())
        world.restore(snapshot)
        world.step()
        assert columns(world.snapshot()) == once


@settings(max_examples=20, deadline=None)
@given(scene=scenes(SOME))
def test_columns_stay_finite_and_within_the_limit(scene: Scene) -> None:
    with scene.world() as world:
        for _ in range(FRAMES):
            world.step()
        for _, (path, position, velocity, look) in world.query(TrailPoints, Position, Velocity, Look):
            assert np.count_nonzero(path.gone == 0) <= EMISSION.limit
            for column in (position.x, position.y, velocity.x, velocity.y, look.radius, look.light):
                assert np.isfinite(column).all()
