"""portrait: a text or a picture that particles show, leave at kicks and drops, and come home to."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecs_core import Scene, SceneError
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.ecs.rng import generator
from ecs_core.raster.picture_file import MOST
from ecs_core.rendering.plan import with_levels
from ecs_core.rendering.simulation import Simulation
from plugins.portrait.homes import means, spread
from plugins.portrait.picture import read_picture
from plugins.portrait.systems import Home, Spring, oscillated
from plugins.portrait.text import characters, check_text, text_mask
from tests.plugins.simulate import Moment, Song, last, play, silence, steady

SHAPE = 2  # the last of the three populations: sparks, haze, shape


def with_events(song: Song, **events: list[float]) -> Song:
    def at(fps: Fraction, frames: int) -> FeatureTimeline:
        timeline = song(fps, frames)
        return replace(timeline, events={**timeline.events, **{name: np.array(each) for name, each in events.items()}})

    return at


def shape(moment: Moment) -> tuple[np.ndarray, np.ndarray]:
    of = moment.population == SHAPE
    return moment.x[of], moment.y[of]


def away(moments: list[Moment], first: int = 0) -> list[np.ndarray]:
    """How far the shape's particles are from where they were in one of the moments."""
    x, y = shape(moments[first])
    return [np.hypot(*(now - then for now, then in zip(shape(each), (x, y), strict=True))) for each in moments]


def picture(path: Path, pixels: np.ndarray) -> str:
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return str(path)


def refused(**config: Any) -> str:
    with pytest.raises(SceneError) as told:
        Scene("portrait", config=config).resolve()
    assert "\n" not in str(told.value)
    return str(told.value)


class TestHomes:
    def test_text_is_shown_where_its_letters_are(self) -> None:
        mask = text_mask("motes")
        x, y = shape(next(play("portrait", breath=0)))
        unit = 0.82 * 1920 / mask.shape[1]
        column = ((x - 960) / unit + mask.shape[1] / 2).astype(int)
        row = ((y - 540) / unit + mask.shape[0] / 2).astype(int)
        assert np.mean(mask[row.clip(0, mask.shape[0] - 1), column.clip(0, mask.shape[1] - 1)] > 0.5) > 0.98

    def test_every_part_of_the_letters_has_particles(self) -> None:
        mask = text_mask("o")
        points = spread(means(mask, 4), 2000, generator(1, 1, 0)) * 4
        counts = np.histogram2d(points[:, 1], points[:, 0], [np.arange(0, side + 20, 20) for side in mask.shape])[0]
        full = means(mask, 20)[: counts.shape[0], : counts.shape[1]] > 0.99
        assert full.sum() > 50
        assert counts[full].min() > 0.5 * counts[full].mean()

    def test_neighbours_are_evenly_apart(self) -> None:
        points = spread(np.ones((120, 160), np.float32), 1500, generator(2, 1, 0))
        apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
        np.fill_diagonal(apart, np.inf)
        nearest = apart.min(axis=1)
        assert nearest.std() / nearest.mean() < 0.3  # of points drawn at random, each for itself, it is 0.52

    def test_twice_the_weight_is_twice_as_many(self) -> None:
        weights = np.ones((100, 200), np.float32)
        weights[:, 100:] = 2
        points = spread(weights, 3000, generator(3, 1, 0))
        assert np.mean(points[:, 0] > 100) == pytest.approx(2 / 3, abs=0.02)

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10**6), n=st.integers(0, 60), size=st.tuples(st.integers(1, 9), st.integers(1, 9)))
    def test_any_number_of_points_lies_within_any_shape(self, seed: int, n: int, size: tuple[int, int]) -> None:
        rng = generator(seed, 1, 0)
        weights = (rng.uniform(0, 1, size) * (rng.uniform(0, 1, size) < 0.7)).astype(np.float32)
        weights[0, 0] = 1
        points = spread(weights, n, rng)
        assert points.shape == (n, 2)
        assert ((points >= -0.5) & (points <= (size[1] + 0.5, size[0] + 0.5))).all()

    @pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (1080, 1080)])
    @pytest.mark.parametrize("text", ["motes", "I", "a rather long line of text", "on\ntwo\nlines and more"])
    def test_text_fits_into_any_picture(self, text: str, width: int, height: int) -> None:
        moment = next(play("portrait", text=text, breath=0, sparks=0, width=width, height=height))
        x, y = moment.x, moment.y
        assert np.ptp(x) <= 0.82 * width
        assert np.ptp(y) <= 0.82 * height
        assert max(np.ptp(x) / width, np.ptp(y) / height) > 0.78  # and it is as large as it may be
        assert (x.max() + x.min()) / 2 == pytest.approx(width / 2, abs=8)

    def test_all_particles_are_counted(self) -> None:
        for count in (0, 1, 7, 500):
            assert next(play("portrait", particle_count=count)).count == count


