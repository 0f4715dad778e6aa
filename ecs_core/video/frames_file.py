"""Frames as PNG files in a zip file: a segment of such, and the whole video.

The zip file does not compress, as PNG files are compressed, so joining copies them as they are.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import av

from ecs_core.errors import RenderError
from ecs_core.heartbeat import beat
from ecs_core.video.encoding import Picture
from ecs_core.video.format import Quality, VideoFormat
from ecs_core.video.straight_picture import StraightPicture

# Of what compresses glows on black best per second; more takes five times as long for a fifth less.
_PNG_OPTIONS: Mapping[Quality, Mapping[str, str]] = {
    "draft": {"compression_level": "1"},
    "standard": {"compression_level": "1", "pred": "sub"},
    "high": {"compression_level": "6", "pred": "sub"},
}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of zip files: equal frames make equal files


class FrameWriter:
    """Encodes frames into a segment: a zip file of PNG files named by their numbers. Use as a context manager."""

    def __init__(self, path: Path, video: VideoFormat) -> None:
        self._zip = zipfile.ZipFile(path, "w")
        self._alpha, self._frames, self.size = video.alpha, 0, 0
        codec = av.CodecContext.create("png", "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.width, codec.height, codec.pix_fmt = video.width, video.height, "rgba" if video.alpha else "rgb24"
        codec.time_base, codec.thread_count = 1 / video.fps, 1
        codec.options = dict(_PNG_OPTIONS[video.quality])
        self._codec = codec

    def write(self, picture: Picture | StraightPicture) -> None:
        """Encode the picture as the next frame; its memory may be reused when this returns."""
        frame = picture.frame if self._alpha else picture.frame.reformat(format="rgb24")
        frame.pts = self._frames
        data = b"".join(bytes(packet) for packet in self._codec.encode(frame))
        _add(self._zip, self._frames, data)
        self.size += len(data)
        self._frames += 1

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._zip.close()
        else:
            _abandon(self._zip)


class PngFrames:
    """Takes a video's frames as PNG files, in order: counts them, and keeps the poster.

    ``expected`` is the planned number of frames, ``poster`` the number of the one that stands for the video.
    """

    def __init__(self, *, expected: int, poster: int) -> None:
        self._expected, self._poster_number, self._poster = expected, poster, b""
        self.frames = 0

    def take(self, segment: Path) -> Iterator[tuple[int, bytes]]:
        """The frames of a segment, with their numbers in the video."""
        for data in frames_in(segment):
            if self.frames == self._poster_number:
                self._poster = data
            yield self.frames, data
            self.frames += 1

    def write_poster(self, path: Path) -> None:
        """Write the poster as a PNG.

        Raises:
            OSError: the file cannot be written.
            RenderError: the poster's segment was not appended.
        """
        if not self._poster:
            raise RenderError(f"the segments hold {self.frames} frames, and frame {self._poster_number} is the poster")
        path.write_bytes(self._poster)

    def check(self) -> None:
        """Compare the number of frames with the planned one.

        Raises:
            RenderError: they differ.
        """
        check_count(self.frames, self._expected)


class FramesFile(PngFrames):
    """The finished zip file of numbered frames. Call :meth:`append` for every segment in order, then :meth:`close`."""

    def __init__(self, path: Path, video: VideoFormat, *, frames: int, poster: int = 0) -> None:
        super().__init__(expected=frames, poster=poster)
        self._zip = zipfile.ZipFile(path, "w")
        self.described = "PNG with alpha" if video.alpha else "PNG"

    def append(self, segment: Path) -> None:
        """Append the frames of a segment."""
        for number, data in self.take(segment):
            _add(self._zip, number, data)

    def close(self) -> None:
        """Finish the file.

        Raises:
            RenderError: the segments do not have the planned number of frames in total.
        """
        self.check()
        self._zip.close()

    def abandon(self) -> None:
        """Close the file without finishing it; errors are ignored."""
        _abandon(self._zip)


def frames_in(segment: Path) -> Iterator[bytes]:
    """The PNG files of a segment, or of a finished file, in order."""
    with zipfile.ZipFile(segment) as held:
        for name in sorted(held.namelist()):
            yield held.read(name)
            beat()


def check_count(frames: int, expected: int) -> None:
    """Compare the number of frames with the planned one.

    Raises:
        RenderError: they differ.
    """
    if frames != expected:
        raise RenderError(f"the segments hold {frames} frames, but {expected} were planned")


def _add(to: zipfile.ZipFile, number: int, data: bytes) -> None:
    to.writestr(zipfile.ZipInfo(f"{number:06d}.png", _EPOCH), data, zipfile.ZIP_STORED)


def _abandon(held: zipfile.ZipFile) -> None:
    """Close a file that will not be finished: on a full disk even that may fail."""
    file, held.fp = held.fp, None  # or it would be finished when it is collected
    if file is not None:
        with contextlib.suppress(OSError):
            file.close()
