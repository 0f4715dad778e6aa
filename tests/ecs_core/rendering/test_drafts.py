"""Drafts are painted at half size and interpolated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecs_core import Scene, render
from ecs_core.kernels.doubling import double
from ecs_core.raster import half_size
from ecs_core.raster.rasteriser import Planes
from ecs_core.rendering.plan import make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.video.encoding import Picture
from ecs_core.video.format import Quality

CONFIG = {"duration": 0.5, "particle_count": 300, "trail": 0.2, "finish": {"bloom": 0.5}}


def last_picture(width: int, height: int, quality: Quality) -> Picture:
    scene = Scene("enhanced", config={**CONFIG, "width": width, "height": height})
    plan = make_plan(*scene.resolve(), None, quality=quality)
    renderer = SegmentRenderer(plan)
    with renderer.simulation as simulation:
        simulation.skip_to(plan.frames - 1)
        return renderer.picture(simulation.snapshot())


def planes_of(picture: Picture) -> list[np.ndarray]:
    rows = (picture.planes.luma, picture.planes.cb, picture.planes.cr)
    return [plane[:, : of.width] for plane, of in zip(rows, picture.frame.planes, strict=True)]


@pytest.mark.parametrize("near", [6, 7])
def test_double_interpolates_between_four_values(near: int) -> None:
    small = np.random.default_rng(near).integers(0, 256, (9, 14), dtype=np.uint8)
    out = np.zeros((18, 40), np.uint8)
    double(small, out, 9, 14, near, np.empty(16, np.float32))
    padded = np.pad(small.astype(int), 1, "edge")
    for lower, far in enumerate((padded[:-2], padded[2:])):
        rows = 3 * padded[1:-1] + far
        left = (near * rows[:, 1:-1] + (8 - near) * rows[:, :-2] + 16) // 32
        right = ((12 - near) * rows[:, 1:-1] + (near - 4) * rows[:, 2:] + 16) // 32
        assert np.array_equal(out[lower::2, 0:28:2], left)
        assert np.array_equal(out[lower::2, 1:28:2], right)
    assert not out[:, 28:].any()


def test_draft_is_the_picture_of_half_size_doubled() -> None:
    small, draft = last_picture(640, 360, "standard"), last_picture(1280, 720, "draft")
    doubled = Planes.empty(1280, 720)
    half_size.double(Planes(*map(np.ascontiguousarray, planes_of(small))), doubled)
    for found, expected in zip(planes_of(draft), (doubled.luma, doubled.cb, doubled.cr), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("size", [(640, 360), (1282, 720), (1280, 718)], ids=str)
def test_draft_that_is_small_or_cannot_be_halved_is_painted_whole(size: tuple[int, int]) -> None:
    assert last_picture(*size, "draft").digest() == last_picture(*size, "standard").digest()


def test_workers_that_simulate_for_themselves_draw_the_same_drafts(tmp_path: Path) -> None:
    scene = Scene("bouncing", config={"width": 1280, "height": 720, "duration": 1.0, "particle_count": 60})
    one, many = (
        render(scene, tmp_path / "out.mp4", workers=workers, quality="draft", segment_seconds=0.1, frame_hashes=True)
        for workers in (1, 5)
    )
    assert one.frame_hashes == many.frame_hashes
