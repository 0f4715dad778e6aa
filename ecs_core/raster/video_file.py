"""Videos in files: an index of their frames by time, and frames as pictures, decoded when they are drawn.

A frame is always decoded from the key frame before it on, so it is the same in whatever order frames are asked for.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecs_core import kernels
from ecs_core.arrays import F32
from ecs_core.errors import RenderError
from ecs_core.raster.gaussian import gaussian
from ecs_core.raster.light_pictures import Level, halved, levels_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet as AnyPacket
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    Packet = AnyPacket[VideoStream]

MOST_PIXELS, LONGEST_SIDE = 8192 * 4320, 8192
LONGEST = 3600  # seconds
MOST_FRAMES = 500_000
_OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0", "max_streams": "32"}
_BT709, _RGB, _UNSAID = 1, 0, 2  # of colour spaces (ITU-T H.273)
_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_HDR = (16, 18)  # transfer characteristics: PQ, HLG
_HD = 720  # rows from which on a video that does not say has the colours of HD
_LIMITED, _FULL = 1, 2  # ranges
_AREA, _ACCURATE, _BITEXACT = 32, 262_144, 524_288  # of swscale


@dataclass(frozen=True, eq=False, slots=True)
class VideoIndex:
    """The frames of a video: their times in order, and the key frames, in units of ``unit`` seconds.

    ``keys`` are (time, place in the order of decoding). ``end`` is when the last frame ends. ``width`` and ``height``
    are as it is shown: turned clockwise by ``turns`` quarters, with pixels that are square.
    """

    path: str
    unit: Fraction
    times: tuple[int, ...]
    keys: tuple[tuple[int, int], ...]
    end: int
    width: int
    height: int
    turns: int

    @property
    def seconds(self) -> Fraction:
        """Its length."""
        return (self.end - self.times[0]) * self.unit

    def frame_at(self, seconds: Fraction) -> int:
        """The number of the frame that is shown at a moment, from its first one on; after its end it begins anew."""
        ticks = seconds % self.seconds / self.unit
        # Times are rounded to units, so a frame is shown half a unit earlier than it says.
        return max(0, bisect_right(self.times, self.times[0] + int(ticks + Fraction(1, 2))) - 1)

    def key_of(self, number: int) -> tuple[int, int]:
        """The key frame from which a frame is decoded."""
        return self.keys[max(0, bisect_right(self.keys, (self.times[number], 1 << 62)) - 1)]


def video_index(path: str | Path) -> VideoIndex:
    """The index of a video.

    Raises:
        ValueError: it cannot be read, holds no moving picture, or is too large or too long.
    """
    try:
        state = Path(path).stat()
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not Path(path).is_file():
        raise ValueError("is no file")
    if not state.st_size:
        raise ValueError("is empty")
    return _index(str(Path(path).absolute()), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)  # a scene is checked several times, and then drawn
def _index(path: str, changed: int, size: int) -> VideoIndex:
    import av.error  # noqa: PLC0415 - slow, and most scenes have no videos

    try:
        with _opened(path) as container:
            return _read_index(path, container)
    except (av.error.FFmpegError, OSError) as error:
        why = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise ValueError(f"cannot be read as a video ({why}); allowed: MP4, MOV, WebM, MKV …") from None


def _read_index(path: str, container: InputContainer) -> VideoIndex:
    stream = _moving(container)
    codec = stream.codec_context
    if max(codec.width, codec.height) > LONGEST_SIDE or codec.width * codec.height > MOST_PIXELS:
        raise ValueError(f"has {codec.width} × {codec.height} pixels; allowed: at most 8192 a side and 8192 × 4320")
    unit = stream.time_base or Fraction(1, 1000)
    times: list[int] = []
    keys: list[tuple[int, int]] = []
    end = 0
    for place, packet in enumerate(_packets(container, stream)):
        if packet.pts is None:
            raise ValueError("does not say when its frames are shown; save it as MP4 or WebM")
        if packet.is_keyframe:
            keys.append((packet.pts, place))
        if not packet.is_discard:
            times.append(packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
        if len(times) > MOST_FRAMES or end - min(times, default=0) > LONGEST / unit:
            raise ValueError(f"is too long; allowed: at most {LONGEST} s and {MOST_FRAMES} frames")
    times.sort()
    if not times or not keys:
        raise ValueError("holds no frames")
    end = max(end, times[-1] + (max(1, (times[-1] - times[0]) // (len(times) - 1)) if len(times) > 1 else 1))
    frame = _first_frame(path)
    if frame.color_trc in _HDR:
        raise ValueError("has colours for bright screens (HDR); save it with those of BT.709")
    turns = round(-frame.rotation / 90) % 4
    aspect = stream.sample_aspect_ratio or Fraction(1)
    wide, high = max(1, round(frame.width * aspect)), frame.height
    width, height = (high, wide) if turns % 2 else (wide, high)
    return VideoIndex(path, unit, tuple(times), tuple(sorted(keys)), end, width, height, turns)


def _first_frame(path: str) -> VideoFrame:
    with _opened(path) as container:
        stream = _moving(container)
        frame = next(_frames(_packets(container, stream), stream), None)
    if frame is None:
        raise ValueError("holds no picture that can be decoded")
    return frame


def _opened(path: str) -> InputContainer:
    import av  # noqa: PLC0415 - slow, and most scenes have no videos

    return av.open(path, "r", options=_OPTIONS, metadata_errors="replace")


def _moving(container: InputContainer) -> VideoStream:
    """The stream with the moving picture."""
    from av.stream import Disposition  # noqa: PLC0415 - slow, and most scenes have no videos

    streams = [each for each in container.streams.video if not each.disposition & Disposition.attached_pic]
    if not streams:
        raise ValueError("holds no moving picture")
    stream = streams[0]
    if getattr(stream, "codec_context", None) is None:
        raise ValueError("has a codec that is not known here")
    stream.codec_context.thread_count = 1  # more would hold as many frames each
    return stream


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    return (packet for packet in container.demux(stream) if packet.size)


def _frames(packets: Iterator[Packet], stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames of packets; what is damaged is left out."""
    import av.error  # noqa: PLC0415 - slow, and most scenes have no videos

    codec = stream.codec_context
    for packet in packets:
        with contextlib.suppress(av.error.InvalidDataError):
            yield from codec.decode(packet)
    with contextlib.suppress(av.error.FFmpegError):
        yield from codec.decode(None)