class TestMotion:
    def test_text_stands_from_the_first_frame_on_in_silence(self) -> None:
        moments = list(play("portrait", silence, 3, every=10))
        assert max(each.max() for each in away(moments)) < 25

    def test_breathes_in_silence_and_stands_still_where_it_is_loud(self) -> None:
        quiet, noisy = (
            list(play("portrait", song, 3, every=15, text="o", particle_count=300)) for song in (silence, steady(1.0))
        )
        assert max(each.mean() for each in away(quiet)) > 2
        assert max(each.max() for each in away(noisy)) < 1e-3

    def test_kick_throws_a_part_and_it_comes_home(self) -> None:
        song = with_events(steady(1.0), kicks=[0.5], drops=[])
        far = away(list(play("portrait", song, 4, every=3)))
        soon, late = far[7], far[-1]  # after 0.3 s, and in the end
        assert soon.max() > 150
        assert np.mean(soon > 5) < 0.9
        assert np.mean(soon < 30) > 0.5  # the rest can be read
        assert late.max() < 2

    def test_kicks_throw_other_parts(self) -> None:
        song = with_events(steady(1.0), kicks=[0.5, 3.5], drops=[])
        moments = list(play("portrait", song, 4, every=3))
        far = away(moments)
        x, _ = shape(moments[0])
        first, second = (np.average(x, weights=far[at]) for at in (7, 37))
        assert abs(first - second) > 50

    def test_drop_throws_all_and_they_come_home(self) -> None:
        song = with_events(steady(1.0), kicks=[], drops=[0.5])
        far = away(list(play("portrait", song, 9, every=3)))
        assert np.median(far[10]) > 40
        assert np.quantile(far[10], 0.9) > 250
        assert np.quantile(far[-1], 0.99) < 5

    def test_scatter_of_zero_leaves_all_at_home(self) -> None:
        song = with_events(steady(1.0), kicks=[0.3], drops=[0.6])
        assert max(each.max() for each in away(list(play("portrait", song, 1, scatter=0)))) < 1e-3

    @pytest.mark.parametrize("kick", [0.51, 0.56])
    @pytest.mark.parametrize("fps", [24, 60, 12, Fraction(30000, 1001)])
    def test_paths_after_a_kick_do_not_depend_on_the_frame_rate(self, fps: Fraction | int, kick: float) -> None:
        song = with_events(steady(1.0), kicks=[kick], drops=[])
        usual, other = (shape(last(play("portrait", song, 1, fps=rate))) for rate in (30, fps))
        apart = np.hypot(usual[0] - other[0], usual[1] - other[1])
        if fps == Fraction(30000, 1001):  # it ends a little later
            assert np.quantile(apart, 0.95) < 3
        else:
            assert apart.max() < 0.5

    @given(
        rate=st.floats(0.05, 100),
        damping=st.floats(0, 0.99),
        one=st.floats(0, 2),
        other=st.floats(0, 2),
    )
    def test_spring_is_solved_exactly(self, rate: float, damping: float, one: float, other: float) -> None:
        first, second, both = (
            np.reshape(oscillated(Spring(rate, damping), seconds), (2, 2)) for seconds in (one, other, one + other)
        )
        np.testing.assert_allclose(second @ first, both, atol=1e-6 * max(1.0, rate))

    def test_spring_obeys_its_equation(self) -> None:
        spring, step, distance, velocity = Spring(6.0, 0.6), 1e-5, 1.0, 3.0
        for _ in range(50_000):
            velocity += step * (-36.0 * distance - 2 * 0.6 * 6.0 * velocity)
            distance += step * velocity
        a, b, c, d = oscillated(spring, 0.5)
        assert (a + 3 * b, c + 3 * d) == pytest.approx((distance, velocity), abs=1e-3)


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "text = '': must have a letter at least"),
            (" \n ", "must have a letter at least"),
            ("\xa0\u2003\u200b", "must have a letter"),
            ("a漢b字", "text = 'a漢b字': the typeface has no '字' (U+5B57), '漢' (U+6F22)"),
            ("\x07", r"the typeface has no '\x07' (U+0007)"),
            ("שלום", "is written from right to left, which is not supported"),
            ("x" * 65, "must have at most 64 characters"),
        ],
    )
    def test_what_cannot_be_shown_is_refused_in_a_line(self, text: str, words: str) -> None:
        assert words in refused(text=text)

    def test_composed_and_decomposed_letters_are_the_same(self) -> None:
        assert check_text("e\u0301 ") == "\u00e9"

    @settings(max_examples=100, deadline=None)
    @given(
        st.text(st.sampled_from(sorted(map(chr, characters()))) | st.characters(exclude_categories=["Cs"]), max_size=8)
    )
    def test_any_text_is_shown_or_refused_in_a_line(self, text: str) -> None:
        said = ""
        try:
            checked = check_text(text)
        except ValueError as error:
            said = str(error)
        else:
            assert text_mask(checked).max() > 0.5
        assert "\n" not in said

    def test_letters_that_are_there_can_be_written(self) -> None:
        assert {ord(letter) for letter in "azAZ09éßñøŁžΩжЖ…—€♥"} <= characters().keys()


