"""The light of a picture's cells is the relative luminance, and the red, of its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from ecs_core.flashes.light_meter import LightMeter, grid
from ecs_core.raster.rasteriser import Planes


def of_colour(shown: tuple[float, float, float], width: int, height: int, *, padding: int = 0) -> Planes:
    """A flat picture in display-encoded RGB, 0–1, as BT.709 of limited range; rows are longer by ``padding`` × 2."""
    r, g, b = shown
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    values = 16 + 219 * y, 128 + 224 * (b - y) / 1.8556, 128 + 224 * (r - y) / 1.5748
    luma, cb, cr = (np.uint8(round(value)) for value in values)
    half = height // 2, width // 2
    planes = Planes(np.zeros((height, width + 2 * padding), np.uint8), *np.zeros((2, half[0], half[1] + padding), "u1"))
    planes.luma[:, :width], planes.cb[:, : half[1]], planes.cr[:, : half[1]] = luma, cb, cr
    return planes


def linear(shown: float) -> float:
    """Of WCAG's relative luminance."""
    return shown / 12.92 if shown <= 0.04045 else ((shown + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize(
    "shown", [(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0), (0.2, 0.7, 0.4), (0.05, 0.02, 0.3), (0, 1, 1)]
)
@pytest.mark.parametrize("size", [(320, 180), (1920, 1080)])
def test_light_is_linear_srgb(shown: tuple[float, float, float], size: tuple[int, int]) -> None:
    light = LightMeter(*size).measure(of_colour(shown, *size, padding=8)) / 65535
    assert light.shape == (3, 36, 36)
    np.testing.assert_allclose(light, np.reshape([linear(each) for each in shown], (3, 1, 1)) + 0 * light, atol=0.011)


def test_a_pixel_counts_in_its_cell_alone() -> None:
    planes = of_colour((0, 0, 0), 360, 360)
    planes.luma[40:50, 90:100] = 235
    light = LightMeter(360, 360).measure(planes)
    assert set(zip(*np.nonzero(light[1]), strict=True)) == {(4, 9)}
    assert light[1, 4, 9] > 65000


@pytest.mark.parametrize("size", [(16, 16), (16, 4320), (7680, 16), (62, 34), (74, 38), (1080, 1920)])
def test_every_cell_of_any_picture_is_measured(size: tuple[int, int]) -> None:
    light = LightMeter(*size).measure(of_colour((1, 1, 1), *size))
    assert light.shape[1:] == grid(*size)
    assert light.min() > 65000
    assert all(side % 3 == 0 for side in light.shape[1:])


def test_the_mean_is_near_that_of_all_pixels() -> None:
    rng = np.random.default_rng(3)
    planes = of_colour((0, 0, 0), 1920, 1080)
    planes.luma[:] = rng.integers(16, 236, planes.luma.shape)
    light = LightMeter(1920, 1080).measure(planes) / 65535
    assert light[1].mean() == pytest.approx(np.mean([linear(n / 219) for n in range(220)]), abs=0.002)
    assert light[1].std() < 0.03  # of cells of 15 × 26 colours, of which half is looked at
