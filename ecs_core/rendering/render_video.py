"""What ``render()`` does with its processes: analyse the song, plan, hand out segments and join them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ecs_core.arrays import U16
from ecs_core.audio.timeline import FeatureTimeline
from ecs_core.errors import OutputError, RenderCancelled, SceneError
from ecs_core.flashes.counter import FlashCounter
from ecs_core.flashes.flashing import flash_warning
from ecs_core.formats import FACTS
from ecs_core.output_names import path_of_output
from ecs_core.platforms import too_large
from ecs_core.plugin_api import ParticleType, outputs_of, particle_types, resolve
from ecs_core.plugin_api.layers import settings_in_vain
from ecs_core.rendering.flash_limit import with_limited_flashes
from ecs_core.rendering.messages import Advanced, Begin, Work
from ecs_core.rendering.output_file import check_output, output_error, write_atomically
from ecs_core.rendering.overdraw import overdraw_warning
from ecs_core.rendering.plan import RenderPlan, Segment, make_plan, timeline_of, video_format, with_levels
from ecs_core.rendering.pool import Pool
from ecs_core.rendering.preparation import prepare_kernels
from ecs_core.rendering.progress import Progress, Reporter
from ecs_core.rendering.scene_tags import tags_of_scene
from ecs_core.rendering.simulation import SceneSnapshot, Simulation
from ecs_core.rendering.soft_subtitles import cues_in
from ecs_core.rendering.song_analysis import analyse_scene
from ecs_core.rendering.song_sound import SongSound
from ecs_core.rendering.timeline_file import TimelineFile, save_timeline
from ecs_core.scene.render_result import RenderResult, Sound
from ecs_core.scene.scene import Scene
from ecs_core.scene.settings import Settings
from ecs_core.song_file.tags import SongTags
from ecs_core.video.format import Quality
from ecs_core.video.join import VideoFile
from ecs_core.video.output import output_file
from ecs_core.video.quality import QualityLike, wanted

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis

_FEW = 4  # workers: up to this many, they simulate ahead by themselves
_CANCEL_INTERVAL = 0.1  # seconds between checks of the cancel flag


def render_video(
    scene: Scene,
    output: Path,
    pool: Pool,
    folder: Path,
    *,
    quality: QualityLike,
    segment_seconds: float,
    progress: Callable[[Progress], None] | None,
    cancel: threading.Event,
    frame_hashes: bool,
    poster: Path | None,
    began: float,
) -> RenderResult:
    """Render ``scene`` into ``output``, and its variants into files beside it, with the processes of ``pool``.

    They work in ``folder``. ``began`` is when the render began, by ``time.perf_counter``. For all else see
    :func:`ecs_core.render`.
    """
    outputs = _outputs(scene, output, quality=quality, poster=poster)
    preset = wanted(quality).quality
    reporter = Reporter(progress)
    plugins = particle_types()
    told = [plugins.before_render(each.scene) for each in outputs]
    compiling = sum(_compile(each.type, each.settings, each.scene, preset, progress, cancel) for each in outputs)
    pool.prepare(first_message(outputs[0].type, outputs[0].settings, preset, folder))
    analysis = _analyse(scene, outputs[0].settings, reporter, cancel)
    analysed = time.perf_counter()
    tags = tags_of_scene(outputs[0].settings, SongTags() if scene.audio is None else _read_tags(scene.audio))
    planned = [
        _plan(each, analysis, quality=quality, segment_seconds=segment_seconds, path=folder / f"timeline{number}.npy")
        for number, each in enumerate(outputs)
    ]
    heard = analysis.warnings if analysis else ()
    del analysis
    results: list[RenderResult] = []
    whole, seconds_before = sum(plan.frames for _, plan in planned), analysed - began
    for number, (each, (timeline, plan)) in enumerate(zip(outputs, planned, strict=True)):
        start = began if number == 0 else time.perf_counter()
        reporter.part(sum(before.frames for before in results), whole)
        try:
            made = _render_output(
                each, plan, timeline, pool, folder, tags, None if number else poster, frame_hashes, reporter, cancel
            )
        except RenderCancelled:
            if not results:
                raise
            kept = ", ".join(str(one.output) for one in results)
            raise RenderCancelled(f"the render was cancelled; what was finished is kept: {kept}") from None
        first = number == 0
        spent = made.seconds | {
            "compile": compiling if first else 0.0,
            "analyse": seconds_before - compiling if first else 0.0,
            "total": time.perf_counter() - start,
        }
        of_all = (*settings_in_vain(each.type, each.settings), *heard, *tags.warnings) if first else ()
        made = replace(made, seconds=spent, warnings=(*told[number], *of_all, *made.warnings))
        results.append(replace(made, warnings=made.warnings + plugins.after_render(each.scene, made)))
    variants = {each.name: result for each, result in zip(outputs[1:], results[1:], strict=True)}
    return replace(results[0], outputs=variants)


@dataclass(frozen=True)
class _Output:
    """An output of a scene: its name and number, its own scene as it was checked, and its file."""

    name: str
    number: int
    scene: Scene
    type: ParticleType
    settings: Settings
    path: Path

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors about this output's settings name it."""
        try:
            yield
        except SceneError as error:
            raise SceneError(f"variants.{self.number - 1}: {error}" if self.number else str(error)) from None


