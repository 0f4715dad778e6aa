"""Layers of text: set once, fitted into their boxes, entering whole or letter by letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.raster.light_pictures import light_of
from ecs_core.raster.marks import MaskMark, same
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.text.typefaces import FOLDER

WIDTH, HEIGHT = 320, 180
SCENE: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "duration": 4.0, "fps": 10, "particle_count": 3}
TEXT = {"kind": "text", "text": "Night Drive", "size": 0.2}


def marks_over_time(layer: dict[str, Any], times: list[float], **config: Any) -> list[list[MaskMark]]:
    """The marks of one layer at some times, in order, as one simulation draws them."""
    plan = make_plan(*Scene("zen", None, SCENE | config | {"layers": [layer]}).resolve(), None)
    found = []
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        for at in times:
            simulation.skip_to(round(at * 10))
            simulation.frame()
            found.append([placed.mark for placed in simulation.marks])
    return found  # type: ignore[return-value]


def marks(at: float = 1.0, scene: dict[str, Any] | None = None, **layer: Any) -> list[MaskMark]:
    return marks_over_time({**TEXT, **layer}, [at], **(scene or {}))[0]


def box(mark: MaskMark) -> tuple[float, float, float, float]:
    """Where there is ink: left, top, right, bottom."""
    rows, columns = np.nonzero(mark.mask.levels[0][0][1:-1, 1:-1] > 0.5)
    left, top, scale = mark.bounds[0] + 1, mark.bounds[1] + 1, mark.density / mark.pose.scale
    edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return tuple(base + edge / scale for base, edge in zip((left, top, left, top), edges, strict=True))  # type: ignore[return-value]


def refused(layer: dict[str, Any]) -> str:
    with pytest.raises(SceneError) as error:
        Scene("zen", None, SCENE | {"layers": [layer]}).resolve()
    return str(error.value)


def test_text_stands_in_the_middle_of_its_place() -> None:
    (mark,) = marks(x=0.5, y=0.25)
    left, top, right, bottom = box(mark)
    assert (left + right) / 2 == pytest.approx(WIDTH / 2, abs=2)
    assert (top + bottom) / 2 == pytest.approx(HEIGHT / 4, abs=4)


def test_letters_have_their_size_and_are_as_large_relative_to_any_picture() -> None:
    def capital(scene: dict[str, Any]) -> float:
        _, top, _, bottom = box(marks(scene=scene, text="H", size=0.5)[0])
        return bottom - top

    usual = capital({})
    assert usual == pytest.approx(0.5 * HEIGHT * 0.727, abs=1.5)  # the capitals of Inter
    assert capital({"width": HEIGHT, "height": WIDTH}) == usual
    assert capital({"width": 2 * WIDTH, "height": 2 * HEIGHT}) == pytest.approx(2 * usual, abs=2)


def test_text_breaks_and_shrinks_into_its_box() -> None:
    left, top, right, bottom = box(marks(text="Words that are many " * 6, size=0.5, width=0.5, height=0.4)[0])
    assert right - left <= 0.5 * WIDTH
    assert bottom - top <= 0.4 * HEIGHT
    assert bottom - top > 0.25 * HEIGHT
    one = box(marks(text="Words that are many", size=0.5, width=0.5, lines=1)[0])
    assert one[3] - one[1] < 0.15 * HEIGHT


def test_lines_of_a_text_are_kept_and_aligned() -> None:
    def lefts(align: str) -> tuple[float, float]:
        (mark,) = marks(text="wide wide\nm", align=align)
        ink = mark.mask.levels[0][0][1:-1, 1:-1] > 0.5
        half = len(ink) // 2
        return tuple(float(np.nonzero(rows.any(axis=0))[0].min()) for rows in (ink[:half], ink[half:]))  # type: ignore[return-value]

    assert lefts("left")[1] - lefts("left")[0] < 8
    assert lefts("center")[1] - lefts("center")[0] > 20
    assert lefts("right")[1] - lefts("right")[0] > 50


def test_what_lies_under_the_letters_comes_first() -> None:
    shadow, glow, outline, letters = marks(
        shadow=0.6, glow=0.4, outline=0.05, color=[255, 0, 0], outline_color=[0, 0, 255], glow_color=[0, 255, 0]
    )
    assert [each.colour for each in (shadow, glow, outline, letters)] == [
        (0, 0, 0),
        light_of((0, 255, 0)),
        light_of((0, 0, 255)),
        light_of((255, 0, 0)),
    ]
    assert (shadow.pose.opacity, glow.pose.opacity, letters.pose.opacity) == (0.6, 0.4, 1.0)
    assert [each.blend for each in (shadow, glow, outline, letters)] == ["over", "add", "over", "over"]
    assert glow.bounds[0] < letters.bounds[0]
    assert glow.density < 1  # it has no detail


def test_glow_is_as_wide_as_it_says_although_it_is_kept_coarsely() -> None:
    _, letters = marks(glow=1.0, glow_size=0.5, text="I", size=0.4)
    glow, _ = marks(glow=1.0, glow_size=0.5, text="I", size=0.4)
    sigma = 0.5 * 0.4 * HEIGHT
    wide = (glow.bounds[2] - glow.bounds[0]) - (letters.bounds[2] - letters.bounds[0])
    assert 5 * sigma < wide < 8 * sigma


def test_a_text_that_rests_has_the_same_marks_in_each_frame() -> None:
    for layer in (TEXT, {**TEXT, "enter": "letters", "enter_seconds": 0.5, "glow": 0.5}):
        one, other = marks_over_time(layer, [1.0, 3.0])
        assert all(a is b for a, b in zip(one, other, strict=True))


def test_bindings_that_rest_leave_marks_as_they_are() -> None:
    bound = [{"source": "bass", "target": "scale", "gain": 0.2}, {"source": "bass", "target": "glow", "gain": 0.5}]
    one, other = marks_over_time({**TEXT, "bindings": bound}, [1.0, 3.0])
    assert all(map(same, one, other))


def test_letters_that_are_shown_larger_have_finer_masks() -> None:
    small, large = marks()[0], marks(scale=2.0)[0]
    assert large.density == 2
    assert large.mask.width > 1.9 * small.mask.width
    assert box(large)[2] - box(large)[0] == pytest.approx(2 * (box(small)[2] - box(small)[0]), abs=2)


ENTER: dict[str, Any] = {"enter": "letters", "enter_seconds": 2.0}


class TestLetterByLetter:
    def test_letters_come_one_after_the_other_from_below(self) -> None:
        found = marks(1.0, **ENTER)
        assert len(found) > 2
        opacities = [mark.pose.opacity for mark in found]
        assert opacities == sorted(opacities, reverse=True)
        assert opacities[0] == 1.0
        heights = [mark.pose.y for mark in found]
        assert heights == sorted(heights)
        assert heights[0] == HEIGHT / 2

    def test_all_are_there_at_the_end_as_one(self) -> None:
        (mark,) = marks(2.0, **ENTER)
        assert same_letters(mark, marks(2.0)[0])
        assert mark.pose.opacity == 1

    def test_pace_of_ones_own(self) -> None:
        found = marks_over_time({**TEXT, "enter": "typewriter", "letter_delay": 0.2}, [0.0, 0.1, 0.2, 0.9, 1.9, 2.1])
        widths = [box(each[0])[2] - box(each[0])[0] for each in found]
        assert widths[0] == widths[1] < widths[2] < widths[3] < widths[4] == widths[5]

    def test_typewriter_takes_letters_back_from_the_last_one_on(self) -> None:
        found = marks_over_time({**TEXT, "leave": "typewriter", "leave_seconds": 1.0}, [2.9, 3.3, 3.6, 3.9])
        lefts, rights = zip(*[(box(each[0])[0], box(each[0])[2]) for each in found], strict=True)
        assert len(set(lefts)) == 1
        assert list(rights) == sorted(set(rights), reverse=True)

    def test_letters_leave_from_the_first_one_on(self) -> None:
        last = marks(3.6, leave="letters", leave_seconds=1.0)
        assert last[-1].pose.opacity == 1.0
        assert last[0].pose.opacity < 1

    def test_what_lies_under_letters_comes_with_them(self) -> None:
        found = marks(0.6, **ENTER, shadow=0.5)
        half = len(found) // 2
        assert [mark.pose.opacity for mark in found[:half]] == pytest.approx(
            [0.5 * mark.pose.opacity for mark in found[half:]]
        )

    def test_letters_from_right_to_left_come_from_the_right(self) -> None:
        (mark,) = marks(0.5, text="שלום עולם", font="Rubik", enter="typewriter", enter_seconds=2.0)
        assert box(mark)[0] > WIDTH / 2

    def test_frames_that_begin_within_are_as_any(self, tmp_path: Path) -> None:
        config = SCENE | {"layers": [{**TEXT, **ENTER, "glow": 0.5}], "duration": 1.0}
        ways = [(1, 60.0), (2, 0.3)]
        alone, shared = (
            render(
                Scene("snow", config=config), tmp_path / "out.mp4", workers=workers, segment_seconds=seconds,
                frame_hashes=True,
            ).frame_hashes
            for workers, seconds in ways
        )  # fmt: skip
        assert alone == shared
        assert render_frame(Scene("snow", config=config), 0.6, tmp_path / "frame.png") == alone[6]


def test_font_of_ones_own(tmp_path: Path) -> None:
    font = tmp_path / "mine"  # stores need no endings
    font.write_bytes((FOLDER / "Anton.ttf").read_bytes())
    assert same_letters(marks(font_file=str(font))[0], marks(font="anton")[0])
    assert not same_letters(marks(font="Anton")[0], marks()[0])


def same_letters(one: MaskMark, other: MaskMark) -> bool:
    return np.array_equal(one.mask.levels[0][0], other.mask.levels[0][0])


def test_capitals_and_spacing() -> None:
    assert same_letters(marks(text="straße", uppercase=True)[0], marks(text="STRASSE")[0])
    assert marks(letter_spacing=0.2)[0].mask.width > marks()[0].mask.width


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"text": "a ɸ", "font": "Anton"}, "layer 'text 0': text: Anton has no ɸ (U+0278, Latin): "),
        ({"text": " \n "}, "layer 'text 0': text: there is nothing to draw; it must have at least one letter"),
        ({"text": "Donaudampfschiff", "width": 0.02}, "is 18 pixels wide, and its box 6; use a shorter text"),
        ({"text": "x\n" * 200}, "pixels high, and its box 155; use a shorter text"),
        ({"text": "one two three", "width": 0.03, "lines": 1}, " lines, of 1 that are allowed"),
        ({"text": "x", "font": "Arial"}, "layers.0: font = 'Arial': must be one of Anton, Bebas Neue, "),
        ({"text": "x", "font": "Anton", "weight": 900}, "weight: 900; Anton: it has one weight, so leave it out"),
        ({"text": "x", "font": "Inter", "weight": 1000}, "weight: 1000; Inter: must be from 100 to 900"),
        ({"text": "x", "font_file": "no.ttf"}, "layer 'text 0': font: no.ttf: No such file or directory"),
        ({"text": "x", "font_file": __file__}, "is not a font that can be read; allowed: TrueType and OpenType"),
        ({}, "layers.0: text is missing"),
        ({"text": "x", "bindings": [{"source": "bass", "target": "letter_spacing", "gain": 1}]}, "no such number"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_any_work(layer: dict[str, Any], said: str) -> None:
    assert said in refused({"kind": "text", **layer})


def test_font_that_is_not_here_yet_is_not_looked_into(tmp_path: Path) -> None:
    (tmp_path / "font.ttf").touch()  # as services have it, before a worker has the asset
    own = {"font_file": str(tmp_path / "font.ttf"), "size": 1.0, "text": "ɸ漢"}
    layers = [{"kind": "text", **own}, {"kind": "lyrics", **own}]
    Scene("zen", None, SCENE | {"layers": layers}).resolve()
    with pytest.raises(SceneError, match="is not a font that can be read"):
        marks(**own)
