"""A first render compiles what it needs and says so."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from PIL import Image

from ecs_core import Progress, Scene
from ecs_core.kernels.compilation import KERNELS, Compiling
from ecs_core.rendering import preparation
from ecs_core.rendering.preparation import compile_kernels, needed_kernels, prepare_kernels
from ecs_core.video.format import QUALITIES
from tests.media.moving import numbered, write_video

SWIRL, DISCS = {"motion.swirl"}, {"collision.collide", "collision.sort_into_cells"}
SHUTTER = {"source": "bass", "target": "sprite.shutter", "gain": 0.1}
LINES = {"lines.draw_lines", "trails.trace", "soft.add_soft", "soft.draw_soft_glows"}
TEXTURES = {"textures.draw_textures"}
COVER = {"cover.cover_band", "cover.fill_band"}
LINKS = {"links.link"}
BALLS = {"collision.collide_in_space"}
STRAIGHT = {f"straight.develop_{form}" for form in ("rgba", "yuva420", "yuva444")} | {"straight.see_behind"}
FINISH = {"finish.finish_band", "finish.spread"}
SONG = {"beats.extend_chains", "medians.running_medians", "sums.weighted_sums"}
PAINT = {"shade.paint", "shade.paint_in_turn"}
TEXT = {f"coverage.{name}" for name in ("add_outline", "approach", "blur", "cover", "widen")}
MARKS = {"boxes.draw_boxes", "pictures.draw_mask", "pictures.draw_picture"}
GROUNDS = {"grounds.draw_gradient", "grounds.light_of_frame", "grounds.soften"}
GROWTH = {"motion.grow", "motion.jitter"}
DISTANCE, PULL = {"shade.fade_with_distance", "shade.scale_with_distance"}, {"motion.attract"}


@pytest.mark.parametrize(
    ("name", "config", "song", "spared"),
    [
        ("enhanced", {}, True, SWIRL | DISCS | DISTANCE | COVER),
        ("zen", {}, True, DISCS | DISTANCE | PULL | COVER),
        ("zen", {}, False, DISCS | DISTANCE | PULL | COVER | SONG),
        ("bouncing", {"collide": True}, True, SWIRL | DISTANCE | PULL | COVER),
        ("zen", {"color_by": "height"}, True, DISCS | DISTANCE | PULL | COVER),
        ("zen", {"blend": "over"}, True, DISCS | DISTANCE | PULL),
        ("zen", {"trail": 0.5}, True, DISCS | DISTANCE | PULL | COVER),
        ("zen", {"bindings": [SHUTTER]}, True, DISCS | DISTANCE | PULL | COVER),
        ("zen", {"texture": "petal"}, True, DISCS | DISTANCE | PULL | COVER),
        ("zen", {"shutter": 0.5}, True, DISCS | DISTANCE | PULL | COVER),
        ("constellation", {}, True, SWIRL | DISTANCE | PULL | COVER | GROWTH | {"collision.collide"}),
        ("zen", {"layers": [{"type": "snow", "config": {"blend": "over"}}]}, True, DISCS | PULL),
    ],
)
def test_kernels_follow_from_components_and_song(
    name: str, config: dict[str, object], song: bool, spared: set[str]
) -> None:
    needed = needed_kernels(*Scene(name, config=config).resolve(), song=song)
    has_links = name == "constellation"
    has_tails = name in ("enhanced", "bouncing")  # by default
    has_lines = has_links or has_tails or bool({"trail", "shutter", "bindings"} & config.keys())
    spared = spared | (set() if "color_by" in config else PAINT)
    spared = spared | BALLS | FINISH | TEXT | MARKS | GROUNDS
    spared = spared | (set() if has_lines else LINES) | (set() if has_links else LINKS)
    spared = spared | STRAIGHT | {"doubling.double"} | (set() if "texture" in config else TEXTURES)
    assert KERNELS.keys() - set(needed) == spared


@pytest.mark.parametrize(
    ("config", "needed"),
    [
        ({"format": "mov"}, {"straight.develop_yuva444"}),
        ({"format": "mov", "blend": "over"}, {"straight.develop_yuva444", "straight.see_behind"}),
        ({"format": "mov", "blend": "over", "alpha": False}, {"straight.develop_yuva444"}),
        ({"format": "webm"}, {"straight.develop_yuva420"}),
        ({"format": "webm", "alpha": False}, set()),
        ({"format": "gif"}, {"straight.develop_rgba"}),
    ],
)
def test_formats_need_kernels_of_their_own(config: dict[str, object], needed: set[str]) -> None:
    assert STRAIGHT & set(needed_kernels(*Scene("zen", config=config).resolve(), song=False)) == needed


def test_drafts_need_a_kernel_more() -> None:
    needed = [needed_kernels(*Scene("zen").resolve(), song=False, quality=quality) for quality in QUALITIES]
    draft, *others = map(set, needed)
    assert [draft - other for other in others] == [{"doubling.double"}] * 2


def test_progress_reports_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_missing(names: list[str], *, report: object) -> float:
        assert callable(report)
        report(Compiling(0, 2, 8.0))
        report(Compiling(1, 2, 8.0))
        return 8.0

    monkeypatch.setattr(preparation, "missing", lambda: ["motion.swirl"])
    monkeypatch.setattr(preparation, "compile_missing", compile_missing)
    heard: list[Progress] = []
    assert prepare_kernels(*Scene("zen").resolve(), song=False, progress=heard.append) == 8.0
    assert heard == [Progress("compiling", 0.0, seconds_left=8.0), Progress("compiling", 0.5, seconds_left=4.0)]


def test_compiler_that_fails_is_a_warning(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def compile_missing(names: list[str], *, report: object) -> float:
        raise RuntimeError("kernels could not be compiled: exit code 3")

    monkeypatch.setattr(preparation, "compile_missing", compile_missing)
    with caplog.at_level(logging.WARNING, "motes.kernels"):
        assert compile_kernels(["motion.wrap"]) == 0.0
    assert "exit code 3" in caplog.text


def test_layers_that_are_drawn_need_kernels_of_marks(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cover.png")
    config = {"layers": [{"kind": "image", "file": str(tmp_path / "cover.png")}], "format": "png"}
    needed = needed_kernels(*Scene("zen", config=config).resolve(), song=False)
    assert MARKS | {"cover.fill_band", "straight.see_behind"} <= set(needed)


@pytest.mark.parametrize(("layer", "needed"), [({"kind": "text", "text": "a"}, TEXT), ({"type": "snow"}, set())])
def test_texts_need_kernels_that_draw_letters(layer: dict[str, object], needed: set[str]) -> None:
    assert TEXT & set(needed_kernels(*Scene("zen", config={"layers": [layer]}).resolve(), song=False)) == needed


@pytest.mark.parametrize(
    ("backdrop", "drawing"),
    [
        ({"kind": "color", "color": [9, 9, 9]}, {"grounds.draw_gradient"}),
        ({"kind": "gradient", "colors": [[9, 9, 9], [30, 20, 10]]}, {"grounds.draw_gradient"}),
        ({"kind": "image", "file": "image.png"}, {"pictures.draw_picture", "grounds.soften"}),
        ({"kind": "video", "file": "video.mp4"}, {"pictures.draw_picture", *GROUNDS} - {"grounds.draw_gradient"}),
    ],
)
def test_backdrops_need_the_kernels_that_draw_them(
    backdrop: dict[str, object], drawing: set[str], tmp_path: Path
) -> None:
    if "file" in backdrop:
        file = tmp_path / str(backdrop["file"])
        if file.suffix == ".png":
            Image.new("RGB", (8, 8)).save(file)
        else:
            write_video(file, numbered(1))
        backdrop = {**backdrop, "file": str(file)}
    needed = set(needed_kernels(*Scene("zen", config={"backdrop": backdrop}).resolve(), song=False))
    assert needed & (MARKS | GROUNDS) == drawing
    assert "cover.fill_band" in needed
