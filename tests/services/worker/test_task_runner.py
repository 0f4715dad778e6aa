"""What a task does besides its work: plugins hear of the video, and a type that fails says so itself."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from PIL import Image

from ecs_core import MotesError, Scene
from ecs_core.formats import FORMS, Form
from ecs_core.plugin_api.registry import GROUP, load
from ecs_core.raster import rasteriser
from ecs_core.rendering.plan import make_plan
from services.jobs.render_spec import build_spec, build_specs, spec_key
from services.storage.object_keys import asset_key, audio_key
from services.storage.object_store import Storage
from services.worker import task_runner
from services.worker.light_files import load_light, save_light
from services.worker.plan_files import load_plan, save_plan
from tests.media import tone, write_song
from tests.services.media.asset_examples import picture

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

    def __init__(self, scene: dict[str, Any], folder: Path, *, storage: Path | None = None) -> None:
        self._scene, self._folder = scene, folder
        self.storage = Storage((storage or folder / "storage").as_uri())
        self.told: list[Mapping[str, Any]] = []

    def do(self, kind: str, **more: object) -> None:
        folder = self._folder / kind
        folder.mkdir(exist_ok=True)
        common = {"task": 1, "attempt": 1, "plan": "p", "number": 0}
        scene = {"scene": self._scene, "scene_key": spec_key(self._scene)}
        task_runner.run(
            {**common, **scene, "kind": kind, "folder": str(folder), **more}, self.storage, self.told.append
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
    segment, light = (made["object"] for made in tasks.made)
    tasks.do("join", segments=[segment], light=[light])
    assert len(motes_test_ears.heard) == 2
    after, stats, size = motes_test_ears.heard[1]
    assert (after, stats.frames, stats.width, stats.fps, size > 0) == (before, 6, 64, "30", True)
    assert stats.seconds["join"] > 0
    assert stats.flashes == ()
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
    assert [artefact["overdrawn"] for artefact in tasks.made if artefact["key"].endswith("mp4")] == [6, 6]


def test_flashes_are_counted_over_all_segments(tmp_path: Path) -> None:
    config = {"width": 64, "height": 36, "duration": 4.0, "particle_count": 3}
    tasks = Tasks(build_spec("zen", config, None, "draft"), tmp_path)
    tasks.do("plan")
    [cut] = [message["segments"] for message in tasks.told if "segments" in message]
    for number in range(len(cut)):
        tasks.do("segment", number=number)
    segments, light = ([each["object"] for each in tasks.made][first::2] for first in (0, 1))
    strobe = np.zeros((120, 3, 18, 30), np.uint16)
    strobe[5:110:5] = 65535
    for stored, part in zip(light, np.split(strobe, np.cumsum(cut)[:-1]), strict=True):
        with tasks.storage.file(stored) as path:
            assert load_light(path).shape == part.shape  # of what was rendered, which is calm
        save_light(part, tmp_path / "light.npz")
        tasks.storage.put(stored, tmp_path / "light.npz")
    tasks.do("join", segments=segments, light=light)
    [flashes] = [each["flashes"] for each in tasks.made if each["flashes"] is not None]
    assert flashes == [{"kind": "general", "start": 5 / 30, "stop": 107 / 30, "flashes": 6, "area": 1.0}]


def test_nobody_counts_flashes_where_the_guard_is_off(tmp_path: Path) -> None:
    config = {"width": 64, "height": 36, "duration": 0.2, "particle_count": 3, "flash_guard": "off"}
    tasks = Tasks(build_spec("zen", config, None, "draft"), tmp_path)
    tasks.do("plan")
    tasks.do("segment")
    tasks.do("join", segments=[tasks.made[0]["object"]])
    assert [each["flashes"] for each in tasks.made] == [None] * 3  # segment, video, poster


def test_light_is_kept_as_it_was_measured(tmp_path: Path) -> None:
    light = np.random.default_rng(1).integers(0, 65536, (7, 3, 6, 9)).astype(np.uint16)
    save_light(light, tmp_path / "light.npz")
    again = load_light(tmp_path / "light.npz")
    assert again.dtype == np.uint16
    assert np.array_equal(again, light)


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_made_of_segments(tmp_path: Path, form: Form) -> None:
    config = {"width": 64, "height": 36, "duration": 0.2, "particle_count": 3, "format": form}
    tasks = Tasks(build_spec("zen", config, None, "draft"), tmp_path)
    tasks.do("plan")
    tasks.do("segment")
    segment, *light = [each["object"] for each in tasks.made]
    tasks.do("join", segments=[segment], light=light)
    assert len(light) == (form == "mp4")  # of others nobody counts the flashes
    video = tmp_path / "storage" / tasks.made[1 + len(light)]["object"]
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


class TestAssets:
    CONFIG: ClassVar = {"width": 64, "height": 36, "duration": 0.2, "particle_count": 20}

    def tasks(self, folder: Path, data: bytes | None) -> Tasks:
        """Tasks of a scene with a picture, which is not stored if there is no ``data``."""
        sha256, digest = "a" * 64, "b" * 64
        if data is not None:
            storage = Storage((folder / "storage").as_uri())
            (storage.scratch / "picture").write_bytes(data)
            storage.put(asset_key(sha256, digest), storage.scratch / "picture")
        config = self.CONFIG | {"picture": f"asset:{sha256}"}
        return Tasks(build_spec("portrait", config, None, "draft", assets={sha256: digest}), folder)

    def test_every_task_reads_the_picture_from_storage(self, tmp_path: Path) -> None:
        tasks = self.tasks(tmp_path, picture())
        tasks.do("plan")
        tasks.do("segment")
        segment, light = (each["object"] for each in tasks.made)
        tasks.do("join", segments=[segment], light=[light])
        assert len(tasks.made) == 4

    def test_picture_that_is_gone_fails_the_task_in_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(MotesError, match=f"^asset:{'a' * 64} is gone; upload it again$"):
            self.tasks(tmp_path, None).do("plan")

    def test_errors_do_not_reveal_where_it_is_stored(self, tmp_path: Path) -> None:
        black = io.BytesIO()
        Image.new("RGB", (4, 4)).save(black, "PNG")
        with pytest.raises(MotesError, match=f"picture = 'asset:{'a' * 64}': is black") as error:
            self.tasks(tmp_path, black.getvalue()).do("plan")
        assert str(tmp_path) not in str(error.value)


def test_outputs_of_a_job_are_planned_from_one_analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    analyze = task_runner.analyze_song

    def counted(song: Any, **more: Any) -> Any:
        heard.append(song)
        return analyze(song, **more)

    monkeypatch.setattr(task_runner, "analyze_song", counted)
    song = write_song(tmp_path / "song.wav", tone(1.0))
    sha256 = hashlib.sha256(song.read_bytes()).hexdigest()
    variants = [{"size": "36x64"}, {"size": "40x40", "format": "gif", "fps": 25}]
    config = {"width": 64, "height": 36, "duration": "audio", "particle_count": 3, "variants": variants}
    frames = []
    for name, scene in build_specs("zen", config, sha256, "draft").items():
        (tmp_path / name).mkdir()
        tasks = Tasks(scene, tmp_path / name, storage=tmp_path / "storage")
        if name == "main":
            shutil.copy(song, tmp_path / "copy")
            tasks.storage.put(audio_key(sha256), tmp_path / "copy")
        tasks.do("plan", sandbox_required=False)
        frames.append(sum(next(message["segments"] for message in tasks.told if "segments" in message)))
    assert frames == [30, 30, 25]
    assert len(heard) == 1