class VideoDecoder:
    """Decodes frames of a video by their numbers; those in order take the least time. Holds two of them."""

    def __init__(self, index: VideoIndex) -> None:
        self._index = index
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None
        self._run: tuple[int, int] | None = None  # the key frame of what is being decoded
        self._frames: Iterator[VideoFrame] = iter(())
        self._last: VideoFrame | None = None
        self._ahead: VideoFrame | None = None

    def frame(self, number: int) -> VideoFrame:
        """The frame of that number; where it is damaged, the one before.

        Raises:
            RenderError: nothing can be decoded from its key frame on.
        """
        key, wanted = self._index.key_of(number), self._index.times[number]
        passed = self._last is not None and self._last.pts is not None and self._last.pts > wanted
        if key != self._run or passed:
            self._begin(key)
        while True:
            if self._ahead is None:
                self._ahead = next(self._frames, None)
            ahead = self._ahead
            if ahead is None or (ahead.pts is not None and ahead.pts > wanted and self._last is not None):
                break
            self._last, self._ahead = ahead, None
            if ahead.pts is not None and ahead.pts >= wanted:
                break
        if self._last is None:
            at = float((wanted - self._index.times[0]) * self._index.unit)
            raise RenderError(f"{self._index.path}: is damaged at {at:.2f} s, and cannot be decoded there")
        return self._last

    def _begin(self, key: tuple[int, int]) -> None:
        """Go to a key frame."""
        self._run, self._last, self._ahead = key, None, None
        packets = self._found(key)
        assert self._stream is not None
        self._stream.codec_context.flush_buffers()
        self._frames = _frames(packets, self._stream)

    def _found(self, key: tuple[int, int]) -> Iterator[Packet]:
        """The packets from a key frame on."""
        import av.error  # noqa: PLC0415 - slow, and most scenes have no videos

        if self._container is not None and self._stream is not None:
            with contextlib.suppress(av.error.FFmpegError):
                self._container.seek(key[0], stream=self._stream, backward=True)
                packets = _packets(self._container, self._stream)
                for packet in packets:
                    if packet.is_keyframe and packet.pts == key[0]:
                        return _with(packet, packets)
                    if packet.pts is not None and packet.is_keyframe and packet.pts > key[0]:
                        break
            self._container.close()
        # The file cannot be sought in, or was not yet open.
        try:
            self._container = _opened(self._index.path)
            self._stream = _moving(self._container)
        except (av.error.FFmpegError, OSError, ValueError):
            raise RenderError(f"{self._index.path}: cannot be read any more") from None
        packets = _packets(self._container, self._stream)
        for place, packet in enumerate(packets):
            if place == key[1]:
                return _with(packet, packets)
        return iter(())


def _with(first: Packet, others: Iterator[Packet]) -> Iterator[Packet]:
    yield first
    yield from others


@dataclass(frozen=True, slots=True)
class Cut:
    """How frames become pictures: scaled to ``scaled`` pixels, of which a part is kept; all numbers are even.

    ``softness`` is the standard deviation of their blur, in these pixels; ``saturation`` a factor on their colours.
    """

    scaled: tuple[int, int]
    left: int
    top: int
    width: int
    height: int
    softness: float = 0.0
    saturation: float = 1.0


