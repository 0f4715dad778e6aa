"""The palette of a cover: few colours, light enough, the same every time, instead of "cover" in a config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecs_core.errors import SceneError
from ecs_core.scene.cover_palette import colours_of, colours_of_picture, with_cover_colours
from ecs_core.scene.oklab import lab_from_srgb, srgb_from_lab, with_lightness


def stripes(*colours: tuple[int, int, int], size: int = 60) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.repeat(np.array(colours, np.uint8)[None].repeat(size, 0), size, axis=1)


def hues(colours: list[list[int]]) -> list[float]:
    lab = lab_from_srgb(np.array(colours) / 255)
    return [float(each) for each in np.degrees(np.arctan2(lab[:, 2], lab[:, 1]))]


def test_oklab_goes_there_and_back() -> None:
    colours = np.random.default_rng(0).uniform(0, 1, (50, 3))
    assert np.allclose(srgb_from_lab(lab_from_srgb(colours)), colours, atol=1e-5)


def test_oklab_of_known_colours() -> None:  # from the paper's reference implementation
    assert lab_from_srgb((1, 1, 1)) == pytest.approx((1, 0, 0), abs=1e-3)
    assert lab_from_srgb((1, 0, 0)) == pytest.approx((0.628, 0.225, 0.126), abs=1e-3)


def test_has_the_hues_of_the_picture() -> None:
    picture = stripes((200, 30, 30), (30, 60, 200), (20, 150, 60))
    found = hues(colours_of(picture))
    for wanted in hues([[200, 30, 30], [30, 60, 200], [20, 150, 60]]):
        assert min(abs(each - wanted) for each in found) < 12


def test_is_light_enough_for_particles_though_the_picture_is_dark() -> None:
    colours = colours_of(stripes((60, 0, 10), (0, 20, 70), (10, 40, 10)))
    lightness = lab_from_srgb(np.array(colours) / 255)[:, 0]
    assert (lightness > 0.54).all()
    assert (lightness < 0.93).all()


def test_has_three_to_five_colours() -> None:
    assert len(colours_of(stripes((200, 60, 60)))) == 3
    many = np.random.default_rng(3).integers(0, 256, (90, 90, 3)).astype(np.uint8)
    assert 3 <= len(colours_of(many)) <= 5


def test_leaves_greys_out() -> None:
    picture = stripes(*[(128, 128, 128)] * 8, (220, 120, 20))
    assert all(abs(each - hues([[220, 120, 20]])[0]) < 15 for each in hues(colours_of(picture)))


def test_of_a_grey_picture_is_grey() -> None:
    colours = colours_of(stripes((20, 20, 20), (200, 200, 200)))
    assert all(max(each) - min(each) <= 3 for each in colours)


def test_is_the_same_every_time_and_for_a_picture_of_another_size() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert colours_of(picture) == colours_of(picture.copy())
    large = stripes((200, 30, 30), (30, 60, 200), size=400)
    small = stripes((200, 30, 30), (30, 60, 200), size=40)
    assert np.abs(np.subtract(colours_of(large), colours_of(small))).max() <= 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (97, 193)])
def test_of_any_shape(shape: tuple[int, int]) -> None:
    assert colours_of(np.full((*shape, 3), (200, 80, 40), np.uint8))


def test_of_a_file(tmp_path: Path) -> None:
    Image.fromarray(stripes((200, 30, 30), (30, 60, 200))).save(tmp_path / "cover.png")
    assert colours_of_picture(tmp_path / "cover.png") == colours_of(stripes((200, 30, 30), (30, 60, 200)))


def test_of_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cover.jpg").write_bytes(b"no picture")
    with pytest.raises(SceneError, match=r"cover = '.*cover.jpg': cannot be read"):
        colours_of_picture(tmp_path / "cover.jpg")
    with pytest.raises(SceneError, match=r"cover = '.*missing.jpg': .*No such file"):
        colours_of_picture(tmp_path / "missing.jpg")


def test_replaces_cover_wherever_a_palette_may_be() -> None:
    config = {
        "particle_colors": "cover",
        "text": "cover",
        "layers": [{"kind": "spectrum", "colors": "cover"}, {"type": "zen", "config": {"particle_colors": "cover"}}],
    }
    asked = []
    found = with_cover_colours(config, lambda: asked.append(1) or [[1, 2, 3]])
    assert found["particle_colors"] == found["layers"][0]["colors"] == [[1, 2, 3]]
    assert found["layers"][1]["config"]["particle_colors"] == [[1, 2, 3]]
    assert found["text"] == "cover"
    assert len(asked) == 1
    assert config["particle_colors"] == "cover"


def test_is_not_asked_for_where_it_does_not_occur() -> None:
    def colours() -> list[list[int]]:
        raise AssertionError

    assert with_cover_colours({"particle_colors": "ice"}, colours) == {"particle_colors": "ice"}


@pytest.mark.parametrize("lightness", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_colour_made_lighter_or_darker_keeps_its_hue(lightness: float) -> None:
    made = with_lightness([200, 60, 60], lightness)
    lab = lab_from_srgb(np.array(made) / 255)
    assert lab[0] == pytest.approx(lightness, abs=0.02)
    if 0.1 < lightness < 1:
        assert abs(hues([made])[0] - hues([[200, 60, 60]])[0]) < 8
