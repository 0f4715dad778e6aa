"""Small worlds: silent, or with a song made of the given features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest

from ecs_core.audio.timeline import EVENTS, FEATURES, FeatureTimeline
from ecs_core.ecs.resources import Canvas
from ecs_core.ecs.world import World
from ecs_core.systems import BUILT_IN
from tests.render_children import fork_children

MakeWorld = Callable[..., World]


def timeline_of(
    fps: Fraction, frames: int, features: Mapping[str, Sequence[float]], events: Mapping[str, Sequence[float]]
) -> FeatureTimeline:
    """A song with the given features, silent from where they end, and events."""
    heard = {name: np.zeros(frames, np.float32) for name in FEATURES}
    for name, values in features.items():
        heard[name][: len(values)] = values
    times = {name: np.asarray(events.get(name, ()), np.float64) for name in EVENTS}
    return FeatureTimeline(fps, frames, float(frames / fps), 0.0, heard, times)


@pytest.fixture
def make_world() -> Iterator[MakeWorld]:
    """Makes worlds with all built-in systems and closes them afterwards."""
    worlds: list[World] = []

    def make(
        *,
        seed: int = 1,
        fps: Fraction | int = 30,
        frames: int = 600,
        width: float = 1920.0,
        systems: bool = True,
        features: Mapping[str, Sequence[float]] | None = None,
        events: Mapping[str, Sequence[float]] | None = None,
    ) -> World:
        fps = Fraction(fps)
        timeline = timeline_of(fps, frames, features or {}, events or {})
        world = World(seed=seed, fps=fps, canvas=Canvas(width), timeline=timeline)
        worlds.append(world)
        for system in BUILT_IN if systems else ():
            world.add(system())
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture(autouse=True)
def _render_children_are_forked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    start = fork_children(lambda: request.getfixturevalue("forks"))
    monkeypatch.setattr("ecs_core.rendering.pool._start", start)
