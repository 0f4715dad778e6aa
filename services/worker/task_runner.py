"""Runs a task in a process of its own: plan a scene, render a segment, make the sound, join them, and so on. Blocking.

A plan passes plan and snapshots to its segments through storage (``services.worker.plan_files``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from ecs_core import MotesError, RenderResult, Scene, SceneError
from ecs_core.arrays import F32
from ecs_core.audio import document
from ecs_core.audio.analysis import Analysis
from ecs_core.audio.features import analyze_song
from ecs_core.flashes.counter import FlashCounter
from ecs_core.flashes.flashing import Flashing
from ecs_core.formats import FACTS
from ecs_core.plugin_api import particle_types
from ecs_core.rendering.flash_limit import with_limited_flashes
from ecs_core.rendering.plan import RenderPlan, make_plan
from ecs_core.rendering.scene_tags import tags_of_scene
from ecs_core.rendering.segment import SegmentRenderer
from ecs_core.rendering.simulation import Simulation
from ecs_core.rendering.soft_subtitles import cues_in
from ecs_core.rendering.song_sound import sound_pieces
from ecs_core.rendering.still import write_frame
from ecs_core.scene.render_result import Sound
from ecs_core.scene.settings import Settings
from ecs_core.song_file.tags import SongTags
from ecs_core.video.join import VideoFile
from ecs_core.video.output import output_file
from services.jobs.artefacts import Artefact
from services.jobs.render_spec import analysis_version, spec_key
from services.media.decoder import DecodedSong
from services.media.song_tags import read_tags
from services.storage.asset_files import asset_files
from services.storage.asset_references import references_in, with_files
from services.storage.object_keys import (
    analysis_key,
    attempt_key,
    audio_key,
    correction_key,
    light_key,
    plan_key,
    poster_key,
    result_key,
    segment_key,
    snapshot_key,
    sound_key,
)
from services.storage.object_store import LostFileError, Storage, digest_of
from services.worker.light_files import load_light, save_light
from services.worker.plan_files import load_plan, load_snapshot, loaded, save_plan
from services.worker.sound_files import add_sound, save_sound
from services.worker.stored_snapshots import go_to, plan_snapshots, stored_plans, video_keys

_SONG = "the song"  # errors do not reveal where it is stored
T = TypeVar("T")
Report = Callable[[Mapping[str, Any]], None]


class OtherVersionError(Exception):
    """The task is for another version than this process has loaded."""


@dataclass(frozen=True)
class TaskStats:
    """Seconds a task took by stage, and what it rendered."""

    stages: Mapping[str, float] = field(default_factory=dict)
    frames: int = 0
    video_seconds: float = 0.0


def run(spec: Mapping[str, Any], storage: Storage, report: Report) -> TaskStats:
    """Run the task that ``spec`` describes: {task, attempt, plan, kind, number, scene, scene_key, folder, segments?,
    light?, sounds?, files?, assets?, overdrawn?, sandbox_required?}. ``files`` has size and sha256 of what a join
    reads, ``assets`` those of assets.

    ``report`` reports progress. Unfinished files stay in the folder, which the caller removes.

    Raises:
        OtherVersionError: another version must do it, or its frames could differ from their neighbours.
        LostFileError: the plan, a snapshot, a segment or the sound is gone or damaged.
    """
    if spec_key(spec["scene"]) != spec["scene_key"]:
        raise OtherVersionError
    do = _DO[spec["kind"]]
    scene, folder = spec["scene"], Path(spec["folder"])
    with asset_files(storage, scene.get("assets", {}), folder, known=spec.get("assets")) as files:
        config = with_files(scene["config"], references_in(scene["type"], scene["config"]) if files else (), files)
        return do({**spec, "config": config}, storage, report, folder)


def _scene(spec: Mapping[str, Any], audio: Path | None) -> Scene:
    """The scene, with files of this machine instead of references to assets."""
    return Scene(spec["scene"]["type"], audio=audio, config=spec["config"])


def _scene_for_plugins(spec: Mapping[str, Any]) -> Scene:
    """The scene as hooks see it, with the song's sha256 as its path, and references to assets."""
    audio = spec["scene"]["audio"]
    return Scene(spec["scene"]["type"], audio=None if audio is None else Path(audio), config=spec["scene"]["config"])


