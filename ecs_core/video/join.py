"""VideoFile: joins segments without re-encoding, and adds the song and its subtitles.

Segments are appended in order as they become ready, so at the end only the index has to be moved to the front
(faststart). Timestamps are counted in frames, exactly, at any rate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

from ecs_core.errors import RenderError
from ecs_core.heartbeat import beat
from ecs_core.song_file.tags import picture_format
from ecs_core.video.aac import Packet
from ecs_core.video.cover import Cover, frame_of, jpeg_of
from ecs_core.video.format import VideoFormat
from ecs_core.video.frames_file import check_count
from ecs_core.video.png import rgb_of, write_png
from ecs_core.video.quality import COVER_SHARE
from ecs_core.video.sound import SoundTrack
from ecs_core.video.subtitles import Cue, SubtitleTrack

# The cover may come last, so other packets must not wait for it: they are written at most a second late.
_MP4 = {"movflags": "+faststart", "max_interleave_delta": "1000000"}
_OPTIONS = {"mp4": _MP4, "mov": _MP4, "webm": {"cues_to_front": "1", "max_interleave_delta": "1000000"}}
# Without this, FFmpeg would decode frames to find stream parameters that we know, for 25 ms per segment.
_UNSEEN = [{"skip_frame": "all"}]


class VideoFile:
    """The finished video. Call :meth:`append` for every segment in order, then :meth:`close`.

    ``frames`` is the planned number of frames, ``poster`` the number of the one that stands for the video. The file's
    metadata are ``tags``; the cover picture of an MP4 is ``artwork``, a JPEG or PNG file, or else the poster.
    ``subtitles`` are words that players can show. ``described`` says how the picture is encoded, once a segment was
    appended.
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
        subtitles: Sequence[Cue] = (),
    ) -> None:
        self._path = path
        self._container = av.open(str(path), "w", format=video.form, options=_OPTIONS[video.form])
        self._container.metadata.update(tags or {})
        self._artwork = artwork
        self._cover: Cover | None = None
        self._video, self._expected = video, frames
        self._stream: av.video.stream.VideoStream | None = None
        self._sound: SoundTrack | None = None
        self._cues = subtitles
        self._subtitles: SubtitleTrack | None = None
        self._extradata: bytes | None = None
        self._poster_number = poster
        self._poster: av.VideoFrame | None = None
        self.frames, self.described = 0, ""

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
                self.described = described(self._video, extradata)
                if self._video.form == "mov":  # which says that it is 4444; FFmpeg would write 422 HQ
                    self._stream.codec_context.codec_tag = track.codec_context.codec_tag
                if self._video.form == "webm" and self._video.alpha:
                    self._stream.metadata["alpha_mode"] = "1"
                if self._cues:
                    self._subtitles = SubtitleTrack(self._container, self._cues)
                if self._video.form == "mp4":
                    self._cover = Cover(self._container, picture_format(self._artwork or b"") or "jpeg")
            elif extradata != self._extradata:
                raise RenderError(f"segment {segment.name} was encoded with other settings than the ones before it")
            first = self.frames
            scale = Fraction(track.time_base or 0) * self._video.fps
            delay, frame = self._video.reordered, 1 / self._video.fps
            for packet in source.demux(track):
                if packet.pts is None or packet.dts is None:
                    continue  # the empty packet that ends a stream
                packet.pts = first + round(packet.pts * scale)
                # Counted rather than copied: x264 starts segments of one or two frames at dts 0 and others at −2, and
                # players would take the gap for a variable frame rate.
                packet.dts = self.frames - delay
                packet.duration = 1
                packet.time_base = frame
                packet.stream = self._stream
                now = max(packet.dts, 0) * frame
                if self._sound is not None:
                    self._sound.mux_until(now)
                if self._subtitles is not None:
                    self._subtitles.mux_until(now)
                self._container.mux_one(packet)
                self.frames += 1
                beat()
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
        """Add a sound track of AAC packets (``ecs_core.video.aac``), or of Opus packets (``ecs_core.video.opus``) to a
        WebM; call it before the first segment is appended.
        """
        codec: Literal["aac", "libopus"] = "libopus" if self._video.form == "webm" else "aac"
        self._sound = SoundTrack(self._container, packets, rate=rate, channels=channels, codec=codec)

    def close(self) -> None:
        """Finish the sound and the file.

        Raises:
            RenderError: the segments do not have the planned number of frames in total, or the file is too large.
        """
        check_count(self.frames, self._expected)
        most = self._video.rates.max_bytes
        if self._sound is not None:
            self._sound.mux_until()
        if self._subtitles is not None:
            self._subtitles.mux_until()
        if self._cover is not None and self._poster is not None:
            picture = self._artwork or jpeg_of(self._poster)
            if most is None or len(picture) <= COVER_SHARE * most:
                self._cover.write(picture)
        self._container.close()
        size = self._path.stat().st_size
        if most is not None and size > most:
            raise RenderError(f"max_bytes = {most}: the file has {size} bytes; ask for more, or for a smaller picture")

    def abandon(self) -> None:
        """Close the file without finishing it; errors are ignored, as on a full disk even this fails."""
        with contextlib.suppress(OSError):
            self._container.close()


_PROFILES = {66: "Baseline", 77: "Main", 100: "High"}


def described(video: VideoFormat, extradata: bytes) -> str:
    """How the picture is encoded, in words: of H.264 the profile and the level, from a configuration record.

    ISO/IEC 14496-15, 5.3.3.1: version, profile, compatibility and level, a byte each.
    """
    alpha = " with alpha" if video.alpha else ""
    if video.form == "mov":
        return f"ProRes 4444{alpha}"
    if video.form == "webm":
        return f"VP9{alpha}"
    profile, level = extradata[1], extradata[3]
    return f"H.264 {_PROFILES.get(profile, profile)}, level {level / 10:g}"
