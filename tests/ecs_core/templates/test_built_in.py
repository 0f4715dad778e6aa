"""The templates that come with Motes: each can be filled with everything or with little, and drawn in every shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecs_core import Scene, fill_template, find_template, render_frame
from ecs_core.errors import SceneError
from ecs_core.plugin_api import resolve
from ecs_core.scene.shapes import Shape, in_shape
from ecs_core.templates.template import Template, template_names
from services.cli import demo_art

SHAPES = {"wide": (256, 144), "tall": (144, 256), "square": (160, 160)}
PROMISED = {
    "album-motion", "canvas-loop", "cover-ring", "logo-burst", "lyric-video", "minimal-wave", "neon-title",
    "podcast-audiogram", "spectrum-bars", "vinyl",
}  # fmt: skip


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return demo_art.write(tmp_path_factory.mktemp("art"))


def scene(template: Template, slots: dict[str, Any], song: Path | None, shape: str) -> Scene:
    kind, config = fill_template(template, {name: value for name, value in slots.items() if name in template.slots})
    width, height = SHAPES[shape]
    return Scene(kind, song, {**config, "width": width, "height": height, "duration": 6.0})


def needed(template: Template, given: dict[str, str]) -> dict[str, str]:
    return {name: given[name] for name, slot in template.slots.items() if slot.required}


def test_there_are_those_that_were_promised() -> None:
    assert set(template_names()) >= PROMISED


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", template_names())
def test_is_drawn_in_every_shape(name: str, shape: str, given: dict[str, str], demo_song: Path, tmp_path: Path) -> None:
    render_frame(scene(find_template(name), given, demo_song, shape), 3.5, tmp_path / "frame.png")
    seen = np.asarray(Image.open(tmp_path / "frame.png")).astype(float)
    assert seen.std() > 8
    assert seen.max() > 120


@pytest.mark.parametrize("name", template_names())
def test_is_drawn_with_what_it_needs_alone(name: str, given: dict[str, str], demo_song: Path, tmp_path: Path) -> None:
    template = find_template(name)
    render_frame(scene(template, needed(template, given), demo_song, "wide"), 3.5, tmp_path / "frame.png")
    assert np.asarray(Image.open(tmp_path / "frame.png")).astype(float).std() > 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", template_names())
def test_takes_each_of_its_slots_alone_and_long_texts(name: str, shape: str, given: dict[str, str]) -> None:
    template = find_template(name)
    long = "The Very Long Title of a Song That Goes On and On, Pt. 2 (Remastered 2021) [feat. Somebody]"
    texts = {name: long for name, slot in template.slots.items() if slot.kind == "text"}
    resolve(scene(template, given | texts, None, shape))
    for each in template.slots.keys() & given.keys():
        resolve(scene(template, needed(template, given) | {each: given[each]}, None, shape))


@pytest.mark.parametrize("name", template_names())
def test_says_what_each_slot_is_for(name: str) -> None:
    assert all(slot.description for slot in find_template(name).slots.values())


def test_canvas_and_album_motion_have_no_words() -> None:
    for name in ("canvas-loop", "album-motion"):
        assert {slot.kind for slot in find_template(name).slots.values()} == {"image", "colors"}


def test_missing_cover_is_named() -> None:
    with pytest.raises(SceneError, match="template 'canvas-loop' needs cover; give it"):
        fill_template(find_template("canvas-loop"), {})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["arcade", "star-map"])
def test_artist_stands_clear_of_a_title_that_fills_its_box(name: str, shape: Shape, given: dict[str, str]) -> None:
    config = in_shape(scene(find_template(name), given, None, shape).config, shape)
    width, height = SHAPES[shape]
    of = {layer.get("name"): layer for layer in config["layers"]}
    title, artist = of["title"], of["artist"]
    letters = artist["size"] * min(width, height) / height  # in heights of the picture
    apart = abs(title["y"] - artist["y"])
    assert apart >= title["height"] / 2 + letters / 2 - 1e-9


@pytest.mark.parametrize("shape", SHAPES)
def test_ring_of_the_star_map_lies_within_the_picture(shape: Shape, given: dict[str, str]) -> None:
    config = in_shape(scene(find_template("star-map"), given, None, shape).config, shape)
    (wave,) = (layer for layer in config["layers"] if layer.get("name") == "wave")
    assert wave["size"] / 2 + wave["height"] + wave["thickness"] / 2 <= 0.5