def _plan(spec: Mapping[str, Any], storage: Storage, report: Report, folder: Path) -> TaskStats:
    """Analyse the song, cut the scene into segments, and store a snapshot for the start of each."""
    key = spec["scene_key"]
    for warning in particle_types().before_render(_scene_for_plugins(spec)):
        report({"warning": warning})
    began = perf_counter()
    plan = _earlier_plan(spec, storage)
    if plan is None:
        plan = with_limited_flashes(_build_plan(spec, storage, report, folder))
        file = folder / "plan.npz"
        save_plan(plan, file)
        storage.put(plan_key(key, spec["plan"]), file, durable=False)  # if it is lost, the job is planned again
    analysed = perf_counter()
    found = plan.settings.start == "drop" or plan.settings.loop  # its length was not known either
    report(
        {
            "segments": [segment.stop - segment.start for segment in plan.segments],
            "sounds": sound_pieces(plan),
            "start": float(plan.part.start),
            "seconds": float(plan.part.duration) if found else None,
        }
    )
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        plan_snapshots(
            simulation,
            plan.segments,
            storage=storage,
            scene_key=key,
            plan=spec["plan"],
            folder=folder,
            stored=lambda number: report({"snapshot": number}),
        )
    return TaskStats({"analyse": analysed - began, "simulate": perf_counter() - analysed})


def _earlier_plan(spec: Mapping[str, Any], storage: Storage) -> RenderPlan | None:
    """The plan that an earlier attempt has stored, if it is whole."""
    with suppress(LostFileError):
        return _stored_plan(spec, storage)
    return None


def _segment(spec: Mapping[str, Any], storage: Storage, report: Report, folder: Path) -> TaskStats:
    """Render a segment."""
    key, number = spec["scene_key"], spec["number"]
    plan = _stored_plan(spec, storage)
    snapshot = loaded(storage, snapshot_key(key, spec["plan"], number), load_snapshot)
    target = folder / f"segment{plan.video.segment_suffix}"
    rendered = SegmentRenderer(plan).render(
        plan.segments[number], snapshot, target, on_frame=lambda done: report({"progress": done})
    )
    _store(spec, storage, report, segment_key(key, number), target, overdrawn=rendered.overdrawn)
    if rendered.light is not None:
        file = folder / "light.npz"
        save_light(rendered.light, file)
        _store(spec, storage, report, light_key(key, number), file)
    stages = {stage: rendered.seconds[stage] for stage in ("simulate", "rasterise", "encode")}
    return TaskStats(stages, rendered.frames, float(rendered.frames / plan.video.fps))


def _sound(spec: Mapping[str, Any], storage: Storage, report: Report, folder: Path) -> TaskStats:
    """Copy or encode a piece of the song, for the join to copy the packets."""
    plan = _stored_plan(spec, storage)
    began, target = perf_counter(), folder / "sound.zip"
    with _song(spec["scene"]["audio"], storage) as song:
        save_sound(
            plan,
            song,
            target,
            piece=spec["number"],
            name=_SONG,
            required=_sandbox_required(spec),
            on_progress=lambda percent: report({"progress": percent}),
        )
    _store(spec, storage, report, sound_key(spec["scene_key"], spec["number"]), target)
    return TaskStats({"sound": perf_counter() - began})


