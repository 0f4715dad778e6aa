"""AnimationFile: an animated WebP or GIF. One encoder makes the whole file, from segments of PNG files.

WebP frames are encoded as they arrive. A GIF has one palette of 256 colours, made of all frames: they are counted as
they arrive, kept as they are, and encoded at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import av.filter

from ecs_core.errors import RenderError
from ecs_core.video.format import Quality, VideoFormat
from ecs_core.video.frames_file import FramesFile, PngFrames, frames_in

_WEBP_OPTIONS: Mapping[Quality, Mapping[str, str]] = {
    "draft": {"quality": "60", "compression_level": "0"},
    "standard": {"quality": "80", "compression_level": "2"},
    "high": {"quality": "92", "compression_level": "4"},
}
_DITHER = "bayer:bayer_scale=3"  # a pattern that stays where it is: noise would be coded anew in each frame
_FOREVER = "0"


class AnimationFile(PngFrames):
    """The finished animation. Call :meth:`append` for every segment in order, then :meth:`close`."""

    def __init__(
        self, path: Path, video: VideoFormat, *, frames: int, poster: int = 0, tags: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(expected=frames, poster=poster)
        self._made: _Webp | _Gif = _Webp(path, video, tags or {}) if video.form == "webp" else _Gif(path, video, frames)
        self.described = {"webp": "WebP", "gif": "GIF"}[video.form] + (" with alpha" if video.alpha else "")

    def append(self, segment: Path) -> None:
        """Append the frames of a segment."""
        for _ in self.take(segment):
            pass
        self._made.append(segment)

    def close(self) -> None:
        """Encode what is left, and finish the file.

        Raises:
            RenderError: the segments do not have the planned number of frames in total.
        """
        self.check()
        self._made.close()

    def abandon(self) -> None:
        """Close the file without finishing it; errors are ignored."""
        self._made.abandon()


def _decoded(path: Path, fps: Fraction, first: int) -> Iterator[av.VideoFrame]:
    """The frames of a segment, numbered from ``first``."""
    for number, data in enumerate(frames_in(path), first):
        codec = av.CodecContext.create("png", "r")
        assert isinstance(codec, av.VideoCodecContext)
        codec.thread_count = 1
        (frame,) = [*codec.decode(av.Packet(data)), *codec.decode(None)]
        frame.pts, frame.time_base = number, 1 / fps
        yield frame


class _Webp:
    """Encodes frames as they arrive."""

    def __init__(self, path: Path, video: VideoFormat, tags: Mapping[str, str]) -> None:
        self._video, self._frames = video, 0
        self._container = av.open(str(path), "w", format="webp", options={"loop": _FOREVER})
        self._container.metadata.update(tags)
        options = dict(_WEBP_OPTIONS[video.quality])
        self._stream = self._container.add_stream("libwebp_anim", rate=video.fps, options=options)
        assert isinstance(self._stream, av.video.stream.VideoStream)
        codec = self._stream.codec_context
        codec.width, codec.height, codec.pix_fmt = video.width, video.height, "bgra"
        codec.time_base = 1 / video.fps

    def append(self, segment: Path) -> None:
        for frame in _decoded(segment, self._video.fps, self._frames):
            shown = frame.reformat(format="bgra")
            shown.pts, shown.time_base = frame.pts, frame.time_base
            self._container.mux(self._stream.encode(shown))
            self._frames += 1

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._container.close()


class _Gif:
    """Counts the colours of frames as they arrive, and encodes them at the end."""

    def __init__(self, path: Path, video: VideoFormat, frames: int) -> None:
        self._path, self._video = path, video
        self._kept = path.with_name(f"{path.name}.frames")
        self._frames = FramesFile(self._kept, video, frames=frames)
        self._counting = av.filter.Graph()
        self._colours = self._source(self._counting)
        palette = self._counting.add("palettegen", "reserve_transparent=0")
        self._palette = self._counting.add("buffersink")
        self._colours.link_to(palette)
        palette.link_to(self._palette)
        self._counting.configure()

    def _source(
        self, graph: av.filter.Graph, *, palette: av.VideoFrame | None = None
    ) -> av.filter.context.FilterContext:
        """A source of frames, or of a palette."""
        width, height, form = self._video.width, self._video.height, "rgb24"
        if palette is not None:
            width, height, form = palette.width, palette.height, palette.format.name
        return graph.add_buffer(width=width, height=height, format=av.VideoFormat(form), time_base=1 / self._video.fps)

    def append(self, segment: Path) -> None:
        for frame in _decoded(segment, self._video.fps, self._frames.frames):
            self._colours.push(frame)
        self._frames.append(segment)

    def close(self) -> None:
        self._frames.close()
        self._colours.push(None)
        palette = self._palette.pull()
        assert isinstance(palette, av.VideoFrame)
        graph = av.filter.Graph()
        frames, colours = self._source(graph), self._source(graph, palette=palette)
        use, sink = graph.add("paletteuse", f"dither={_DITHER}:diff_mode=rectangle"), graph.add("buffersink")
        frames.link_to(use, 0, 0)
        colours.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        palette.pts = 0
        colours.push(palette)
        colours.push(None)
        with av.open(str(self._path), "w", format="gif", options={"loop": _FOREVER}) as container:
            stream = container.add_stream("gif", rate=self._video.fps)
            assert isinstance(stream, av.video.stream.VideoStream)
            codec = stream.codec_context
            codec.width, codec.height, codec.pix_fmt = self._video.width, self._video.height, "pal8"
            codec.time_base = 1 / self._video.fps
            for frame in _decoded(self._kept, self._video.fps, 0):
                frames.push(frame)
                container.mux(stream.encode(_pulled(sink)))
            container.mux(stream.encode(None))
        self._kept.unlink()

    def abandon(self) -> None:
        self._frames.abandon()


def _pulled(sink: av.filter.context.FilterContext) -> av.VideoFrame:
    frame = sink.pull()
    if not isinstance(frame, av.VideoFrame):
        raise RenderError("the palette was lost")
    return frame
