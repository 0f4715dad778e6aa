"""Pictures with straight alpha: over black they are what video shows, and covers hide what they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecs_core import Sprites
from ecs_core.raster.background import Background
from ecs_core.raster.finish import Finish
from ecs_core.raster.straight import StraightForm, StraightPlanes, StraightRasteriser
from tests.ecs_core.raster.painting import painted

SIZE = WIDTH, HEIGHT = 192, 108
FORMS: tuple[StraightForm, ...] = ("rgba", "yuva420p", "yuva444p10le")
WHITE_GROUND = Background(base=(100.0, 100.0, 100.0))


def sprites(n: int = 12, *, cover: float | None = None, seed: int = 1) -> Sprites:
    rng = np.random.default_rng(seed)

    def between(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, n).astype(np.float32)

    return Sprites(
        between(0, WIDTH), between(0, HEIGHT), between(3, 12), between(0, 2), between(0, 2), between(0, 2),
        between(0, 0.1), np.zeros(n, np.uint8), None if cover is None else np.full(n, cover, np.float32),
    )  # fmt: skip


def straight(
    drawn: Sprites,
    form: StraightForm = "rgba",
    background: Background | None = None,
    *,
    light: float = 1.0,
    finish: Finish | None = None,
) -> StraightPlanes:
    planes = StraightPlanes.empty(form, *SIZE)
    StraightRasteriser(*SIZE, background=background).paint(drawn, planes, light=light, finish=finish)
    return planes


def colour_and_alpha(planes: StraightPlanes) -> tuple[np.ndarray, np.ndarray]:
    """(height, width, 3) and (height, width), 0–1."""
    if planes.form == "rgba":
        values = planes.arrays[0].reshape(HEIGHT, WIDTH, 4) / 255
        return values[..., :3], values[..., 3]
    luma, cb, cr, alpha = (each.astype(float) for each in planes.arrays)
    if planes.form == "yuva420p":
        cb, cr = (np.repeat(np.repeat(each, 2, 0), 2, 1) for each in (cb, cr))
        y, b, r, a = (luma - 16) / 219, (cb - 128) / 224, (cr - 128) / 224, alpha / 255
    else:
        y, b, r, a = (luma - 64) / 876, (cb - 512) / 896, (cr - 512) / 896, alpha / 1023
    red, blue = y + 1.5748 * r, y + 1.8556 * b
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    return np.stack([red, green, blue], axis=-1), a


def luma_over_black(planes: StraightPlanes) -> np.ndarray:
    colour, alpha = colour_and_alpha(planes)
    return alpha * (colour @ (0.2126, 0.7152, 0.0722))


def luma_of_video(drawn: Sprites, **options: object) -> np.ndarray:
    return (painted(drawn, size=SIZE, **options).luma.astype(float) - 16) / 219  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cover", [None, 0.7])
def test_over_black_it_shows_what_video_shows(form: StraightForm, cover: float | None) -> None:
    drawn = sprites(cover=cover)
    shown, video = luma_over_black(straight(drawn, form)), luma_of_video(drawn)
    assert video.max() > 0.5
    np.testing.assert_allclose(shown, video, atol=0.015)  # two steps of luma each


@pytest.mark.parametrize("form", FORMS)
def test_alpha_of_light_is_its_brightest_value(form: StraightForm) -> None:
    colour, alpha = colour_and_alpha(straight(sprites(), form))
    lit = alpha > 0.1
    assert lit.sum() > 1000
    np.testing.assert_allclose(colour[lit].max(axis=-1), 1, atol=0.02)


@pytest.mark.parametrize("form", FORMS)
def test_where_nothing_is_drawn_alpha_is_zero(form: StraightForm) -> None:
    _, alpha = colour_and_alpha(straight(sprites(0), form))
    assert not alpha.any()


@pytest.mark.parametrize("form", FORMS)
def test_over_a_background_alpha_is_one(form: StraightForm) -> None:
    ground = Background(base=(0.02, 0.03, 0.1), glow=(0.1, 0.0, 0.0))
    planes = straight(sprites(), form, ground)
    _, alpha = colour_and_alpha(planes)
    assert (alpha == 1).all()
    video = (painted(sprites(), ground, SIZE).luma.astype(float) - 16) / 219
    np.testing.assert_allclose(luma_over_black(planes), video, atol=0.015)


@pytest.mark.parametrize("disc", [0, 1])
def test_what_covers_looks_over_white_as_if_drawn_on_white(disc: int) -> None:
    # An editor's composite of the picture over white, against a picture that was painted on white.
    drawn = replace(sprites(cover=0.8), disc=np.full(12, disc, np.uint8))
    drawn = replace(drawn, skirt=np.zeros(12, np.float32))
    colour, alpha = colour_and_alpha(straight(drawn))
    composed = (alpha[..., None] * colour + (1 - alpha[..., None])) @ (0.2126, 0.7152, 0.0722)
    on_white = (painted(drawn, WHITE_GROUND, SIZE).luma.astype(float) - 16) / 219
    np.testing.assert_allclose(composed, on_white, atol=0.08)  # kernels.cover blends by a curve close to that of tone


def test_black_that_covers_is_black_with_alpha() -> None:
    nothing = np.zeros(12, np.float32)
    drawn = replace(sprites(cover=1.0), red=nothing, green=nothing, blue=nothing, skirt=nothing)
    colour, alpha = colour_and_alpha(straight(drawn))
    assert alpha.max() > 0.95
    assert not colour[alpha > 0.02].any()


@pytest.mark.parametrize("cover", [None, 0.8])
def test_fades_end_in_nothing(cover: float | None) -> None:
    _, full = colour_and_alpha(straight(sprites(cover=cover)))
    _, half = colour_and_alpha(straight(sprites(cover=cover), light=0.3))
    _, none = colour_and_alpha(straight(sprites(cover=cover), light=0.0))
    assert 0 < half.sum() < full.sum()
    assert not none.any()


def test_a_finish_is_of_the_light() -> None:
    drawn, finish = sprites(), Finish(bloom=1.0, vignette=0.5)
    shown = luma_over_black(straight(drawn, finish=finish))
    np.testing.assert_allclose(shown, luma_of_video(drawn, finish=finish), atol=0.015)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("covers", [(None, None, None), (0.7, 0.7, 0.7), (None, 0.7, None), (0.7, None, 0.7)])
@pytest.mark.parametrize("background", [None, Background(base=(0.1, 0.2, 0.3))])
def test_frames_drawn_one_after_another_are_those_drawn_alone(
    form: StraightForm, covers: tuple[float | None, ...], background: Background | None
) -> None:
    frames = [sprites(3, cover=cover, seed=seed) for seed, cover in enumerate(covers)]
    rasteriser, planes = StraightRasteriser(*SIZE, background=background), StraightPlanes.empty(form, *SIZE)
    for drawn, light in zip(frames, (1.0, 0.5, 1.0), strict=True):
        rasteriser.paint(drawn, planes, light=light)
        alone = straight(drawn, form, background, light=light)
        for one, other in zip(planes.arrays, alone.arrays, strict=True):
            np.testing.assert_array_equal(one, other)
