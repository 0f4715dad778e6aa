"""Backdrops: what lies under everything, the same frames however a video is cut."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.audio.features import analyze
from ecs_core.layers.backdrops import gradient_table
from ecs_core.raster.marks import GradientMark, PictureMark
from ecs_core.raster.rasteriser import Planes, Rasteriser
from ecs_core.rendering.plan import RenderPlan, has_alpha, make_plan
from ecs_core.rendering.simulation import Simulation
from ecs_core.rendering.simulation import backdrop as type_background
from ecs_core.scene.backdrop_settings import GradientBackdrop
from tests.ecs_core.raster.painting import rgb_of
from tests.media import SMALL
from tests.media.moving import numbered, write_sound, write_video

WIDTH, HEIGHT = 128, 72
EMPTY = {"width": WIDTH, "height": HEIGHT, "duration": 1.0, "particle_count": 0, "max_particles": 0}
RED, BLUE = (200, 40, 30), (20, 60, 210)
COLOR = {"kind": "color", "color": [90, 140, 200]}
GRADIENT = {"kind": "gradient", "colors": [RED, BLUE], "angle": 0}


def quarters(path: Path, width: int = WIDTH, height: int = HEIGHT) -> dict[str, Any]:
    """A picture of four colours, as a backdrop."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = (200, 30, 30), (30, 200, 30)
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = (30, 30, 200), (200, 200, 200)
    Image.fromarray(pixels).save(path)
    return {"kind": "image", "file": str(path)}


@pytest.fixture
def image(tmp_path: Path) -> dict[str, Any]:
    return quarters(tmp_path / "image.png")


def plan_of(backdrop: dict[str, Any] | None, song: Path | None = None, **config: Any) -> RenderPlan:
    given = {**EMPTY, **config} | ({} if backdrop is None else {"backdrop": backdrop})
    return make_plan(*Scene("no_music", song, given).resolve(), None if song is None else analyze(song))


def frames(backdrop: dict[str, Any] | None, at: list[int], song: Path | None = None, **config: Any) -> list[np.ndarray]:
    """Frames of an empty scene as they are shown, (height, width, 3) uint8."""
    plan = plan_of(backdrop, song, **config)
    ground = type_background(plan.particle_type, plan.settings)
    planes = Planes.empty(plan.settings.width, plan.settings.height)
    rasteriser = Rasteriser(plan.settings.width, plan.settings.height, background=ground)
    shown = []
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        for number in range(max(at) + 1):
            sprites = simulation.frame()
            rasteriser.paint(sprites, planes, finish=simulation.finish, marks=simulation.marks)
            if number in at:
                shown.append(rgb_of(planes))
    return shown


def marks(backdrop: dict[str, Any], song: Path | None = None, **config: Any) -> list[Any]:
    """What is drawn of a backdrop in each frame; None where it is unseen."""
    plan, found = plan_of(backdrop, song, **config), []
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        for _ in range(plan.frames):
            simulation.frame()
            found.append(simulation.marks[0].mark if simulation.marks else None)
    return found


def test_colour_is_that_of_background() -> None:
    (shown,), (usual,) = frames(COLOR, [0]), frames(None, [0], background=COLOR["color"])
    assert np.abs(shown.astype(int) - usual).max() <= 1
    assert np.abs(shown.astype(int) - COLOR["color"]).max() <= 2


def test_gradient_goes_from_its_first_colour_to_its_last_in_its_direction() -> None:
    across, down, back = (frames({**GRADIENT, "angle": angle}, [0])[0].astype(int) for angle in (0, 90, 180))
    for near, far in ((across[:, :2], across[:, -2:]), (down[:2], down[-2:]), (back[:, -2:], back[:, :2])):
        assert np.abs(near.mean((0, 1)) - RED).max() < 8
        assert np.abs(far.mean((0, 1)) - BLUE).max() < 8
    assert np.ptp(across, axis=0).max() <= 4
    assert np.ptp(down, axis=1).max() <= 4


def test_radial_gradient_has_its_first_colour_where_its_middle_is() -> None:
    (shown,) = frames({**GRADIENT, "shape": "radial", "x": 0.25, "y": 0.5}, [0])
    assert np.abs(shown[36, 32].astype(int) - RED).max() < 8
    assert np.abs(shown[0, -1].astype(int) - BLUE).max() < 8
    assert np.abs(shown[36, 15].astype(int) - shown[36, 48]).max() < 5
    assert np.abs(shown[19, 32].astype(int) - shown[52, 32]).max() < 5


