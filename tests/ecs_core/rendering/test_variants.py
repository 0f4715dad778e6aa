"""Variants: further sizes and formats of one render, each equal to a render of its own, the song analysed once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from ecs_core import OutputError, Progress, RenderCancelled, Scene, SceneError, outputs_of, render
from ecs_core.audio import features
from ecs_core.scene.settings import Settings
from tests.media import SMALL, tone, write_song

SHORT = {**SMALL, "duration": 0.8, "particle_count": 30}
VARIANTS = [{"size": "90x160"}, {"size": "100x100", "format": "webm", "fps": 24}]


@pytest.fixture
def analyses(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The songs that were analysed, one for each time."""
    found: list[Any] = []
    analyze = features.analyze

    def counted(song: Any, **rest: Any) -> Any:
        found.append(song)
        return analyze(song, **rest)

    monkeypatch.setattr(features, "analyze", counted)
    return found


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write_song(tmp_path / "song.wav", tone(2.0))


def test_variants_lie_beside_the_video_and_the_song_is_analysed_once(
    tmp_path: Path, song: Path, analyses: list[Any]
) -> None:
    scene = Scene("enhanced", song, {**SHORT, "variants": VARIANTS})
    result = render(scene, tmp_path / "v.mp4", workers=2)
    assert len(analyses) == 1
    files = ["song.wav", "v-100x100.webm", "v-90x160.mp4", "v.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert [*result.outputs] == ["90x160", "100x100-webm"]
    tall, square = result.outputs.values()
    assert (result.width, result.height, result.frames) == (SMALL["width"], SMALL["height"], 24)
    assert (tall.width, tall.height, tall.frames, tall.format) == (90, 160, 24, "mp4")
    assert (square.width, square.height, square.frames, square.format) == (100, 100, 19, "webm")
    assert [each.output for each in (tall, square)] == [tmp_path / "v-90x160.mp4", tmp_path / "v-100x100.webm"]
    assert result.seconds["analyse"] > 0
    assert tall.seconds["analyse"] == 0


@pytest.mark.parametrize("workers", [1, 6])
def test_frames_of_each_output_are_those_of_its_scene_rendered_alone(tmp_path: Path, song: Path, workers: int) -> None:
    scene = Scene("enhanced", song, {**SHORT, "variants": VARIANTS})
    result = render(scene, tmp_path / "v.mp4", workers=workers, segment_seconds=0.2, frame_hashes=True)
    scenes = outputs_of(scene)
    assert [*scenes] == ["main", *result.outputs]
    for (name, own), made in zip(scenes.items(), (result, *result.outputs.values()), strict=True):
        assert "variants" not in own.config
        alone = render(own, tmp_path / f"alone{made.output.suffix}", workers=1, frame_hashes=True)
        assert made.frame_hashes == alone.frame_hashes, name
        assert len(set(made.frame_hashes)) > 15


def test_a_variant_may_differ_in_format_length_and_name_alone() -> None:
    variants = [{"format": "gif", "duration": 2.0}, {"name": "teaser", "duration": 3}, {"size": "64X64"}]
    scene = Scene("snow", config={**SHORT, "variants": variants})
    gif, teaser, small = list(outputs_of(scene).items())[1:]
    assert (gif[0], teaser[0], small[0]) == ("gif", "teaser", "64x64")
    assert gif[1].config == {**SHORT, "format": "gif", "duration": 2}
    assert teaser[1].config == {**SHORT, "duration": 3}
    assert small[1].config == {**SHORT, "width": 64, "height": 64}


def test_a_variant_has_the_format_that_the_name_of_the_output_says(tmp_path: Path) -> None:
    render(Scene("snow", config={**SHORT, "variants": [{"size": "64x64"}]}), tmp_path / "v.gif", workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v-64x64.gif", "v.gif"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"variants": [{"size": "64x64"}, {"size": "1080"}]},
            "variants.1.size = '1080': must be WIDTHxHEIGHT, for example 1920x1080",
        ),
        (
            {"variants": [{"size": "64x64"}, {"size": "65x64"}]},
            "variants.1.size = '65x64': must be even, from 16x16 to 7680x4320",
        ),
        (
            {"variants": [{"size": "64x8000"}]},
            "variants.0.size = '64x8000': must be even, from 16x16 to 7680x4320",
        ),
        (
            {"variants": [{"name": "../x"}]},
            "variants.0.name = '../x': must be 1 to 32 of a–z, 0–9 and hyphens, and no hyphen at its ends",
        ),
        ({"variants": [{"name": "main"}]}, "variants.0.name = 'main': is the name of the scene's own output"),
        (
            {"variants": [{"size": "64x64"}, {"size": "64x64"}]},
            "variants.1.name = '64x64': another output has this name; give it one of its own",
        ),
        (
            {"variants": [{"name": "a-gif", "format": "gif"}, {"name": "a", "format": "gif"}]},
            "variants.1.name = 'a': another output has this name; give it one of its own",
        ),
        ({"variants": [{"fps": 70, "format": "gif"}]}, "variants.0: fps = 70 with format = gif: it shows at most 50"),
        ({"variants": [{"fps": 0}]}, "variants.0: fps = 0: fps must be between 1 and 240"),
        ({"variants": [{"duration": 0.001}]}, "variants.0: duration 0.001 s is shorter than half a frame at 30 fps"),
        (
            {"variants": [{"format": "mp4"}], "format": "webm", "alpha": True},
            "variants.0: alpha = true: mp4 has no alpha; formats that have it: mov, webm, png, webp",
        ),
        ({"variants": [{"size": f"{n}x64"} for n in range(16, 34, 2)]}, "must be a list of up to 8"),
        ({"variants": [{"colour": 1}]}, "unknown setting 'variants.0.colour'"),
    ],
)
def test_errors_name_the_variant(more: dict[str, Any], message: str) -> None:
    with pytest.raises(SceneError) as raised:
        outputs_of(Scene("snow", config={**SHORT, **more}))
    assert message in str(raised.value)


