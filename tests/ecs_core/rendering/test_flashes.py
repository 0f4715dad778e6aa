"""Videos that flash are reported, whatever processes made them; calm ones are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ecs_core import RenderResult, Scene, render, render_frame
from tests.media import SMALL

DIMS = {"source": "beat", "target": "finish.exposure", "op": "add", "gain": -10, "release": 0.02}
STROBE = {"background": [200, 200, 200], "bpm": 290, "finish": {}, "bindings": [DIMS]}


@pytest.fixture(scope="module")
def strobe(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> RenderResult:
    return rendered(demo_song, tmp_path_factory.mktemp("flashes"), STROBE)


def rendered(song: Path, folder: Path, config: dict[str, Any], **options: Any) -> RenderResult:
    return render(Scene("snow", song, {**SMALL, "duration": 3.0, **config}), folder / "out.mp4", **options)


def test_a_strobe_is_reported_with_times_and_area(strobe: RenderResult) -> None:
    assert strobe.flashes is not None
    (flashing,) = strobe.flashes
    assert (flashing.kind, flashing.area) == ("general", 1.0)
    assert flashing.flashes in (5, 6)
    assert 0 <= flashing.start < 0.5
    assert 2.5 < flashing.stop <= 3.0
    (warning,) = [each for each in strobe.warnings if "WCAG" in each]
    assert f"at {flashing.start:.2f}–{flashing.stop:.2f} s ({flashing.flashes} a second, 100 % of an area)" in warning


@pytest.mark.parametrize(("workers", "segment_seconds"), [(1, 0.3), (2, 0.7), (3, 2.0)])
def test_the_report_does_not_depend_on_workers_and_cuts(
    strobe: RenderResult, demo_song: Path, tmp_path: Path, workers: int, segment_seconds: float
) -> None:
    again = rendered(demo_song, tmp_path, STROBE, workers=workers, segment_seconds=segment_seconds)
    assert again.flashes == strobe.flashes


def test_a_slower_strobe_is_not_reported(demo_song: Path, tmp_path: Path) -> None:
    result = rendered(demo_song, tmp_path, STROBE | {"bpm": 175})
    assert result.flashes == ()
    assert not [each for each in result.warnings if "WCAG" in each]


def test_a_calm_video_is_not_reported(demo_song: Path, tmp_path: Path) -> None:
    assert rendered(demo_song, tmp_path, {}).flashes == ()


def test_nobody_looks_with_flash_guard_off(demo_song: Path, tmp_path: Path) -> None:
    result = rendered(demo_song, tmp_path, STROBE | {"flash_guard": "off"})
    assert result.flashes is None
    assert not [each for each in result.warnings if "WCAG" in each]


@pytest.fixture(scope="module")
def limited(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> RenderResult:
    folder = tmp_path_factory.mktemp("limited")
    return rendered(demo_song, folder, STROBE | {"flash_guard": "limit"}, workers=1, frame_hashes=True)


def test_a_limited_strobe_flashes_no_more(limited: RenderResult) -> None:
    assert limited.flashes == ()
    assert not [each for each in limited.warnings if "WCAG" in each]


def test_limited_frames_do_not_depend_on_workers_and_cuts(
    limited: RenderResult, demo_song: Path, tmp_path: Path
) -> None:
    config = STROBE | {"flash_guard": "limit"}
    again = rendered(demo_song, tmp_path, config, workers=3, segment_seconds=0.5, frame_hashes=True)
    assert again.frame_hashes == limited.frame_hashes
    scene = Scene("snow", demo_song, {**SMALL, "duration": 3.0, **config})
    assert render_frame(scene, 2.0, tmp_path / "frame.png") == limited.frame_hashes[60]


def test_frames_before_the_fourth_flash_stay_as_they_are(
    limited: RenderResult, demo_song: Path, tmp_path: Path
) -> None:
    before = rendered(demo_song, tmp_path, STROBE, frame_hashes=True).frame_hashes
    same = [a == b for a, b in zip(before, limited.frame_hashes, strict=True)]
    assert all(same[:15])
    assert not all(same)


def test_a_calm_video_is_not_changed_by_the_limit(demo_song: Path, tmp_path: Path) -> None:
    hashes = [
        rendered(demo_song, tmp_path, {"flash_guard": guard, "duration": 1.0}, frame_hashes=True).frame_hashes
        for guard in ("report", "limit", "off")
    ]
    assert hashes[0] == hashes[1] == hashes[2]