def test_colours_of_a_gradient_are_where_positions_say() -> None:
    given = {**GRADIENT, "colors": [RED, (250, 250, 250), BLUE], "positions": [0.0, 0.25, 1.0]}
    (shown,) = frames(given, [0])
    assert np.abs(shown[10, 32].astype(int) - 250).max() < 6
    sharp = {**GRADIENT, "colors": [RED, RED, BLUE, BLUE], "positions": [0, 0.5, 0.5, 1]}
    (shown,) = frames(sharp, [0])
    assert np.abs(shown[10, 60].astype(int) - RED).max() < 4
    assert np.abs(shown[10, 68].astype(int) - BLUE).max() < 4


def test_gradient_in_oklab_is_even_to_the_eye_and_one_in_light_is_brighter_between() -> None:
    tables = [
        gradient_table(GradientBackdrop(kind="gradient", colors=((0, 0, 0), (255, 255, 255)), mixing=mixing))
        for mixing in ("oklab", "light")
    ]
    assert tables[0].shape == (4, 1024)
    for table in tables:
        assert (np.diff(table[0]) > -1e-7).all()
    assert tables[1][0, 512] > 1.3 * tables[0][0, 512]


def test_gradient_has_no_steps(tmp_path: Path) -> None:
    near = {"kind": "gradient", "colors": [[40, 44, 60], [48, 52, 70]], "angle": 0}
    (shown,) = frames(near, [0], width=1024, height=64)
    means = shown[:, :, 2].astype(float).mean(0).reshape(-1, 16).mean(1)  # of columns: dithered, so all between
    assert (np.diff(means) > -0.35).all()
    assert max(np.diff(means)) < 0.6


def test_picture_of_the_frames_size_is_shown_as_it_is(image: dict[str, Any]) -> None:
    (shown,) = frames(image, [0])
    expected = np.asarray(Image.open(image["file"])).astype(int)
    away = np.abs(shown.astype(int) - expected)
    away[34:38], away[:, 62:66] = 0, 0  # where colours meet, of which there are half as many
    assert away.max() <= 4


@pytest.mark.parametrize(
    ("fit", "size", "seen"),
    [
        ("cover", (128, 144), {(2, 2): (200, 30, 30), (69, 125): (200, 200, 200)}),
        ("cover", (300, 72), {(2, 2): (200, 30, 30), (2, 125): (30, 200, 30)}),
        ("fill", (20, 200), {(2, 2): (200, 30, 30), (69, 125): (200, 200, 200)}),
        ("contain", (72, 72), {(2, 30): (200, 30, 30), (36, 10): None, (36, 118): None, (69, 97): (200, 200, 200)}),
    ],
)
def test_fit_decides_what_is_seen(
    tmp_path: Path, fit: str, size: tuple[int, int], seen: dict[tuple[int, int], Any]
) -> None:
    backdrop = {**quarters(tmp_path / "image.png", *size), "fit": fit}
    (shown,), (bare,) = frames(backdrop, [0]), frames(None, [0])
    for place, colour in seen.items():
        expected = bare[place].astype(int) if colour is None else np.array(colour)
        assert np.abs(shown[place] - expected).max() <= 4, place


def test_place_decides_what_is_cut_off(tmp_path: Path) -> None:
    wide = quarters(tmp_path / "image.png", 512, 72)
    left, right = (frames({**wide, "x": x}, [0])[0] for x in (0.0, 1.0))
    assert np.abs(left[10, 100].astype(int) - (200, 30, 30)).max() <= 4
    assert np.abs(right[10, 30].astype(int) - (30, 200, 30)).max() <= 4
    moving = {"source": "beat", "target": "x", "gain": 1.0}
    bound = frames({**wide, "x": 0.0, "bindings": [moving]}, [0])[0]
    assert np.abs(bound[10, 100].astype(int) - (200, 30, 30)).max() <= 4


def test_picture_of_any_size_reaches_the_edges(tmp_path: Path) -> None:
    for width, height in ((3, 2), (65, 37), (640, 360), (131, 73)):
        path = tmp_path / "flat.png"
        Image.new("RGB", (width, height), (180, 120, 60)).save(path)
        for more in ({}, {"blur": 60.0}, {"zoom": 1.3, "drift": 0.1}, {"fit": "fill", "zoom": 0.7}):
            for shown in frames({"kind": "image", "file": str(path), **more}, [0, 7]):
                assert np.abs(shown.astype(int) - (180, 120, 60)).max() <= 3, (width, height, more)


