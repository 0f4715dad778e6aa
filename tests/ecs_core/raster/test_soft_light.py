"""Soft glows: drawn at half size where many lie over each other, which nobody can see."""

from __future__ import annotations

import numpy as np
import pytest

from ecs_core import Sprites, kernels
from ecs_core.raster import rasteriser, soft_light
from ecs_core.raster.rasteriser import Planes, Rasteriser
from tests.ecs_core.raster.painting import HEIGHT, WIDTH, painted, same


def glows(count: int = 300, *, radius: float = 3.0) -> Sprites:
    """Coloured glows with skirts, all over the picture and beyond its edges."""
    rng = np.random.default_rng(3)
    x, y = (rng.uniform(-8, size + 8, count).astype(np.float32) for size in (WIDTH, HEIGHT))
    red, green, blue = rng.uniform(0, 0.1, (3, count)).astype(np.float32)
    sizes = (radius * rng.uniform(0.5, 2, count)).astype(np.float32)
    return Sprites(x, y, sizes, red, green, blue, np.full(count, 0.2, np.float32), np.zeros(count, np.uint8))


def harder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_light, "WORTHWHILE", np.inf)


@pytest.mark.parametrize("radius", [1.5, 3.0, 8.0])
def test_soft_glows_look_like_others(radius: float, monkeypatch: pytest.MonkeyPatch) -> None:
    soft = painted(glows(radius=radius))
    harder(monkeypatch)
    hard = painted(glows(radius=radius))
    assert not same(soft, hard)
    for one, other in ((soft.luma, hard.luma), (soft.cb, hard.cb), (soft.cr, hard.cr)):
        apart = one.astype(int) - other.astype(int)
        assert np.abs(apart).max() <= 2
        assert abs(apart.mean()) < 0.02


def test_they_are_drawn_softly_where_they_lie_over_each_other() -> None:
    columns = glows()
    windows = np.zeros((8, 600), np.float32)
    n, _ = kernels.raster.cut_windows(
        columns.x, columns.y, columns.radius, np.float32(1), columns.red, columns.green, columns.blue, columns.skirt,
        columns.disc, np.zeros(len(columns), np.float32), WIDTH, HEIGHT, windows,
    )  # fmt: skip
    many = soft_light.soft_glows(windows[:, :n], WIDTH, HEIGHT)
    assert many is not None
    np.testing.assert_array_equal(many, windows[2, :n] >= soft_light.SMALLEST)
    assert soft_light.soft_glows(windows[:, :20], WIDTH, HEIGHT) is None
    assert soft_light.soft_glows(windows[:, :n], WIDTH, HEIGHT, but=many) is None


def test_they_do_not_depend_on_the_height_of_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = []
    for rows in (32, 128):
        monkeypatch.setattr(rasteriser, "BAND_ROWS", rows)
        painter, planes = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
        painter._luma_dither[:], painter._chroma_dither[:] = 0.5, 0.5
        painter.paint(glows(), planes)
        pictures.append(planes)
    assert same(*pictures)


def test_they_leave_nothing_behind_for_the_next_frame() -> None:
    painter, planes = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
    painter.paint(glows(), planes)
    few = glows(250, radius=5.0)
    painter.paint(few, planes)
    assert same(planes, painted(few))
    painter.paint(glows(2), planes)
    assert same(planes, painted(glows(2)))
