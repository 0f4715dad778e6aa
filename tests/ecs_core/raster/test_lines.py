"""Lines: sprites that are drawn along a way, and add up to the same light wherever they are cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecs_core import Sprites
from ecs_core.raster.background import Background
from ecs_core.raster.finish import Finish
from ecs_core.raster.rasteriser import MOST_LINES, Planes, Rasteriser
from tests.ecs_core.raster.painting import HEIGHT, WIDTH, light_of, painted, same


def lines(x, y, dx, dy, radius=3.0, light=0.05, taper=None, fade=None) -> Sprites:
    n = len(x)

    def column(value) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, np.float32), n).copy()

    colour = [column(light)] * 3
    return Sprites(
        column(x), column(y), column(radius), *colour, column(0.0), np.zeros(n, np.uint8), None, column(dx), column(dy),
        None if taper is None else column(taper), None if fade is None else column(fade),
    )  # fmt: skip


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.0, np.pi / 2, 2.0, np.pi, 4.0])
def test_line_is_as_bright_in_any_direction(angle: float) -> None:
    x, y, way = 96.3, 54.4, 40.0
    dx, dy = way * np.cos(angle), way * np.sin(angle)
    total = light_of(painted(lines([x - dx / 2], [y - dy / 2], dx, dy))).sum()
    level = light_of(painted(lines([x - 20.0], [y], way, 0.0))).sum()
    assert total == pytest.approx(level, rel=0.03)


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2])
def test_pieces_of_a_line_add_up_to_it(angle: float) -> None:
    dx, dy = 60 * np.cos(angle), 60 * np.sin(angle)
    x, y = 96 - dx / 2, 54 - dy / 2
    cuts = np.array([0.0, 0.13, 0.4, 0.72, 0.75])
    parts = np.diff([*cuts, 1.0])
    whole = painted(lines([x], [y], dx, dy))
    pieces = painted(lines(x + dx * cuts, y + dy * cuts, dx * parts, dy * parts))
    assert np.abs(whole.luma.astype(int) - pieces.luma.astype(int)).max() <= 1
    assert np.abs(whole.cb.astype(int) - pieces.cb.astype(int)).max() <= 1


@pytest.mark.parametrize("radius", [0.3, 1.5, 6.0])
def test_tapered_line_has_the_light_of_its_many_pieces(radius: float) -> None:
    """However fine it is: of short pieces each is about as wide, and as bright, at both ends."""
    taper, fade, n = 0.2, 0.25, 40
    at = np.linspace(0, 1, n + 1)
    width, light = 1 + (taper - 1) * at, (1 + (np.sqrt(fade) - 1) * at) ** 2
    whole = painted(lines([40.0], [54.0], 110.0, 0.0, radius=radius, light=0.02, taper=taper, fade=fade))
    pieces = lines(
        40 + 110 * at[:-1], np.full(n, 54.0), 110 / n, 0.0, radius=radius * width[:-1], light=0.02 * light[:-1],
        taper=width[1:] / width[:-1], fade=light[1:] / light[:-1],
    )  # fmt: skip
    black = light_of(painted(lines([], [], 0.0, 0.0))).sum()
    assert light_of(whole).sum() - black == pytest.approx(light_of(painted(pieces)).sum() - black, rel=0.02)


def test_line_from_either_end_is_the_same() -> None:
    there = painted(lines([50.0], [30.0], 60.0, 40.0))
    back = painted(lines([110.0], [70.0], -60.0, -40.0))
    assert np.abs(there.luma.astype(int) - back.luma.astype(int)).max() <= 1


def test_line_tapers_and_fades_towards_its_other_end() -> None:
    light = light_of(painted(lines([40.0], [54.0], 110.0, 0.0, radius=5.0, taper=0.3, fade=0.1)))
    assert light[54, 45] > 2 * light[54, 95] > 2 * light[54, 140]
    wide = [light[:, at].sum() / light[:, at].max() for at in (50, 95, 138)]
    assert wide[0] > 1.4 * wide[1] > 1.4 * 1.2 * wide[2]


def test_without_a_way_a_sprite_is_round() -> None:
    still = lines([60.0], [50.0], 0.0, 0.0)
    assert same(painted(still), painted(replace(still, dx=None, dy=None)))


def test_fine_line_keeps_its_light_wherever_it_lies() -> None:
    totals = [
        light_of(painted(lines([60.0 + shift], [40.0 + shift / 3], 50.0, 20.0, radius=0.4, light=0.2))).sum()
        for shift in np.linspace(0, 1, 9)
    ]
    assert max(totals) <= 1.1 * min(totals)


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.1, np.pi / 2])
@pytest.mark.parametrize("way", [4.0, 70.0])
def test_line_that_becomes_soft_looks_as_before(angle: float, way: float) -> None:
    dx, dy = way * np.cos(angle), way * np.sin(angle)
    fine, soft = (
        light_of(painted(lines([96.2 - dx / 2], [54.7 - dy / 2], dx, dy, radius=reach / 2.1, light=0.3)))
        for reach in (4.99, 5.01)
    )
    assert soft.sum() == pytest.approx(fine.sum(), rel=0.03)
    assert soft.max() == pytest.approx(fine.max(), rel=0.05)
    assert np.abs(soft - fine).max() < 0.2 * fine.max()
    middles = [
        (light[..., None] * np.moveaxis(np.indices(light.shape), 0, 2)).sum((0, 1)) / light.sum()
        for light in (fine, soft)
    ]
    np.testing.assert_allclose(*middles, atol=0.1)


PLACES = st.tuples(
    st.floats(-60, WIDTH + 60), st.floats(-60, HEIGHT + 60), st.floats(-200, 200), st.floats(-200, 200),
    st.floats(0.1, 12), st.sampled_from((0.0, 0.3, 1.0)),
)  # fmt: skip


@given(frames=st.lists(st.lists(PLACES, max_size=5), min_size=2, max_size=4))
@example(frames=[[], [(0.5, 12.0, 142.0, 53.0, 8.0, 1.0)]])
@example(frames=[[(0.5, 12.0, 142.0, 53.0, 2.0, 1.0)], []])
@settings(max_examples=40, deadline=None)
@pytest.mark.compiled
def test_painting_over_the_last_frame_equals_painting_afresh(frames) -> None:
    background = Background(base=(0.003, 0.004, 0.006), glow=(0.01, 0.01, 0.02))
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT, background=background), Planes.empty(WIDTH, HEIGHT)
    for frame in frames:
        drawn = Sprites.join(
            [lines([x], [y], dx, dy, radius=radius, taper=end, fade=end) for x, y, dx, dy, radius, end in frame]
        )
        rasteriser.paint(drawn, planes)
        assert same(planes, painted(drawn, background=background))


@given(place=PLACES)
@settings(max_examples=60, deadline=None)
@pytest.mark.compiled
def test_nothing_is_lit_beyond_the_reach_of_a_line(place) -> None:
    x, y, dx, dy, radius, end = place
    planes = painted(lines([x], [y], dx, dy, radius=radius, light=50.0, taper=end, fade=end))
    py, px = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    along = np.clip(((px - x) * dx + (py - y) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
    distance = np.hypot(px - x - along * dx, py - y - along * dy)
    reach = max(2.1 * radius, 1.5)
    assert (planes.luma[distance > reach * 2**0.5 + 0.01] <= 17).all()


@pytest.mark.compiled
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e20])
def test_what_is_no_usable_number_lights_nothing_else(value: float) -> None:
    fine = lines([60.0], [50.0], 20.0, 5.0)
    broken = [
        lines([value], [50.0], 20.0, 5.0),
        lines([30.0], [20.0], value, 5.0),
        lines([30.0], [20.0], 5.0, value),
        lines([30.0], [20.0], 5.0, 9.0, radius=value),
    ]
    for finish in (None, Finish(bloom=2.0)):
        planes = painted(Sprites.join([*broken, fine]), finish=finish)
        alone = painted(fine, finish=finish)
        assert np.abs(planes.luma[45:60, 55:90].astype(int) - alone.luma[45:60, 55:90]).max() <= (finish is not None)


@pytest.mark.compiled
def test_lines_that_cover_the_picture_too_often_are_drawn_thinner() -> None:
    rng = np.random.default_rng(3)
    n = int(4 * MOST_LINES)
    x, y = rng.uniform(0, 64, n), rng.uniform(0, 48, n)
    planes = Planes.empty(64, 48)
    scale = Rasteriser(64, 48).paint(lines(x, y, 20.0, 10.0, radius=1e4, light=1e-3), planes)
    assert 0 < scale < 0.01  # thin enough to be some way smaller than the picture
    assert planes.luma.max() > 40


@pytest.mark.compiled
def test_room_that_lines_take_is_that_of_their_wider_end() -> None:
    n = int(4 * MOST_LINES)
    planes = Planes.empty(64, 48)
    horns = lines(np.full(n, 30.0), np.full(n, 24.0), 9.0, 3.0, radius=0.5, light=1e-3, taper=1e4)
    assert 0 < Rasteriser(64, 48).paint(horns, planes) < 0.01


@pytest.mark.compiled
def test_lines_outside_of_the_picture_take_no_room() -> None:
    n = int(4 * MOST_LINES)
    away = lines(np.full(n, -9000.0), np.full(n, 24.0), 20.0, 10.0, radius=100.0)
    planes = Planes.empty(64, 48)
    assert Rasteriser(64, 48).paint(Sprites.join([away, lines([10.0], [10.0], 30.0, 20.0)]), planes) == 1