def _join(spec: Mapping[str, Any], storage: Storage, report: Report, folder: Path) -> TaskStats:
    """Join the segments and the sound, and write the poster."""
    key, audio = spec["scene_key"], spec["scene"]["audio"]
    plan = _stored_plan(spec, storage)
    target = folder / f"video{FACTS[plan.video.form].suffix}"
    began = perf_counter()
    with ExitStack() as closing:
        song_file = None if audio is None else closing.enter_context(_song(audio, storage))
        tags = SongTags() if song_file is None else _tags(song_file, report, required=_sandbox_required(spec))
        tags = tags_of_scene(plan.settings, tags)
        video = output_file(
            target,
            plan.video,
            frames=plan.frames,
            poster=plan.poster,
            tags=tags.texts,
            artwork=tags.artwork,
            subtitles=cues_in(plan),
        )
        closing.callback(video.abandon)
        sound: Sound = "none"
        if spec.get("sounds") and isinstance(video, VideoFile):
            files = [closing.enter_context(_stored(spec, storage, each)) for each in spec["sounds"]]
            sound = add_sound(video, files, closing=closing)
        for number, segment in enumerate(spec["segments"], 1):
            with _stored(spec, storage, segment) as path:
                video.append(path)
            report({"progress": 100 * number // len(spec["segments"])})
        video.close()
        poster = folder / "poster.png"
        video.write_poster(poster)
    flashes = _count_flashes(plan, spec, storage)
    spent = TaskStats({"join": perf_counter() - began})
    settings, seconds, start = plan.settings, float(plan.part.duration), float(plan.part.start)
    size = (settings.width, settings.height)
    stats = RenderResult(
        target,
        plan.frames,
        seconds,
        str(plan.video.fps),
        *size,
        seconds=dict(spent.stages),
        start=start,
        sound=sound,
        flashes=flashes,
        format=plan.video.form,
        picture=video.described,
    )
    for warning in particle_types().after_render(_scene_for_plugins(spec), stats):
        report({"warning": warning})
    overdrawn = spec.get("overdrawn", 0)
    plain = None if flashes is None else [asdict(each) for each in flashes]
    # This moves the file.
    _store(spec, storage, report, result_key(key, "video"), target, overdrawn=overdrawn, flashes=plain)
    _store(spec, storage, report, poster_key(key), poster)
    return spent


def _stored_plan(spec: Mapping[str, Any], storage: Storage) -> RenderPlan:
    """The plan of the scene.

    Raises:
        LostFileError: it is gone or damaged.
    """
    scene = _scene(spec, Path("song") if spec["scene"]["audio"] else None)
    return loaded(storage, plan_key(spec["scene_key"], spec["plan"]), lambda file: load_plan(scene, file))


def _stored(spec: Mapping[str, Any], storage: Storage, key: str) -> AbstractContextManager[Path]:
    """What another task left for the join; raises LostFileError if it is not what was stored."""
    size, digest = spec.get("files", {}).get(key, (None, None))
    return storage.file(key, size=size, digest=digest)


def _count_flashes(plan: RenderPlan, spec: Mapping[str, Any], storage: Storage) -> tuple[Flashing, ...] | None:
    """Where the video flashes too often, by the light of its segments; None if nobody is to look."""
    if not plan.settings.looks_for_flashes:
        return None
    counter = FlashCounter(plan.video.fps)
    for segment in spec.get("light", ()):
        with _stored(spec, storage, segment) as path:
            counter.add(load_light(path))
    return counter.found


def _tags(song: Path, report: Report, *, required: bool) -> SongTags:
    """The song's tags and artwork; none, with a warning, if they cannot be read: a video needs none."""
    try:
        tags = read_tags(song, name=_SONG, required=required)
    except MotesError as error:
        tags = SongTags(warnings=(f"tags and artwork were left out: {error}",))
    for warning in tags.warnings:
        report({"warning": warning})
    return tags


def _frame(spec: Mapping[str, Any], storage: Storage, report: Report, folder: Path) -> TaskStats:
    """Render one frame, equal to the one in the video."""
    began = perf_counter()
    plan = _build_plan(spec, storage, report, folder)
    analysed = perf_counter()
    target = folder / "frame.png"
    keys = video_keys(spec["scene"])
    if plan.settings.flash_guard == "limit":  # of a plan that is stored it is known how much light frames keep
        plan = replace(plan, gains=_stored_gains(spec, storage, keys))
    attempt = f"{spec['task']}-{spec['attempt']}"
    on_the_way = partial(go_to, segments=plan.segments, storage=storage, keys=keys, attempt=attempt, folder=folder)
    write_frame(plan, spec["scene"]["at"], target, go_to=on_the_way)
    spent = TaskStats(
        {"analyse": analysed - began, "simulate": perf_counter() - analysed}
    )  # drawing one picture takes no time in comparison
    _store(spec, storage, report, result_key(spec["scene_key"], "frame"), target)
    return spent


def _stored_gains(spec: Mapping[str, Any], storage: Storage, keys: Sequence[str]) -> F32 | None:
    scene = _scene(spec, Path("song") if spec["scene"]["audio"] else None)
    for key in stored_plans(storage, keys):
        with suppress(LostFileError):  # it was just deleted
            return loaded(storage, key, lambda file: load_plan(scene, file)).gains
    return None


def _analyse(spec: Mapping[str, Any], storage: Storage, report: Report, folder: Path) -> TaskStats:
    """Write the analysis of the scene's song as a document."""
    began = perf_counter()
    _, settings = _scene(spec, Path("song")).resolve()
    analysis = _analysis(spec, settings, storage, report, folder)
    target = folder / "analysis.json"
    with target.open("w", encoding="utf-8") as file:
        file.writelines(document.pieces(analysis, curves=spec["kind"] == "curves"))
    _store(spec, storage, report, result_key(spec["scene_key"], spec["kind"]), target)
    return TaskStats({"analyse": perf_counter() - began})


def _store(
    spec: Mapping[str, Any],
    storage: Storage,
    report: Report,
    key: str,
    path: Path,
    *,
    overdrawn: int = 0,
    flashes: list[dict[str, Any]] | None = None,
) -> None:
    """Store a file where only this attempt writes; the database decides whether it counts."""
    target = attempt_key(key, spec["task"], spec["attempt"])
    digest = digest_of(path)  # of what was written just now, which is still in memory
    made = Artefact(key, target, storage.put(target, path), overdrawn, flashes, digest)
    report({"made": asdict(made)})


@contextmanager
def _song(audio: str, storage: Storage) -> Iterator[Path]:
    """The song as a file.

    Raises:
        MotesError: the song was deleted, as a job may be retried months later, or its file was lost.
    """
    with ExitStack() as held:
        try:
            file = held.enter_context(storage.file(audio_key(audio), digest=audio))
        except LostFileError:
            raise MotesError("the song is gone; upload it again") from None
        yield file


def _sandbox_required(spec: Mapping[str, Any]) -> bool:
    """Whether the scene's song must not be decoded unless the sandbox is complete."""
    return bool(spec.get("sandbox_required", True))


def _build_plan(spec: Mapping[str, Any], storage: Storage, report: Report, folder: Path) -> RenderPlan:
    scene = spec["scene"]
    particle_type, settings = _scene(spec, Path("song") if scene["audio"] else None).resolve()
    analysis = None
    if scene["audio"] is not None:
        analysis = _analysis(spec, settings, storage, report, folder)
    return make_plan(particle_type, settings, analysis, quality=scene["quality"])


def _analysis(spec: Mapping[str, Any], settings: Settings, storage: Storage, report: Report, folder: Path) -> Analysis:
    """The analysis of a scene's song, with its owner's correction."""
    scene = spec["scene"]
    analysis = _uncorrected_analysis(spec, settings, storage, report, folder)
    if scene.get("analysis") is None:
        return analysis
    with ExitStack() as held:
        try:
            key = correction_key(scene["audio"], scene["analysis"])
            file = held.enter_context(storage.file(key, digest=scene["analysis"]))
        except LostFileError:
            raise MotesError("the correction of the song's analysis is gone; correct it again, or forget it") from None
        return document.corrected(analysis, document.read(file), settings.guidance)


def _uncorrected_analysis(
    spec: Mapping[str, Any], settings: Settings, storage: Storage, report: Report, folder: Path
) -> Analysis:
    """The analysis of a song's track under this guidance; made once, then loaded from storage."""
    guidance, track = settings.guidance, settings.track
    audio, required = spec["scene"]["audio"], _sandbox_required(spec)
    key = analysis_key(audio, analysis_version(guidance, track))
    with suppress(FileNotFoundError, SceneError), storage.file(key) as file:  # a damaged one is made again
        return document.load(file)
    more = tuple(particle_types().features.values())
    with _song(audio, storage) as path, DecodedSong(path, name=_SONG, track=track, required=required) as song:
        analysis = analyze_song(
            song, more=more, guidance=guidance, progress=lambda share: report({"progress": int(100 * share)})
        )
    file = folder / "analysis.npz"
    document.save(analysis, file)
    storage.put(key, file)
    report({"analysed": audio})
    return analysis


_DO: Mapping[str, Callable[[Mapping[str, Any], Storage, Report, Path], TaskStats]] = {
    "plan": _plan,
    "segment": _segment,
    "sound": _sound,
    "join": _join,
    "frame": _frame,
    "analysis": _analyse,
    "curves": _analyse,
}
