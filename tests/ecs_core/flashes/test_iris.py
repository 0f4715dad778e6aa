"""IRIS, which Electronic Arts made, agrees on made videos: a second opinion, where ``iris-pse-detection`` is installed.

It needs OpenCV, so tests do not install it: ``pip install iris-pse-detection``. Near the thresholds its rules differ:
seven changes are too many, an area is a quarter of the whole picture. These videos are not near them.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ecs_core.flashes.counter import FlashCounter
from ecs_core.flashes.light_meter import LightMeter
from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.format import VideoFormat

iris = pytest.importorskip("iris_pse_detection", reason="iris-pse-detection, a second opinion, is not installed")

WIDTH, HEIGHT, FPS = 256, 144, 30
GREY, RED = (128, 128), (111, 204)  # Cb, Cr; of sRGB (0.68, 0, 0), with a luminance of 0.09


@pytest.mark.parametrize(
    ("rate", "dark", "bright", "colour", "rows", "expected"),
    [
        (4.5, 16, 235, GREY, HEIGHT, ["general"]),
        (8.0, 16, 235, GREY, HEIGHT, ["general"]),
        (2.5, 16, 235, GREY, HEIGHT, []),
        (6.0, 126, 150, GREY, HEIGHT, ["general"]),  # luminance 0.21 and 0.33
        (6.0, 126, 135, GREY, HEIGHT, []),  # 0.21 and 0.25
        (6.0, 216, 235, GREY, HEIGHT, []),  # 0.81 and 1
        (6.0, 16, 235, GREY, HEIGHT // 2, ["general"]),
        (6.0, 16, 235, GREY, HEIGHT // 16, []),
        (6.0, 16, 48, RED, HEIGHT, ["red"]),
        (2.5, 16, 48, RED, HEIGHT, []),
    ],
)
def test_iris_agrees(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rate: float,
    dark: int,
    bright: int,
    colour: tuple[int, int],
    rows: int,
    expected: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)  # where IRIS writes what it found
    video = VideoFormat(WIDTH, HEIGHT, Fraction(FPS), "high", gop=FPS)
    picture, meter, counter = Picture(video), LightMeter(WIDTH, HEIGHT), FlashCounter(video.fps)
    planes = picture.planes
    with SegmentWriter(tmp_path / "video.mp4", video) as writer:
        for frame in range(3 * FPS):
            lit = int(2 * rate * frame / FPS) % 2
            planes.luma[:], planes.cb[:], planes.cr[:] = dark, 128, 128
            planes.luma[:rows] = bright if lit else dark
            planes.cb[: rows // 2], planes.cr[: rows // 2] = colour if lit else GREY
            counter.add(meter.measure(planes)[np.newaxis])
            writer.write(picture)
    assert [each.kind for each in counter.found] == expected
    said = iris.VideoAnalyser().analyse_video("video.mp4", False)
    assert bool(said.total_luminance_incidents.flash_fail_frames) == ("general" in expected)
    assert bool(said.total_red_incidents.flash_fail_frames) == ("red" in expected)
