"""What a task does besides its work: plugins hear of the video, and a type that fails says so itself."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ecs_core import Scene
from ecs_core.formats import FORMS, Form
from ecs_core.plugin_api.registry import GROUP, load
from ecs_core.raster import rasteriser
from ecs_core.rendering.plan import make_plan
from services.jobs.render_spec import build_spec, spec_key
from services.storage.object_store import Storage
from services.worker import task_runner
from services.worker.plan_files import load_plan, save_plan

HOOKS = """
from ecs_core import hookimpl

heard = []

@hookimpl
def motes_before_render(scene):
    heard.append(scene)

@hookimpl
def motes_after_render(scene, stats):
    heard.append((scene, stats, stats.output.stat().st_size))
    raise ValueError("that was it")
"""


class Tasks:
    """Does the tasks of a scene one after another; ``told`` is what they report, ``made`` what they store."""

    def __init__(self, scene: dict[str, Any], folder: Path) -> None:
        self._scene, self._folder = scene, folder
        self._storage = Storage((folder / "storage").as_uri())
        self.told: list[Mapping[str, Any]] = []

    def do(self, kind: str, **more: object) -> None:
        folder = self._folder / kind
        folder.mkdir()
        common = {"task": 1, "attempt": 1, "plan": "p", "number": 0}
        scene = {"scene": self._scene, "scene_key": spec_key(self._scene)}
        task_runner.run(
            {**common, **scene, "kind": kind, "folder": str(folder), **more}, self._storage, self.told.append
        )

    @property
    def made(self) -> list[Mapping[str, Any]]:
        return [message["made"] for message in self.told if "made" in message]


def test_plugin_hooks_run_at_plan_and_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "motes_test_ears.py").write_text(HOOKS)
    registry = load([EntryPoint("ears", "motes_test_ears", GROUP)])
    monkeypatch.setattr(task_runner, "particle_types", lambda: registry)
    scene = build_spec("zen", {"width": 64, "height": 36, "duration": 0.2, "particle_count": 3}, None, "draft")
    tasks = Tasks(scene, tmp_path)

    import motes_test_ears

    tasks.do("plan")
    [before] = motes_test_ears.heard
    assert (before.type, before.config["particle_count"]) == ("zen", 3)
    tasks.do("segment")
    tasks.do("join", segments=[made["object"] for made in tasks.made])
    assert len(motes_test_ears.heard) == 2
    after, stats, size = motes_test_ears.heard[1]
    assert (after, stats.frames, stats.width, stats.fps, size > 0) == (before, 6, 64, "30", True)
    assert stats.seconds["join"] > 0
    [warning] = [message["warning"] for message in tasks.told if "warning" in message]
    assert warning == "plugin 'not installed:ears': motes_after_render failed: ValueError: that was it"


def test_overdrawn_frames_are_counted_in_the_segment_and_in_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rasteriser, "MOST_OVERDRAW", 0.01)
    config = {"width": 64, "height": 64, "duration": 0.2, "particle_count": 100, "camera": {"zoom": 20.0}}
    scene = build_spec("bouncing", config, None, "draft")
    tasks = Tasks(scene, tmp_path)
    tasks.do("plan")
    tasks.do("segment")
    tasks.do("join", segments=[tasks.made[0]["object"]], overdrawn=6)
    assert [artefact["overdrawn"] for artefact in tasks.made] == [6, 6, 0]  # segment, video, poster


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_made_of_segments(tmp_path: Path, form: Form) -> None:
    config = {"width": 64, "height": 36, "duration": 0.2, "particle_count": 3, "format": form}
    tasks = Tasks(build_spec("zen", config, None, "draft"), tmp_path)
    tasks.do("plan")
    tasks.do("segment")
    tasks.do("join", segments=[tasks.made[0]["object"]])
    video = tmp_path / "storage" / tasks.made[1]["object"]
    if form == "png":
        with zipfile.ZipFile(video) as held:
            assert len(held.namelist()) == 6
    elif form == "webp":  # which FFmpeg cannot decode
        with Image.open(video) as picture:
            assert 0 < picture.n_frames <= 6  # type: ignore[attr-defined]  # equal frames are one
    else:
        with av.open(str(video)) as file:
            assert len([*file.decode(video=0)]) == 6


def test_plan_keeps_its_format_and_rates(tmp_path: Path) -> None:
    scene = Scene("zen", config={"width": 64, "height": 36, "duration": 2.0, "format": "webm"})
    plan = make_plan(*scene.resolve(), None, quality={"max_bytes": 100_000})
    save_plan(plan, tmp_path / "plan.npz")
    again = load_plan(scene, tmp_path / "plan.npz")
    assert (again.video, again.segments) == (plan.video, plan.segments)
    assert again.video.alpha
    assert all(segment.most for segment in again.segments)


def test_plan_of_a_part_keeps_where_it_begins_and_what_came_before(tmp_path: Path) -> None:
    scene = Scene("zen", config={"width": 64, "height": 36, "duration": 0.2, "fade_in": 0.1})
    plan = make_plan(*scene.resolve(), None)
    before = np.linspace(0, 1, 9, dtype=np.float32)
    plan = replace(plan, timeline=replace(plan.timeline, start=Fraction("0.3"), lead={"bass": before}))
    save_plan(plan, tmp_path / "plan.npz")
    again = load_plan(scene, tmp_path / "plan.npz")
    assert again.part == plan.part
    assert again.timeline.lead["bass"].tobytes() == before.tobytes()
