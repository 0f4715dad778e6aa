"""RenderPlan: a scene divided into segments, each encoded on its own as closed groups of pictures.

Segments depend only on the number of frames, never on the number of workers, so equal scenes have equal segments
everywhere. The last ones are shorter, so that no worker waits long for another at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecs_core.arrays import F32
from ecs_core.audio.timeline import LEVELS, FeatureTimeline
from ecs_core.errors import SceneError
from ecs_core.formats import FACTS, check_length
from ecs_core.lazily import joined
from ecs_core.platforms import check_seconds
from ecs_core.plugin_api import ParticleType, particle_types
from ecs_core.plugin_api.layers import pictures_sound
from ecs_core.rendering.loop import fade_frames, in_whole_bars
from ecs_core.rendering.poster import poster_frame
from ecs_core.rendering.song_part import start_of
from ecs_core.scene.settings import Settings
from ecs_core.video.format import SEGMENT_SECONDS, VideoFormat
from ecs_core.video.part import Part
from ecs_core.video.quality import SUBTITLE_BYTES, QualityLike, rates_for, wanted

if TYPE_CHECKING:
    from ecs_core.audio.analysis import Analysis


_KEY_FRAME = 15  # frames that take as much as a key frame has above them
_BRIGHT = 0.1  # light of a ground that particles are drawn on rather than shine before


@dataclass(frozen=True, slots=True)
class Segment:
    """Frames ``start`` up to but not including ``stop``, which may take at most ``most`` bytes."""

    number: int
    start: int
    stop: int
    most: int | None = None


@dataclass(frozen=True, eq=False)
class RenderPlan:
    """Everything a worker needs except snapshots: what to simulate, how to encode, and the segments.

    ``peak`` is that of the song's mix (see Analysis). ``gains``, (frames,), are factors on the light of frames, of
    which some would flash too often (see ``rendering.flash_limit``). The timeline of a loop is ``loop`` frames longer.
    """

    particle_type: ParticleType
    settings: Settings
    timeline: FeatureTimeline
    video: VideoFormat
    segments: tuple[Segment, ...]
    peak: float | None = None
    gains: F32 | None = None
    loop: int = 0

    @property
    def frames(self) -> int:
        """Number of frames of the whole video."""
        return self.timeline.frames - self.loop

    @property
    def part(self) -> Part:
        """The part of the song that is shown, with its fades."""
        return Part(self.timeline.start, self.frames / self.video.fps, *self.settings.fades)

    def light(self, frame: int) -> float:
        """How much of its light a simulated frame keeps, 0–1."""
        kept = self.part.light(frame, self.video.fps)
        return kept if self.gains is None else kept * float(self.gains[frame])

    @property
    def plays_whole_song(self) -> bool:
        """Whether all of the song is heard, from its start to its end, unchanged: then its own packets may be copied.

        Whatever begins within the song, ends it early, or changes samples must make this false.
        """
        part, frame = self.part, float(1 / self.video.fps)
        return not part.start and not part.is_faded and abs(float(part.duration) - self.timeline.duration) <= frame

    @cached_property
    def poster(self) -> int:
        """The number of the frame that the poster shows."""
        return min(poster_frame(self.settings, self.timeline), self.frames - 1)

    def shown(self, frame: int) -> int:
        """The number of the simulated frame whose picture frame ``frame`` of the video shows: its own, but for the
        first one of a video that begins with its poster.
        """
        return self.poster if frame == 0 and self.settings.poster_frame else frame


def make_plan(
    particle_type: ParticleType,
    settings: Settings,
    analysis: Analysis | None,
    *,
    quality: QualityLike = "standard",
    segment_seconds: float = SEGMENT_SECONDS,
    timeline: FeatureTimeline | None = None,
) -> RenderPlan:
    """Plan a scene in segments of about ``segment_seconds``. ``timeline`` is its own if it was made before.

    Raises:
        SceneError: the song, from ``start`` on, is shorter than one frame, or over, ``poster`` lies after its end, or
            the video is too long for its format, or for the size that its file may have, or its platform does not
            take it.
    """
    if timeline is None:
        timeline = timeline_of(settings, analysis)
    loop = _frames_after(timeline.frames, settings) if settings.loop else 0
    frames, longest = timeline.frames - loop, max(1, round(segment_seconds * settings.rate))
    video = video_format(particle_type, settings, quality, frames=frames, gop=longest, has_song=analysis is not None)
    if settings.platform is not None:
        try:
            check_seconds(settings.platform, float(frames / settings.rate))
        except ValueError as error:
            raise SceneError(str(error)) from None
    segments, peak = cut(frames, longest), None if analysis is None else analysis.peak
    if video.rates.most is not None:
        segments = _shared_out(segments, int(video.rates.most / 8 * frames / settings.rate))
    plan = RenderPlan(particle_type, settings, timeline, video, segments, peak, loop=loop)
    _ = plan.poster  # raises now rather than when a segment needs it
    return plan


def _shared_out(segments: tuple[Segment, ...], size: int) -> tuple[Segment, ...]:
    """The segments with their shares of so many bytes: of each the first frame takes as much as several others."""
    weights = [segment.stop - segment.start + _KEY_FRAME for segment in segments]
    whole = sum(weights)
    return tuple(
        replace(segment, most=size * weight // whole) for segment, weight in zip(segments, weights, strict=True)
    )


def video_format(
    particle_type: ParticleType, settings: Settings, quality: QualityLike, *, frames: int, gop: int, has_song: bool
) -> VideoFormat:
    """The format of a scene's video of so many frames.

    Raises:
        SceneError: the quality is unknown or not of this format, or the video is too long for it.
    """
    form, asked, seconds = settings.format, wanted(quality), float(frames / settings.rate)
    try:
        check_length(form, seconds)
    except ValueError as error:
        raise SceneError(str(error)) from None
    rates = rates_for(
        asked,
        form,
        pixels=settings.width * settings.height,
        fps=float(settings.rate),
        seconds=seconds,
        has_sound=has_song and settings.sound and FACTS[form].has_sound,
        more=_subtitle_bytes(settings),
    )
    alpha = has_alpha(particle_type, settings)
    return VideoFormat(settings.width, settings.height, settings.rate, asked.quality, gop, form, alpha, rates)


def _subtitle_bytes(settings: Settings) -> int:
    """What the subtitles take of the file at most."""
    if settings.subtitles is None:
        return 0
    from ecs_core.text.lyrics import load_lyrics  # noqa: PLC0415 - rarely needed

    lines = load_lyrics(Path(settings.subtitles)).lines
    return 1000 + sum(len(line.text.encode()) + SUBTITLE_BYTES for line in lines)


def has_alpha(particle_type: ParticleType, settings: Settings) -> bool:
    """Whether nothing lies behind the particles of a scene, and its video has alpha."""
    if settings.alpha is not None:
        return settings.alpha
    overlay = FACTS[settings.format].is_for_overlays and settings.background is None and settings.backdrop is None
    return overlay and max(particle_type.backdrop.base) < _BRIGHT


def timeline_of(settings: Settings, analysis: Analysis | None, *, lazily: bool = False) -> FeatureTimeline:
    """The timeline of a scene; if ``lazily``, what is heard of a song is made whenever it is looked at.

    Raises:
        SceneError: the song, from ``start`` on, is shorter than one frame, or over.
    """
    start = start_of(settings, analysis)
    frames = settings.frames(Fraction(0) if analysis is None else analysis.exact_duration - start)
    if settings.loop and analysis is not None and frames > 1:
        start, frames = in_whole_bars(settings, analysis, start)
    if frames < 1:
        if start:
            raise SceneError(f"start = {float(start):g}: leaves less than one frame of the song; begin earlier")
        raise SceneError("the song is shorter than one frame of video; give a duration in seconds")
    if settings.loop:
        frames += fade_frames(frames, settings.rate)
    if analysis is None:
        timeline = FeatureTimeline.silence(settings.rate, frames, more=particle_types().features)
    else:
        pictured = pictures_sound(settings)
        timeline = analysis.timeline(
            settings.rate, frames, settings.heard, start=start, lazily=lazily, pictured=pictured
        )
    return with_levels(timeline, settings)


def _frames_after(frames: int, settings: Settings) -> int:
    """Of so many frames of a loop's timeline, those that come after the loop."""
    return next(fade for fade in range(frames) if fade_frames(frames - fade, settings.rate) == fade)


