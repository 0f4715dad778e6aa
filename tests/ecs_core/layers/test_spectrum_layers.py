"""Layers that show the sound: spectrums, waveforms, progress; mostly looked at as marks, before they are painted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import annotated_types
import numpy as np
import pytest

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.audio import document
from ecs_core.audio.features import analyze
from ecs_core.audio.sonogram import LONGEST_MEMORY
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.layers.built_in import KINDS
from ecs_core.layers.kind import Moment, Stage
from ecs_core.layers.progress import PROGRESS
from ecs_core.layers.spectrum import SPECTRUM
from ecs_core.layers.waveform import WAVEFORM
from ecs_core.raster.light_pictures import light_of
from ecs_core.raster.marks import BoxesMark, Pose
from ecs_core.raster.sprites import Sprites
from ecs_core.rendering.plan import make_plan
from tests.ecs_core.audio.samples import heard

RATE, FPS = 44_100, Fraction(30)
WIDTH, HEIGHT = 640, 360
MIDDLE = Pose(WIDTH / 2, HEIGHT / 2)
RED, BLUE = [220, 30, 30], [30, 30, 220]


def stage(hertz: float | None = 1000.0, seconds: float = 2.0) -> Stage:
    """A stage with a song that is a tone; without ``hertz`` there is no song."""
    frames = int(seconds * FPS)
    timeline = FeatureTimeline.silence(FPS, frames)
    if hertz is not None:
        wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
        timeline = heard(np.tile(wave.astype(np.float32), (2, 1))).timeline(FPS, frames, pictured=True)
    return Stage(WIDTH, HEIGHT, FPS, timeline)


@pytest.fixture(scope="module")
def tone() -> Stage:
    return stage()


def drawn(kind: Any, on: Stage, frame: int = 30, *, pose: Pose = MIDDLE, **config: Any) -> list[BoxesMark | Sprites]:
    settings = kind.settings.model_validate({"kind": kind.name, **config})
    moment = Moment(frame, float(frame / FPS), on.timeline.time(frame))
    return list(kind.prepare(settings, on)(settings, moment, pose))


def boxes(kind: Any, on: Stage, frame: int = 30, **config: Any) -> BoxesMark:
    last = drawn(kind, on, frame, **config)[-1]
    assert isinstance(last, BoxesMark)
    return last


class TestSpectrum:
    def test_bars_stand_on_the_place_of_the_layer_side_by_side(self, tone: Stage) -> None:
        bars = boxes(SPECTRUM, tone, style="bars", bands=20, size=1.0, gap=0.25, height=0.3)
        np.testing.assert_allclose(bars.y + bars.tall, HEIGHT / 2, atol=1e-3)
        np.testing.assert_allclose(np.diff(bars.x), HEIGHT / 20, atol=1e-3)
        np.testing.assert_allclose(bars.wide * 2, HEIGHT / 20 * 0.75, atol=1e-3)
        assert float(bars.x.mean()) == pytest.approx(WIDTH / 2)
        assert float(2 * bars.tall.max()) == pytest.approx(0.3 * HEIGHT, rel=0.05)

    def test_loud_band_is_the_highest_bar(self, tone: Stage) -> None:
        bars = boxes(SPECTRUM, tone, style="bars", bands=20)
        # 1000 Hz of 40 to 8000 is a third of the way on the mel scale.
        assert int(np.argmax(bars.tall)) == 6
        assert float(bars.tall[[0, 19]].max()) < 0.1 * float(bars.tall.max())

    def test_mirrored_bars_go_up_as_far_as_down(self, tone: Stage) -> None:
        bars = boxes(SPECTRUM, tone, style="mirrored", bands=20, height=0.2)
        np.testing.assert_allclose(bars.y, HEIGHT / 2, atol=1e-3)
        assert float(2 * bars.tall.max()) == pytest.approx(0.4 * HEIGHT, rel=0.05)

    def test_bars_of_a_ring_go_outwards_from_its_circle(self, tone: Stage) -> None:
        bars = boxes(SPECTRUM, tone, style="ring", bands=20, size=0.5)
        away = np.hypot(bars.x - WIDTH / 2, bars.y - HEIGHT / 2)
        np.testing.assert_allclose(away - bars.tall, 0.25 * HEIGHT, atol=1e-2)
        np.testing.assert_allclose(np.sin(bars.angle), (bars.x - WIDTH / 2) / away, atol=1e-4)

    def test_rings_are_symmetric_with_the_lowest_bands_at_the_bottom(self, tone: Stage) -> None:
        colors = [RED, BLUE]
        bars = boxes(SPECTRUM, tone, style="ring", bands=20, colors=colors)
        assert len(bars.x) == 40
        np.testing.assert_allclose(bars.tall, bars.tall[::-1], atol=1e-4)
        np.testing.assert_allclose(bars.x - WIDTH / 2, -(bars.x - WIDTH / 2)[::-1], atol=1e-2)
        lowest = np.argsort(bars.y)[-2:]
        np.testing.assert_allclose(bars.red[lowest], light_of(RED)[0], rtol=1e-3)
        around = boxes(SPECTRUM, tone, style="ring", bands=20, colors=colors, symmetric=False)
        assert len(around.x) == 20
        assert float(around.red[0]) == pytest.approx(light_of(RED)[0], rel=1e-3)
        assert around.x[0] > WIDTH / 2
        assert around.y[0] < HEIGHT / 2 - 0.25 * HEIGHT  # from the top

    def test_silence_leaves_dots(self) -> None:
        for nothing in (stage(None), stage(0.0)):
            for style in ("bars", "ring"):
                bars = boxes(SPECTRUM, nothing, style=style, least=0.01)
                np.testing.assert_allclose(2 * bars.tall, 0.01 * HEIGHT, rtol=1e-4)

    def test_line_is_as_high_as_the_bands(self, tone: Stage) -> None:
        line = boxes(SPECTRUM, tone, style="line", bands=20, size=1.0, height=0.3, thickness=0.01)
        assert float(line.y.min()) == pytest.approx(HEIGHT / 2 - 0.3 * HEIGHT, abs=4)
        assert float(line.y.max()) == pytest.approx(HEIGHT / 2, abs=2)
        np.testing.assert_allclose(line.tall, 0.005 * HEIGHT, rtol=1e-4)

    def test_pieces_of_a_line_touch_and_of_a_transparent_one_hardly_overlap(self, tone: Stage) -> None:
        for opacity in (1.0, 0.5):
            line = boxes(SPECTRUM, tone, style="ring-line", pose=Pose(320, 180, opacity=opacity))
            length = 2 * line.wide
            apart = np.hypot(np.diff(line.x), np.diff(line.y))
            overlap = (length[1:] + length[:-1]) / 2 - apart
            assert float(overlap.min()) > 0
            if opacity < 1:
                assert float(np.median(overlap)) < 1.0
                assert not line.corner.any()

    @pytest.mark.parametrize("place", [320.0, 311.0, 300.7])
    def test_area_is_made_of_boxes_that_neither_overlap_nor_part(self, tone: Stage, place: float) -> None:
        marks = drawn(SPECTRUM, tone, style="filled", size=0.8, height=0.3, fill=0.4, pose=Pose(place, 200.0))
        area, line = marks[-2:]
        assert isinstance(area, BoxesMark)
        assert isinstance(line, BoxesMark)
        assert area.opacity == pytest.approx(0.4)
        whole = (area.x - area.wide, area.x + area.wide, area.y - area.tall, area.y + area.tall)
        left, right = float(whole[0].min()), float(whole[1].max())
        assert (left, right) == pytest.approx((place - 144, place + 144), abs=1e-3)
        for pixel in np.arange(math.ceil(left / 2), math.floor(right / 2)) * 2 + 1.0:
            here = [(top, bottom) for a, b, top, bottom in zip(*whole, strict=True) if a < pixel < b and bottom > top]
            here.sort()
            curve = float(np.interp(pixel, line.x, line.y))
            if curve > 198:
                continue
            assert here[-1][1] == pytest.approx(200, abs=1e-3)
            for (_, bottom), (top, _) in pairwise(here):
                assert top == pytest.approx(bottom, abs=1e-3)
                assert top % 2 == pytest.approx(0, abs=1e-3)
            assert here[0][0] == pytest.approx(curve, abs=8)  # it is steep

    def test_glow_lies_under_the_bars_and_follows_the_loudness(self, tone: Stage) -> None:
        glow, bars = drawn(SPECTRUM, tone, style="bars", bands=20, glow=1.0, colors=[RED])
        assert isinstance(glow, Sprites)
        assert isinstance(bars, BoxesMark)
        assert float(glow.red.max()) > 3 * float(glow.red.min())
        half = drawn(SPECTRUM, tone, style="bars", bands=20, glow=1.0, colors=[RED], pose=Pose(9, 9, opacity=0.5))[0]
        assert isinstance(half, Sprites)
        np.testing.assert_allclose(half.red, glow.red / 2, rtol=1e-5)
        assert len(drawn(SPECTRUM, tone, style="bars", glow=0)) == 1

    def test_scale_and_turn_of_the_layer_apply(self, tone: Stage) -> None:
        plain = boxes(SPECTRUM, tone, style="bars", bands=8)
        turned = boxes(SPECTRUM, tone, style="bars", bands=8, pose=Pose(320, 180, scale=2.0, angle=math.pi / 2))
        np.testing.assert_allclose(turned.tall, 2 * plain.tall, rtol=1e-4)
        np.testing.assert_allclose(turned.y - 180, 2 * (plain.x - 320), atol=1e-3)


class TestWaveform:
    def test_line_swings_about_its_place_and_calms_down_at_its_ends(self, tone: Stage) -> None:
        line = boxes(WAVEFORM, tone, size=1.0, height=0.2, window=0.01, taper=0.5)
        assert float(np.abs(line.y - HEIGHT / 2).max()) == pytest.approx(0.2 * HEIGHT, rel=0.1)
        np.testing.assert_allclose(line.y[[0, -1]], HEIGHT / 2, atol=1)
        assert float(line.x[-1] - line.x[0]) == pytest.approx(HEIGHT, rel=0.02)

    def test_tone_stands_still(self) -> None:
        low = stage(240.0)
        shapes = [boxes(WAVEFORM, low, frame, window=0.03).y for frame in (20, 21, 35)]
        for shape in shapes[1:]:
            np.testing.assert_allclose(shape, shapes[0], atol=3)

    def test_ring_is_closed(self, tone: Stage) -> None:
        ring = boxes(WAVEFORM, tone, style="ring", size=0.5, height=0.05)
        away = np.hypot(ring.x - WIDTH / 2, ring.y - HEIGHT / 2)
        assert float(np.median(away)) == pytest.approx(0.25 * HEIGHT, rel=0.1)
        gap = np.hypot(ring.x[0] - ring.x[-1], ring.y[0] - ring.y[-1])
        assert gap <= float(ring.wide[0] + ring.wide[-1])

    def test_without_a_song_it_is_flat(self) -> None:
        np.testing.assert_allclose(boxes(WAVEFORM, stage(None)).y, HEIGHT / 2)


class TestProgress:
    def test_bars_that_were_played_have_their_colours(self, tone: Stage) -> None:
        bars = boxes(PROGRESS, tone, frame=30, bars=20, colors=[RED], rest=BLUE, rest_opacity=0.5)
        played = np.arange(20) < 10
        np.testing.assert_allclose(bars.red, np.where(played, light_of(RED)[0], light_of(BLUE)[0]), rtol=1e-4)
        np.testing.assert_allclose(bars.alpha, np.where(played, 1.0, 0.5), rtol=1e-4)
        later = boxes(PROGRESS, tone, frame=31, bars=20, colors=[RED], rest=BLUE, rest_opacity=0.5)
        assert 0.5 < float(later.alpha[10]) < 1

    def test_bars_are_as_high_as_the_song_is_loud(self) -> None:
        wave = np.sin(2 * np.pi * 300 * np.arange(4 * RATE) / RATE) * np.repeat([0.2, 0.8], 2 * RATE)
        song = heard(np.tile(wave.astype(np.float32), (2, 1)))
        for of, start, expected in (("song", 0, [0.25, 1]), ("video", 0, [0.25, 1]), ("video", 2, [1, 1])):
            timeline = song.timeline(FPS, 120 - 30 * start, start=Fraction(start), pictured=True)
            on = Stage(WIDTH, HEIGHT, FPS, timeline)
            bars = boxes(PROGRESS, on, frame=0, bars=8, of=of, height=0.2)
            high = 2 * bars.tall / (0.2 * HEIGHT)
            np.testing.assert_allclose(high[[1, 6]], expected, atol=0.05)

    def test_progress_of_the_song_begins_where_the_video_does(self) -> None:
        wave = np.sin(2 * np.pi * 300 * np.arange(4 * RATE) / RATE)
        timeline = heard(np.tile(wave.astype(np.float32), (2, 1))).timeline(FPS, 30, start=Fraction(2), pictured=True)
        on = Stage(WIDTH, HEIGHT, FPS, timeline)
        for of, played in (("video", 0.0), ("song", 0.5)):
            knob = boxes(PROGRESS, on, frame=0, style="line", of=of, size=1.0)
            assert float(knob.x[0]) == pytest.approx(WIDTH / 2 + (played - 0.5) * HEIGHT, abs=1)

    def test_line_grows_behind_its_knob(self, tone: Stage) -> None:
        rest, played, knob = drawn(PROGRESS, tone, frame=15, style="line", size=1.0, knob=0.1, thickness=0.02)
        for mark in (rest, played, knob):
            assert isinstance(mark, BoxesMark)
        left = WIDTH / 2 - HEIGHT / 2
        assert float(knob.x[0]) == pytest.approx(left + 0.25 * HEIGHT)
        assert float(knob.wide[0]) == pytest.approx(0.05 * HEIGHT)
        assert float(played.x[-1] + played.wide[-1]) == pytest.approx(left + 0.25 * HEIGHT + 0.01 * HEIGHT)
        assert float(rest.x[0] + rest.wide[0]) == pytest.approx(left + HEIGHT + 0.01 * HEIGHT)

    def test_it_cannot_loop(self, tmp_path: Path) -> None:
        scene = Scene("zen", config={"duration": 1, "loop": True, "layers": [{"kind": "progress"}]})
        with pytest.raises(SceneError, match="progress shows cannot loop"):
            render_frame(scene, 0, tmp_path / "frame.png")


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"kind": "spectrum", "style": "sphere"}, "style = 'sphere'"),
        ({"kind": "spectrum", "low": 5000, "high": 5100}, "high = 5100: must be at least 1.2 times low = 5000"),
        ({"kind": "spectrum", "bands": 1}, "bands = 1"),
        ({"kind": "spectrum", "colors": "mud"}, "or a palette: aurora"),
        ({"kind": "spectrum", "colors": []}, "colors"),
        ({"kind": "waveform", "window": 5}, "window = 5"),
        ({"kind": "progress", "of": "album"}, "of = 'album'"),
        ({"kind": "progress", "bindings": [{"source": "bass", "target": "bars"}]}, "bars"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_line(layer: dict[str, Any], words: str) -> None:
    with pytest.raises(SceneError) as error:
        Scene("zen", config={"duration": 1, "layers": [layer]}).resolve()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_timelines_keep_as_much_of_the_song_as_a_spectrum_remembers() -> None:
    """What is before the part of a video counts for as long as a full rise and a full fall take."""
    limits = [
        each.le
        for name in ("attack", "release")
        for each in SPECTRUM.settings.model_fields[name].metadata
        if isinstance(each, annotated_types.Le)
    ]
    assert len(limits) == 2
    assert sum(limits) < LONGEST_MEMORY  # type: ignore[arg-type]


def test_bindings_move_what_a_kind_names() -> None:
    for kind in KINDS:
        for target in kind.targets:
            config = {"kind": kind.name, "bindings": [{"source": "bass", "target": target}]}
            if kind.name in ("spectrum", "waveform", "progress"):
                Scene("zen", config={"duration": 1, "layers": [config]}).resolve()


LAYERS: list[Mapping[str, Any]] = [
    {"kind": "spectrum", "style": "ring", "bindings": [{"source": "bass", "target": "scale", "gain": 0.2}]},
    {"kind": "spectrum", "style": "filled", "release": 3.0, "attack": 0.5, "opacity": 0.7, "behind": True},
    {
        "kind": "waveform",
        "style": "ring",
        "size": 0.3,
        "enter": "fade",
        "bindings": [{"source": "rms", "target": "glow"}],
    },
    {"kind": "waveform", "blend": "add", "rotation": 20},
    {"kind": "progress", "y": 0.9},
    {"kind": "progress", "style": "line", "of": "song", "y": 0.8},
]


@pytest.mark.parametrize("start", [0.0, 2.5])
def test_frames_do_not_depend_on_who_draws_them(demo_song: Path, tmp_path: Path, start: float) -> None:
    size = {"width": 160, "height": 90, "fps": 24, "duration": 1.5, "start": start, "particle_count": 20}
    scene = Scene("zen", demo_song, {**size, "finish": {"bloom": 1.0}, "layers": LAYERS})
    one, other = (
        render(scene, tmp_path / "v.mp4", workers=workers, segment_seconds=seconds, frame_hashes=True).frame_hashes
        for workers, seconds in ((1, 2.0), (2, 0.3))
    )
    assert one == other
    assert len(set(one)) == len(one) == 36
    assert render_frame(scene, 31 / 24, tmp_path / "frame.png") == one[31]


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_analysis_without_a_sonogram_is_completed_from_the_song(demo_song: Path, tmp_path: Path, suffix: str) -> None:
    analysis, path = analyze(demo_song), tmp_path / f"analysis{suffix}"
    config = {"width": 160, "height": 90, "duration": 1, "particle_count": 0, "layers": [{"kind": "spectrum"}]}
    expected = render_frame(Scene("zen", demo_song, config), 0.5, tmp_path / "frame.png")
    if suffix == ".json":
        path.write_text("".join(document.pieces(analysis)))
    else:
        from dataclasses import replace

        document.save(replace(analysis, sonogram=None), path)
    assert render_frame(Scene("zen", demo_song, config, analysis=path), 0.5, tmp_path / "frame.png") == expected


def test_scenes_without_such_layers_have_no_sonogram(demo_song: Path) -> None:
    analysis = analyze(demo_song)
    for layers, has in (([], False), ([{"type": "snow"}], False), ([{"kind": "waveform"}], True)):
        plan = make_plan(*Scene("zen", demo_song, {"layers": layers}).resolve(), analysis)
        assert (plan.timeline.sonogram is not None) is has
