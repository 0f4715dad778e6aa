"""What is written, by format: segments by processes of their own, and the whole file from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ecs_core.video.animation import AnimationFile
from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.format import VideoFormat
from ecs_core.video.frames_file import FramesFile, FrameWriter
from ecs_core.video.join import VideoFile
from ecs_core.video.straight_picture import StraightPicture
from ecs_core.video.subtitles import Cue

OutputFile = VideoFile | FramesFile | AnimationFile


def picture_for(video: VideoFormat) -> Picture | StraightPicture:
    """The memory of a frame."""
    return Picture(video) if video.pixels == "yuv420p" else StraightPicture(video)


def segment_writer(path: Path, video: VideoFormat, *, coarser: int = 0) -> SegmentWriter | FrameWriter:
    """The writer of a segment; ``coarser`` as in :class:`SegmentWriter`."""
    if video.segment_suffix == ".zip":
        return FrameWriter(path, video)
    return SegmentWriter(path, video, coarser=coarser)


def output_file(
    path: Path,
    video: VideoFormat,
    *,
    frames: int,
    poster: int = 0,
    tags: Mapping[str, str] | None = None,
    artwork: bytes | None = None,
    subtitles: Sequence[Cue] = (),
) -> OutputFile:
    """The finished file, to which segments are appended; the arguments are those of :class:`VideoFile`."""
    if video.form == "png":
        return FramesFile(path, video, frames=frames, poster=poster)
    if video.form in ("webp", "gif"):
        return AnimationFile(path, video, frames=frames, poster=poster, tags=tags)
    return VideoFile(path, video, frames=frames, poster=poster, tags=tags, artwork=artwork, subtitles=subtitles)
