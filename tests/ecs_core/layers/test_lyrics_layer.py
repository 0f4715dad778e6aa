"""Layers of lyrics: the line that is sung between those before and after it, its words lit as they are sung."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.audio.features import analyze
from ecs_core.layers.sung import Course, together
from ecs_core.raster.light_pictures import light_of
from ecs_core.raster.marks import MaskMark, same
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.text.lyrics import Line, Word

WIDTH, HEIGHT = 320, 180
SCENE: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "duration": 12.0, "fps": 10, "particle_count": 3}
SUNG, WAITING = [255, 200, 0], [90, 90, 120]
LOOK: dict[str, Any] = {"kind": "lyrics", "color": SUNG, "waiting_color": WAITING}
LINES = "[00:01.00]one\n[00:04.00]two\n[00:07.00]three\n[00:10.00]"
WORDS = "[00:01.00]<00:01.00>first <00:02.00>second<00:03.00>\n[00:04.00]two"
HEBREW = "[00:01.00]<00:01.00>שלום <00:02.00>עולם<00:03.00>"


def marks(at: float, scene: dict[str, Any] | None = None, **layer: Any) -> list[MaskMark]:
    plan = make_plan(*Scene("zen", None, SCENE | (scene or {}) | {"layers": [LOOK | layer]}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(round(at * 10))
        simulation.frame()
        return [placed.mark for placed in simulation.marks]  # type: ignore[misc]


def lit(mark: MaskMark) -> bool | None:
    """Whether a mark is lit; None if a part of it is."""
    if mark.other is not None:
        return None
    return mark.colour == light_of(SUNG)


class TestLines:
    def test_the_line_that_is_sung_is_in_the_middle_between_smaller_ones(self) -> None:
        before, now, after = sorted(marks(5.5, text=LINES), key=lambda mark: mark.pose.y)
        assert now.pose.y == HEIGHT / 2
        assert (before.pose.scale, now.pose.scale, after.pose.scale) == (0.75, 1.0, 0.75)
        assert (before.pose.opacity, now.pose.opacity, after.pose.opacity) == (0.5, 1.0, 0.5)
        assert [lit(mark) for mark in (before, now, after)] == [True, True, False]
        assert [mark.density for mark in (before, now, after)] == [0.75, 1.0, 0.75]  # a texel is a pixel

    def test_as_many_as_are_asked_for(self) -> None:
        assert len(marks(5.5, text=LINES, before=0, after=0)) == 1
        assert len(marks(5.5, text=LINES, before=4, after=0)) == 2
        assert len(marks(1.8, text=LINES, before=4, after=4)) == 3

    def test_lines_scroll(self) -> None:
        heights = [marks(at, text=LINES, before=0, after=0)[0].pose.y for at in (3.7, 3.8, 3.9, 4.0)]
        assert HEIGHT / 2 > heights[0] > heights[1] > heights[2]
        assert len(marks(3.8, text=LINES, before=0, after=0)) == 2

    def test_lines_fade_at_their_places(self) -> None:
        for at in (3.7, 3.8, 3.9, 4.1):
            assert {mark.pose.y for mark in marks(at, text=LINES, before=0, after=0, change="fade")} <= {HEIGHT / 2}
        seen = [marks(at, text=LINES, before=0, after=0, change="fade") for at in (3.5, 3.8, 4.2)]
        assert [max((mark.pose.opacity for mark in each), default=0) for each in seen] == pytest.approx(
            [1, 0, 1], abs=0.6
        )

    def test_a_line_goes_when_it_ends_and_others_are_not_seen_in_a_long_rest(self) -> None:
        text = "[00:01.00]one\n[00:02.00]\n[01:00.00]two"
        assert len(marks(1.5, text=text)) == 2
        assert [mark.pose.opacity for mark in marks(5.0, text=text)] == [0.5, 0.5]
        assert marks(11.0, text=text) == []

    def test_start_of_the_video_moves_with_the_song(self, demo_song: Path) -> None:
        scene = Scene("zen", demo_song, SCENE | {"start": 4.5, "duration": 1.0, "layers": [LOOK | {"text": LINES}]})
        plan = make_plan(*scene.resolve(), analyze(demo_song))
        with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
            simulation.skip_to(5)
            simulation.frame()
            assert len(simulation.marks) == 3  # as at 5 s

    def test_offset_delays_them(self) -> None:
        one, other = marks(5.0, text=LINES), marks(6.5, text=LINES, offset=1.5)
        assert [(mark.pose, mark.colour) for mark in one] == [(mark.pose, mark.colour) for mark in other]

    def test_left_edges_stay_where_lines_grow(self) -> None:
        for at in (3.8, 5.5):
            lefts = [mark.bounds[0] for mark in marks(at, text="[00:01]Hone\n[00:04]Htwo\n[00:07]Hthree", align="left")]
            assert max(lefts) - min(lefts) < 3

    def test_a_line_that_is_too_long_breaks_and_shrinks(self) -> None:
        long = "[00:01.00]" + "many words " * 12
        (mark,) = marks(2.0, text=long, rows=2, size=0.2)
        assert mark.mask.width <= 0.86 * WIDTH + 3
        assert mark.mask.height < marks(2.0, text=long, rows=4, size=0.2)[0].mask.height

    def test_lines_at_the_same_time_are_one_of_several_rows(self) -> None:
        (mark,) = marks(2.0, text="[00:01.00]eins\n[00:01.00]one")
        assert mark.mask.height > 1.5 * marks(2.0, text="[00:01.00]eins")[0].mask.height

    def test_lines_that_cannot_be_seen_are_left_out(self) -> None:
        assert len(marks(1.5, text="[00:01.00]one\n[00:02.00]\u200b")) == 1

    def test_srt_and_words_without_times(self, tmp_path: Path, demo_song: Path) -> None:
        (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:03,000\none\n")
        assert len(marks(2.0, file=str(tmp_path / "a.srt"))) == 1
        (tmp_path / "a.txt").write_text("one\ntwo\n\nthree\n")
        layer = LOOK | {"file": str(tmp_path / "a.txt")}
        plan = make_plan(*Scene("zen", demo_song, SCENE | {"layers": [layer]}).resolve(), analyze(demo_song))
        with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
            counts = []
            for _ in range(60):
                simulation.frame()
                counts.append(len(simulation.marks))
        assert max(counts) == 3


class TestKaraoke:
    def test_words_light_up_as_they_are_sung(self) -> None:
        (mark, *_) = marks(1.5, text=WORDS, after=0)
        assert lit(mark) is None
        assert (mark.colour, mark.other) == (light_of(WAITING), light_of(SUNG))
        splits = [marks(at, text=WORDS, after=0)[0].split for at in (1.2, 1.5, 1.9, 2.3, 2.9)]
        assert splits == sorted(splits)
        assert 0 < splits[0] < splits[-1] < mark.mask.width

    def test_light_comes_from_the_right_where_words_do(self) -> None:
        found = [marks(at, text=HEBREW, after=0, font="Rubik")[0] for at in (1.2, 1.5, 2.5)]
        assert [mark.split for mark in found] == sorted((mark.split for mark in found), reverse=True)
        assert (found[0].colour, found[0].other) == (light_of(SUNG), light_of(WAITING))

    def test_rows_light_up_one_after_the_other(self) -> None:
        upper, lower = marks(1.5, text=WORDS, width=0.2, size=0.12, after=0)
        assert lit(upper) is None
        assert lit(lower) is False
        upper, lower = marks(2.5, text=WORDS, width=0.2, size=0.12, after=0)
        assert lit(upper) is True
        assert lit(lower) is None

    def test_before_and_after_it_is_sung_a_line_is_whole(self) -> None:
        line = "[00:01.00]one\n[00:04.00]<00:04.00>two <00:05.00>three<00:06.00>\n[00:07.00]four"
        assert [lit(mark) for mark in marks(2.0, text=line, before=0)] == [True, False]
        assert [lit(mark) for mark in marks(8.0, text=line, after=0)] == [True, True]

    def test_line_without_times_of_words_lights_up_at_once_or_evenly(self) -> None:
        assert [lit(mark) for mark in marks(2.5, text=LINES, after=0)] == [True]
        assert [lit(mark) for mark in marks(2.5, text=LINES, after=0, karaoke="evenly")] == [None]

    def test_nothing_waits_where_it_is_off(self) -> None:
        assert {lit(mark) for mark in marks(1.5, text=WORDS, karaoke="off")} == {True}

    def test_glow_is_only_of_what_was_sung(self) -> None:
        glow, letters = marks(1.5, text=WORDS, after=0, glow=0.5)
        assert (glow.blend, glow.colour, glow.other) == ("add", (0, 0, 0), light_of(SUNG))
        place = [mark.left + mark.split / mark.density for mark in (glow, letters)]
        assert place[0] == pytest.approx(place[1])

    def test_capitals_that_are_longer_keep_the_places_of_words(self) -> None:
        text = "[00:01.00]<00:01.00>ßßß <00:02.00>x<00:03.00>"
        splits = [marks(2.0, text=each, uppercase=upper, after=0)[0].split for each, upper in ((text, True),)]
        plain = marks(2.0, text=text.replace("ß", "SS").replace("x", "X"), after=0)[0].split
        assert splits == [plain]


def test_marks_rest_while_nothing_changes() -> None:
    plan = make_plan(*Scene("zen", None, SCENE | {"layers": [LOOK | {"text": LINES, "glow": 0.4}]}).resolve(), None)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.skip_to(50)
        simulation.frame()
        before = [placed.mark for placed in simulation.marks]
        simulation.frame()
        assert all(map(same, before, [placed.mark for placed in simulation.marks]))


def test_masks_of_few_lines_are_kept() -> None:
    text = "".join(f"[00:{number:02d}.00]line {number}\n" for number in range(12))
    plan = make_plan(*Scene("zen", None, SCENE | {"layers": [LOOK | {"text": text}]}).resolve(), None)
    held: set[int] = set()
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        drawer = simulation._drawn["lyrics 0"]._draw
        lines = next(cell.cell_contents for cell in drawer.__closure__ if "LyricLines" in str(type(cell.cell_contents)))
        for _ in range(120):
            simulation.frame()
            held.add(len(lines._ink._held))
    assert max(held) <= 8
    assert len(lines._ink._held) == max(held)


@pytest.mark.parametrize("change", ["scroll", "fade"])
def test_frames_do_not_depend_on_cuts(tmp_path: Path, change: str, demo_song: Path) -> None:
    text = "[00:00.20]<00:00.20>one <00:00.60>two<00:01.00>\n[00:01.10]three four\n[00:01.60]five"
    layers = [LOOK | {"text": text, "glow": 0.5, "shadow": 0.4, "change": change, "size": 0.15, "enter": "fade"}]
    layers += [{"kind": "text", "text": "Night", "enter": "letters", "leave": "typewriter", "y": 0.1}]
    scene = Scene("snow", demo_song, SCENE | {"duration": 2.0, "fps": 24, "layers": layers})
    ways = [(1, 60.0), (2, 0.3), (2, 0.7)]
    hashes = [
        render(scene, tmp_path / "out.mp4", workers=workers, segment_seconds=seconds, frame_hashes=True).frame_hashes
        for workers, seconds in ways
    ]
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(set(hashes[0])) == 48
    assert render_frame(scene, 1.25, tmp_path / "frame.png") == hashes[0][30]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"text": "[00:01]a\nb"}, "layer 'lyrics 0': lyrics: line 2: 'b': has no time; allowed: "),
        ({"file": "broken.srt"}, "layer 'lyrics 0': lyrics: broken.srt: line 2: 'x --> y': allowed: "),
        ({"file": "missing.lrc"}, "layer 'lyrics 0': lyrics: missing.lrc: No such file or directory"),
        ({"text": " \n"}, "lyrics: there is no line; one line of text at least"),
        ({"text": "[00:01.00]\u200b"}, "lyrics: there is no line; one line of text at least"),
        ({"text": "[00:01]ɸ", "font": "Anton"}, "layer 'lyrics 0': lyrics: Anton has no ɸ (U+0278, Latin): "),
        ({"text": "[00:01]Donaudampfschiff", "width": 0.02}, "lyrics: 'Donaudampfschiff' at 2.16 pixels, the smallest"),
        ({}, "lyrics need one of file and text"),
        ({"text": "a", "file": "missing.lrc"}, "lyrics need one of file and text"),
    ],
)
def test_what_cannot_be_sung_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.srt").write_text("1\nx --> y\na\n")
    with pytest.raises(SceneError) as error:
        Scene("zen", None, SCENE | {"layers": [{"kind": "lyrics", **layer}]}).resolve()
    assert said in str(error.value)


class TestCourse:
    LINES = (Line("a", 1.0, 2.0), Line("b", 4.0, 5.0), Line("c", 4.1, 6.0), Line("d", 20.0, 22.0))

    def test_lines_come_in_order_without_a_jump(self) -> None:
        course = Course(self.LINES, 0.5)
        places = [course.place(time) for time in np.arange(0, 25, 0.01)]
        positions = [place.number - 1 + place.share for place in places]
        assert (positions[0], positions[-1]) == (-1, 3)
        assert all(0 <= after - before < 0.2 for before, after in pairwise(positions))

    def test_light_rises_and_falls_without_a_jump(self) -> None:
        course = Course(self.LINES, 0.5)
        for number, line in enumerate(self.LINES):
            lights = [course.light(number, time) for time in np.arange(0, 25, 0.01)]
            assert all(abs(after - before) < 0.2 for before, after in pairwise(lights))
            assert max(lights) > 0.99 or line.end - line.start < 1.1
            assert lights[0] == lights[-1] == 0

    def test_lines_may_change_at_once(self) -> None:
        course = Course(self.LINES, 0.0)
        assert [course.place(time).number for time in (0.99, 1.0, 3.99, 4.0, 4.1)] == [-1, 0, 0, 1, 2]
        assert [course.light(1, time) for time in (3.99, 4.0, 4.09, 4.1)] == [0, 1, 1, 0]

    def test_words_of_lines_together_keep_their_places(self) -> None:
        timed = Line("la li", 1.0, 2.0, (Word("la", 1.0, 1.5, 0), Word("li", 1.5, 2.0, 3)))
        (line,) = together([timed, Line("translated", 1.0, 3.0)])
        assert (line.text, line.start, line.end) == ("la li\ntranslated", 1.0, 3.0)
        assert [line.text[word.at : word.at + len(word.text)] for word in line.words] == ["la", "li", "translated"]