def _outputs(scene: Scene, output: Path, *, quality: QualityLike, poster: Path | None) -> list[_Output]:
    """All outputs, checked as far as that is possible before any work is done."""
    outputs = []
    for number, (name, own) in enumerate(outputs_of(scene).items()):
        kind, settings = resolve(own)
        each = _Output(name, number, own, kind, settings, path_of_output(output, name, settings.format))
        if number:
            check_output(each.path, scene.audio)
            if poster is not None and each.path.absolute() == poster.absolute():
                raise OutputError(f"{poster} is the name of two outputs; give two names")
        if scene.audio is None or not settings.takes_length_of_song:
            frames = settings.frames(Fraction(0))
            with each.named():
                video_format(kind, settings, quality, frames=frames, gop=1, has_song=scene.audio is not None)
        outputs.append(each)
    return outputs


def _plan(
    output: _Output, analysis: Analysis | None, *, quality: QualityLike, segment_seconds: float, path: Path
) -> tuple[TimelineFile, RenderPlan]:
    """The plan of an output, and its timeline in a file.

    Of a long song the timeline is as large as the analysis: it goes into the file feature by feature.
    """
    with output.named():
        timeline = _save_timeline(timeline_of(output.settings, analysis, lazily=True), path)
        return timeline, make_plan(
            output.type,
            output.settings,
            analysis,
            quality=quality,
            segment_seconds=segment_seconds,
            timeline=timeline.load(),
        )


def _render_output(
    output: _Output,
    plan: RenderPlan,
    timeline: TimelineFile,
    pool: Pool,
    folder: Path,
    tags: SongTags,
    poster: Path | None,
    frame_hashes: bool,
    reporter: Reporter,
    cancel: threading.Event,
) -> RenderResult:
    """Render an output into its file, which appears only when it is complete."""
    settings = output.settings
    began = time.perf_counter()
    plan = with_limited_flashes(plan, progress=_heeding("limiting", reporter, cancel))
    limited = time.perf_counter()
    pool.begin(Begin(plan.particle_type.name, plan.settings, timeline, plan.video, frame_hashes, plan.gains, plan.loop))
    finished = folder / f"finished{FACTS[settings.format].suffix}"
    counter = FlashCounter(settings.rate) if plan.settings.looks_for_flashes else None
    made = _render_segments(plan, output.scene, pool, finished, poster, tags, counter, reporter, cancel)
    seconds, digests, sound, overdrawn, described = made
    flashes = None if counter is None else counter.found
    try:
        os.replace(finished, output.path)
    except OSError as error:  # on Windows also because a player has it open
        raise output_error(output.path, error) from error
    seconds["plan"] += limited - began
    return RenderResult(
        output.path,
        plan.frames,
        float(plan.frames / settings.rate),
        str(settings.rate),
        settings.width,
        settings.height,
        (
            *((overdraw_warning(overdrawn),) if overdrawn else ()),
            *((flash_warning(flashes),) if flashes else ()),
            *too_large(settings.platform, output.path.stat().st_size),
        ),
        seconds,
        tuple(digests),
        float(plan.part.start),
        sound,
        flashes,
        settings.format,
        described,
    )


def _compile(
    particle_type: ParticleType,
    settings: Settings,
    scene: Scene,
    quality: Quality,
    progress: Callable[[Progress], None] | None,
    cancel: threading.Event,
) -> float:
    """Compile missing kernels; returns the seconds that it took."""

    def report(state: Progress) -> None:
        _heed(cancel)
        if progress is not None:
            progress(state)

    return prepare_kernels(particle_type, settings, song=scene.audio is not None, quality=quality, progress=report)


def first_message(particle_type: ParticleType, settings: Settings, quality: Quality, folder: Path) -> Begin:
    """A tiny silent scene of the same type, from which the children load what they need."""
    few = min(64, settings.particle_count)
    small = settings.model_copy(update={"width": 64, "height": 64, "particle_count": few, "layers": ()})
    video = video_format(particle_type, small, quality, frames=2, gop=2, has_song=False)
    silence = FeatureTimeline.silence(settings.rate, 2, more=particle_types().features)
    timeline = _save_timeline(with_levels(silence, settings), folder / "first.npy")
    return Begin(particle_type.name, small, timeline, video, digests=False)


def _save_timeline(timeline: FeatureTimeline, path: Path) -> TimelineFile:
    try:
        return save_timeline(timeline, path)
    except OSError as error:
        raise output_error(path.parent.parent, error) from error


def _analyse(scene: Scene, settings: Settings, reporter: Reporter, cancel: threading.Event) -> Analysis | None:
    return analyse_scene(scene, settings, _heeding("analysing", reporter, cancel))


