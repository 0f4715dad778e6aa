"""A portrait cut anywhere, and resumed in a fresh simulation, goes on as if it had never been cut."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.audio.timeline import EVENTS, FEATURES, FeatureTimeline
from ecs_core.ecs.rng import generator
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.simulation import SceneSnapshot, Simulation
from ecs_core.scene.scene import Scene

FRAMES = 18
CONFIGS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "fps": st.sampled_from([7, 24, 30, "30000/1001", 60]),
        "particle_count": st.integers(0, 120),
        "text": st.sampled_from(["a", "Ωß", "two\nlines", "i i"]),
        "scatter": st.floats(0, 5),
        "reform": st.floats(0.1, 10),
        "breath": st.floats(0, 10),
        "sparks": st.floats(0, 1),
    },
    optional={
        "trail": st.floats(0.05, 1),
        "blend": st.just("over"),
        "bindings": st.sampled_from(
            [
                [{"source": "bass", "target": "spring.rate", "gain": 2.0}],
                [{"source": "rms", "target": "speed", "gain": -2.0}],
                [{"source": "kick", "target": "scatter.kick"}, {"source": "rms", "target": "spring.damping"}],
            ]
        ),
    },
)


def columns(snapshot: SceneSnapshot) -> list[tuple[bytes, bytes, int]]:
    rows = snapshot.layers[""].populations.values()
    return [(each.values.tobytes(), each.birth.tobytes(), each.next_birth) for each in rows]


def seen(config: dict[str, Any], cuts: list[int]) -> list[list[tuple[bytes, bytes, int]]]:
    """The columns after every frame, by a new simulation from each cut on."""
    kind, checked = Scene("portrait", config=config | {"duration": 5.0}).resolve()
    rng, rate = generator(config["seed"], 99, 0), Fraction(checked.rate)
    features = {name: rng.uniform(0, 1, FRAMES).astype(np.float32) for name in FEATURES}
    times = {name: np.sort(rng.uniform(0, float(FRAMES / rate), 3)) for name in EVENTS}
    strengths = {"kicks": rng.uniform(0, 1, 3).astype(np.float32)}
    timeline = FeatureTimeline(rate, FRAMES, float(FRAMES / rate), 120.0, features, times, strengths)
    found, packed = [], None
    for first, last in zip([0, *cuts], [*cuts, FRAMES], strict=True):
        with Simulation(kind, checked, with_levels(timeline, checked)) as simulation:
            if packed is not None:
                simulation.restore(pickle.loads(packed))
            for frame in range(first, last):
                simulation.skip_to(frame + 1)
                found.append(columns(simulation.snapshot()))
            packed = pickle.dumps(simulation.snapshot())
    return found


@settings(max_examples=25, deadline=None)
@given(config=CONFIGS, cuts=st.lists(st.integers(0, FRAMES), max_size=3).map(sorted))
def test_resumed_columns_are_identical_to_the_bit(config: dict[str, Any], cuts: list[int]) -> None:
    assert seen(config, cuts) == seen(config, [])


@settings(max_examples=15, deadline=None)
@given(config=CONFIGS)
def test_columns_stay_finite(config: dict[str, Any]) -> None:
    for populations in seen(config, []):
        assert all(np.isfinite(np.frombuffer(values, np.float32)).all() for values, _, _ in populations)
