"""What is done for a task, in a process of its own: plan a scene, render a segment, join segments. Blocking code.

What passes from a plan to its segments lies in storage as arrays and JSON, never pickled.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ecs_core import Scene
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.rendering.plan import RenderPlan, Segment, make_plan
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.rendering.stage import Stage
from ecs_core.table import Rows
from ecs_core.video.encoding import VideoFormat
from ecs_core.video.join import VideoFile
from ecs_core.world import Snapshot
from services.keys import audio_key, plan_key, result_key, segment_key, snapshot_key
from services.storage import Storage

Tell = Callable[[Mapping[str, Any]], None]


def run(spec: Mapping[str, Any], storage: Storage, tell: Tell) -> None:
    """Do what ``spec`` asks for: {kind, number, scene, scene_key}; ``tell`` sends progress to whoever watches."""
    with tempfile.TemporaryDirectory(prefix="motes-") as name:
        {"plan": _plan, "segment": _segment, "join": _join}[spec["kind"]](spec, storage, tell, Path(name))


def _scene(spec: Mapping[str, Any], audio: Path | None) -> Scene:
    return Scene(spec["scene"]["type"], audio=audio, config=spec["scene"]["config"])


def _plan(spec: Mapping[str, Any], storage: Storage, tell: Tell, folder: Path) -> None:
    """Analyse the song, cut the scene into segments, and leave a snapshot for the start of each."""
    from ecs_core.audio.features import analyze  # noqa: PLC0415
    from ecs_core.plugin_api import particle_types  # noqa: PLC0415

    key, audio = spec["scene_key"], spec["scene"]["audio"]
    if storage.exists(result_key(key)):  # the same was rendered before
        tell({"rendered": True})
        return
    analysis = None
    particle_type, settings = _scene(spec, Path("song") if audio else None).resolve()
    if audio is not None:
        with storage.file(audio_key(audio)) as song:
            analysis = analyze(
                song, more=tuple(particle_types().features.values()), progress=lambda share: tell({"share": share})
            )
    plan = make_plan(particle_type, settings, analysis, quality=spec["scene"]["quality"])
    file = folder / "plan.npz"
    _save_plan(plan, file)
    storage.put(plan_key(key), file)
    tell({"segments": [segment.stop - segment.start for segment in plan.segments]})
    with Stage(plan.particle_type, plan.settings, plan.timeline) as stage:
        for segment in plan.segments:
            stage.skip_to(segment.start)
            file = folder / "snapshot.npz"
            _save_snapshot(stage.snapshot(), file)
            storage.put(snapshot_key(key, segment.number), file)
            tell({"snapshot": segment.number})


def _segment(spec: Mapping[str, Any], storage: Storage, tell: Tell, folder: Path) -> None:
    """Render a segment, unless it lies in storage already."""
    key, number = spec["scene_key"], spec["number"]
    if storage.exists(segment_key(key, number)):
        return
    with storage.file(plan_key(key)) as file:
        plan = _load_plan(_scene(spec, Path("song") if spec["scene"]["audio"] else None), file)
    with storage.file(snapshot_key(key, number)) as file:
        snapshot = _load_snapshot(file)
    target = folder / "segment.mp4"
    SegmentRenderer(plan).render(plan.segments[number], snapshot, target, on_frame=lambda done: tell({"frames": done}))
    storage.put(segment_key(key, number), target)


def _join(spec: Mapping[str, Any], storage: Storage, tell: Tell, folder: Path) -> None:
    """Put the segments end to end, with the song beside them."""
    key, audio = spec["scene_key"], spec["scene"]["audio"]
    if not storage.exists(result_key(key)):
        with storage.file(plan_key(key)) as file:
            plan = _load_plan(_scene(spec, Path("song") if audio else None), file)
        video = VideoFile(folder / "video.mp4", plan.video, frames=plan.frames)
        try:
            if audio is None:
                _append(video, plan, key, storage, tell)
            else:
                from ecs_core.audio.decode import AudioFile  # noqa: PLC0415

                with storage.file(audio_key(audio)) as path, AudioFile(path) as song:
                    duration = Fraction(plan.frames) / plan.video.fps
                    video.add_sound(song.blocks(), rate=song.rate, channels=song.channels, duration=duration)
                    _append(video, plan, key, storage, tell)
        finally:
            video.abandon()
        storage.put(result_key(key), folder / "video.mp4")
    with storage.file(result_key(key)) as path:
        tell({"size": path.stat().st_size})


def _append(video: VideoFile, plan: RenderPlan, key: str, storage: Storage, tell: Tell) -> None:
    for segment in plan.segments:
        with storage.file(segment_key(key, segment.number)) as path:
            video.append(path)
        tell({"joined": segment.number})
    video.close()


def _save_plan(plan: RenderPlan, path: Path) -> None:
    line, video = plan.timeline, plan.video
    facts = {
        "fps": str(line.fps),
        "frames": line.frames,
        "duration": line.duration,
        "tempo": line.tempo,
        "segments": [[segment.number, segment.start, segment.stop] for segment in plan.segments],
        "video": [video.width, video.height, str(video.fps), video.quality, video.gop],
    }
    arrays: dict[str, Any] = {f"feature:{name}": values for name, values in line.features.items()}
    arrays |= {f"event:{name}": times for name, times in line.events.items()}
    np.savez(path, facts=np.array(json.dumps(facts)), **arrays)


def _load_plan(scene: Scene, path: Path) -> RenderPlan:
    particle_type, settings = scene.resolve()
    with np.load(path, allow_pickle=False) as kept:
        facts = json.loads(str(kept["facts"]))
        features = {name.removeprefix("feature:"): kept[name] for name in kept.files if name.startswith("feature:")}
        events = {name.removeprefix("event:"): kept[name] for name in kept.files if name.startswith("event:")}
    fps = Fraction(facts["fps"])
    timeline = FeatureTimeline(fps, facts["frames"], facts["duration"], facts["tempo"], features, events)
    width, height, rate, quality, gop = facts["video"]
    video = VideoFormat(width, height, Fraction(rate), quality, gop)
    segments = tuple(Segment(*each) for each in facts["segments"])
    return RenderPlan(particle_type, settings, timeline, video, segments)


def _save_snapshot(snapshot: Snapshot, path: Path) -> None:
    arrays: dict[str, Any] = {"frame": np.array(snapshot.frame)}
    for number, rows in enumerate(snapshot.tables):
        arrays |= {f"values{number}": rows.values, f"birth{number}": rows.birth, f"next{number}": rows.next_birth}
    np.savez(path, **arrays)


def _load_snapshot(path: Path) -> Snapshot:
    with np.load(path, allow_pickle=False) as kept:
        tables: list[Rows] = []
        while f"values{len(tables)}" in kept.files:
            n = len(tables)
            tables.append(Rows(kept[f"values{n}"], kept[f"birth{n}"], int(kept[f"next{n}"])))
        return Snapshot(int(kept["frame"]), tuple(tables))
