"""Marks: pictures, masks and boxes among sprites show their own colours, wherever and however they lie."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecs_core.raster.background import Background
from ecs_core.raster.finish import Finish
from ecs_core.raster.light_pictures import LightMask, LightPicture, light_of
from ecs_core.raster.marks import BoxesMark, Mark, MaskMark, PictureMark, PlacedMark, Pose, same
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.raster.sprites import Sprites
from ecs_core.raster.straight import StraightPlanes, StraightRasteriser
from tests.ecs_core.raster.painting import rgb_of

WIDTH, HEIGHT = 192, 108
MIDDLE = Pose(96.0, 54.0)
NOTHING = Sprites.join([])
GLOW = Background(base=(0.02, 0.03, 0.05), glow=(0.1, 0.05, 0.2))


def flat(colour: tuple[int, ...], width: int = 60, height: int = 40) -> LightPicture:
    return LightPicture.of(np.full((height, width, len(colour)), colour, np.uint8))


def picture(colour: tuple[int, ...], pose: Pose = MIDDLE, **more: object) -> PictureMark:
    return PictureMark(flat(colour), pose, -30.0, -20.0, **more)  # type: ignore[arg-type]


def mask(colour: tuple[int, int, int], pose: Pose = MIDDLE, **more: object) -> MaskMark:
    covers = LightMask.of(np.ones((40, 60), np.float32))
    return MaskMark(covers, pose, -30.0, -20.0, light_of(colour), **more)  # type: ignore[arg-type]


def box(colour: tuple[int, int, int], pose: Pose = MIDDLE, **more: object) -> BoxesMark:
    return BoxesMark.at(pose, [0.0], [0.0], [30.0], [20.0], np.array(light_of(colour)), **more)  # type: ignore[arg-type]


MAKERS = {"picture": picture, "mask": mask, "box": box}


def painted(*marks: Mark, sprites: Sprites = NOTHING, finish: Finish | None = None, light: float = 1.0) -> np.ndarray:
    """What is shown, (height, width, 3) uint8."""
    planes = Planes.empty(WIDTH, HEIGHT)
    placed = [PlacedMark(0, each) for each in marks]
    Rasteriser(WIDTH, HEIGHT, background=GLOW).paint(sprites, planes, marks=placed, finish=finish, light=light)
    return rgb_of(planes)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (255, 255, 255), (250, 10, 10), (12, 200, 90), (30, 60, 240), (128, 128, 128), (245, 166, 90)]
)
def test_marks_show_their_own_colours(make: str, colour: tuple[int, int, int]) -> None:
    shown = painted(MAKERS[make](colour))[44:64, 80:112].reshape(-1, 3).astype(int)
    assert np.abs(shown - colour).max() <= 4  # 4:2:0 in whole numbers, limited range


@pytest.mark.parametrize("make", MAKERS)
def test_mark_covers_its_place_and_nothing_else(make: str) -> None:
    bare, shown = painted(), painted(MAKERS[make]((255, 255, 255)))
    changed = np.abs(shown.astype(int) - bare).max(axis=2) > 8
    inside = np.zeros_like(changed)
    inside[34:74, 66:126] = True
    assert changed[inside].all()
    inside[33:75, 65:129] = True  # colours have half the size, and lie to the left
    assert not changed[~inside].any()


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("turns", [0.25, 0.5, 0.75])
def test_turned_mark_covers_its_place_turned(make: str, turns: float) -> None:
    pose = replace(MIDDLE, angle=turns * math.tau)
    changed = np.abs(painted(MAKERS[make]((255, 255, 255), pose)).astype(int) - painted()).max(axis=2) > 60
    tall, wide = (60, 40) if turns != 0.5 else (40, 60)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert abs(len(rows) - tall) <= 2
    assert abs(len(columns) - wide) <= 2


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("scale", [0.2, 0.5, 0.8, 1.7])
def test_scaled_mark_has_its_size(make: str, scale: float) -> None:
    shown = painted(MAKERS[make]((255, 255, 255), replace(MIDDLE, scale=scale))).astype(int)
    changed = np.abs(shown - painted()).max(axis=2) > 100
    assert abs(changed.sum() / (scale * scale * 60 * 40) - 1) < 0.12
    rows = np.flatnonzero(changed.any(axis=1))
    assert abs((rows[0] + rows[-1]) / 2 - 53.5) <= 0.5


@pytest.mark.parametrize("make", MAKERS)
def test_opacity_is_the_share_of_what_is_shown(make: str) -> None:
    bare = painted()[54, 96].astype(int)
    half = painted(MAKERS[make]((240, 230, 90), replace(MIDDLE, opacity=0.5)))[54, 96].astype(int)
    np.testing.assert_allclose(half, (bare + np.array((240, 230, 90))) / 2, atol=6)  # near the curve that is blended by


@pytest.mark.parametrize("make", MAKERS)
def test_mark_that_adds_light_brightens_what_is_behind_it(make: str) -> None:
    bare, shown = painted()[54, 96].astype(int), painted(MAKERS[make]((60, 60, 60), blend="add"))[54, 96].astype(int)
    assert (shown > bare).all()
    assert (shown >= 60).all()
    black = painted(MAKERS[make]((0, 0, 0), blend="add"))
    np.testing.assert_array_equal(black, painted())


def test_transparent_texels_show_what_is_behind() -> None:
    pixels = np.full((40, 60, 4), 255, np.uint8)
    pixels[:, 30:, 3] = 0
    shown = painted(PictureMark(LightPicture.of(pixels), MIDDLE, -30.0, -20.0))
    assert shown[54, 80].min() > 250
    np.testing.assert_array_equal(shown[40:70, 100:120], painted()[40:70, 100:120])


def test_mask_has_another_colour_left_of_its_split() -> None:
    shown = painted(mask((255, 0, 0), other=light_of((0, 0, 255)), split=30.0))
    assert shown[54, 75, 2] > 200
    assert shown[54, 75, 0] < 60
    assert shown[54, 115, 0] > 200
    assert shown[54, 115, 2] < 60


def test_rim_of_a_box_leaves_its_middle() -> None:
    shown, bare = painted(box((255, 255, 255), rim=4.0)).astype(int), painted()
    np.testing.assert_array_equal(shown[50:58, 80:112], bare[50:58, 80:112])
    assert shown[54, 68].min() > 240


def test_corners_of_a_box_are_round() -> None:
    covered = np.abs(painted(box((255, 255, 255), corner=20.0)).astype(int) - painted()).max(axis=2) > 100
    assert not covered[35, 67]
    assert abs(covered.sum() - (20 * 40 + math.pi * 400)) < 60


def test_marks_are_drawn_in_order_among_sprites() -> None:
    one = np.array([96.0], np.float32)
    rest = {name: np.full(1, value, np.float32) for name, value in (("radius", 8.0), ("skirt", 0.0))}
    light = {name: np.full(1, 3.0, np.float32) for name in ("red", "green", "blue")}
    sprite = Sprites(one, np.array([54.0], np.float32), disc=np.zeros(1, np.uint8), **rest, **light)

    def shown(after: int) -> int:
        planes = Planes.empty(WIDTH, HEIGHT)
        Rasteriser(WIDTH, HEIGHT).paint(sprite, planes, marks=[PlacedMark(after, box((90, 0, 0)))])
        return int(planes.luma[54, 96])

    assert shown(0) > 200
    assert shown(1) < 60


def test_later_mark_covers_an_earlier_one() -> None:
    assert painted(box((255, 0, 0)), box((0, 0, 255)))[54, 96].tolist() == pytest.approx([0, 0, 255], abs=5)


@pytest.mark.parametrize("make", MAKERS)
def test_light_of_a_picture_fades_marks(make: str) -> None:
    shown = [int(painted(MAKERS[make]((200, 200, 200)), light=light)[54, 96].sum()) for light in (0.0, 0.3, 1.0)]
    assert shown[0] <= 3
    assert shown[0] < shown[1] < shown[2]


@pytest.mark.parametrize("make", MAKERS)
def test_marks_spread_light_in_bloom_unless_they_are_dark(make: str) -> None:
    def beside(dark: bool) -> int:
        planes = Planes.empty(WIDTH, HEIGHT)
        finish = Finish(bloom=1.0, bloom_radius=200.0)
        mark = PlacedMark(0, MAKERS[make]((255, 255, 255)), dark)
        Rasteriser(WIDTH, HEIGHT).paint(NOTHING, planes, marks=[mark], finish=finish)
        return int(planes.luma[54, 140])

    assert beside(False) > beside(True) + 10


MOVES = st.lists(
    st.tuples(
        st.sampled_from([*MAKERS]), st.integers(60, 130), st.sampled_from([0.0, 0.3]), st.sampled_from([1.0, 0.6])
    ),
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(MOVES, min_size=2, max_size=5))
def test_picture_does_not_depend_on_those_before_it(frames: list[list[tuple[str, int, float, float]]]) -> None:
    def marks(of: list[tuple[str, int, float, float]]) -> list[PlacedMark]:
        placed = ((MAKERS[make], Pose(float(x), 50.0, 1.0, angle, opacity)) for make, x, angle, opacity in of)
        return [PlacedMark(number // 2, make((200, 90, 40), pose)) for number, (make, pose) in enumerate(placed)]

    one = np.array([100.0], np.float32)
    nothing, radius = np.zeros(1, np.float32), np.full(1, 9.0, np.float32)
    sprite = Sprites(one, one / 2, radius, radius, radius, nothing, nothing, np.zeros(1, np.uint8))
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT, background=GLOW), Planes.empty(WIDTH, HEIGHT)
    for frame in (each for each in frames for _ in range(3)):  # what stands still is kept
        rasteriser.paint(sprite, planes, marks=marks(frame))
        alone = Planes.empty(WIDTH, HEIGHT)
        Rasteriser(WIDTH, HEIGHT, background=GLOW).paint(sprite, alone, marks=marks(frame))
        for one_plane, other in ((planes.luma, alone.luma), (planes.cb, alone.cb), (planes.cr, alone.cr)):
            np.testing.assert_array_equal(one_plane, other)


def test_marks_that_do_not_change_are_not_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    usual = PictureMark.draw
    monkeypatch.setattr(PictureMark, "draw", lambda mark, painting: (drawn.append(painting.top), usual(mark, painting)))
    rasteriser, planes = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
    shown = flat((200, 30, 90))
    for _ in range(4):
        rasteriser.paint(NOTHING, planes, marks=[PlacedMark(0, PictureMark(shown, MIDDLE, -30.0, -20.0))])
    counted = len(drawn)
    rasteriser.paint(NOTHING, planes, marks=[PlacedMark(0, PictureMark(shown, MIDDLE, -30.0, -20.0))])
    assert len(drawn) == counted
    moved = replace(MIDDLE, x=99.0)
    rasteriser.paint(NOTHING, planes, marks=[PlacedMark(0, PictureMark(shown, moved, -30.0, -20.0))])
    assert len(drawn) > counted


def test_marks_are_the_same_if_they_show_the_same() -> None:
    shown = flat((1, 2, 3))
    one = PictureMark(shown, MIDDLE, 0.0, 0.0)
    assert same(one, PictureMark(shown, Pose(96.0, 54.0), 0.0, 0.0))
    assert not same(one, PictureMark(flat((1, 2, 3)), MIDDLE, 0.0, 0.0))
    assert same(box((1, 2, 3)), box((1, 2, 3)))
    assert not same(box((1, 2, 3)), box((1, 2, 4)))
    assert not same(one, box((1, 2, 3)))
    assert not same(one, None)


@pytest.mark.parametrize("make", MAKERS)
def test_alpha_of_what_covers_is_its_opacity(make: str) -> None:
    planes = StraightPlanes.empty("rgba", WIDTH, HEIGHT)
    mark = MAKERS[make]((250, 120, 10), replace(MIDDLE, opacity=0.5))
    StraightRasteriser(WIDTH, HEIGHT, background=None).paint(NOTHING, planes, marks=[PlacedMark(0, mark)])
    pixels = planes.arrays[0].reshape(HEIGHT, WIDTH, 4).astype(int)
    np.testing.assert_allclose(pixels[54, 96], (250, 120, 10, 128), atol=12)
    assert pixels[10, 10, 3] == 0


def test_opaque_black_has_alpha() -> None:
    planes = StraightPlanes.empty("rgba", WIDTH, HEIGHT)
    StraightRasteriser(WIDTH, HEIGHT, background=None).paint(NOTHING, planes, marks=[PlacedMark(0, box((0, 0, 0)))])
    assert planes.arrays[0].reshape(HEIGHT, WIDTH, 4)[54, 96].tolist() == [0, 0, 0, 255]


def test_slow_motion_of_a_picture_is_smooth() -> None:
    """Each step of a hundredth of a pixel changes the picture by little."""
    shown = LightPicture.of(np.random.default_rng(3).integers(0, 255, (40, 60, 3), np.uint8))
    frames = [
        painted(PictureMark(shown, replace(MIDDLE, x=96 + step / 10), -30.0, -20.0)).astype(int) for step in range(12)
    ]
    assert max(np.abs(one - other).max() for one, other in pairwise(frames)) < 48


@pytest.mark.parametrize("make", MAKERS)
def test_mark_beyond_the_picture_is_harmless(make: str) -> None:
    for pose in (Pose(-500.0, 54.0), Pose(96.0, 1e7), Pose(1e9, -1e9, 3.0, 1.0), Pose(190.0, 106.0), Pose(0.0, 0.0)):
        painted(MAKERS[make]((255, 255, 255), pose))