def test_blur_dim_and_saturation_soften_darken_and_take_colours(image: dict[str, Any]) -> None:
    plain, soft, dark, grey = (
        frames({**image, **more}, [0])[0].astype(float)
        for more in ({}, {"blur": 60.0}, {"dim": 0.5}, {"saturation": 0.0})
    )
    assert np.abs(np.diff(soft[10], axis=0)).max() < 0.3 * np.abs(np.diff(plain[10], axis=0)).max()
    assert np.abs(soft.mean((0, 1)) - plain.mean((0, 1))).max() < 12
    assert 0.3 < dark.mean() / plain.mean() < 0.7
    assert np.ptp(grey[10, 10]) <= 3
    assert np.ptp(plain[10, 10]) > 100


@pytest.mark.parametrize("more", [{}, {"zoom": 1.2}])
def test_opacity_is_how_much_of_it_is_seen(image: dict[str, Any], more: dict[str, Any]) -> None:
    faint, whole = (frames({**image, **more, "opacity": opacity}, [1])[0] for opacity in (0.5, 1.0))
    (bare,) = frames(None, [1])
    between = (bare.astype(float) + whole) / 2
    away = np.abs(faint - between)[:30, :58]  # away from where colours meet
    assert away.mean() < 12
    assert np.abs(whole.astype(float) - faint)[:30, :58].mean() > 20


def test_zoom_is_even_and_ends_with_the_backdrop(image: dict[str, Any]) -> None:
    def scales(**more: Any) -> list[float]:
        return [mark.pose.scale for mark in marks({**image, **more})]

    grows, shrinks = scales(zoom=1.5), scales(zoom=0.5)
    assert grows[0] == 1
    assert grows[-1] == pytest.approx(1.5 ** (29 / 30))
    assert [b / a for a, b in pairwise(grows)] == pytest.approx([grows[1]] * 29)
    assert shrinks[0] == 2
    assert shrinks[-1] == pytest.approx(2 ** (1 / 30))
    there_and_back = scales(zoom=1.5, zoom_seconds=0.5)
    assert there_and_back[15] == pytest.approx(1.5)
    assert there_and_back[10] == pytest.approx(there_and_back[20])


def test_drift_goes_round_and_never_shows_an_edge(image: dict[str, Any]) -> None:
    drawn = marks({**image, "drift": 0.1, "drift_seconds": 1.0}, duration=2.0)
    lefts = [mark.pose.x for mark in drawn]
    assert lefts[:30] == pytest.approx(lefts[30:], abs=1e-6)
    assert np.ptp(lefts) == pytest.approx(2 * 0.1 * HEIGHT, rel=0.01)
    for mark in drawn:
        left, top, right, bottom = mark.bounds
        assert left <= 0
        assert top <= 0
        assert right >= WIDTH
        assert bottom >= HEIGHT


def test_bindings_move_it_with_the_song(image: dict[str, Any], demo_song: Path) -> None:
    pulse = {"source": "beat", "target": "scale", "op": "add", "gain": 0.1}
    sizes = [mark.pose.scale for mark in marks({**image, "bindings": [pulse]}, demo_song, duration=2.0)]
    assert min(sizes) >= 1
    assert max(sizes) > 1.05
    darker = {"source": "rms", "target": "dim", "gain": 0.9}
    levels = [mark.brightness for mark in marks({**image, "bindings": [darker]}, demo_song, duration=2.0)]
    assert np.ptp(levels) > 0.2
    turned = {"source": "bar_phase", "target": "angle", "op": "add", "gain": 90.0}
    places = {mark.place for mark in marks({**GRADIENT, "bindings": [turned]}, demo_song, duration=2.0)}
    assert len(places) > 10


def test_backdrop_has_a_time_span_and_fades() -> None:
    span = {"begin": 0.2, "end": 0.8, "enter": "fade", "enter_seconds": 0.2, "leave": "fade", "leave_seconds": 0.2}
    drawn = marks({**GRADIENT, **span})
    assert [number for number, mark in enumerate(drawn) if mark is not None] == list(range(7, 24))
    assert [mark.opacity for mark in drawn[12:18]] == [1.0] * 6
    assert 0 < drawn[7].opacity < drawn[8].opacity < drawn[10].opacity < 1
    assert 0 < drawn[23].opacity < drawn[22].opacity < 1
    bare, before = frames(None, [3])[0], frames({**GRADIENT, **span}, [3])[0]
    np.testing.assert_array_equal(bare, before)


