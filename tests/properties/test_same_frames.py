"""The same frames for any number of workers, any segments and ``motes frame``, whatever a scene has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecs_core import Scene, render, render_frame
from ecs_core.plugin_api import particle_types

TYPES = tuple(sorted(particle_types().types))
FPS, SECONDS = 24, 1.25
FRAMES = int(FPS * SECONDS)
BINDINGS = (
    {"source": "bass", "target": "camera.zoom", "gain": 0.3},
    {"source": "onset", "target": "camera.shake", "op": "add", "gain": 30.0},
    {"source": "high", "target": "finish.bloom", "op": "add", "gain": 2.0},
    {"source": "rms", "target": "finish.exposure", "op": "add", "gain": 1.0},
    {"source": "bass", "target": "look.radius", "gain": 0.5},
)
# Settings of one layer's particles, and of the whole video, of which a scene has some.
OF_PARTICLES: dict[str, list[Any]] = {
    "trail": [0.3, 2.0],
    "shutter": [0.5, 4.0],
    "texture": ["petal", "smoke"],
    "blend": ["over", "add"],
    "color_by": ["birth", "speed", "height", "band"],
    "dust": [20.0],
    "particle_colors": ["sunset", [[255, 40, 90], [60, 120, 255]]],
    "particle_count": [20, 150],
}
OF_THE_VIDEO: dict[str, list[Any]] = {
    "camera": [{"zoom": 0.8, "roll": 20, "drift": 80, "shake": 12}, {"orbit": 90, "tilt": 20, "fog": 1, "aperture": 9}],
    "finish": [
        {"bloom": 2, "vignette": 0.4, "grain": 0.2},
        {"aberration": 12, "contrast": 1.3, "shadows": [90, 120, 200]},
    ],
    "background": [[240, 236, 220]],
    "fade_in": [0.5],
    "start": [0.7],
    "seed": [1, 2**62],
}


def some(of: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in of.items()})


PARTICLES = some(OF_PARTICLES)
# Layers of letters, with all that moves.
LETTERS: list[dict[str, Any]] = [
    {"kind": "text", "text": "Night", "size": 0.4, "enter": "letters", "leave": "typewriter", "glow": 0.6,
     "camera": True, "bindings": [{"source": "bass", "target": "scale", "gain": 0.4}]},
    {"kind": "lyrics", "size": 0.2, "shadow": 0.5, "offset": 0.1, "behind": True,
     "text": "[00:00.20]<00:00.20>one <00:00.50>two<00:00.80>\n[00:00.90]three\n[00:01.40]four"},
    {"kind": "lyrics", "size": 0.2, "change": "fade", "karaoke": "evenly", "text": "la la la\nla la\n\nla"},
]  # fmt: skip
LAYERS = st.builds(
    lambda kind, config, behind, opacity: {"type": kind, "config": config, "behind": behind, "opacity": opacity},
    st.sampled_from(TYPES), PARTICLES, st.booleans(), st.sampled_from([0.4, 1.0]),
)  # fmt: skip


# Layers that show the sound.
PICTURED = st.builds(
    lambda look, opacity: {"kind": look[0], "style": look[1], "opacity": opacity},
    st.sampled_from(
        [("spectrum", style) for style in ("bars", "mirrored", "ring", "line", "filled", "ring-line")]
        + [(kind, style) for kind, style in (("waveform", "line"), ("waveform", "ring"), ("progress", "line"))]
    ),
    st.sampled_from([0.4, 1.0]),
)  # fmt: skip


@st.composite
def scenes(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A type, and a config with anything that there is to see."""
    config = draw(PARTICLES) | draw(some(OF_THE_VIDEO))
    layers = draw(st.lists(LAYERS, max_size=2, unique_by=lambda layer: layer["type"]))
    pictured = draw(st.lists(PICTURED, max_size=2, unique_by=lambda layer: (layer["kind"], layer["style"])))
    kind = draw(st.sampled_from([name for name in TYPES if name not in {layer["type"] for layer in layers}]))
    layers += draw(st.lists(st.sampled_from(LETTERS), max_size=1))
    bindings = draw(st.lists(st.sampled_from(BINDINGS), unique_by=lambda each: each["target"], max_size=3))
    needed = {"camera": {}, "finish": {}}
    for binding in bindings:
        config = {part: value for part, value in needed.items() if binding["target"].startswith(part)} | config
    return kind, config | {"layers": [*layers, *pictured], "bindings": bindings}


def check(kind: str, config: dict[str, Any], song: Path, folder: Path, at: int) -> None:
    size = {"width": 96, "height": 54, "fps": FPS, "duration": SECONDS}
    scene = Scene(kind, song, {**config, **size})
    ways = [(1, 2.0), (2, 0.3)]
    alone, shared = [
        render(scene, folder / "out.mp4", workers=workers, segment_seconds=length, frame_hashes=True).frame_hashes
        for workers, length in ways
    ]
    assert len(alone) == FRAMES
    assert shared == alone
    assert render_frame(scene, at / FPS, folder / "frame.png") == alone[at]


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scene=scenes(), at=st.integers(0, FRAMES - 1))
def test_frames_do_not_depend_on_who_draws_them(
    scene: tuple[str, dict[str, Any]], at: int, demo_song: Path, tmp_path: Path
) -> None:
    check(*scene, demo_song, tmp_path, at)


@pytest.mark.campaign
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scene=scenes(), at=st.integers(0, FRAMES - 1))
def test_frames_of_many_scenes_do_not_depend_on_who_draws_them(
    scene: tuple[str, dict[str, Any]], at: int, demo_song: Path, tmp_path: Path
) -> None:
    check(*scene, demo_song, tmp_path, at)


@pytest.mark.parametrize("kind", ["zen", "constellation"])
def test_frames_with_all_features_do_not_depend_on_who_draws_them(kind: str, demo_song: Path, tmp_path: Path) -> None:
    everything = {name: values[0] for name, values in (OF_PARTICLES | OF_THE_VIDEO).items()}
    layer = {"type": "snow", "behind": True, "config": {name: values[-1] for name, values in OF_PARTICLES.items()}}
    config = everything | {"layers": [layer, *LETTERS], "bindings": list(BINDINGS)}
    check(kind, config, demo_song, tmp_path, 17)
