"""Layers of pictures: where and when they are seen, what moves them, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecs_core import LayerKind, PlacedLayer, PluginError, Scene, SceneError, hookimpl, option, render, render_frame
from ecs_core.audio.features import analyze
from ecs_core.layers.image import IMAGE
from ecs_core.plugin_api import particle_types
from ecs_core.plugin_api import registry as registry_module
from ecs_core.plugin_api.registry import load
from ecs_core.raster.marks import BoxesMark, MaskMark, PictureMark, Pose, same
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from tests.media import SMALL

WIDTH, HEIGHT = 192, 108
SCENE: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "duration": 4.0, "fps": 10, "particle_count": 3}


@pytest.fixture
def cover(tmp_path: Path) -> str:
    file = tmp_path / "cover.png"
    Image.new("RGB", (40, 20), (230, 120, 20)).save(file)
    return str(file)


def marks_of(layers: list[dict[str, Any]], *, at: float = 1.0, **config: Any) -> Any:
    plan = make_plan(*Scene("zen", None, SCENE | {"layers": layers} | config).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(round(at * 10))
        simulation.frame()
        return simulation.marks


def only(cover: str, *, at: float = 1.0, scene: dict[str, Any] | None = None, **layer: Any) -> Any:
    (placed,) = marks_of([{"kind": "image", "file": cover, **layer}], at=at, **(scene or {}))
    return placed.mark


def test_image_lies_in_the_middle_and_has_its_size(cover: str) -> None:
    mark = only(cover, size=0.5)
    assert isinstance(mark, PictureMark)
    assert (mark.picture.width, mark.picture.height) == (54, 27)
    left, top, right, bottom = mark.bounds
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((WIDTH / 2, HEIGHT / 2), abs=1)


def test_image_keeps_its_share_of_an_upright_picture(cover: str) -> None:
    mark = only(cover, size=0.5, x=0.25, scene={"width": HEIGHT, "height": WIDTH})
    assert mark.picture.width == 54
    assert mark.pose.x == HEIGHT / 4


def test_square_and_circle_are_cut_from_the_middle(cover: str) -> None:
    square, circle = only(cover, crop="square"), only(cover, crop="circle")
    assert square.picture.width == square.picture.height == 54
    corner = [each.picture.levels[0][0][0, 1:-1, 1:-1][0, 0] for each in (square, circle)]
    assert corner == [1, 0]


def test_corners_are_round(cover: str) -> None:
    alpha = only(cover, corner=0.5).picture.levels[0][0][0, 1:-1, 1:-1]
    assert alpha[0, 0] == 0
    assert alpha[0, alpha.shape[1] // 2] == 1


def test_shadow_lies_under_the_image(cover: str) -> None:
    shadow, image = (each.mark for each in marks_of([{"kind": "image", "file": cover, "shadow": 0.5}]))
    assert isinstance(shadow, MaskMark)
    assert shadow.colour == (0, 0, 0)
    assert shadow.pose.opacity == 0.5
    assert shadow.bounds[0] < image.bounds[0]


@pytest.mark.parametrize(
    ("at", "seen"), [(0.0, False), (0.9, False), (1.0, True), (1.9, True), (2.0, False), (3.9, False)]
)
def test_layer_is_seen_from_its_begin_to_its_end(cover: str, at: float, seen: bool) -> None:
    assert bool(marks_of([{"kind": "image", "file": cover, "begin": 1, "end": 2}], at=at)) is seen


def test_layer_fades_in_and_out(cover: str) -> None:
    def opacity(at: float) -> float:
        fades = {"enter": "fade", "leave": "fade", "enter_seconds": 1, "leave_seconds": 1}
        return float(only(cover, at=at, **fades).pose.opacity)

    assert 0 < opacity(0.2) < opacity(0.5) < opacity(0.8) < 1
    assert opacity(0.5) == pytest.approx(0.5)
    assert opacity(1.0) == opacity(2.5) == 1
    assert 0 < opacity(3.8) < opacity(3.5) < 1
    assert not marks_of([{"kind": "image", "file": cover, "enter": "fade"}], at=0.0)


def test_layer_rises_and_falls_into_place(cover: str) -> None:
    def y(at: float, **layer: Any) -> float:
        return float(only(cover, at=at, **layer).pose.y)

    assert y(0.2, enter="rise") > y(0.5, enter="rise") > y(1, enter="rise") == HEIGHT / 2
    assert y(0.2, enter="fall") < y(0.5, enter="fall") < HEIGHT / 2
    assert y(3.8, leave="rise") < HEIGHT / 2 < y(3.8, leave="fall")
    assert only(cover, at=0.2, enter="grow").pose.scale < only(cover, at=0.5, enter="grow").pose.scale < 1


def poses_of(cover: str, song: Path, bound: list[dict[str, Any]]) -> list[Pose]:
    """Those of an image in each frame."""
    scene = Scene("zen", song, SCENE | {"layers": [{"kind": "image", "file": cover, "bindings": bound}]})
    plan = make_plan(*scene.resolve(), analyze(song))
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        found = []
        for _ in range(plan.frames):
            simulation.frame()
            mark = simulation.marks[0].mark
            assert isinstance(mark, PictureMark)
            found.append(mark.pose)
    return found


def test_bindings_move_a_layer(cover: str, demo_song: Path) -> None:
    bound = [{"source": "bass", "target": "scale", "gain": 1.0}, {"source": "bass", "target": "rotation", "gain": 90}]
    poses = poses_of(cover, demo_song, bound)
    assert len({pose.scale for pose in poses}) > 10
    assert all(1 <= pose.scale <= 2 for pose in poses)
    for pose in poses:
        assert np.degrees(pose.angle) == pytest.approx(90 * (pose.scale - 1), abs=1e-4)


def test_bound_numbers_stay_within_their_limits(cover: str, demo_song: Path) -> None:
    bound = [{"source": "bass", "target": "opacity", "gain": 9.0}]
    assert {pose.opacity for pose in poses_of(cover, demo_song, bound)} == {1.0}


def test_camera_moves_layers_that_ask_for_it(cover: str) -> None:
    camera = {"camera": {"zoom": 2.0, "roll": 90, "x": 0.25}}
    assert only(cover, scene=camera).pose == only(cover).pose
    seen = only(cover, scene=camera, **{"camera": True}).pose
    assert (seen.scale, np.degrees(seen.angle)) == pytest.approx((2, 90))
    assert (seen.x, seen.y) == pytest.approx((WIDTH / 2, HEIGHT / 2 + 2 * WIDTH / 4))


def test_layers_are_drawn_in_order_around_the_particles(cover: str) -> None:
    image = {"kind": "image", "file": cover}
    snow = {"type": "snow", "config": {"particle_count": 5, "trail": 0}}
    placed = marks_of([image, snow, image, {**image, "behind": True}])
    assert [each.after for each in placed] == [0, 3, 8]


def test_layer_without_bloom_is_dark_in_it(cover: str) -> None:
    assert [
        each.dark for each in marks_of([{"kind": "image", "file": cover, "bloom": bloom} for bloom in (True, False)])
    ] == [False, True]


def test_still_layer_has_equal_marks_in_all_frames(cover: str) -> None:
    plan = make_plan(*Scene("zen", None, SCENE | {"layers": [{"kind": "image", "file": cover}]}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        seen = []
        for _ in range(3):
            simulation.frame()
            seen.append(simulation.marks[0].mark)
    assert same(seen[0], seen[1])
    assert same(seen[1], seen[2])


def test_layers_are_the_same_for_any_workers_and_segments(tmp_path: Path, cover: str, demo_song: Path) -> None:
    bound = [{"source": "kick", "target": "scale", "gain": 0.3}]
    layers = [
        {"kind": "image", "file": cover, "enter": "grow", "shadow": 0.5, "bindings": bound, "camera": True},
        {"kind": "image", "file": cover, "behind": True, "blend": "add", "y": 0.2, "rotation": 30, "leave": "rise"},
    ]
    config = {**SMALL, "duration": 1.5, "layers": layers, "finish": {"bloom": 1.0}, "camera": {"drift": 40}}
    scene = Scene("snow", demo_song, config)
    usual = render(scene, tmp_path / "a.mp4", workers=1, frame_hashes=True)
    short = render(scene, tmp_path / "b.mp4", workers=2, segment_seconds=0.2, frame_hashes=True)
    assert usual.frame_hashes == short.frame_hashes
    assert render_frame(scene, 0.5, tmp_path / "frame.png") in usual.frame_hashes


def test_alpha_of_an_image_is_kept_in_png_frames(tmp_path: Path, cover: str) -> None:
    config = SCENE | {"particle_count": 0, "format": "png", "layers": [{"kind": "image", "file": cover, "size": 0.5}]}
    render_frame(Scene("zen", None, config), 1.0, tmp_path / "frame.png")
    pixels = np.asarray(Image.open(tmp_path / "frame.png"))
    np.testing.assert_allclose(pixels[HEIGHT // 2, WIDTH // 2], (230, 120, 20, 255), atol=3)
    assert pixels[5, 5, 3] == 0


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"kind": "picture"}, r"layers.0: kind = 'picture': no such kind of layer; there are: .*image.*particles"),
        ({"kind": "image"}, "layers.0: file is missing"),
        ({"kind": "image", "file": "no.png"}, "layers.0: file = 'no.png': cannot be read: No such file"),
        ({"kind": "image", "file": "COVER", "size": 0}, "layers.0: size = 0: must be .*over 0"),
        (
            {"kind": "image", "file": "COVER", "colour": 3},
            "unknown setting 'colour' for layers of the kind 'image'",
        ),
        ({"kind": "image", "file": "COVER", "begin": 3, "end": 2}, "end = 2: must be after begin = 3"),
        (
            {"kind": "image", "file": "COVER", "bindings": [{"source": "bass", "target": "colour"}]},
            "bindings.0.target = 'colour': no such number; there are: opacity, rotation, scale, shadow, x, y",
        ),
        (
            {"kind": "image", "file": "COVER", "bindings": [{"source": "base", "target": "x"}]},
            "bindings.0.source = 'base': no such feature; there are",
        ),
        ({"type": "snow", "size": 0.3}, "layers.0: unknown setting 'size' for layers of the kind 'particles'"),
    ],
)
def test_wrong_layers_are_refused_by_name(cover: str, layer: dict[str, Any], message: str) -> None:
    layer = {name: cover if value == "COVER" else value for name, value in layer.items()}
    with pytest.raises(SceneError, match=message):
        Scene("zen", None, {"layers": [layer]}).resolve()


class DotSettings(PlacedLayer):
    bindable = ("dots",)
    dots: float = option(3.0, "how many", group="look", ge=0, le=9)


def _prepare(settings: DotSettings, stage: Any) -> Any:
    def draw(now: DotSettings, moment: Any, pose: Any) -> list[BoxesMark]:
        n = round(now.dots)
        x = np.arange(n) * 10.0
        return [BoxesMark.at(pose, x, 0 * x, x * 0 + 2, x * 0 + 2, np.array([1.0, 0.2, 0.1]), corner=2)]

    return draw


DOTS = LayerKind("dots", "dots in a row", DotSettings, _prepare)


def plugin_with(kind: object) -> Any:
    class Plugin:
        @staticmethod
        @hookimpl
        def motes_layers(register: Callable[[Any], None]) -> None:
            register(kind)

    return Plugin()


def loaded(kind: object, monkeypatch: pytest.MonkeyPatch) -> registry_module.Registry:
    monkeypatch.setattr(registry_module, "_load", lambda point: plugin_with(kind))
    point: Any = SimpleNamespace(name="dots", value="dots", dist=None, group="motes")
    return load([point])


def test_plugin_adds_a_kind_of_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = loaded(DOTS, monkeypatch)
    assert registry.plugins[0].layers == ("dots",)
    assert registry.layers["dots"] is DOTS
    usual = particle_types()
    monkeypatch.setattr(registry_module, "particle_types", lambda: replace(usual, layers=registry.layers))
    (mark,) = (each.mark for each in marks_of([{"kind": "dots", "dots": 5}]))
    assert len(mark.x) == 5


@pytest.mark.parametrize(
    ("kind", "failure"),
    [("dots", "registered 'dots', which is not a LayerKind"), (IMAGE, "layer kind 'image' is registered already")],
)
def test_plugin_with_a_wrong_kind_is_left_out(kind: object, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = loaded(kind, monkeypatch)
    assert registry.plugins[0].failure is not None
    assert failure in registry.plugins[0].failure
    assert registry.layers["image"] is IMAGE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Dots", "", DotSettings, _prepare), "layer kind 'Dots': its name must be of small letters"),
        (("particles", "", DotSettings, _prepare), "layer kind 'particles': its name must be .* free"),
        (("dots", "", dict, _prepare), "layer kind 'dots': settings must be a class that inherits from PlacedLayer"),
    ],
)
def test_wrong_kinds_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        LayerKind(*arguments)