def test_backdrop_lies_under_all_layers_and_particles(image: dict[str, Any]) -> None:
    patch = {"kind": "image", "file": image["file"], "crop": "square", "size": 0.2, "behind": True}
    plan = plan_of(GRADIENT, layers=[patch], particle_count=20)
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        simulation.frame()
        drawn = simulation.marks
    assert [type(each.mark) for each in drawn] == [GradientMark, PictureMark]
    assert [each.after for each in drawn] == [0, 0]


def test_light_of_a_backdrop_spreads_only_where_it_has_bloom() -> None:
    white = {"kind": "gradient", "colors": [[255, 255, 255], [0, 0, 0]], "angle": 0, "size": 0.2}
    finish = {"bloom": 3.0, "bloom_radius": 200.0}
    spread, dark = (frames({**white, "bloom": bloom}, [0], finish=finish)[0].astype(int) for bloom in (True, False))
    assert spread[:, 90:].mean() > dark[:, 90:].mean() + 3


def test_video_is_shown_at_its_own_rate_over_and_over_again(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "v.mp4", numbered(6, WIDTH, HEIGHT), fps=12)
    given = {"kind": "video", "file": str(clip)}
    numbers = [mark.picture.number for mark in marks(given, fps=24)]
    assert numbers == [number // 2 % 6 for number in range(24)]
    later = [mark.picture.number for mark in marks({**given, "start": 0.25, "speed": 2}, fps=24)]
    assert later == [(3 + number) % 6 for number in range(24)]
    begun = [mark.picture.number for mark in marks({**given, "begin": 0.5}, fps=24) if mark is not None]
    assert begun == [number // 2 % 6 for number in range(12)]


def test_frames_of_a_video_are_shown_as_they_are(tmp_path: Path) -> None:
    pictures = numbered(12, WIDTH, HEIGHT)
    clip = write_video(tmp_path / "v.mp4", pictures, fps=12)
    for number, shown in zip((0, 11), frames({"kind": "video", "file": str(clip)}, [0, 11], fps=12), strict=True):
        away = np.abs(shown.astype(int) - pictures[number])
        away[HEIGHT // 2 - 6 : HEIGHT // 2 + 6], away[:, WIDTH // 2 - 6 : WIDTH // 2 + 6] = 0, 0
        assert away.mean() < 3
        assert np.quantile(away, 0.99) < 9


def test_tall_video_covers_a_wide_picture(tmp_path: Path) -> None:
    pictures = [np.full((120, 50, 3), (30, 200, 90), np.uint8)] * 3
    clip = write_video(tmp_path / "v.mp4", pictures)
    for more in ({}, {"blur": 40.0}, {"zoom": 1.4}, {"fit": "fill"}):
        (shown,) = frames({"kind": "video", "file": str(clip), **more}, [1])
        assert np.abs(shown.astype(int) - (30, 200, 90)).max() <= 6, more


def test_frames_are_the_same_for_any_workers_and_segments(
    demo_song: Path, tmp_path: Path, image: dict[str, Any]
) -> None:
    clip = write_video(tmp_path / "v.mp4", numbered(31), fps=25, gop=9)
    pulse = {"source": "beat", "target": "scale", "op": "add", "gain": 0.1}
    moving = {"zoom": 1.3, "drift": 0.05, "drift_seconds": 3.0, "blur": 4.0, "bindings": [pulse]}
    for backdrop in ({"kind": "video", "file": str(clip), **moving}, {**image, **moving, "dim": 0.2}):
        scene = Scene("enhanced", demo_song, {**SMALL, "duration": 1.5, "backdrop": backdrop})
        hashes = [
            render(scene, tmp_path / "o.mp4", workers=workers, segment_seconds=length, frame_hashes=True).frame_hashes
            for workers, length in ((1, 2.0), (2, 0.4))
        ]
        assert len(set(hashes[0])) == 45
        assert hashes[0] == hashes[1]
        assert render_frame(scene, 37 / 30, tmp_path / "frame.png") == hashes[0][37]


def test_video_in_a_loop_of_another_length_is_the_same_at_both_ends(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "v.mp4", numbered(7, WIDTH, HEIGHT))
    backdrop = {"kind": "video", "file": str(clip), "zoom": 1.2}
    scene = Scene("no_music", config={**EMPTY, "backdrop": backdrop, "loop": True, "particle_count": 9})
    result = render(scene, tmp_path / "o.mp4", frame_hashes=True)
    assert len(result.frame_hashes) == 30
    assert result.frame_hashes == render(scene, tmp_path / "p.mp4", workers=1, frame_hashes=True).frame_hashes


@pytest.mark.parametrize("backdrop", [COLOR, GRADIENT])
def test_video_with_a_backdrop_has_no_alpha(backdrop: dict[str, Any]) -> None:
    for form, usual in (("mov", True), ("webm", True), ("mp4", False)):
        for given, expected in ((None, usual), (backdrop, False)):
            config = {**EMPTY, "format": form} | ({"backdrop": given} if given else {})
            assert has_alpha(*Scene("no_music", config=config).resolve()) == expected
    with pytest.raises(SceneError, match=rf"alpha = true with a backdrop \({backdrop['kind']}\): give one of them"):
        Scene("zen", config={"format": "mov", "alpha": True, "backdrop": backdrop}).resolve()


@pytest.mark.parametrize(
    ("backdrop", "words"),
    [
        ({}, "^backdrop: kind is missing: must be color, gradient, image or video$"),
        ({"kind": "rug"}, "kind = 'rug': must be color, gradient, image or video$"),
        ("black", "^backdrop = 'black': must be an object whose kind is color, gradient"),
        ({"kind": "color"}, r"^backdrop\.color is missing"),
        ({**COLOR, "color": [1, 2, 300]}, r"^backdrop\.color\.2 = 300: must be between 0 and 255"),
        (
            {**COLOR, "blur": 3},
            r"unknown setting 'backdrop\.blur' for particle type 'zen'; it has: .*opacity, kind, color$",
        ),
        ({**GRADIENT, "colors": [RED]}, r"^backdrop\.colors = .*: must be a list of 2 to 8"),
        ({**GRADIENT, "colors": [RED] * 9}, r"^backdrop\.colors = .*: must be a list of 2 to 8"),
        ({**GRADIENT, "positions": [0, 0.5, 1]}, r"positions = \[0.0, 0.5, 1.0\]: must be as many as colors, 2"),
        ({**GRADIENT, "positions": [0.7, 0.2]}, r"positions = \[0.7, 0.2\]: must not decrease"),
        ({**GRADIENT, "end": 1.0, "begin": 2.0}, "end = 1: must be after begin = 2"),
        ({**GRADIENT, "enter": "rise"}, r"^backdrop\.enter = 'rise': must be 'none' or 'fade'"),
        ({"kind": "image", "file": "no.png"}, r"^backdrop\.file = 'no\.png': cannot be read: No such file"),
        ({"kind": "image", "file": __file__}, r"^backdrop\.file = .*: cannot be read as a picture"),
        ({"kind": "video", "file": "no.mp4"}, "file = 'no.mp4': cannot be read: No such file"),
        ({"kind": "video", "file": __file__}, "file = .*: cannot be read as a video"),
        (
            {**COLOR, "bindings": [{"source": "rms", "target": "color"}]},
            r"^backdrop: bindings\.0\.target = 'color': no such number; there are: opacity$",
        ),
        (
            {**COLOR, "bindings": [{"source": "smell", "target": "opacity"}]},
            r"^backdrop: bindings\.0\.source = 'smell': ",
        ),
    ],
)
def test_what_is_wrong_is_named(backdrop: Any, words: str) -> None:
    with pytest.raises(SceneError, match=words) as caught:
        Scene("zen", config={"backdrop": backdrop}).resolve()
    assert "\n" not in str(caught.value)


def test_background_and_backdrop_exclude_each_other() -> None:
    with pytest.raises(SceneError, match=r"background = \[1, 2, 3\] with a backdrop \(color\): give one of them"):
        Scene("zen", config={"background": [1, 2, 3], "backdrop": COLOR}).resolve()


def test_video_that_ends_before_it_begins_and_sound_are_refused(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "v.mp4", numbered(12))
    with pytest.raises(SceneError, match=r"start = 2: must be before the video's end, 0\.5 s"):
        Scene("zen", config={"backdrop": {"kind": "video", "file": str(clip), "start": 2}}).resolve()
    sound = write_sound(tmp_path / "sound.mp4")
    with pytest.raises(SceneError, match="holds no moving picture"):
        Scene("zen", config={"backdrop": {"kind": "video", "file": str(sound)}}).resolve()