class TestPictures:
    def test_dark_parts_get_few_particles(self, tmp_path: Path) -> None:
        pixels = np.full((100, 300, 3), 255)
        pixels[:, 100:200] = 120
        pixels[:, 200:] = 5
        path = picture(tmp_path / "p.png", pixels)
        x, _ = shape(next(play("portrait", picture=path, breath=0)))
        light, grey, dark = np.histogram(x, np.linspace(960 - 787, 960 + 788, 4))[0] / len(x)
        assert light > 1.5 * grey > 0
        assert dark < 0.01

    def test_particles_have_the_colours_of_the_picture_or_of_the_palette(self, tmp_path: Path) -> None:
        pixels = np.zeros((60, 60, 3))
        pixels[:, :30, 0] = pixels[:, 30:, 2] = 255
        path = picture(tmp_path / "p.png", pixels)
        of = next(play("portrait", picture=path, sparks=0))
        left = of.x < 940
        assert (of.color[left, 0] > 0).all()
        assert (of.color[left, 2] == 0).all()
        palette = next(play("portrait", picture=path, sparks=0, colors="palette", particle_colors=[[0, 255, 0]]))
        assert (palette.color[:, 1] > 0).all()
        assert (palette.color[:, 0] == 0).all()

    def test_picture_is_shown_instead_of_the_text(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "p.png", np.full((50, 50, 3), 255))
        one, other = (next(play("portrait", picture=path, text=text)) for text in ("a", "b"))
        np.testing.assert_array_equal(one.x, other.x)

    def test_transparent_parts_get_none(self, tmp_path: Path) -> None:
        pixels = np.full((60, 60, 4), 255)
        pixels[:, :30, 3] = 0
        x, _ = shape(next(play("portrait", picture=picture(tmp_path / "p.png", pixels), breath=0)))
        assert x.min() > 940

    def test_what_cannot_be_read_is_refused_in_a_line(self, tmp_path: Path) -> None:
        black = picture(tmp_path / "black.png", np.zeros((9, 9, 3)))
        (tmp_path / "text.png").write_text("no picture")
        whole = picture(tmp_path / "whole.png", np.random.default_rng(1).integers(0, 255, (99, 99, 3)))
        (tmp_path / "cut.png").write_bytes(Path(whole).read_bytes()[:2000])
        frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:])
        for path, words in (
            (tmp_path / "none.png", "cannot be read: No such file"),
            (tmp_path, "is no file"),
            (tmp_path / "text.png", "cannot be read as a picture (PNG, JPEG"),
            (tmp_path / "cut.png", "cannot be read as a picture"),
            (tmp_path / "moves.gif", "has several pictures; allowed: one"),
            (black, "is black or transparent all over"),
        ):
            said = refused(picture=str(path))
            assert said.startswith(f"picture = {str(path)!r}"[:60])
            assert words in said

    def test_sixteen_bits_of_grey_are_read_as_grey(self, tmp_path: Path) -> None:
        ramp = np.linspace(0, 65_535, 100).reshape(1, 100).repeat(100, axis=0)
        Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "deep.png")
        read = read_picture(str(tmp_path / "deep.png")).lightness
        assert read[50, 50] == pytest.approx(0.48, abs=0.02)
        Image.fromarray((ramp / 65_535).astype(np.float32)).save(tmp_path / "fractions.tiff")
        assert "has fractions as pixels" in refused(picture=str(tmp_path / "fractions.tiff"))

    def test_too_many_pixels_are_refused_without_reading_them(self, tmp_path: Path) -> None:
        Image.new("1", (MOST // 4000 + 1, 4000)).save(tmp_path / "huge.png")
        assert "pixels; allowed: at most 40 megapixels" in refused(picture=str(tmp_path / "huge.png"))

    def test_frames_follow_from_what_is_in_the_file(self, tmp_path: Path) -> None:
        pixels = np.full((40, 40, 3), 255)
        path = picture(tmp_path / "p.png", pixels)
        before = next(play("portrait", picture=path)).x
        pixels[:, :20] = 0
        picture(tmp_path / "p.png", pixels)
        assert (next(play("portrait", picture=path)).x != before).any()

    def test_resumes_without_the_file(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "p.png", np.full((40, 40, 3), 200))
        kind, checked = Scene("portrait", config={"picture": path, "duration": 1.0}).resolve()
        timeline = with_levels(with_events(silence, kicks=[0.2])(checked.rate, 30), checked)
        with Simulation(kind, checked, timeline) as simulation:
            simulation.skip_to(10)
            snapshot = simulation.snapshot()
            simulation.skip_to(20)
            expected = simulation.snapshot()
        Path(path).unlink()
        with Simulation(kind, checked, timeline) as simulation:
            simulation.restore(snapshot)
            simulation.skip_to(20)
            found = simulation.snapshot()
        for name, rows in expected.layers[""].populations.items():
            np.testing.assert_array_equal(found.layers[""].populations[name].values, rows.values)


def test_homes_are_in_columns() -> None:
    kind, checked = Scene("portrait", config={"particle_count": 100}).resolve()
    with Simulation(kind, checked, with_levels(silence(checked.rate, 300), checked)) as simulation:
        simulation.skip_to(1)
        homes = [home.x.copy() for _, (home,) in simulation.world.query(Home)]
    assert sum(map(len, homes)) == 98


def test_pillow_is_loaded_only_where_a_portrait_is_drawn() -> None:
    code = (
        "import sys; from services.cli.main import main\n"
        "for words in (['types'], ['types', 'portrait'], ['--help']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "print(sorted({'PIL', 'scipy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