def test_nothing_is_rendered_if_a_variant_is_wrong(tmp_path: Path, song: Path, analyses: list[Any]) -> None:
    long = Scene("snow", song, {**SHORT, "variants": [{"format": "webp", "duration": 21}]})
    with pytest.raises(SceneError, match=r"variants\.0: format = webp with 21 s"):
        render(long, tmp_path / "v.mp4")
    rate = Scene("snow", song, {**SHORT, "variants": [{"size": "64x64"}, {"format": "mov"}]})
    with pytest.raises(SceneError, match=r"variants\.1: .*mov"):
        render(rate, tmp_path / "v.mp4", quality="1M")
    (tmp_path / "v-64x64.mp4").mkdir()
    with pytest.raises(OutputError, match=r"v-64x64\.mp4 is a folder"):
        render(Scene("snow", song, {**SHORT, "variants": [{"size": "64x64"}]}), tmp_path / "v.mp4")
    posing = Scene("snow", song, {**SHORT, "variants": [{"size": "80x80"}]})
    with pytest.raises(OutputError, match=r"v-80x80\.mp4 is the name of two outputs"):
        render(posing, tmp_path / "v.mp4", poster=tmp_path / "v-80x80.mp4")
    assert analyses == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.wav", "v-64x64.mp4"]


def test_a_song_that_is_too_long_for_a_variant_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", tone(21.0))
    config = {**SHORT, "duration": 0.2, "variants": [{"format": "gif", "duration": "audio"}]}
    with pytest.raises(SceneError, match=r"variants\.0: format = gif with 21 s"):
        render(Scene("snow", song, config), tmp_path / "v.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


def test_what_was_complete_stays_when_the_render_is_cancelled(tmp_path: Path) -> None:
    cancel = threading.Event()

    def on_progress(state: Progress) -> None:
        if (tmp_path / "v.mp4").exists():
            cancel.set()

    scene = Scene("snow", config={**SHORT, "variants": [{"size": "64x64", "duration": 20.0}]})
    with pytest.raises(RenderCancelled, match=r"what was finished is kept: .*v\.mp4"):
        render(scene, tmp_path / "v.mp4", workers=1, progress=on_progress, cancel=cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_progress_counts_the_frames_of_all_outputs(tmp_path: Path) -> None:
    told: list[Progress] = []
    scene = Scene("snow", config={**SHORT, "variants": [{"size": "64x64"}, {"size": "80x80"}]})
    render(scene, tmp_path / "v.mp4", workers=1, progress=told.append)
    counted = [each for each in told if each.total]
    assert {each.total for each in counted} == {72}
    assert [each.frames for each in counted] == sorted(each.frames for each in counted)
    assert counted[-1].frames == 72


def test_layers_have_no_variants() -> None:
    layers = [{"type": "zen", "config": {"variants": []}}]
    with pytest.raises(SceneError, match="belongs to the whole video"):
        Scene("snow", config={"layers": layers}).resolve()
    assert "variants" not in Settings().of_the_video()


def test_variant_for_a_platform_has_its_size_length_and_safe_area(song: Path) -> None:
    wide = {"width": 1920, "height": 1080, "duration": 2.0, "safe_area": "title"}
    scene = Scene("zen", song, {**wide, "variants": [{"platform": "tiktok"}, {"platform": "square", "format": "webm"}]})
    main, tall, square = (own.resolve()[1] for own in outputs_of(scene).values())
    assert [*outputs_of(scene)] == ["main", "tiktok", "square-webm"]
    assert (main.width, main.height, main.safe_area, main.platform) == (1920, 1080, "title", None)
    assert (tall.width, tall.height, tall.safe_area, tall.duration) == (1080, 1920, "tiktok", 2.0)
    assert (square.width, square.height, square.format) == (1080, 1080, "webm")


def test_variant_that_its_platform_does_not_take_is_named(song: Path) -> None:
    scene = Scene("zen", song, {"duration": 2.0, "variants": [{"platform": "reels"}]})
    with pytest.raises(SceneError, match=r"^variants.0: .*platform = reels with 2 s of video: it takes 3 to 900 s"):
        outputs_of(scene)
