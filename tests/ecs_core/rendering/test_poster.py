"""The poster: which frame it is, that it is never black, and that it is the same wherever the video is cut."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from ecs_core import OutputError, Scene, SceneError, render, render_frame
from ecs_core.plugin_api import particle_types
from ecs_core.rendering.plan import RenderPlan, cut, make_plan, with_levels
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.video.format import VideoFormat
from ecs_core.video.png import rgb_of
from tests.ecs_core.conftest import timeline_of
from tests.media import SMALL, tone, write_song
from tests.plugins.simulate import TYPES, kicks

FPS = 10


def plan_of(features: dict[str, list[float]], drops: list[float], seconds: float = 20.0, **config: Any) -> RenderPlan:
    kind, settings = Scene("snow", config={**SMALL, "fps": FPS, "duration": seconds, **config}).resolve()
    frames = settings.frames(Fraction(0))
    timeline = with_levels(timeline_of(Fraction(FPS), frames, features, {"drops": drops}), settings)
    video = VideoFormat(settings.width, settings.height, settings.rate, "draft", gop=FPS)
    return RenderPlan(kind, settings, timeline, video, cut(frames, FPS))


def steps(*levels: float) -> list[float]:
    """Each level for two seconds."""
    return [level for level in levels for _ in range(2 * FPS)]


class TestChoice:
    def test_is_the_drop_after_which_the_bass_rises_most(self) -> None:
        bass = steps(0.2, 0.2, 0.5, 0.5, 0.4, 0.4, 0.0, 0.0, 0.9, 0.9)
        assert plan_of({"bass": bass}, [4.0, 16.0]).poster == 160
        bass = steps(0.0, 0.0, 0.9, 0.9, 0.4, 0.4, 0.4, 0.4, 0.6, 0.6)
        assert plan_of({"bass": bass}, [4.0, 16.0]).poster == 40

    def test_is_where_the_drop_is_loudest_within_half_a_second(self) -> None:
        loud = [0.0] * 200
        loud[83], loud[88] = 0.8, 1.0
        assert plan_of({"momentary": loud}, [8.0]).poster == 83

    def test_drops_after_the_end_of_the_video_do_not_count(self) -> None:
        assert plan_of({}, [4.0, 30.0]).poster == 40
        assert plan_of({}, [30.0]).poster == plan_of({}, []).poster

    def test_is_the_strongest_moment_if_there_is_no_drop(self) -> None:
        loud = [0.3] * 200
        loud[140] = 0.9
        assert plan_of({"momentary": loud, "bass": loud}, []).poster == 140

    def test_is_not_at_the_beginning_or_the_end_if_the_song_is_even(self) -> None:
        assert 100 <= plan_of({"momentary": [0.5] * 200}, []).poster < 190

    def test_is_late_in_a_silent_video(self) -> None:
        assert plan_of({}, []).poster == 150
        assert 100 <= plan_of({}, [], fade_out=8).poster <= 120  # before it fades

    @pytest.mark.parametrize("seconds", [0.1, 0.2, 0.3])
    def test_is_a_frame_of_the_shortest_videos(self, seconds: float) -> None:
        for features in ({}, {"momentary": [0.5]}):
            plan = plan_of(features, [0.0], seconds)
            assert 0 <= plan.poster < plan.frames

    def test_drops_are_sought_in_the_part_of_the_song(self) -> None:
        plan = plan_of({}, [2.0, 8.0, 25.0])
        assert replace(plan, timeline=replace(plan.timeline, start=Fraction(4))).poster == 40
        assert replace(plan, timeline=replace(plan.timeline, start=Fraction(20))).poster == 50

    def test_is_not_where_the_picture_is_faded(self) -> None:
        loud = {"momentary": [1.0] * 10 + [0.5] * 180 + [1.0] * 10}
        assert 30 <= plan_of(loud, [0.5, 19.0], fade_in=3, fade_out=3).poster < 170

    def test_is_the_given_time(self) -> None:
        assert plan_of({}, [8.0], poster=4.1).poster == 41
        assert plan_of({}, [8.0], poster=0).poster == 0


class TestOutOfRange:
    def test_is_refused_with_the_settings_where_the_length_is_known(self) -> None:
        with pytest.raises(SceneError, match=r"poster = 20: must be from 0 to 19\.9 seconds"):
            plan_of({}, [], poster=20)

    @pytest.mark.parametrize("poster", [-1, 1e300, True, "drop"])
    def test_is_refused_whatever_it_is(self, poster: object) -> None:
        with pytest.raises(SceneError, match="poster"):
            Scene("snow", config={"duration": "audio", "poster": poster}).resolve()

    def test_is_refused_before_rendering_where_the_song_tells_the_length(self, tmp_path: Path) -> None:
        song = write_song(tmp_path / "song.wav", tone(0.5))
        scene = Scene("snow", song, {**SMALL, "duration": "audio", "poster": 0.6})
        with pytest.raises(SceneError, match=r"poster = 0\.6: must be from 0 to 0\.466667 seconds"):
            render(scene, tmp_path / "out.mp4", workers=1)


PRESETS = [(kind, name) for kind in TYPES for name in (None, *particle_types().types[kind].preset_names())]


@pytest.mark.parametrize(("kind", "name"), PRESETS)
@pytest.mark.parametrize("heard", [True, False], ids=["song", "silence"])
def test_poster_is_not_black(kind: str, name: str | None, heard: bool) -> None:
    preset = particle_types().types[kind].preset(name) if name else {}
    config = {**preset, "width": 320, "height": 180, "fps": 15, "duration": 8.0}
    plan = make_plan(*Scene(kind, config=config).resolve(), None)
    if heard:
        timeline = with_levels(kicks(plan.video.fps, plan.frames), plan.settings)
        plan = RenderPlan(plan.particle_type, plan.settings, timeline, plan.video, plan.segments)
    renderer = SegmentRenderer(plan)
    with renderer.simulation as simulation:
        simulation.skip_to(plan.poster)
        luma = renderer.picture(simulation.snapshot()).planes.luma[:, :320].astype(np.float64)
    assert luma.mean() > 16 + 5  # black is 16
    assert luma.max() > 120  # a background alone is far darker


@pytest.fixture(scope="module")
def scene(demo_song: Path) -> Scene:
    return Scene("enhanced", demo_song, {**SMALL, "duration": 2.2, "poster": 1.5})


def test_png_is_the_frame_of_the_video(scene: Scene, tmp_path: Path) -> None:
    render(scene, tmp_path / "out.mp4", workers=1, segment_seconds=0.5, poster=tmp_path / "poster.png")
    with av.open(str(tmp_path / "out.mp4")) as video:
        frames = [rgb_of(frame).to_ndarray() for frame in video.decode(video=0)]
    with av.open(str(tmp_path / "poster.png")) as picture:
        poster = next(picture.decode(video=0)).to_ndarray(format="rgb24")
    assert [number for number, frame in enumerate(frames) if np.array_equal(frame, poster)] == [45]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "poster.png"]


def test_png_is_the_same_for_any_number_of_workers(scene: Scene, tmp_path: Path) -> None:
    for workers in (1, 3):
        render(scene, tmp_path / "out.mp4", workers=workers, poster=tmp_path / f"{workers}.png")
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "3.png").read_bytes()


def test_png_that_cannot_be_written_is_named_before_rendering(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none/poster\.png: the folder .* does not exist"):
        render(scene, tmp_path / "out.mp4", poster=tmp_path / "none" / "poster.png")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def usual(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    path = tmp_path_factory.mktemp("usual") / "out.mp4"
    return render(scene, path, workers=1, frame_hashes=True).frame_hashes


@pytest.fixture
def changed(scene: Scene) -> Scene:
    return Scene(scene.type, scene.audio, {**scene.config, "poster_frame": True})


class TestPosterFrame:
    @pytest.mark.parametrize(("workers", "seconds"), [(1, 2.0), (2, 0.5), (6, 0.1)])
    def test_replaces_the_first_frame_alone(
        self, changed: Scene, usual: tuple[str, ...], workers: int, seconds: float, tmp_path: Path
    ) -> None:
        made = render(changed, tmp_path / "out.mp4", workers=workers, segment_seconds=seconds, frame_hashes=True)
        assert made.frame_hashes == (usual[45], *usual[1:])
        assert usual[0] != usual[45]

    def test_is_as_bright_as_it_is_later(self, changed: Scene, usual: tuple[str, ...], tmp_path: Path) -> None:
        faded = Scene(changed.type, changed.audio, {**changed.config, "fade_in": 0.5})
        made = render(faded, tmp_path / "out.mp4", workers=1, frame_hashes=True)
        assert made.frame_hashes[0] == usual[45]
        assert render_frame(faded, 0, tmp_path / "0.png") == usual[45]
        assert made.frame_hashes[1] != usual[1]

    def test_is_the_still_at_0_as_well(self, changed: Scene, usual: tuple[str, ...], tmp_path: Path) -> None:
        assert render_frame(changed, 0, tmp_path / "0.png") == usual[45]
        assert render_frame(changed, 1 / 30, tmp_path / "1.png") == usual[1]
        assert render_frame(changed, 1.5, tmp_path / "45.png") == usual[45]

    def test_renderer_that_comes_from_another_segment_draws_the_same(self, changed: Scene, tmp_path: Path) -> None:
        kind, settings = changed.resolve()
        plan = make_plan(kind, settings.model_copy(update={"duration": 2.0, "poster": 1.0}), None, segment_seconds=0.5)
        with SegmentRenderer(plan).simulation as simulation:
            start = simulation.snapshot()
        renderer = SegmentRenderer(plan, digests=True)
        first, last = plan.segments[0], plan.segments[-1]
        alone = renderer.render(first, start, tmp_path / "0.mp4").digests
        ending = renderer.render(last, start, tmp_path / "n.mp4").digests
        assert renderer.render(first, start, tmp_path / "0.mp4").digests == alone
        assert renderer.render(last, start, tmp_path / "n.mp4").digests == ending
        renderer.simulation.world.close()
