"""Loops: frame N is frame 0, whatever the scene, the format and the number of workers; what cannot loop is refused."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecs_core import Scene, SceneError, render, render_frame
from ecs_core.audio.features import analyze
from ecs_core.plugin_api import particle_types
from ecs_core.rendering.loop import fade_frames, share_of_end
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.segment import SegmentRenderer
from tests.media import SMALL

LOOP = {**SMALL, "duration": 2.0, "loop": True, "particle_count": 30}


def plan_of(kind: str, song: Path | None = None, **config: Any) -> RenderPlan:
    scene = Scene(kind, song, {**LOOP, **config})
    return make_plan(*scene.resolve(), None if song is None else analyze(song))


def frame_of(plan: RenderPlan, frame: int) -> str:
    renderer = SegmentRenderer(plan)
    renderer.simulation.skip_to(frame)
    picture = renderer.picture(renderer.simulation.snapshot())
    renderer.close()
    return picture.digest()


@pytest.mark.parametrize("kind", sorted(particle_types().types))
def test_frame_after_the_last_is_the_first(kind: str) -> None:
    plan = plan_of(kind)
    without_end = replace(plan, loop=0)
    assert frame_of(plan, 0) == frame_of(without_end, plan.frames)
    assert frame_of(plan, 0) != frame_of(without_end, 0)


@pytest.mark.parametrize("form", ["mov", "webm", "png", "gif"])
def test_pictures_of_all_formats_loop(form: str) -> None:
    more: dict[str, Any] = {"fps": 20} if form == "gif" else {}
    plan = plan_of("zen", format=form, **more)
    assert frame_of(plan, 0) == frame_of(replace(plan, loop=0), plan.frames)


def test_loop_with_all_that_moves_loops(tmp_path: Path, demo_song: Path) -> None:
    Image.new("RGB", (8, 8), (200, 90, 30)).save(tmp_path / "cover.png")
    image = {"kind": "image", "file": str(tmp_path / "cover.png"), "enter": "grow", "camera": True}
    image["bindings"] = [{"source": "bass", "target": "scale", "gain": 0.5}]
    plan = plan_of(
        "snow",
        demo_song,
        camera={"drift": 50, "shake": 10},
        finish={"bloom": 1},
        layers=[image, {"type": "zen", "config": {"particle_count": 9}}],
    )
    assert frame_of(plan, 0) == frame_of(replace(plan, loop=0), plan.frames)


def test_first_frames_fade_from_those_after_the_end() -> None:
    shares = [share_of_end(frame, 10) for frame in range(12)]
    assert shares[0] == 256
    assert shares[10:] == [0, 0]
    assert all(one > other for one, other in pairwise(shares[:11]))
    plan = plan_of("zen")
    after = plan.loop
    assert frame_of(plan, after) == frame_of(replace(plan, loop=0), after)
    assert frame_of(plan, after - 1) != frame_of(replace(plan, loop=0), after - 1)


@pytest.mark.parametrize("fps", [1, 10, 24, Fraction(30000, 1001)])
def test_fade_takes_a_second_or_half_of_the_loop(fps: Fraction) -> None:
    assert fade_frames(1000, Fraction(fps)) == round(fps)
    assert fade_frames(2, Fraction(fps)) == 1


def test_loop_has_the_same_frames_for_any_workers_and_segments(tmp_path: Path, demo_song: Path) -> None:
    scene = Scene("snow", demo_song, LOOP)
    usual = render(scene, tmp_path / "a.mp4", workers=1, frame_hashes=True)
    short = render(scene, tmp_path / "b.mp4", workers=2, segment_seconds=0.3, frame_hashes=True)
    assert usual.frame_hashes == short.frame_hashes
    number = round(0.2 * float(Fraction(usual.fps)))
    assert render_frame(scene, 0.2, tmp_path / "frame.png") == usual.frame_hashes[number]


def test_loop_has_whole_bars(demo_song: Path) -> None:
    heard = analyze(demo_song)
    plan = plan_of("snow", demo_song, duration=5.0)
    bars = heard.events["downbeats"]
    start, end = float(plan.part.start), float(plan.part.start + plan.part.duration)
    assert np.abs(bars - start).min() < 1e-3
    assert np.abs(bars - end).min() < 0.5 / float(plan.video.fps) + 1e-3
    assert end - start <= 5.1


def test_loop_longer_than_the_song_is_refused(demo_song: Path) -> None:
    with pytest.raises(SceneError, match=r"loop = true with duration = 500.0: is longer than the song.*, which has"):
        plan_of("snow", demo_song, duration=500.0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"fade_in": 1.0}, "loop = true with fade_in = 1.0: what loops has no beginning and no end"),
        ({"fade_out": 1.0}, "loop = true with fade_out = 1.0"),
        ({"poster_frame": True}, "loop = true with poster_frame = True"),
        ({"flash_guard": "limit"}, 'loop = true with flash_guard = "limit"'),
    ],
)
def test_what_cannot_loop_is_refused_by_name(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SceneError, match=message):
        plan_of("snow", **config)
