"""Decoding of videos, in the sandboxed process: any of them becomes frames in BT.709 at even times, small enough.

Nothing else in the service gives a client's video to FFmpeg.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from services.media import pyav_modules  # noqa: F401 - loaded before the process is confined
from services.media.assets.endings import check_video_end
from services.media.assets.kinds import ALLOWED, AssetError
from services.media.assets.limits import (
    FASTEST_VIDEO,
    LONGEST_VIDEO,
    LONGEST_VIDEO_SIDE,
    MOST_VIDEO_PIXELS,
    STORED_VIDEO_FPS,
    STORED_VIDEO_SIDE,
)
from services.media.sandbox.messages import Channel

_FORMATS = {"MP4": "mov,mp4,m4a,3gp,3g2,mj2", "Matroska": "matroska,webm"}
_CODECS = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,libdav1d,av1,mpeg4,prores,dnxhd,mjpeg,qtrle,png"
_ALLOWED_CODECS = "H.264, H.265, VP8, VP9, AV1, ProRes, DNxHD, MPEG-4 or MJPEG"
_STREAMS = 16
_UNIT = Fraction(1, 1000)  # of times, where a file does not say
_EARLY = 0.5  # seconds that may be missing at the end
_NEARLY = 1  # frames per second: phones record a little more than they say
_BT709, _RGB, _SD, _BT2020 = 1, 0, 5, 9  # of colour spaces (ITU-T H.273)
_SPACES = (_BT709, _SD, 6, 7, _BT2020)
_HDR = (16, 18)  # transfer characteristics: PQ, HLG
_HD = 720  # rows from which on a video that does not say has the colours of HD
_LIMITED, _FULL = 1, 2  # ranges
_SCALING = 32 | 262_144 | 524_288  # of swscale: by area, accurate, the same on all machines


@dataclass(frozen=True)
class _Timing:
    """What the packets of a video tell, in seconds: when the first frame is shown, when the last one ends, and the unit
    of times.
    """

    began: Fraction
    ends: Fraction
    unit: Fraction


@dataclass(frozen=True)
class _Stored:
    """What is sent of a video: even sizes, as it is shown; frames per second; and how many there are."""

    width: int
    height: int
    turns: int  # clockwise, in quarters
    rate: Fraction
    frames: int


def normalise(path: Path, channel: Channel, form: str) -> None:
    """Send {format, codec, width, height, rate, frames, warnings}, then so many frames: Y, Cb and Cr of yuv420p in
    limited range and BT.709, the right way up, each in one message.

    ``rate`` is frames per second as [numerator, denominator].

    Raises:
        AssetError: it is damaged, cut off, too large or too long, has colours for bright screens, or is of a codec that
            is not allowed.
    """
    with path.open("rb") as file:
        check_video_end(file, path.stat().st_size, form, path)
    try:
        with _opened(path, form) as (container, stream):
            codec, fps = stream.codec_context.name, _checked(container, stream, path)
            timing = _read(container, stream, path)
            said = _said_seconds(container, stream)
        length = timing.ends - timing.began
        if said and timing.ends < said - max(_EARLY, 2 / fps):
            ends = float(timing.ends)
            raise AssetError(f"{path}: is cut off: it ends at {ends:.2f} s, and says that it has {said:.2f} s")
        _check_length(float(length), path)
        with _opened(path, form) as (container, stream):
            first = next(_frames(container, stream, path), None)
            if first is None:
                raise AssetError(f"{path}: holds no picture that can be decoded; allowed: {ALLOWED['video']}")
            stored, notes = _stored(first, stream, path, fps=fps, length=length)
        channel.say(
            format="WebM" if form == "Matroska" else "MP4",
            codec=codec,
            width=stored.width,
            height=stored.height,
            rate=[stored.rate.numerator, stored.rate.denominator],
            frames=stored.frames,
            warnings=notes,
        )
        with _opened(path, form) as (container, stream):
            for data in _at_even_times(_frames(container, stream, path), path, stored, timing):
                channel.send(data)
    except (av.error.FFmpegError, ValueError) as error:
        why = " ".join(str(error).split())[:200].replace(str(path), "it")
        raise AssetError(f"{path}: is no video that can be read ({why}); allowed: {ALLOWED['video']}") from None


@contextmanager
def _opened(path: Path, form: str) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """The file and its moving picture."""
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS[form], "max_streams": str(_STREAMS)}
    options |= {"codec_whitelist": _CODECS, "enable_drefs": "0", "use_absolute_path": "0"}
    with av.open(str(path), "r", options=options, metadata_errors="replace") as container:
        covers = av.stream.Disposition.attached_pic
        streams = [each for each in container.streams.video if not each.disposition & covers]
        if not streams:
            raise AssetError(f"{path}: holds no moving picture; allowed: {ALLOWED['video']}")
        stream = streams[0]
        name = getattr(stream.codec_context, "name", "unknown")  # there is no context where FFmpeg has no decoder
        if name not in _CODECS.split(","):
            raise AssetError(f"{path}: has the codec {name}; allowed: {_ALLOWED_CODECS}")
        stream.codec_context.thread_count = 1
        yield container, stream


def _checked(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> float:
    """Its frames per second, if these, its size and its length by its header are allowed."""
    _check_size(stream.codec_context.width, stream.codec_context.height, path)
    fps = float(stream.average_rate or stream.guessed_rate or 0)
    if not 0 < fps <= FASTEST_VIDEO:
        raise AssetError(f"{path}: has {fps:.6g} frames per second; allowed: at most {FASTEST_VIDEO:g}")
    _check_length(_said_seconds(container, stream), path)
    return fps


def _said_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def _check_size(wide: int, high: int, path: Path) -> None:
    if max(wide, high) > LONGEST_VIDEO_SIDE or wide * high > MOST_VIDEO_PIXELS or min(wide, high) < 1:
        allowed = f"{LONGEST_VIDEO_SIDE} pixels a side and {MOST_VIDEO_PIXELS / 1e6:.1f} megapixels"
        raise AssetError(f"{path}: has {wide} × {high} pixels; allowed: at most {allowed}")


def _check_length(seconds: float, path: Path) -> None:
    if seconds > LONGEST_VIDEO + _EARLY:
        raise AssetError(f"{path}: has {seconds:.1f} s; allowed: at most {LONGEST_VIDEO:g} s")


def _read(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> _Timing:
    """Read all packets, without decoding them."""
    unit = stream.time_base or _UNIT
    began: int | None = None
    ends = 0
    for packet in container.demux(stream):
        if packet.pts is None or packet.is_discard:
            continue
        if packet.is_corrupt:
            raise AssetError(f"{path}: is damaged at {float(packet.pts * unit):.2f} s")
        began = packet.pts if began is None else min(began, packet.pts)
        ends = max(ends, packet.pts + (packet.duration or 0))
        if (ends - began) * unit > 2 * LONGEST_VIDEO:
            break
    if began is None:
        raise AssetError(f"{path}: holds no picture that can be decoded; allowed: {ALLOWED['video']}")
    return _Timing(began * unit, ends * unit, unit)


def _frames(container: av.container.InputContainer, stream: av.VideoStream, path: Path) -> Iterator[av.VideoFrame]:
    """Its frames, in the order in which they are shown."""
    for packet in container.demux(stream):
        try:
            found = stream.codec_context.decode(packet)
        except av.error.InvalidDataError:
            at = float((packet.pts or 0) * (stream.time_base or _UNIT))
            raise AssetError(f"{path}: is damaged at {at:.2f} s, and cannot be decoded there") from None
        for frame in found:
            _check_size(frame.width, frame.height, path)
            yield frame


def _stored(
    first: av.VideoFrame, stream: av.VideoStream, path: Path, *, fps: float, length: Fraction
) -> tuple[_Stored, list[str]]:
    """What is sent of a video with this first frame, and what becomes of it that its owner should know."""
    if int(first.color_trc) in _HDR:
        raise AssetError(f"{path}: has colours for bright screens (HDR); save it with those of BT.709")
    turns = round(-first.rotation / 90) % 4
    wide, high = max(1, round(first.width * (stream.sample_aspect_ratio or Fraction(1)))), first.height
    wide, high = (high, wide) if turns % 2 else (wide, high)
    by = min(1.0, STORED_VIDEO_SIDE / max(wide, high))
    width, height = (max(2, 2 * round(by * side / 2)) for side in (wide, high))
    rate = Fraction(stream.average_rate or stream.guessed_rate or 1)
    rate = max(Fraction(1), rate / math.ceil(rate / (STORED_VIDEO_FPS + _NEARLY)))
    rate = min(Fraction(STORED_VIDEO_FPS), rate.limit_denominator(1001))
    notes = []
    if by < 1:
        notes.append(f"{wide} × {high} pixels became {width} × {height}")
    if fps > STORED_VIDEO_FPS + _NEARLY:
        notes.append(f"{fps:.6g} frames per second became {float(rate):.6g}")
    return _Stored(width, height, turns, rate, max(1, round(length * rate))), notes


def _at_even_times(frames: Iterator[av.VideoFrame], path: Path, stored: _Stored, timing: _Timing) -> Iterator[bytes]:
    """The frames that are shown at each of the times that are sent."""
    shown: av.VideoFrame | None = None
    data, sent = b"", 0
    for frame in frames:
        if frame.pts is None:
            raise AssetError(f"{path}: does not say when its frames are shown; save it as MP4 or WebM")
        at = (frame.pts - Fraction(1, 2)) * timing.unit - timing.began  # half a unit early: times are rounded to these
        while shown is not None and sent < stored.frames and sent / stored.rate < at:
            data = data or _planes(shown, stored)
            yield data
            sent += 1
        if sent == stored.frames:
            return
        shown, data = frame, b""
    if shown is None:
        raise AssetError(f"{path}: holds no picture that can be decoded; allowed: {ALLOWED['video']}")
    data = data or _planes(shown, stored)
    for _ in range(sent, stored.frames):
        yield data


def _planes(frame: av.VideoFrame, stored: _Stored) -> bytes:
    """A frame as it is sent."""
    wide, high = (stored.height, stored.width) if stored.turns % 2 else (stored.width, stored.height)
    space, name = int(frame.colorspace), frame.format.name
    from_rgb = space == _RGB or "rgb" in name or "gbr" in name or name.startswith(("bgr", "pal8", "gray"))
    if space not in _SPACES:
        space = _BT709 if frame.height >= _HD else _SD
    is_full = from_rgb or frame.color_range == _FULL or name.startswith("yuvj")
    if (frame.width, frame.height, name, space) != (wide, high, "yuv420p", _BT709) or is_full:
        spaces: dict[str, Any] = {"dst_colorspace": _BT709} | ({} if from_rgb else {"src_colorspace": space})
        frame = frame.reformat(
            wide, high, "yuv420p", interpolation=_SCALING, threads=1, dst_color_range=_LIMITED,
            src_color_range=_FULL if is_full else _LIMITED, **spaces,
        )  # fmt: skip
    found = []
    for number, plane in enumerate(frame.planes):
        columns, rows = (wide, high) if number == 0 else (wide // 2, high // 2)
        pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:rows, :columns]
        found.append(np.rot90(pixels, -stored.turns).tobytes())
    return b"".join(found)
