"""Encoded pictures depend on the pictures alone."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.format import QUALITIES, Quality, VideoFormat


def leave_numbers_in_free_memory(seed: int) -> None:
    generator = np.random.Generator(np.random.Philox(seed))
    arrays = [generator.uniform(0, 1, n).astype(np.float32) for n in generator.integers(16, 30_000, 400)]
    arrays.clear()


def moving_glows(path: Path, quality: Quality) -> bytes:
    video = VideoFormat(320, 180, Fraction(30), quality, gop=30)
    picture = Picture(video)
    y, x = np.mgrid[:180, :320]
    with SegmentWriter(path, video) as writer:
        for frame in range(20):
            luma = np.full((180, 320), 16.0)
            for glow in range(30):
                luma += 120 * np.exp(-((x - (37 * glow + 3 * frame) % 320) ** 2 + (y - (53 * glow) % 180) ** 2) / 30)
            picture.planes.luma[:, :320] = np.minimum(luma, 235)
            picture.planes.cb[:] = picture.planes.cr[:] = 128
            writer.write(picture)
    return path.read_bytes()


@pytest.mark.parametrize("quality", QUALITIES)
def test_segment_does_not_depend_on_what_was_in_memory(tmp_path: Path, quality: Quality) -> None:
    # x264 with AVX-512 made three or four different files here.
    files = set()
    for seed in range(4):
        leave_numbers_in_free_memory(seed)
        files.add(moving_glows(tmp_path / "segment.mp4", quality))
    assert len(files) == 1
