"""VideoFile: joins segments without re-encoding, and adds the song.

Segments are appended in order as they become ready, so at the end only the index has to be moved to the front
(faststart). Timestamps are counted in frames, exactly, at any rate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av

from ecs_core.errors import RenderError
from ecs_core.song_file.tags import picture_format
from ecs_core.video.aac import Packet
from ecs_core.video.cover import Cover, frame_of, jpeg_of
from ecs_core.video.format import VideoFormat
from ecs_core.video.png import rgb_of, write_png
from ecs_core.video.sound import SoundTrack

# The cover may come last, so other packets must not wait for it: they are written at most a second late.
_OPTIONS = {"movflags": "+faststart", "max_interleave_delta": "1000000"}
# Without this, FFmpeg would decode frames to find stream parameters that we know, for 25 ms per segment.
_UNSEEN = [{"skip_frame": "all"}]


class VideoFile:
    """The finished video. Call :meth:`append` for every segment in order, then :meth:`close`.

    ``frames`` is the planned number of frames, ``poster`` the number of the one that stands for the video. The file's
    metadata are ``tags``; its cover picture is ``artwork``, a JPEG or PNG file, or else the poster.
    """

    def __init__(
        self,
        path: Path,
        video: VideoFormat,
        *,
        frames: int,
        poster: int = 0,
        tags: Mapping[str, str] | None = None,
        artwork: bytes | None = None,
    ) -> None:
        self._container = av.open(str(path), "w", format="mp4", options=_OPTIONS)
        self._container.metadata.update(tags or {})
        self._artwork = artwork
        self._cover: Cover | None = None
        self._video, self._expected = video, frames
        self._stream: av.video.stream.VideoStream | None = None
        self._sound: SoundTrack | None = None
        self._extradata: bytes | None = None
        self._poster_number = poster
        self._poster: av.VideoFrame | None = None
        self.frames = 0

    def append(self, segment: Path) -> None:
        """Append the packets of a segment, and the sound up to the segment's end.

        Raises:
            RenderError: the segment was encoded with other settings than the first one.
        """
        with av.open(str(segment), stream_options=_UNSEEN) as source:  # type: ignore[arg-type]  # dicts, says PyAV
            track = source.streams.video[0]
            extradata = bytes(track.codec_context.extradata or b"")
            if self._stream is None:
                self._stream = self._container.add_stream_from_template(track)
                self._stream.time_base = 1 / self._video.fps
                self._extradata = extradata
                self._cover = Cover(self._container, picture_format(self._artwork or b"") or "jpeg")
            elif extradata != self._extradata:
                raise RenderError(f"segment {segment.name} was encoded with other settings than the ones before it")
            first = self.frames
            scale = Fraction(track.time_base or 0) * self._video.fps
            delay = self._video.reordered
            for packet in source.demux(track):
                if packet.pts is None or packet.dts is None:
                    continue  # the empty packet that ends a stream
                packet.pts = first + round(packet.pts * scale)
                # Counted rather than copied: x264 starts segments of one or two frames at dts 0 and others at −2, and
                # players would take the gap for a variable frame rate.
                packet.dts = self.frames - delay
                packet.duration = 1
                packet.time_base = 1 / self._video.fps
                packet.stream = self._stream
                if self._sound is not None:
                    self._sound.mux_until(Fraction(max(packet.dts, 0)) / self._video.fps)
                self._container.mux_one(packet)
                self.frames += 1
        if first <= self._poster_number < self.frames:
            self._poster = frame_of(segment, self._poster_number - first)

    def write_poster(self, path: Path) -> None:
        """Write the poster, as the encoded video shows it, as a PNG to an absolute path, after the last append.

        Raises:
            OSError: the file cannot be written.
            RenderError: the poster's segment was not appended.
        """
        if self._poster is None:
            raise RenderError(f"the segments hold {self.frames} frames, and frame {self._poster_number} is the poster")
        write_png(rgb_of(self._poster), path)

    def add_sound(self, packets: Iterator[Packet], *, rate: int, channels: int) -> None:
        """Add a sound track of AAC packets (``ecs_core.video.aac``); call it before the first segment is appended."""
        self._sound = SoundTrack(self._container, packets, rate=rate, channels=channels)

    def close(self) -> None:
        """Finish the sound and the file.

        Raises:
            RenderError: the segments do not have the planned number of frames in total.
        """
        if self.frames != self._expected:
            raise RenderError(f"the segments hold {self.frames} frames, but {self._expected} were planned")
        if self._sound is not None:
            self._sound.mux_until()
        if self._cover is not None and self._poster is not None:
            self._cover.write(self._artwork or jpeg_of(self._poster))
        self._container.close()

    def abandon(self) -> None:
        """Close the file without finishing it; errors are ignored, as on a full disk even this fails."""
        with contextlib.suppress(OSError):
            self._container.close()
