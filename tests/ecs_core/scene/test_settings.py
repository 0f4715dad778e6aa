"""Settings: exact rates, exact frame counts, and strictness at the edge."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import SceneError, Settings
from ecs_core.scene.settings import frame_rate, validate


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        (30, Fraction(30)),
        ("30", Fraction(30)),
        (25.0, Fraction(25)),
        (12.5, Fraction(25, 2)),
        (29.97, Fraction(30000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("24000/1001", Fraction(24000, 1001)),
        ("1", Fraction(1)),
        ("240", Fraction(240)),
    ],
)
def test_frame_rate_is_exact(written: object, exact: Fraction) -> None:
    assert frame_rate(written) == exact


@pytest.mark.parametrize("written", ["0", "0.5", "-30", "241", "1000", "abc", "", "30/0", "nan", "inf", None])
def test_invalid_frame_rate_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="fps must be"):
        frame_rate(written)


@pytest.mark.parametrize("written", ["1e9999", "1e999999999", "1" * 1000, f"{'1' * 1000}/7", 1e300])
def test_huge_frame_rate_exponent_is_refused_at_once(written: object) -> None:
    with pytest.raises(ValueError, match="fps must be"):
        frame_rate(written)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"enhanced_mode": True}, "must be an object, such as"),
        ({"particle_count": True}, "must be a whole number between 0 and 1000000"),
        ({"fps": True}, "must be a number between 1 and 240"),
        ({"duration": False}, "must be a number between 0 and 86400"),
        ({"bpm": True}, "must be a number between 20 and 400"),
        ({"background": True}, "must be a list of 3"),
    ],
)
def test_booleans_are_not_numbers(config: dict[str, Any], said: str) -> None:
    with pytest.raises(SceneError) as refused:
        validate(Settings, config, owner="it")
    name, value = next(iter(config.items()))
    assert str(refused.value).startswith(f"{name} = {value}: {said}")


@settings(deadline=None)  # the machine may be busy
@given(st.fractions(min_value=1, max_value=240, max_denominator=1001))
def test_settings_keep_the_rate(rate: Fraction) -> None:
    settings = Settings.model_validate({"fps": f"{rate.numerator}/{rate.denominator}", "duration": 2})
    assert settings.rate == frame_rate(f"{rate.numerator}/{rate.denominator}")


@pytest.mark.parametrize(
    ("seconds", "fps", "frames"),
    [(10, 30, 300), (0.05, 30, 2), (1.3, 25, 33), (1, "30000/1001", 30), (3600, "30000/1001", 107892), (0.1, 24, 2)],
)
def test_frames_are_rounded_half_up(seconds: float, fps: object, frames: int) -> None:
    assert Settings.model_validate({"duration": seconds, "fps": fps}).frames(Fraction(99)) == frames


def test_length_of_the_song() -> None:
    for written in ("audio", None):
        settings = Settings.model_validate({"duration": written})
        assert settings.takes_length_of_song
        assert settings.frames(Fraction(7, 2)) == 105


@pytest.mark.parametrize(("written", "start"), [(0, 0.0), (42.5, 42.5), ("drop", "drop"), (86_400, 86_400.0)])
def test_start_is_a_second_or_the_drop(written: object, start: object) -> None:
    assert Settings.model_validate({"start": written}).start == start


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"start": -1}, r"^start = -1: must be between 0 and 86400 seconds, or \"drop\"$"),
        ({"start": 86_401}, r"^start = 86401: must be between 0 and 86400 seconds, or \"drop\"$"),
        ({"start": "chorus"}, r"^start = 'chorus': must be .*0 .* 86400.*'drop'"),
        ({"start": None}, r"^start = "),
        ({"start": True}, r"^start = "),
        ({"colour": 1}, r"unknown setting 'colour' for particle type 'x'; it has: width, height, .*enhanced_mode"),
        ({"enhanced_mode": {"f": 1}}, r"unknown setting 'enhanced_mode\.f' .*; it has: active, threshold, factor$"),
        ({"particle_count": -1}, r"particle_count = -1: must be between 0 and 1000000$"),
        ({"particle_count": 2_000_000}, r"particle_count = 2000000: must be between 0 and 1000000$"),
        ({"particle_count": 1.5}, r"particle_count = 1\.5: must be a whole number between 0 and 1000000$"),
        ({"particle_colors": []}, r"particle_colors = \[\]: must be a list of 1 to 64, such as \[\[255, 255, 255\]\]$"),
        ({"particle_colors": [[300, 0, 0]]}, r"^particle_colors\.0\.0 = 300: must be between 0 and 255$"),
        (
            {"particle_colors": "red"},
            r"particle_colors = 'red': must be a list of colours, such as \[\[255, 180, 90\]\], or a palette: aurora",
        ),
        ({"background": "red"}, r"background = 'red': must be a list of 3, such as \[255, 255, 255\]$"),
        ({"background": [1, 2]}, r"^background\.2 is missing$"),
        ({"enhanced_mode": 1}, r"enhanced_mode = 1: must be an object, such as \{\"active\": true"),
        ({"enhanced_mode": {"factor": 11}}, r"enhanced_mode\.factor = 11: must be between 0 and 10$"),
        ({"hearing": {"bass": 5}}, r"hearing\.bass = 5: must be an object, such as \{\"threshold\""),
        ({"bounce": 7}, r"bounce = 7: must be true or false$"),
        ({"bindings": 3}, r"bindings = 3: must be a list .*\[\{\"source\": \"bass\", \"target\": \"size\"\}\]$"),
        ({"bindings": [{"source": "bass"}]}, r"^bindings\.0\.target is missing$"),
        (
            {"bindings": [{"source": "bass", "target": "size", "curve": "wobble"}]},
            r"^bindings\.0\.curve = 'wobble': must be 'linear', .* or 'step', or a list of 2 to 64, such as \[\[0, 0\]",
        ),
        ({"duration": float("nan")}, r"^duration = nan: must be a finite number between 0 and 86400, or 'audio'$"),
        ({"background": [0, 0, 300]}, r"background\.2 = 300: must be between 0 and 255"),
        ({"x_position": 1.1}, r"x_position = 1\.1: must be between 0 and 1"),
        ({"x_position": float("nan")}, r"x_position = nan: must be a finite number between 0 and 1"),
        ({"width": 101}, r"width = 101: must be even"),
        ({"duration": 0}, r"duration = 0: must be over 0"),
        ({"duration": 90_000}, r"at most 86400 seconds"),
        ({"duration": "long"}, r"duration = 'long'.*'audio'"),
        ({"duration": 0.01}, r"shorter than half a frame"),
        ({"fps": 0}, r"fps = 0: fps must be between 1 and 240"),
        ({"seed": -1}, r"seed = -1"),
        ({"hearing": {"bas": {}}}, r"'bas': no such feature or event"),
        (
            {"hearing": {"beats": {"threshold": 50}}},
            r"beats: have no strength .* these have: onsets, kicks, snares, hats",
        ),
        ({"hearing": {"onsets": {"full": 50}}}, r"onsets\.full = 50: is of features"),
        ({"hearing": {"beat_phase": {"full": 50}}}, r"beat_phase: follows from events"),
    ],
    ids=str,
)
def test_invalid_value_is_named_with_what_is_allowed(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        validate(Settings, config, owner="particle type 'x'")
    assert "\n" not in str(caught.value)


def test_every_invalid_value_is_named() -> None:
    with pytest.raises(SceneError, match=r"width = 7.*; seed = -1"):
        validate(Settings, {"width": 7, "seed": -1}, owner="x")


def test_every_field_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


class TestEnhancedMode:
    @staticmethod
    def level(bass: float, **mode: object) -> float:
        return float(Settings(enhanced_mode=mode).level(np.array([bass], np.float32))[0])

    def test_amplifies_at_the_threshold_and_over_it(self) -> None:
        assert self.level(0.4, threshold=0.4, factor=2) == pytest.approx(0.8)
        assert self.level(0.39, threshold=0.4, factor=2) == pytest.approx(0.39)

    def test_never_over_one(self) -> None:
        assert self.level(0.9, factor=10) == 1.0

    def test_can_be_off(self) -> None:
        assert self.level(0.9, active=False) == pytest.approx(0.9)


def test_error_lists_a_bounded_number_of_settings() -> None:
    with pytest.raises(SceneError, match="and 4980 more") as error:
        validate(Settings, {f"unknown{number}": 1 for number in range(5000)}, owner="x")
    assert len(str(error.value)) < 20_000


def test_schema_has_the_default_of_every_setting() -> None:
    defaults = Settings().model_dump(mode="json")
    shown = {name: field["default"] for name, field in Settings.model_json_schema()["properties"].items()}
    assert shown == defaults


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"bindings": [{"source": "bass", "target": "size", "curve": "cube"}]},
            "bindings.0.curve = 'cube': must be 'linear', 'square', 'root', 'smooth' or 'step', or a list of 2 to 64",
        ),
        (
            {"fps": [1]},
            "fps = [1]: must be a whole number between 1 and 240, or a number between 1 and 240, or a text",
        ),
        ({"background": "red"}, "background = 'red': must be a list of 3"),
        (
            {"seed": -1, "hud": 5},
            "seed = -1: must be between 0 and 9223372036854775807; hud = 5: must be true or false",
        ),
    ],
)
def test_union_error_is_one_sentence(config: dict[str, Any], said: str) -> None:
    with pytest.raises(SceneError) as refused:
        validate(Settings, config, owner="this type")
    assert said in str(refused.value)
    assert "[constrained" not in str(refused.value)