def with_levels(timeline: FeatureTimeline, settings: Settings) -> FeatureTimeline:
    """Add ``level`` and ``bass_high``, which depend on the settings (see ``audio.timeline.LEVELS``)."""
    timeline = timeline.with_features(_levels(timeline.features["bass"], settings))
    if timeline.lead:
        timeline = replace(timeline, lead=joined(timeline.lead, _levels(timeline.lead["bass"], settings)))
    return timeline


def _levels(bass: F32, settings: Settings) -> dict[str, F32]:
    level = settings.level(bass)
    high = (level > settings.bass_threshold).astype(np.float32)
    return dict(zip(LEVELS, (level, high), strict=True))


def cut(frames: int, longest: int) -> tuple[Segment, ...]:
    """Segments of ``longest`` frames; near the end, a quarter of the rest each, but at least a quarter of ``longest``.

    >>> [segment.stop - segment.start for segment in cut(400, 60)]
    [60, 60, 60, 55, 41, 31, 23, 17, 15, 15, 15, 8]
    """
    shortest = max(1, longest // 4)
    marks = [0]
    while marks[-1] < frames:
        left = frames - marks[-1]
        marks.append(marks[-1] + min(left, longest, max(shortest, left // 4)))
    return tuple(Segment(number, start, stop) for number, (start, stop) in enumerate(pairwise(marks)))
