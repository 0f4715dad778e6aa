"""The rasteriser: light adds up, sub-pixel exact, and only what is touched is drawn again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core import kernels
from ecs_core.raster import rasteriser as rasteriser_module
from ecs_core.raster.background import Background
from ecs_core.raster.colour import leak, linear_from_srgb
from ecs_core.raster.finish import Finish
from ecs_core.raster.rasteriser import MOST_OVERDRAW, Planes, Rasteriser
from ecs_core.raster.sprites import Sprites
from tests.ecs_core.raster.painting import HEIGHT, WIDTH, light_of, painted, same


def sprites(x, y, radius=4.0, light=(1.0, 1.0, 1.0), skirt=0.05, disc=0, cover=None) -> Sprites:
    n = len(x)
    full = [np.full(n, value, np.float32) for value in (radius, *light, skirt)]
    covers = None if cover is None else np.full(n, cover, np.float32)
    return Sprites(np.asarray(x, np.float32), np.asarray(y, np.float32), *full, np.full(n, disc, np.uint8), covers)


def nothing() -> Sprites:
    return Sprites.join([])


def test_empty_picture_is_black() -> None:
    planes = painted(nothing())
    assert (planes.luma == 16).all()
    assert set(np.unique(planes.cb)) | set(np.unique(planes.cr)) == {128}


@pytest.mark.compiled
def test_values_stay_within_limited_range_however_bright() -> None:
    planes = painted(sprites([50.0] * 200, [50.0] * 200, radius=20.0, light=(90.0, 0.0, 90.0)))
    assert planes.luma.min() >= 16
    assert planes.luma.max() <= 235
    for plane in (planes.cb, planes.cr):
        assert plane.min() >= 16
        assert plane.max() <= 240


def test_sprite_is_round_and_brightest_at_its_centre() -> None:
    planes = painted(sprites([96.0], [54.0], radius=6.0, skirt=0.0))
    luma = planes.luma.astype(int)
    assert luma[53:55, 95:97].min() > luma[54, 100] > luma[54, 106]
    assert abs(int(luma[54, 101]) - int(luma[59, 96])) <= 2  # right and below, equally far


def test_light_follows_subpixel_moves() -> None:
    centroids = []
    for shift in (0.0, 0.25, 0.5, 0.75):
        light = painted(sprites([80.0 + shift], [54.0], radius=5.0, light=(0.05,) * 3, skirt=0.0)).luma - 16.0
        light[light <= 1] = 0  # dither
        centroids.append((light * (np.arange(WIDTH) + 0.5)).sum() / light.sum())
    np.testing.assert_allclose(np.diff(centroids), 0.25, atol=0.04)


@pytest.mark.parametrize("radius", [0.2, 0.4, 0.6, 0.9])
def test_fine_sprite_keeps_its_light_at_any_subpixel_position(radius: float) -> None:
    totals = []
    for shift in np.linspace(0, 1, 9):
        luma = painted(sprites([80.0 + shift], [54.0 + shift / 3], radius=radius, light=(0.2,) * 3, skirt=0.0)).luma
        totals.append(float((luma.astype(int) - 16).clip(0).sum()))
    assert max(totals) <= 1.25 * min(totals) + 8


def centroid(weights: np.ndarray, places: np.ndarray) -> float:
    return float((weights * places).sum() / weights.sum())


@pytest.mark.parametrize("disc", [0, 1])
@pytest.mark.parametrize("x", [63.0, 64.0, 64.5, 97.3])
def test_colour_lies_where_players_show_it(x: float, disc: int) -> None:
    # H.264 without a word about it: a sample of colour lies on the left pixel of its two (ITU-T H.264, E.2.1).
    planes = painted(sprites([x], [48.0], radius=14.0, light=(0.3, 0.05, 0.05), skirt=0.0, disc=disc))
    luma, red = planes.luma - 16.0, planes.cr - 128.0
    luma[luma <= 1] = red[red <= 1] = 0  # dither
    assert centroid(luma, np.arange(WIDTH) + 0.5) == pytest.approx(x, abs=0.15)
    assert centroid(red, 2 * np.arange(WIDTH // 2) + 0.5) == pytest.approx(x, abs=0.15)


@pytest.mark.parametrize("disc", [0, 1])
def test_smaller_pictures_are_as_bright(disc: int) -> None:
    totals = []
    for scale in (1.0, 0.5, 0.25, 0.125):
        size = (round(WIDTH * scale) * 2, round(108 * scale) * 2)
        x, y = size[0] / 2 + 0.3, size[1] / 2 + 0.4
        planes = painted(sprites([x], [y], radius=20 * scale, light=(0.1,) * 3, skirt=0.0, disc=disc), size=size)
        totals.append(light_of(planes).sum() / scale**2)
    assert max(totals) < 1.06 * min(totals)


@pytest.mark.parametrize("radius", [0.1, 0.4, 0.7, 1.0, 5.0])
@pytest.mark.parametrize("cover", [0.0, 0.8])
def test_fine_sprite_is_widened_with_the_same_light_or_cover(radius: float, cover: float) -> None:
    drawn, out = sprites([80.0], [54.0], radius=radius, light=(0.2, 0.3, 0.4), skirt=0.0), np.zeros((8, 2), np.float32)
    light = (drawn.red, drawn.green, drawn.blue)
    shape = (drawn.skirt, drawn.disc, np.full(1, cover, np.float32))
    n, _ = kernels.raster.cut_windows(drawn.x, drawn.y, drawn.radius, np.float32(1), *light, *shape, 192, 108, out)
    assert n == 1
    reach = out[2, 0]
    assert reach == pytest.approx(max(1.5, 2.1 * radius))
    share = (2.1 * radius / reach) ** 2
    assert out[7, 0] == pytest.approx(cover * share)
    assert out[3:6, 0] == pytest.approx(np.array([0.2, 0.3, 0.4]) * (1 if cover else share), rel=1e-5)


def test_reset_rasteriser_repaints_the_whole_picture() -> None:
    rasteriser, first = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
    rasteriser.paint(nothing(), first)
    rasteriser.reset()
    other = Planes(*(np.full_like(plane, 77) for plane in (first.luma, first.cb, first.cr)))
    rasteriser.paint(nothing(), other)
    assert same(first, other)


def test_many_sprites_that_reach_into_many_bands_are_all_painted() -> None:
    n, x, y = 60, (50.0, 140.0), (40.0, 70.0)
    few = painted(sprites(x, y, radius=40.0, light=(0.3,) * 3, skirt=0.0))
    many = painted(sprites(x * n, y * n, radius=40.0, light=(0.3 / n,) * 3, skirt=0.0))
    assert np.abs(few.luma.astype(int) - many.luma.astype(int)).max() <= 1


def test_light_adds_up() -> None:
    one = painted(sprites([60.0], [50.0], light=(0.1,) * 3)).luma[50, 60]
    two = painted(sprites([60.0, 60.0], [50.0, 50.0], light=(0.05,) * 3)).luma[50, 60]
    assert abs(int(one) - int(two)) <= 1


def test_bright_core_turns_white_and_its_surroundings_keep_the_hue() -> None:
    planes = painted(sprites([96.0], [54.0], radius=10.0, light=(40.0, 0.4, 0.4), skirt=0.05))
    core, skirt = planes.cr[27, 48], planes.cr[27, 48 + 11]
    assert skirt > 160  # red
    assert core < 150  # nearly white
    assert planes.luma[54, 96] > 205


def test_red_is_red_and_blue_is_blue() -> None:
    red = painted(sprites([96.0], [54.0], radius=10.0, light=(0.8, 0.0, 0.0)))
    blue = painted(sprites([96.0], [54.0], radius=10.0, light=(0.0, 0.0, 0.8)))
    assert red.cr[27, 48] > 170
    assert red.cb[27, 48] < 128
    assert blue.cb[27, 48] > 170
    assert blue.cr[27, 48] < 128
    assert blue.luma[54, 96] < red.luma[54, 96]  # as BT.709 weighs them


@given(
    frames=st.lists(
        st.lists(
            st.tuples(
                st.floats(-60, WIDTH + 60),
                st.floats(-60, HEIGHT + 60),
                st.floats(0.1, 30),
                st.integers(0, 1),
                st.sampled_from((None, 0.0, 0.4, 1.0)),
            ),
            max_size=6,
        ),
        min_size=2,
        max_size=4,
    )
)
@settings(max_examples=40, deadline=None)
@pytest.mark.compiled
def test_painting_over_the_last_frame_equals_painting_afresh(frames) -> None:
    background = Background(base=(0.003, 0.004, 0.006), glow=(0.01, 0.01, 0.02))
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT, background=background), Planes.empty(WIDTH, HEIGHT)
    for frame in frames:
        lists = [sprites([x], [y], radius=radius, disc=disc, cover=cover) for x, y, radius, disc, cover in frame]
        rasteriser.paint(Sprites.join(lists), planes)
        assert same(planes, painted(Sprites.join(lists), background))


@pytest.mark.parametrize("size", [(16, 16), (18, 34), (1922, 66), (130, 1082), (64, 4320)])
def test_any_even_size_can_be_painted(size: tuple[int, int]) -> None:
    width, height = size
    xs, ys = np.linspace(-20, width + 20, 40), np.linspace(-20, height + 20, 40)
    planes = painted(Sprites.join([sprites(xs, ys), sprites(xs, ys[::-1], radius=12.0, disc=1)]), size=size)
    assert planes.luma.max() > 60


def test_rows_may_be_longer_than_the_picture_is_wide() -> None:
    drawn = sprites([60.0, 190.0], [50.0, 100.0])
    wide = Planes(
        np.zeros((HEIGHT, WIDTH + 32), np.uint8),
        np.zeros((HEIGHT // 2, WIDTH // 2 + 16), np.uint8),
        np.zeros((HEIGHT // 2, WIDTH // 2 + 16), np.uint8),
    )
    Rasteriser(WIDTH, HEIGHT).paint(drawn, wide)
    narrow = painted(drawn)
    assert np.array_equal(wide.luma[:, :WIDTH], narrow.luma)
    assert not wide.luma[:, WIDTH:].any()


@pytest.mark.compiled
def test_draw_order_does_not_depend_on_the_previous_frame() -> None:
    rng = np.random.default_rng(1)
    many = sprites(rng.uniform(0, WIDTH, 3000), rng.uniform(0, HEIGHT, 3000), radius=3.0)
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
    rasteriser.paint(many, planes)  # enlarges the lists
    few = sprites([10.0, 100.0], [10.0, 60.0])
    rasteriser.paint(few, planes)
    assert same(planes, painted(few))


def test_dark_gradient_is_dithered_not_banded() -> None:
    planes = painted(nothing(), Background(base=(0.001,) * 3, glow=(0.004,) * 3), size=(640, 360))
    row = planes.luma[180].astype(int)
    steps = np.flatnonzero(np.diff(row))
    assert len(steps) > 60  # many small steps where bands would have a dozen
    smooth = np.convolve(planes.luma.mean(axis=0), np.ones(32) / 32, mode="valid")
    assert np.abs(np.diff(smooth)).max() < 0.2


def test_leaking_keeps_the_sum_of_light() -> None:
    rgb = [np.asarray([v], np.float32) for v in (0.9, 0.1, 0.3)]
    assert sum(float(c[0]) for c in leak(*rgb)) == pytest.approx(1.3, rel=1e-6)


def test_srgb_becomes_linear_light() -> None:
    np.testing.assert_allclose(linear_from_srgb([0.0, 0.04045, 0.5, 1.0]), [0, 0.0031308, 0.2140411, 1.0], rtol=1e-4)


GLOW = Background(base=(0.02, 0.01, 0.03), glow=(0.1, 0.05, 0.2))


def test_light_dims_sprites_and_background_alike() -> None:
    lit = sprites([40.0, 96.0], [30.0, 54.0], radius=6.0, light=(0.8, 0.4, 1.6))
    half = sprites([40.0, 96.0], [30.0, 54.0], radius=6.0, light=(0.4, 0.2, 0.8))
    dimmed = Background(base=(0.01, 0.005, 0.015), glow=(0.05, 0.025, 0.1))
    planes = Planes.empty(WIDTH, HEIGHT)
    Rasteriser(WIDTH, HEIGHT, background=GLOW).paint(lit, planes, light=0.5)
    assert same(planes, painted(half, dimmed))


def test_no_light_is_black() -> None:
    planes = Planes.empty(WIDTH, HEIGHT)
    Rasteriser(WIDTH, HEIGHT, background=GLOW).paint(sprites([96.0], [54.0]), planes, light=0.0)
    assert same(planes, painted(nothing()))


def test_change_of_light_redraws_what_no_sprite_touches() -> None:
    planes, rasteriser = Planes.empty(WIDTH, HEIGHT), Rasteriser(WIDTH, HEIGHT, background=GLOW)
    for light in (0.0, 0.3, 0.3, 1.0, 0.7):
        moving = sprites([20.0 + 100 * light], [54.0])
        rasteriser.paint(moving, planes, light=light)
        anew = Planes.empty(WIDTH, HEIGHT)
        Rasteriser(WIDTH, HEIGHT, background=GLOW).paint(moving, anew, light=light)
        assert same(planes, anew)


@pytest.mark.compiled
def test_sprites_that_cover_the_picture_too_often_are_drawn_smaller() -> None:
    rng = np.random.default_rng(3)
    n, planes = 3 * MOST_OVERDRAW, Planes.empty(64, 48)
    everywhere = (rng.uniform(0, 64, n), rng.uniform(0, 48, n))
    scale = Rasteriser(64, 48).paint(sprites(*everywhere, radius=1e6, light=(1e-4,) * 3, skirt=0.0), planes)
    assert 0 < scale < 1e-4  # they still are as large as a good part of the picture
    reach = 2.1e6 * scale
    wide, high = (
        np.minimum(at + reach, side) - np.maximum(at - reach, 0) for at, side in zip(everywhere, (64, 48), strict=True)
    )
    assert (wide * high).sum() / (64 * 48) == pytest.approx(MOST_OVERDRAW, rel=0.01)
    assert planes.luma.min() > 20  # light all over


@pytest.mark.compiled
@pytest.mark.parametrize("n", [1, MOST_OVERDRAW])
def test_as_much_overdraw_as_is_allowed_is_drawn_as_it_is(n: int) -> None:
    planes = Planes.empty(64, 48)
    assert Rasteriser(64, 48).paint(sprites([32.0] * n, [24.0] * n, radius=900.0, skirt=0.0), planes) == 1


@pytest.mark.compiled
def test_what_lies_outside_or_is_not_a_number_is_no_overdraw() -> None:
    n = 3 * MOST_OVERDRAW
    x = np.r_[np.full(n, -5000.0), 32.0, 20.0]
    radius = np.r_[np.full(n, 100.0), 6.0, np.nan]
    drawn = sprites(x, np.full(n + 2, 24.0), skirt=0.0)
    drawn = replace(drawn, radius=radius.astype(np.float32))
    planes = Planes.empty(64, 48)
    assert Rasteriser(64, 48).paint(drawn, planes) == 1
    assert planes.luma[24, 32] > 150


@pytest.mark.compiled
def test_specks_are_neither_counted_nor_dimmed() -> None:
    rng = np.random.default_rng(3)
    everywhere = (rng.uniform(0, 16, 100_000), rng.uniform(0, 16, 100_000))
    planes = Planes.empty(16, 16)
    assert Rasteriser(16, 16).paint(sprites(*everywhere, radius=0.05, light=(0.01,) * 3, skirt=0.0), planes) == 1


BRIGHT = Background(base=(0.5, 0.6, 0.9), glow=(0.4, 0.3, 0.1))


@pytest.mark.parametrize("disc", [0, 1])
def test_covering_sprite_hides_what_is_behind_it(disc: int) -> None:
    lamp = sprites([96.0], [54.0], radius=3.0, light=(1.0, 1.0, 1.0), skirt=0.0)
    paint = sprites([96.0], [54.0], radius=20.0, light=(0.2, 0.02, 0.02), skirt=0.0, disc=disc, cover=1.0)
    alone = painted(paint, BRIGHT)
    hidden = painted(Sprites.join([lamp, paint]), BRIGHT)
    shown = painted(Sprites.join([paint, lamp]), BRIGHT)
    assert abs(int(hidden.luma[54, 96]) - int(alone.luma[54, 96])) <= (16 if disc == 0 else 1)  # a glow ends at 0.98
    assert int(alone.luma[54, 96]) < int(painted(nothing(), BRIGHT).luma[54, 96]) - 50  # the bright background, too
    assert int(shown.luma[54, 96]) > int(alone.luma[54, 96]) + 60


def test_lines_and_covering_sprites_are_drawn_in_turn() -> None:
    def line(y: float) -> Sprites:
        way = np.full(1, 120.0, np.float32)
        return replace(sprites([36.0], [y], radius=3.0, light=(0.5, 1.0, 2.0), skirt=0.0), dx=way, dy=way * 0)

    disc = sprites([96.0], [54.0], radius=40.0, light=(0.2, 0.02, 0.02), disc=1, cover=1.0)
    ring = sprites([96.0], [54.0], radius=1.5, light=(0.0, 3.0, 0.0), skirt=0.5)  # a core and a skirt
    hidden, shown = line(40.0), line(66.0)
    for bloom in (None, Finish(bloom=3.0, bloom_radius=40.0)):
        both = painted(Sprites.join([ring, hidden, ring, disc, shown, ring]), BRIGHT, finish=bloom)
        alone = painted(Sprites.join([ring, ring, disc, ring]), BRIGHT, finish=bloom)
        without = painted(Sprites.join([ring, ring, disc, shown, ring]), BRIGHT, finish=bloom)
        within = slice(75, 117)
        assert (both.luma[66, within].astype(int) - alone.luma[66, within]).min() > 60
        assert np.abs(both.luma[40, within].astype(int) - without.luma[40, within]).max() <= (
            1 if bloom is None else 12
        )
        assert (both.luma[40, 40:50].astype(int) - without.luma[40, 40:50]).min() > 10  # beside the disc


def test_disc_that_covers_half_shows_half_of_what_is_behind() -> None:
    background = Background(base=(0.4, 0.4, 0.4))
    half = painted(sprites([96.0], [54.0], radius=20.0, light=(0.0,) * 3, skirt=0.0, disc=1, cover=0.5), background)
    whole = painted(nothing(), background)
    assert half.luma[54, 96] - 16 == pytest.approx((whole.luma[54, 96] - 16) / 2, rel=0.12)


@pytest.mark.parametrize("radius", [0.7, 1.4, 1.6, 3.0, 6.0, 12.0])
def test_small_disc_hides_as_much_of_its_area_as_a_large_one(radius: float) -> None:
    background = Background(base=(0.4, 0.4, 0.4))

    def hidden(radius: float) -> float:
        totals = []
        for shift in (0.0, 0.3, 0.7):  # discs on the border of two bands
            disc = sprites([80.0 + shift], [64.0 + shift], radius, (0.0,) * 3, skirt=0.0, disc=1, cover=1.0)
            both = painted(nothing(), background), painted(disc, background)
            totals.append(sum(float(planes.luma.sum()) * sign for planes, sign in zip(both, (1, -1), strict=True)))
        return float(np.mean(totals)) / radius**2

    assert hidden(radius) == pytest.approx(hidden(24.0), rel=0.12)


def test_discs_that_cover_do_not_depend_on_the_height_of_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    x, y, radius = rng.uniform(0, WIDTH, 300), rng.uniform(0, HEIGHT, 300), rng.uniform(0.4, 6, 300)
    pictures = []
    for rows in (32, 128):
        monkeypatch.setattr(rasteriser_module, "BAND_ROWS", rows)
        rasteriser, planes = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
        rasteriser._luma_dither[:], rasteriser._chroma_dither[:] = 0.5, 0.5
        rasteriser.paint(sprites(x, y, radius, (9.0, 1.0, 0.0), skirt=0.0, disc=1, cover=0.9), planes)
        pictures.append(planes)
    assert same(*pictures)


def test_sprites_that_cover_nothing_add_light_beside_those_that_cover() -> None:
    lamp = sprites([40.0], [54.0], radius=6.0, light=(0.8, 0.4, 0.2), skirt=0.1)
    beside = painted(Sprites.join([lamp, sprites([150.0], [54.0], cover=1.0)]), GLOW)
    alone = painted(lamp, GLOW)
    for a, b in ((beside.luma[:, :90], alone.luma[:, :90]), (beside.cb[:, :45], alone.cb[:, :45])):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1
    assert (beside.luma[:, 90:120] == alone.luma[:, 90:120]).all()  # the bare background


def test_covering_leaves_nothing_behind_for_the_next_frame() -> None:
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT, background=BRIGHT), Planes.empty(WIDTH, HEIGHT)
    rasteriser.paint(sprites([96.0], [54.0], cover=1.0), planes)
    rasteriser.paint(sprites([60.0], [40.0]), planes)
    assert same(planes, painted(sprites([60.0], [40.0]), BRIGHT))
    rasteriser.paint(nothing(), planes)
    assert same(planes, painted(nothing(), BRIGHT))


def test_fade_dims_what_covers_and_does_not_change_it() -> None:
    paint = sprites([96.0], [54.0], radius=20.0, light=(6.0, 6.0, 6.0), skirt=0.0, cover=1.0)
    whole, half = painted(paint, GLOW), Planes.empty(WIDTH, HEIGHT)
    Rasteriser(WIDTH, HEIGHT, background=GLOW).paint(paint, half, light=0.25)
    np.testing.assert_allclose(4 * light_of(half), light_of(whole), rtol=0.12, atol=0.02)


@pytest.mark.parametrize("disc", [0, 1])
def test_light_without_bound_may_cover(disc: int) -> None:
    planes = painted(sprites([96.0], [54.0], radius=9.0, light=(1e9,) * 3, skirt=0.0, disc=disc, cover=1.0), GLOW)
    assert planes.luma[54, 96] >= 225  # a glow ends at 0.98


def test_fine_covering_sprite_hides_as_much_at_any_subpixel_position() -> None:
    totals = []
    for shift in np.linspace(0, 1, 9):
        dot = sprites([80.0 + shift], [54.0 + shift / 3], radius=0.4, light=(0.0,) * 3, skirt=0.0, cover=1.0)
        totals.append(float((235 - painted(dot, Background(base=(8.0,) * 3)).luma.astype(float)).sum()))
    assert max(totals) <= 1.3 * min(totals) + 8
