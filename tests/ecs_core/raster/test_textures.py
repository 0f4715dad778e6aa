"""Pictures of sprites: shipped as they are made, sampled without shimmer, turned, squeezed, and in draw order."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ecs_core import PluginError, Sprites, kernels, light_shown_as, texture_number
from ecs_core.raster import rasteriser, textures
from ecs_core.raster.background import Background
from ecs_core.raster.colour import leak
from ecs_core.raster.finish import Finish
from ecs_core.raster.make_textures import make_textures
from ecs_core.raster.rasteriser import MOST_OVERDRAW, Planes, Rasteriser
from ecs_core.raster.textures import BUILT_IN, FILE, SIDE, atlas
from ecs_core.raster.turning import Textured, without_shape
from tests.ecs_core.raster.painting import HEIGHT, WIDTH, painted, same

MADE = make_textures()
PAPER = Background(base=(2.0, 1.8, 1.5))


def sprites(x, y, radius, texture="petal", *, angle=0.0, squeeze=1.0, light=(1.0, 1.0, 1.0), cover=None) -> Sprites:
    """Sprites with pictures; a texture of None draws plain ones."""
    n = len(x)

    def full(value):
        return np.broadcast_to(np.asarray(value, np.float32), n).copy()

    names = [texture] * n if texture is None or isinstance(texture, str) else texture
    numbers = np.array([0 if name is None else texture_number(name) for name in names], np.uint8)
    return Sprites(
        full(x), full(y), full(radius), *(full(value) for value in light), full(0.05), np.zeros(n, np.uint8),
        None if cover is None else full(cover), texture=numbers, angle=full(angle), squeeze=full(squeeze),
    )  # fmt: skip


def accumulated(drawn: Sprites, *, rows: int = HEIGHT, cover: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The light of pictures alone, in bands of so many rows: (height, width) and (3, height / 2, width / 2)."""
    drawn = without_shape(drawn)
    textured = Textured.of(drawn)
    windows = np.zeros((8, len(drawn)), np.float32)
    windows[:3] = drawn.x, drawn.y, np.maximum(drawn.radius, kernels.raster.FINEST)
    windows[3:6], windows[7] = (drawn.red, drawn.green, drawn.blue), cover
    every, pad = np.arange(len(drawn)), kernels.raster.PAD
    luma, colour = [], []
    for top in range(0, HEIGHT, rows):
        bottom = min(HEIGHT, top + rows)
        light = np.full((bottom - top, WIDTH + pad), 0.5 if cover else 0.0, np.float32)
        planes = np.full((3, (bottom - top) // 2, WIDTH // 2 + pad), 0.5 if cover else 0.0, np.float32)
        flat, flat_planes = light.reshape(-1), planes.reshape(-1)
        touched, scratch = np.zeros((rows // 8 + 1, WIDTH // 32 + 1), np.uint8), np.zeros((2, WIDTH + 16), np.float32)
        kernels.textures.draw_textures(
            flat, flat_planes, top, bottom, WIDTH, every, windows, textured.turns, textured.atlas, SIDE, scratch,
            touched, 0.19, *kernels.textures.scratch(WIDTH, rows),
        )  # fmt: skip
        luma.append(light[:, :WIDTH])
        colour.append(planes[..., : WIDTH // 2])
    return np.concatenate(luma), np.concatenate(colour, axis=1)


def total(drawn: Sprites) -> float:
    """The light of pictures, summed over all pixels."""
    return float(accumulated(drawn)[0].sum())


@pytest.mark.parametrize("name", BUILT_IN)
def test_shipped_picture_is_the_one_that_is_made(name: str) -> None:
    with np.load(FILE) as shipped:
        assert shipped.files == list(BUILT_IN)
        assert np.abs(shipped[name].astype(int) - MADE[name]).max() <= 1  # rounding of other processors


@pytest.mark.parametrize("name", BUILT_IN)
def test_picture_is_soft_at_its_border_and_full_somewhere(name: str) -> None:
    alpha = MADE[name][0]
    assert max(alpha[0].max(), alpha[-1].max(), alpha[:, 0].max(), alpha[:, -1].max()) < 40
    assert alpha.max() > 200


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("radius", [1.5, 3.0, 5.3, 9.0, 17.0, 33.0])
def test_picture_has_as_much_light_per_area_at_any_size(name: str, radius: float) -> None:
    found = total(sprites([80.3], [54.6], radius, name)) / radius**2
    assert found == pytest.approx(total(sprites([90.3], [54.6], 50.0, name)) / 50**2, rel=0.04)


@pytest.mark.parametrize("radius", [1.5, 2.2, 4.0, 9.0])
def test_small_picture_does_not_shimmer_as_it_moves(radius: float) -> None:
    found = [
        total(sprites([80.0 + shift], [54.0 + 0.6 * shift], radius, "flake", angle=0.1))
        for shift in np.linspace(0, 1, 9)
    ]
    assert max(found) < 1.04 * min(found)


def test_light_follows_subpixel_moves() -> None:
    columns = np.arange(WIDTH) + 0.5
    light = [accumulated(sprites([80.0 + shift], [54.0], 9.0))[0] for shift in (0.0, 0.25, 0.5, 0.75)]
    np.testing.assert_allclose(np.diff([(each * columns).sum() / each.sum() for each in light]), 0.25, atol=0.04)


@pytest.mark.parametrize("angle", [0.05, 0.2, 0.33, 0.5, 0.81])
def test_turned_picture_keeps_its_light(angle: float) -> None:
    turned, upright = (total(sprites([96.0], [54.0], 22.0, "note", angle=each)) for each in (angle, 0.0))
    assert turned == pytest.approx(upright, rel=0.01)


def test_picture_turns_clockwise() -> None:
    """A note's stem is above its head: by a quarter turn it is to the right."""
    upright, turned = (accumulated(sprites([96.0], [54.0], 30.0, "note", angle=angle))[0] for angle in (0.0, 0.25))
    np.testing.assert_allclose(np.rot90(upright[24:84, 66:126], -1), turned[24:84, 66:126], atol=0.02)


@pytest.mark.parametrize("squeeze", [0.7, 0.3, 0.1, -0.4])
def test_squeezed_picture_has_so_much_less_light(squeeze: float) -> None:
    thin = total(sprites([96.0], [54.0], 24.0, "leaf", angle=0.13, squeeze=squeeze))
    assert thin == pytest.approx(abs(squeeze) * total(sprites([96.0], [54.0], 24.0, "leaf")), rel=0.02)


def test_picture_seen_from_its_edge_is_still_there() -> None:
    assert total(sprites([96.0], [54.0], 24.0, squeeze=0.0)) < 0.1
    assert total(sprites([96.0], [54.0], 24.0, squeeze=0.02)) > 0


def test_negative_squeeze_mirrors() -> None:
    there, mirrored = (accumulated(sprites([96.0], [54.0], 30.0, "note", squeeze=each))[0] for each in (1.0, -1.0))
    np.testing.assert_allclose(there[:, ::-1], mirrored, atol=1e-3)


@pytest.mark.parametrize("cover", [0.0, 0.8])
@pytest.mark.parametrize("rows", [8, 32])
def test_light_does_not_depend_on_the_height_of_bands(rows: int, cover: float) -> None:
    rng = np.random.default_rng(3)
    drawn = sprites(
        rng.uniform(-10, WIDTH + 10, 60), rng.uniform(-10, HEIGHT + 10, 60), rng.uniform(0.5, 50, 60),
        list(rng.choice(BUILT_IN, 60)), angle=rng.uniform(0, 1, 60), squeeze=rng.uniform(-1, 1, 60),
    )  # fmt: skip
    for ours, whole in zip(accumulated(drawn, rows=rows, cover=cover), accumulated(drawn, cover=cover), strict=True):
        assert ours.tobytes() == whole.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-60, 260), st.floats(-60, 170), st.floats(0.05, 400), st.floats(0, 1), st.floats(-1, 1),
            st.sampled_from(BUILT_IN),
        ),
        min_size=1,
        max_size=6,
    )
)  # fmt: skip
def test_samples_never_leave_the_frames_of_a_picture(
    drawn: list[tuple[float, float, float, float, float, str]],
) -> None:
    """With the outermost texels of every frame poisoned the light is the same: nothing reads that far or farther."""
    x, y, radius, angle, squeeze, names = zip(*drawn, strict=True)
    these = sprites(x, y, radius, list(names), angle=angle, squeeze=squeeze)
    for cover in (0.0, 0.7):
        clean = accumulated(these, cover=cover)
        poisoned = atlas()[0].reshape(-1, atlas()[0].shape[1] // 2, 2).copy()
        first = 0
        for side in textures.SIDES:
            width = side + 2 * textures.FRAME
            level = poisoned[:, first : first + width * width].reshape(-1, width, width, 2)
            level[:, [0, -1]], level[:, :, [0, -1]] = 1e6, 1e6
            first += width * width
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Textured, "of", _with_atlas(Textured.of, poisoned.reshape(len(poisoned), -1)))
            for ours, theirs in zip(accumulated(these, cover=cover), clean, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def _with_atlas(of, texels):
    return staticmethod(lambda drawn: replace(of(drawn), atlas=texels))


@pytest.mark.parametrize("cover", [0.0, 0.8])
@pytest.mark.parametrize("blur", [0.0, 0.5])
def test_what_has_no_fine_detail_looks_as_if_every_pixel_was_sampled(cover: float, blur: float) -> None:
    """It is sampled at half size and interpolated."""
    large = sprites([70.0, 150.0], [50.0, 20.0], 400.0 if not blur else 60.0, "petal", angle=[0.0, 0.1], squeeze=0.8)
    large = replace(large, texture=np.full(2, texture_number("petal", blur=blur), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Textured, "of", _all_sampled(Textured.of))
        sharp = accumulated(large, cover=cover)
    soft = accumulated(large, cover=cover)
    for ours, theirs in zip(soft, sharp, strict=True):
        assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()
    assert not np.array_equal(soft[0], sharp[0])


def _all_sampled(of):
    def sampled(drawn: Sprites) -> Textured:
        turns = of(drawn).turns.copy()
        turns[6] = 0  # the finest detail
        return replace(of(drawn), turns=turns)

    return staticmethod(sampled)


def test_frame_is_as_wide_as_the_kernel_takes_it() -> None:
    assert textures.FRAME == kernels.textures.FRAME


def test_painting_over_the_last_frame_equals_painting_afresh() -> None:
    rng = np.random.default_rng(5)
    painter, planes = Rasteriser(WIDTH, HEIGHT, background=PAPER), Planes.empty(WIDTH, HEIGHT)
    for frame in range(4):
        n = 6 + frame
        drawn = sprites(
            rng.uniform(0, WIDTH, n), rng.uniform(0, HEIGHT, n), rng.uniform(2, 30, n), list(rng.choice(BUILT_IN, n)),
            angle=rng.uniform(0, 1, n), squeeze=rng.uniform(-1, 1, n), cover=rng.uniform(0, 1, n),
        )  # fmt: skip
        painter.paint(drawn, planes)
        assert same(planes, painted(drawn, PAPER))


@pytest.mark.parametrize("cover", [None, 1.0])
def test_sprites_without_pictures_are_drawn_as_if_there_were_none(cover: float | None) -> None:
    """Beside pictures that are elsewhere."""
    plain = sprites([60.0, 70.0, 65.0], [50.0, 52.0, 60.0], 9.0, None, light=(0.5, 0.2, 0.1), cover=cover)
    far = sprites([150.0], [50.0], 20.0, cover=cover)
    both, alone = painted(Sprites.join([plain, far]), PAPER), painted(replace(plain, texture=None), PAPER)
    np.testing.assert_array_equal(both.luma[:, :120], alone.luma[:, :120])
    np.testing.assert_array_equal(both.cb[:, :60], alone.cb[:, :60])


@pytest.mark.parametrize("front", [0, 1])
def test_pictures_and_plain_sprites_cover_each_other_in_draw_order(front: int) -> None:
    red, blue = (3.0, 0.0, 0.0), (0.0, 0.0, 3.0)
    picture = sprites([96.0], [54.0], 30.0, "sun", light=red, cover=1.0)
    plain = replace(sprites([96.0], [54.0], 30.0, None, light=blue, cover=1.0), disc=np.ones(1, np.uint8))
    planes = painted(Sprites.join([picture, plain][:: 1 if front else -1]), PAPER)
    is_blue = planes.cb[22, 48] > planes.cr[22, 48]
    assert is_blue == bool(front)


def test_picture_that_covers_shows_its_colour_whatever_is_behind() -> None:
    wanted = np.array([0.9, 0.5, 0.6])
    light = [float(value) for value in light_shown_as(wanted)]
    for behind in (PAPER, Background(base=(0.01, 0.0, 0.05))):
        planes = painted(sprites([96.0], [60.0], 40.0, "sun", light=light, cover=1.0), behind)
        luma = float((planes.luma[35:45, 90:102].astype(float).mean() - 16) / 219)
        assert luma == pytest.approx(wanted @ [0.2126, 0.7152, 0.0722], abs=0.02)


def shown_as(light: float) -> float:
    """The display-encoded value of linear light; the kernel is a plain function where nothing is compiled."""
    filmic = kernels.tone.filmic
    return float(getattr(filmic, "py_func", filmic)(light))


@pytest.mark.parametrize("colour", [(0.95, 0.9, 0.8), (0.3, 0.5, 0.2), (0.0, 0.0, 0.0), (0.98, 0.7, 0.75)])
def test_light_is_shown_as_the_colour_that_was_asked_for(colour: tuple[float, float, float]) -> None:
    r, g, b = (np.array([channel]) for channel in light_shown_as(colour))
    shown = [shown_as(channel[0]) for channel in leak(r, g, b)]
    np.testing.assert_allclose(shown, colour, atol=0.02)


def test_bright_saturated_colour_is_dimmed_rather_than_washed_out() -> None:
    r, g, b = (np.array([channel]) for channel in light_shown_as((1.0, 0.7, 0.3)))
    shown = [shown_as(channel[0]) for channel in leak(r, g, b)]
    assert shown[0] > 0.82
    assert shown[2] / shown[0] == pytest.approx(0.3, abs=0.03)


def test_blurred_picture_has_the_same_light_farther_out() -> None:
    number = texture_number("leaf", blur=0.6)
    sharp = sprites([96.0], [54.0], 20.0, "leaf")
    soft = replace(sharp, texture=np.array([number], np.uint8))
    assert number != texture_number("leaf")
    assert total(soft) == pytest.approx(total(sharp), rel=0.03)
    assert accumulated(soft)[0].max() < 0.9 * accumulated(sharp)[0].max()


def test_pictures_that_cover_the_picture_too_often_are_drawn_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasteriser, "MOST_OVERDRAW", 5)
    painter, planes = Rasteriser(WIDTH, HEIGHT), Planes.empty(WIDTH, HEIGHT)
    few, many = (sprites([96.0] * n, [54.0] * n, 20.0) for n in (3, 40))
    assert painter.paint(few, planes) == 1
    assert painter.paint(many, planes) < 1
    assert MOST_OVERDRAW > 5


@pytest.mark.compiled
def test_what_is_not_a_number_is_drawn_without_harm() -> None:
    fine = sprites([150.0], [80.0], 12.0)
    for column in ("x", "y", "radius", "angle", "squeeze"):
        drawn = replace(sprites([40.0], [30.0], 12.0), **{column: np.full(1, np.nan, np.float32)})
        for finish in (None, Finish(bloom=2.0, bloom_radius=30.0)):
            both, alone = painted(Sprites.join([drawn, fine]), finish=finish), painted(fine, finish=finish)
            assert np.abs(both.luma[65:95, 135:165].astype(int) - alone.luma[65:95, 135:165]).max() <= 1


@pytest.mark.parametrize("texture", ["petal", "sun", "smoke"])
@pytest.mark.parametrize("radius", [0.8, 1.4, 3.0])
def test_small_turned_picture_is_as_colourful_at_the_border_of_a_band(texture: str, radius: float) -> None:
    # Bands are 32 rows high: the one beginning at row 32 shows the lower part of what lies at 27–32.
    for y in np.arange(26.0, 33.0, 0.5):
        there, lower = (
            painted(sprites([96.0], [y + down], radius, texture, angle=0.125, light=(9.0, 0.1, 0.1)))
            for down in (0.0, 16.0)
        )
        np.testing.assert_allclose(there.cr[8:24].astype(int), lower.cr[16:32].astype(int), atol=2)


# --- pictures of plugins -----------------------------------------------------------------------------------------


def png(
    path: Path, size: tuple[int, int] = (40, 20), mode: str = "RGBA", colour: object = (255, 255, 255, 255)
) -> Path:
    Image.new(mode, size, colour).save(path)
    return path


def test_picture_of_a_plugin_is_drawn_in_the_middle_of_a_square(tmp_path: Path) -> None:
    number = texture_number(png(tmp_path / "bar.png"))
    light = accumulated(replace(sprites([96.0], [54.0], 32.0), texture=np.array([number], np.uint8)))[0]
    assert light[54, 70:122].min() > 0.99
    assert light[44:64, 96].min() > 0.99
    assert light[:36].max() < 0.01
    assert light.sum() == pytest.approx(64 * 32, rel=0.03)


def test_picture_without_alpha_is_as_opaque_as_it_is_bright(tmp_path: Path) -> None:
    alpha, shaded = textures.picture_of(png(tmp_path / "grey.png", (16, 16), "L", 128))
    np.testing.assert_allclose(alpha, 128 / 255, atol=1e-3)
    np.testing.assert_array_equal(alpha, shaded)


def _missing(folder: Path) -> Path:
    return folder / "none.png"


def _huge(folder: Path) -> Path:
    return png(folder / "huge.png", (2049, 8))


def _animated(folder: Path) -> Path:
    frames = [Image.new("RGBA", (8, 8), (255, 255, 255, shade)) for shade in (255, 90)]
    frames[0].save(folder / "moving.png", save_all=True, append_images=frames[1:])
    return folder / "moving.png"


def _text(folder: Path) -> Path:
    (folder / "text.png").write_text("not a picture")
    return folder / "text.png"


def _cut(folder: Path) -> Path:
    whole = png(folder / "whole.png", (300, 300)).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.png"


def _empty(folder: Path) -> Path:
    return png(folder / "empty.png", colour=(255, 255, 255, 0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_missing, "No such file"), (_huge, "2049 × 8 pixels"), (_animated, "animated"), (_text, "not a PNG"),
        (_cut, "damaged"), (_empty, "empty"), (lambda folder: folder, "directory"),
    ],
)  # fmt: skip
def test_file_that_cannot_be_used_is_one_line_that_says_why(make, words: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(PluginError) as failed:
        texture_number(path)
    assert words in str(failed.value)
    assert str(path) in str(failed.value)
    assert "must be" in str(failed.value)
    assert "\n" not in str(failed.value)


def test_number_that_no_picture_has_is_refused_when_it_is_drawn() -> None:
    drawn = replace(sprites([96.0], [54.0], 20.0), texture=np.array([250], np.uint8))
    with pytest.raises(PluginError, match=r"Sprites\.texture = 250: must be 0 or what texture_number"):
        drawn.checked()


def test_unknown_picture_names_those_that_there_are() -> None:
    with pytest.raises(PluginError, match="'rose': no such picture; there are: flake, leaf, note, petal"):
        texture_number("rose")


def test_pillow_is_loaded_for_pictures_of_plugins_alone() -> None:
    code = (
        "import sys; from ecs_core.raster.textures import texture_number, atlas; texture_number('petal'); atlas(); "
        "import ecs_core.plugin_api; assert 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
