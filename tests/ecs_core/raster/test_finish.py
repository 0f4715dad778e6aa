"""The finish of a picture: bloom, exposure, contrast, tints, vignette, aberration, grain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecs_core import Sprites, kernels
from ecs_core.raster.background import Background
from ecs_core.raster.bloom import Bloom
from ecs_core.raster.finish import Finish
from ecs_core.raster.groups import Group
from ecs_core.raster.rasteriser import Planes, Rasteriser
from tests.ecs_core.raster.painting import BLACK, HEIGHT, WIDTH, light_of, painted, same
from tests.ecs_core.raster.test_lines import lines
from tests.ecs_core.raster.test_rasteriser import GLOW, nothing, sprites

MIDDLE = float(kernels.finish.MIDDLE)
DOTS = sprites([40.0, 96.0, 150.3], [30.0, 54.0, 80.7], radius=5.0, light=(0.9, 0.4, 1.5))


def flat(r: float, g: float, b: float) -> Background:
    return Background(base=(r, g, b))


def shown(r: float, g: float, b: float, **finish: float | tuple[float, float, float]) -> tuple[float, float, float]:
    """The mean Y, Cb and Cr of a flat background with a finish."""
    planes = painted(nothing(), flat(r, g, b), finish=Finish(**finish))  # type: ignore[arg-type]
    return float(planes.luma.mean()), float(planes.cb.mean()), float(planes.cr.mean())


def shown_plainly(r: float, g: float, b: float) -> tuple[float, float, float]:
    planes = painted(nothing(), flat(r, g, b))
    return float(planes.luma.mean()), float(planes.cb.mean()), float(planes.cr.mean())


def test_neutral_finish_shows_what_none_shows() -> None:
    for background in (BLACK, GLOW):
        plain, finished = painted(DOTS, background), painted(DOTS, background, finish=Finish())
        for one, other in ((plain.luma, finished.luma), (plain.cb, finished.cb), (plain.cr, finished.cr)):
            assert np.abs(one.astype(int) - other).max() <= 1
            assert (one != other).mean() < 0.01


@pytest.mark.parametrize("radius", [40.0, 120.0, 250.0])
def test_bloom_spreads_so_many_times_the_light_of_a_sprite(radius: float) -> None:
    width, height = 960, 540
    drawn = sprites([480.0], [270.0], radius=12.0, light=(1.0, 0.5, 0.25), skirt=0.0)
    pixels = light_in_all(width, height, drawn, radius, amount=3.0)
    # The light of a window is its integral squared: that of a line, of the profile.
    own = (kernels.lines.INTEGRAL * kernels.raster.CORE_REACH * 12.0) ** 2
    np.testing.assert_allclose(pixels[0] + pixels[1] + pixels[2], 3.0 * own * 1.75, rtol=0.03)
    assert pixels[0] > pixels[1] > pixels[2] > 0


def light_in_all(width: int, height: int, drawn: Sprites, radius: float, amount: float) -> np.ndarray:
    """The light of the bloom, summed over the pixels of the picture, of each channel."""
    (group,) = Rasteriser(width, height).cut(drawn)
    assert isinstance(group, Group)
    light = Bloom(width, height).light([group], amount=amount, radius=radius)
    return light.sum(axis=(1, 2), dtype=np.float64) * 2 * height / light.shape[1]


def test_bloom_lies_around_its_sprite_evenly() -> None:
    drawn = sprites([480.5], [270.0], radius=20.0, light=(3.0, 3.0, 3.0), skirt=0.0)  # between pixels of colour
    light = light_of(painted(drawn, size=(960, 540), finish=Finish(bloom=6.0, bloom_radius=200.0))).astype(float)
    row, column = light.sum(axis=1), light.sum(axis=0)
    assert abs((row * (np.arange(540) + 0.5)).sum() / row.sum() - 270.0) < 0.3
    assert abs((column * (np.arange(960) + 0.5)).sum() / column.sum() - 480.5) < 0.3


def test_wider_bloom_is_dimmer_near_and_brighter_far() -> None:
    drawn = sprites([96.0], [54.0], radius=4.0, light=(3.0, 3.0, 3.0), skirt=0.0)
    narrow, wide = (light_of(painted(drawn, finish=Finish(bloom=6.0, bloom_radius=r))) for r in (100.0, 400.0))
    assert narrow[54, 102] > wide[54, 102]
    assert narrow[54, 150] < wide[54, 150]


def test_bloom_is_as_wide_at_any_size() -> None:
    small, large = (
        light_of(
            painted(
                sprites([96.0 * n], [54.0 * n], radius=4.0 * n, light=(2.0, 2.0, 2.0), skirt=0.0),
                size=(WIDTH * n, HEIGHT * n),
                finish=Finish(bloom=6.0, bloom_radius=150.0),
            )
        )
        for n in (2, 6)
    )
    for x, y in ((110, 54), (96, 80), (140, 60)):
        assert abs(small[2 * y, 2 * x] - large[6 * y, 6 * x]) <= 0.15 * large[6 * y, 6 * x] + 2e-4


def test_lines_bloom_too() -> None:
    drawn = lines([60.0], [54.0], 70.0, 0.0, radius=3.0, light=2.0)
    without, bloom = painted(drawn), painted(drawn, finish=Finish(bloom=4.0))
    assert bloom.luma[80, 96] > without.luma[80, 96] + 2


def test_bloom_of_what_covers_has_its_colour() -> None:
    red = replace(sprites([96.0], [54.0], radius=12.0, light=(1.0, 0.0, 0.0)), cover=np.ones(1, np.float32))
    planes = painted(red, flat(0.2, 0.2, 0.2), finish=Finish(bloom=4.0))
    assert planes.cr[12, 48] > planes.cb[12, 48] + 3


def test_a_stop_of_exposure_doubles_all_light() -> None:
    twice = Background(base=(0.04, 0.02, 0.06), glow=(0.2, 0.1, 0.4))
    brighter = replace(DOTS, red=2 * DOTS.red, green=2 * DOTS.green, blue=2 * DOTS.blue)
    one, other = painted(DOTS, GLOW, finish=Finish(exposure=1.0)), painted(brighter, twice)
    assert np.abs(one.luma.astype(int) - other.luma).max() <= 1
    assert np.abs(one.cb.astype(int) - other.cb).max() <= 1


def test_contrast_leaves_middle_grey_and_parts_the_rest() -> None:
    def luma(light: float, contrast: float) -> float:
        return shown(light, light, light, contrast=contrast)[0]

    assert abs(luma(MIDDLE, 1.6) - luma(MIDDLE, 1.0)) < 0.6
    assert luma(0.02, 1.6) < luma(0.02, 1.0) - 5
    assert luma(0.7, 1.6) > luma(0.7, 1.0) + 5
    assert luma(0.02, 0.6) > luma(0.02, 1.0) + 5


def test_saturation_of_0_is_grey_and_keeps_luminance() -> None:
    _, cb, cr = shown(0.05, 0.3, 0.1, saturation=0.0)
    assert abs(cb - 128) < 1
    assert abs(cr - 128) < 1
    luminance = 0.2126 * 0.05 + 0.7152 * 0.3 + 0.0722 * 0.1
    assert abs(shown(0.05, 0.3, 0.1, saturation=0.0)[0] - shown_plainly(luminance, luminance, luminance)[0]) < 0.7


def test_more_saturation_is_more_colour() -> None:
    _, plain, _ = shown_plainly(0.1, 0.1, 0.2)
    _, more, _ = shown(0.1, 0.1, 0.2, saturation=1.8)
    assert more > plain + 3


def test_shadows_and_lights_have_tints_of_their_own() -> None:
    blue, orange = (0.2, 0.4, 1.0), (1.0, 0.6, 0.2)
    dark, bright = (shown(x, x, x, shadows=blue, lights=orange) for x in (0.01, 3.0))
    assert dark[1] > 128 + 2 > 128 > dark[2]
    assert bright[2] > 128 + 2 > 128 > bright[1]
    assert abs(shown(0.01, 0.01, 0.01, shadows=(0.2, 0.2, 0.2))[0] - shown_plainly(0.01, 0.01, 0.01)[0]) < 0.6


def test_vignette_takes_its_share_in_the_corners_and_nothing_in_the_middle() -> None:
    light = light_of(painted(nothing(), flat(0.3, 0.3, 0.3), finish=Finish(vignette=0.6)))
    corners = [light[y, x] for y in (0, HEIGHT - 1) for x in (0, WIDTH - 1)]
    np.testing.assert_allclose(corners, 0.4 * 0.3, rtol=0.06)
    np.testing.assert_allclose(light[54, 96], 0.3, rtol=0.03)
    assert light[54, 2] < light[54, 40] < light[54, 90]


def test_aberration_moves_red_out_and_blue_in() -> None:
    white = sprites([20.0], [54.0], radius=3.0, light=(1.0, 1.0, 1.0), skirt=0.0)
    planes = painted(white, finish=Finish(aberration=100.0))
    red, blue = (plane[24:30].astype(float).sum(axis=0) for plane in (planes.cr, planes.cb))
    assert np.argmax(red) < 10 - 1 < 10 + 1 < np.argmax(blue)
    middle = sprites([96.0], [54.0], radius=3.0, light=(1.0, 1.0, 1.0), skirt=0.0)
    one, other = painted(middle, finish=Finish(aberration=100.0)), painted(middle, finish=Finish())
    assert np.abs(one.luma.astype(int) - other.luma).max() <= 2


def test_aberration_leaves_what_covers_in_its_place_and_order() -> None:
    cover = np.array([1.0, 0.0, 1.0], np.float32)
    drawn = replace(sprites([60.0, 60.0, 62.0], [54.0] * 3, radius=9.0), cover=cover)
    planes = painted(drawn, flat(0.5, 0.5, 0.5), finish=Finish(aberration=1e-3))
    plain = painted(drawn, flat(0.5, 0.5, 0.5), finish=Finish())
    assert np.abs(planes.luma.astype(int) - plain.luma).max() <= 2


def test_aberration_leaves_what_covers_whole() -> None:
    drawn = replace(sprites([20.0, 150.0], [54.0, 20.0], radius=9.0), cover=np.ones(2, np.float32))
    one, other = (painted(drawn, flat(0.5, 0.5, 0.5), finish=Finish(aberration=units)) for units in (100.0, 0.0))
    assert same(one, other)


def test_grain_is_still_and_keeps_the_mean_and_black() -> None:
    background, rough = flat(0.2, 0.2, 0.2), Finish(grain=0.5)
    rasteriser, planes, again = Rasteriser(WIDTH, HEIGHT, background=background), *(2 * [Planes.empty(WIDTH, HEIGHT)])
    rasteriser.paint(nothing(), planes, finish=rough)
    first = planes.luma.copy()
    rasteriser.paint(nothing(), again, finish=rough)
    np.testing.assert_array_equal(first, again.luma)
    assert first.std() > 8 * painted(nothing(), background).luma.std()
    np.testing.assert_allclose(light_of(planes).mean(), 0.2, rtol=0.03)
    assert painted(nothing(), finish=rough).luma.max() <= 16


def test_fade_is_of_the_finished_picture() -> None:
    finish = Finish(bloom=2.0, contrast=1.7, exposure=1.0)
    assert same(painted(DOTS, GLOW, finish=finish, light=0.0), painted(nothing()))
    whole, half = (light_of(painted(DOTS, GLOW, finish=finish, light=light)) for light in (1.0, 0.5))
    bright = (whole > 0.05) & (whole < 0.6)
    np.testing.assert_allclose(half[bright] / whole[bright], 0.5, atol=0.06)


def test_finished_pictures_one_after_another_are_as_if_alone() -> None:
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT, background=GLOW), Planes.empty(WIDTH, HEIGHT)
    steps = [
        (Finish(bloom=3.0), 40.0),
        (Finish(bloom=3.0, grain=0.4), 60.0),
        (None, 90.0),
        (Finish(vignette=0.5), 90.0),
    ]
    for finish, x in steps:
        drawn = sprites([x, 100.0], [54.0, 20.0], radius=6.0)
        rasteriser.paint(drawn, planes, finish=finish)
        assert same(planes, painted(drawn, GLOW, finish=finish))


def test_finish_is_of_light_with_covering_sprites_and_background() -> None:
    cover = replace(sprites([96.0], [54.0], radius=20.0, light=(0.02, 0.02, 0.02)), cover=np.ones(1, np.float32))
    background = flat(0.6, 0.6, 0.6)
    plain, finished = painted(cover, background), painted(cover, background, finish=Finish())
    assert np.abs(plain.luma.astype(int) - finished.luma).max() <= 1
    darker = painted(cover, background, finish=Finish(exposure=-1.0))
    assert darker.luma[54, 10] < plain.luma[54, 10] - 10


@pytest.mark.parametrize("size", [(16, 16), (18, 300), (642, 34)])
def test_pictures_of_any_size_are_finished(size: tuple[int, int]) -> None:
    drawn = sprites([size[0] / 2], [size[1] / 2], radius=5.0)
    planes = painted(drawn, GLOW, size=size, finish=Finish(bloom=2.0, bloom_radius=540.0, grain=0.3, vignette=0.4))
    assert planes.luma.max() > planes.luma.min()