def _heeding(stage: str, reporter: Reporter, cancel: threading.Event) -> Callable[[float], None]:
    """What to call with the share of a stage that is done."""

    def on_progress(share: float) -> None:
        _heed(cancel)
        reporter.stage(stage, share)

    return on_progress


def _render_segments(
    plan: RenderPlan,
    scene: Scene,
    pool: Pool,
    path: Path,
    poster: Path | None,
    tags: SongTags,
    counter: FlashCounter | None,
    reporter: Reporter,
    cancel: threading.Event,
) -> tuple[dict[str, float], list[str], Sound, int, str]:
    """Simulate ahead, hand out segments, and join finished ones in order; ``counter`` counts their flashes."""
    digests: dict[int, list[str]] = {}
    spent = {"plan": 0.0, "join": 0.0}
    done: dict[int, int] = {}
    ready: dict[int, Path] = {}
    light: dict[int, U16 | None] = {}
    planned: list[Work] = []
    joined = overdrawn = 0
    try:
        video = output_file(
            path,
            plan.video,
            frames=plan.frames,
            poster=plan.poster,
            tags=tags.texts,
            artwork=tags.artwork,
            subtitles=cues_in(plan),
        )
    except OSError as error:
        raise output_error(path.parent.parent, error) from error
    is_heard = plan.settings.sound and isinstance(video, VideoFile)
    sound = SongSound(scene.audio, plan) if scene.audio is not None and is_heard else None
    try:
        if sound is not None and isinstance(video, VideoFile):
            video.add_sound(sound.packets, rate=sound.rate, channels=sound.channels)
        with closing(_all_work(plan, workers=pool.size, folder=path.parent)) as todo:
            while joined < len(plan.segments):
                _heed(cancel)
                # Stay only a few snapshots ahead of the workers, so that memory does not grow with the song.
                t0 = time.perf_counter()
                work = next(todo, None) if len(planned) < 3 else None
                if work is not None:
                    planned.append(work)
                spent["plan"] += time.perf_counter() - t0
                for message in pool.messages(_CANCEL_INTERVAL if work is None else 0.0):
                    if isinstance(message, Advanced):
                        done[message.number] = message.frames
                        continue
                    done[message.number] = message.frames
                    digests[message.number] = message.digests
                    overdrawn += message.overdrawn
                    light[message.number] = message.light
                    ready[message.number] = path.with_name(f"{message.number}{plan.video.segment_suffix}")
                    for stage_name, value in message.seconds.items():
                        spent[stage_name] = spent.get(stage_name, 0.0) + value
                reporter.frames("rendering", sum(done.values()), plan.frames)
                while planned and pool.has_room:  # before joining, so that no worker waits for that
                    pool.give(planned.pop(0))
                t0 = time.perf_counter()
                while joined in ready:
                    segment_file = ready.pop(joined)
                    video.append(segment_file)
                    segment_file.unlink()
                    measured = light.pop(joined)
                    if counter is not None and measured is not None:
                        counter.add(measured)
                    joined += 1
                spent["join"] += time.perf_counter() - t0
        reporter.frames("joining", plan.frames, plan.frames)
        t0 = time.perf_counter()
        video.close()
        if poster is not None:
            write_atomically(poster, video.write_poster)
        spent["join"] += time.perf_counter() - t0
    except OSError as error:
        raise output_error(path.parent.parent, error) from error
    finally:
        video.abandon()
        if sound is not None:
            sound.close()
    made: Sound = "none" if sound is None else "copied" if sound.is_copied else "encoded"
    return spent, [digest for number in sorted(digests) for digest in digests[number]], made, overdrawn, video.described


def _all_work(plan: RenderPlan, *, workers: int, folder: Path) -> Generator[Work, None, None]:
    """All segments in order, with snapshots from which to render them.

    The first segments start at once, from frame 0. With few workers all do: each worker simulates everything once, and
    this process does not load the kernels, nor keep a world, whose bindings are large in a long song.
    """

    def work(segment: Segment, snapshot: SceneSnapshot) -> Work:
        return Work(segment, snapshot, folder / f"{segment.number}{plan.video.segment_suffix}")

    if workers <= _FEW:
        first = _first_snapshot(plan)
        yield from (work(segment, first) for segment in plan.segments)
        return
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        for segment in plan.segments:
            if segment.number >= workers:
                simulation.skip_to(segment.start)
            yield work(segment, simulation.snapshot())


def _first_snapshot(plan: RenderPlan) -> SceneSnapshot:
    with Simulation(plan.particle_type, plan.settings, plan.timeline) as simulation:
        return simulation.snapshot()


def _read_tags(path: Path) -> SongTags:
    from ecs_core.song_file.audio_file import AudioFile  # noqa: PLC0415 - slow, and not needed without a song

    with AudioFile(path) as song:
        return song.tags()


def _heed(cancel: threading.Event) -> None:
    if cancel.is_set():
        raise RenderCancelled("the render was cancelled; nothing was left behind")