class MovingPicture:
    """The frames of a video as pictures, of which the last one is kept."""

    def __init__(self, index: VideoIndex, cut: Cut) -> None:
        self.index, self.cut = index, cut
        self._decoder = VideoDecoder(index)
        self._number = -1
        self._levels: list[Level] = []
        rows, columns = cut.height, cut.width
        self._fine = np.zeros((2, rows + 2, columns + 2), np.float32)
        self._half = np.zeros((4, rows // 2 + 2, columns // 2 + 2), np.float32)
        self._fine[0, 1:-1, 1:-1] = self._half[0, 1:-1, 1:-1] = 1
        self._taps = gaussian(cut.softness) if cut.softness else None
        self._half_taps = gaussian(cut.softness / 2) if cut.softness else None
        reach = 0 if self._taps is None else len(self._taps)
        self._work = np.zeros((max(9, rows if reach else 0), columns + reach), np.float32)

    def level(self, frame: int, number: int) -> Level:
        """A level of a frame, which holds until another frame is asked for."""
        if frame != self._number:
            self._decode(frame)
            self._number, self._levels = frame, [(self._fine, self._half, True)]
        while number >= len(self._levels):  # coarser ones, which only small pictures take
            fine, half, _ = self._levels[-1]
            coarse = np.concatenate([half[:, 1:-1, 1:-1], halved(fine[1:, 1:-1, 1:-1])])[[0, 4, 1, 2, 3]]
            self._levels.append(next(levels_of(coarse)))
        return self._levels[number]

    def _decode(self, number: int) -> None:
        cut, frame = self.cut, self._decoder.frame(number)
        luma, cb, cr, matrix = _planes(frame, cut, self.index.turns)
        if self._taps is not None and self._half_taps is not None:
            kernels.grounds.soften(luma, self._work, self._taps)
            for plane in (cb, cr):
                kernels.grounds.soften(plane, self._work, self._half_taps)
        matrix = (matrix * np.float32(cut.saturation)).astype(np.float32)
        kernels.grounds.light_of_frame(luma, cb, cr, matrix, self._fine, self._half, self._work)


@dataclass(frozen=True)
class MovingFrame:
    """A frame of a video, as a picture that is decoded when it is drawn."""

    of: MovingPicture
    number: int
    width: int = field(compare=False)
    height: int = field(compare=False)
    depth: int = field(compare=False)

    def level(self, number: int) -> Level:
        """See ``raster.light_pictures.Picture``."""
        return self.of.level(self.number, number)


def frame_of(moving: MovingPicture, number: int) -> MovingFrame:
    """A frame of a video; equal ones show the same."""
    cut = moving.cut
    depth = max(1, min(cut.width, cut.height).bit_length() - 3)
    return MovingFrame(moving, number, cut.width, cut.height, depth)


def _planes(frame: VideoFrame, cut: Cut, turns: int) -> tuple[F32, F32, F32, F32]:
    """Luma, Cb and Cr of what is kept of a frame, and the matrix that makes colours of them."""
    space = int(frame.colorspace)
    if space not in _WEIGHTS:
        space = _BT709 if space == _RGB or frame.height >= _HD else 5
    wide, high = cut.scaled[::-1] if turns % 2 else cut.scaled
    is_full = frame.color_range == _FULL or frame.format.name.startswith("yuvj")
    if (frame.width, frame.height, frame.format.name) != (wide, high, "yuv420p") or is_full:
        from_rgb = int(frame.colorspace) == _RGB or "rgb" in frame.format.name or "gbr" in frame.format.name
        spaces = {"dst_colorspace": space} if from_rgb else {"src_colorspace": space, "dst_colorspace": space}
        frame = frame.reformat(
            wide, high, "yuv420p", interpolation=_AREA | _ACCURATE | _BITEXACT, threads=1, dst_color_range=_LIMITED,
            src_color_range=_FULL if is_full or from_rgb else _LIMITED, **spaces,
        )  # fmt: skip
    found = []
    for number, plane in enumerate(frame.planes):
        columns, rows = (wide, high) if number == 0 else (wide // 2, high // 2)
        pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:rows, :columns]
        pixels = np.rot90(pixels, -turns)
        by = 1 if number == 0 else 2
        top, left = cut.top // by, cut.left // by
        pixels = pixels[top : top + cut.height // by, left : left + cut.width // by]
        found.append(pixels.astype(np.float32))
    red, blue = _WEIGHTS[space]
    green, step = 1 - red - blue, 1 / 112  # of Cb and Cr, which have 224 steps where what they stand for has 2 × 1
    columns_of = (
        (1 - red) * step, -blue * (1 - blue) / green * step, -red * (1 - red) / green * step, (1 - blue) * step
    )  # fmt: skip
    return found[0], found[1], found[2], np.array(columns_of, np.float32)
