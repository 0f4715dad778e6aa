"""Progress: monotone, complete at the end, and no flood."""

from __future__ import annotations

from itertools import groupby, pairwise
from pathlib import Path

import pytest

from ecs_core import Progress, RenderResult, Scene, render
from tests.media import SMALL

Told = tuple[RenderResult, list[Progress]]


@pytest.fixture(scope="module")
def told(demo_song: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    reports: list[Progress] = []
    scene = Scene("snow", demo_song, {**SMALL, "duration": 4.0})
    result = render(scene, tmp_path_factory.mktemp("told") / "out.mp4", workers=2, progress=reports.append)
    return result, reports


def test_stages_follow_one_another(told: Told) -> None:
    assert [stage for stage, _ in groupby(told[1], lambda report: report.stage)] == [
        "analysing",
        "rendering",
        "joining",
    ]


@pytest.mark.parametrize("stage", ["analysing", "rendering", "joining"])
def test_share_never_falls(told: Told, stage: str) -> None:
    shares = [report.share for report in told[1] if report.stage == stage]
    assert shares
    assert all(before <= after for before, after in pairwise(shares))
    assert all(0 <= share <= 1 for share in shares)


def test_last_report_is_complete(told: Told) -> None:
    last = told[1][-1]
    assert (last.share, last.frames, last.total) == (1.0, 120, 120)


def test_frames_are_of_the_whole_video(told: Told) -> None:
    assert {report.total for report in told[1] if report.stage == "rendering"} == {120}
    assert all(report.share == report.frames / 120 for report in told[1] if report.stage == "rendering")


def test_result_describes_the_video(told: Told) -> None:
    result = told[0]
    assert (result.frames, result.duration, result.fps, result.width, result.height) == (120, 4.0, "30", 320, 180)
    assert result.warnings == ()
    assert result.frame_hashes == ()
    assert {"total", "analyse", "plan", "join", "simulate", "rasterise", "encode"} <= set(result.seconds)
    assert result.seconds["analyse"] < result.seconds["total"]
