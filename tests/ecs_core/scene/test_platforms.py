"""Platforms, safe areas and shapes: what their names stand for, and what is refused."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from ecs_core import Scene, Settings
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.errors import SceneError
from ecs_core.platforms import FACTS, PLATFORMS, Margins, too_large
from ecs_core.rendering.plan import make_plan
from ecs_core.scene.safe_area import safe_rectangle
from ecs_core.scene.shapes import in_shape, shape_of


def settings(**config: Any) -> Settings:
    return Scene("snow", config=config).resolve()[1]


class TestPlatform:
    @pytest.mark.parametrize("platform", PLATFORMS)
    def test_stands_for_its_size_and_takes_what_it_stands_for(self, platform: str) -> None:
        made = settings(platform=platform)
        assert (made.width, made.height) == (FACTS[platform].width, FACTS[platform].height)
        assert made.safe_area == platform

    def test_does_not_stand_for_what_is_given(self) -> None:
        made = settings(platform="tiktok", width=540, height=960, safe_area="title", duration=20)
        assert (made.width, made.height, made.safe_area, made.duration) == (540, 960, "title", 20)

    def test_stands_for_the_length_of_short_loops(self) -> None:
        assert settings(platform="canvas").duration == 8
        assert settings(platform="shorts").duration == settings().duration

    def test_stands_for_loops_without_sound(self) -> None:
        made, other = settings(platform="apple-motion"), settings(platform="reels")
        assert (made.loop, made.sound) == (True, False)
        assert (other.loop, other.sound) == (False, True)
        assert settings(platform="canvas", loop=False).loop is False

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"platform": "tiktok", "width": 1080, "height": 1200}, "1080 with height = 1200 .* it takes 1080x1920, "),
            ({"platform": "canvas", "fps": 60}, "fps = 60 with platform = canvas: it takes at most 30"),
            ({"platform": "reels", "fps": 12}, "fps = 12 with platform = reels: it takes 23 to 60"),
            ({"platform": "canvas", "duration": 9}, "canvas with 9 s of video: it takes 3 to 8 s; give a duration"),
            ({"platform": "canvas", "duration": 2}, "canvas with 2 s of video: it takes 3 to 8 s"),
            ({"platform": "shorts", "duration": 200}, "shorts with 200 s of video: it takes at most 180 s"),
            ({"platform": "myspace"}, "platform = 'myspace': must be 'youtube', 'shorts', .* or 'apple-motion'"),
        ],
    )
    def test_refuses_in_a_line_what_it_does_not_take(self, config: dict[str, Any], message: str) -> None:
        with pytest.raises(SceneError, match=message) as caught:
            settings(**config)
        assert "\n" not in str(caught.value)

    def test_takes_smaller_pictures_of_its_shape_though_sides_are_even(self) -> None:
        assert settings(platform="feed", width=270, height=338).height == 338

    def test_refuses_a_song_that_is_too_long_when_its_length_is_known(self) -> None:
        kind, made = Scene("snow", "song.wav", {"platform": "shorts", "duration": "audio", "poster": 0}).resolve()
        make_plan(kind, made, None, timeline=FeatureTimeline.silence(made.rate, 180 * 30))
        with pytest.raises(SceneError, match=r"shorts with 181 s of video"):
            make_plan(kind, made, None, timeline=FeatureTimeline.silence(made.rate, 181 * 30))

    @pytest.mark.parametrize("platform", PLATFORMS)
    def test_has_possible_facts(self, platform: str) -> None:
        facts = FACTS[platform]
        assert facts.margins.left + facts.margins.right < facts.width
        assert facts.margins.top + facts.margins.bottom < facts.height
        assert Fraction(facts.slowest or 1) <= 30 <= facts.fastest
        assert (facts.shortest or 0) <= (facts.seconds or facts.longest or 1) <= (facts.longest or 1e9)

    def test_warns_of_files_that_it_does_not_take(self) -> None:
        (warning,) = too_large("reels", 300_000_001)
        assert warning.endswith("reels takes at most 300000000: use --quality max_bytes=300M")
        assert too_large("reels", 300_000_000) == too_large("square", 10**12) == too_large(None, 10**12) == ()


class TestSafeArea:
    def test_is_the_whole_picture_unless_asked_for(self) -> None:
        assert safe_rectangle(settings()) == (0, 0, 1, 1)

    def test_of_titles_is_nine_tenths(self) -> None:
        assert safe_rectangle(settings(safe_area="title")) == (0.05, 0.05, 0.95, 0.95)

    def test_of_a_platform_is_clear_of_its_margins_and_in_the_middle(self) -> None:
        left, top, right, bottom = safe_rectangle(settings(safe_area="tiktok"))
        margins: Margins = FACTS["tiktok"].margins
        assert (round(top * 1920), round((1 - bottom) * 1920)) == (margins.top, margins.bottom)
        assert round((1 - right) * 1080) == margins.right
        assert left + right == pytest.approx(1)

    def test_of_shares_is_as_they_say(self) -> None:
        area = {"top": 0.1, "bottom": 0.2, "left": 0.3}
        assert safe_rectangle(settings(safe_area=area)) == (0.3, 0.1, 1, 0.8)

    @pytest.mark.parametrize(
        ("area", "message"),
        [
            ("buttons", "safe_area = 'buttons': must be 'youtube', .* or 'title', or an object"),
            ({"top": 0.5, "bottom": 0.5}, "top = 0.5 with bottom = 0.5: together at most 0.9"),
            ({"top": 2}, "safe_area.top = 2: must be between 0 and 1"),
            ({"middle": 0}, "unknown setting 'safe_area.middle'"),
        ],
    )
    def test_that_is_none_is_refused(self, area: Any, message: str) -> None:
        with pytest.raises(SceneError, match=message):
            settings(safe_area=area)


class TestShapes:
    @pytest.mark.parametrize(
        ("size", "shape"),
        [((1920, 1080), "wide"), ((1080, 1920), "tall"), ((1080, 1080), "square"), ((1080, 1350), "tall")],
    )
    def test_of_sizes(self, size: tuple[int, int], shape: str) -> None:
        assert shape_of(*size) == shape

    def test_settings_of_the_pictures_shape_are_over_the_others(self) -> None:
        shapes = {"tall": {"y_position": 0.3}, "wide": {"y_position": 0.6}}
        assert settings(shapes=shapes, width=320, height=640).y_position == 0.3
        assert settings(shapes=shapes, width=640, height=320).y_position == 0.6
        assert settings(shapes=shapes, width=320, height=320).y_position == 0.5

    def test_a_platform_decides_the_shape(self) -> None:
        assert settings(shapes={"tall": {"seed": 3}}, platform="reels").seed == 3

    def test_layers_have_shapes_of_their_own_within_objects_too(self) -> None:
        layer = {"type": "zen", "config": {"particle_count": 4, "seed": 1}, "shapes": {"tall": {"config": {"seed": 2}}}}
        assert in_shape({"layers": [layer]}, "tall")["layers"][0]["config"] == {"particle_count": 4, "seed": 2}
        assert in_shape({"layers": [layer]}, "wide")["layers"][0] == {"type": "zen", "config": layer["config"]}

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"shapes": {"round": {}}}, "shapes has 'round'; there are: tall, square, wide"),
            ({"shapes": {"tall": 1}}, "shapes.tall = 1: must be an object of settings"),
            ({"layers": [{"type": "zen", "shapes": 1}]}, "layers.0.shapes = 1: must be an object"),
            ({"shapes": {"wide": {"colour": 1}}}, "unknown setting 'colour'"),
        ],
    )
    def test_that_are_none_are_refused(self, config: dict[str, Any], message: str) -> None:
        with pytest.raises(SceneError, match=message):
            settings(**config)
