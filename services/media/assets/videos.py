"""Checking of videos, in the sandboxed process: container, codec, size and length, and whether key frames decode."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import av.error

from services.media import pyav_modules  # noqa: F401 - loaded before the process is confined
from services.media.assets.endings import check_video_end
from services.media.assets.kinds import ALLOWED, AssetError
from services.media.assets.limits import FASTEST_VIDEO, LONGEST_VIDEO, LONGEST_VIDEO_SIDE, MOST_VIDEO_PIXELS
from services.media.sandbox.messages import Channel

_FORMATS = {"MP4": "mov,mp4,m4a,3gp,3g2,mj2", "Matroska": "matroska,webm"}
_CODECS = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,libdav1d,av1,mpeg4,prores,dnxhd,mjpeg,qtrle,png"
_ALLOWED_CODECS = "H.264, H.265, VP8, VP9, AV1, ProRes, DNxHD, MPEG-4 or MJPEG"
_STREAMS = 16
_TRIED = 16  # key frames that are decoded, spread over the video
_EARLY = 0.5  # seconds that may be missing at the end


def check(path: Path, channel: Channel, form: str) -> None:
    """Send {format, codec, width, height, fps, duration}: pixels, frames per second, seconds.

    Raises:
        AssetError: it is damaged, cut off, too large or too long, or of a codec that is not allowed.
    """
    with path.open("rb") as file:
        check_video_end(file, path.stat().st_size, form, path)
    try:
        _check(path, channel, form)
    except (av.error.FFmpegError, ValueError) as error:
        why = " ".join(str(error).split())[:200].replace(str(path), "it")
        raise AssetError(f"{path}: is no video that can be read ({why}); allowed: {ALLOWED['video']}") from None


def _check(path: Path, channel: Channel, form: str) -> None:
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS[form], "max_streams": str(_STREAMS)}
    options |= {"codec_whitelist": _CODECS, "enable_drefs": "0", "use_absolute_path": "0"}
    with av.open(str(path), "r", options=options, metadata_errors="replace") as container:
        covers = av.stream.Disposition.attached_pic
        streams = [each for each in container.streams.video if not each.disposition & covers]
        if not streams:
            raise AssetError(f"{path}: holds no moving picture; allowed: {ALLOWED['video']}")
        stream = streams[0]
        codec = stream.codec_context
        name = getattr(codec, "name", "unknown")  # there is no context where FFmpeg has no decoder
        if name not in _CODECS.split(","):
            raise AssetError(f"{path}: has the codec {name}; allowed: {_ALLOWED_CODECS}")
        codec.thread_count = 1
        _check_size(codec.width, codec.height, path)
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        if not 0 < fps <= FASTEST_VIDEO:
            raise AssetError(f"{path}: has {fps:.6g} frames per second; allowed: at most {FASTEST_VIDEO:g}")
        said = _said_seconds(container, stream)
        _check_length(said, path)
        ends = _decoded(container, stream, path, said)
        if said and ends < said - max(_EARLY, 2 / fps):
            raise AssetError(f"{path}: is cut off: it ends at {ends:.2f} s, and says that it has {said:.2f} s")
        _check_length(ends, path)
        channel.say(
            format="WebM" if form == "Matroska" else "MP4",
            codec=codec.name,
            width=codec.width,
            height=codec.height,
            fps=fps,
            duration=said or ends,
        )


def _said_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def _check_size(wide: int, high: int, path: Path) -> None:
    if max(wide, high) > LONGEST_VIDEO_SIDE or wide * high > MOST_VIDEO_PIXELS or min(wide, high) < 1:
        allowed = f"{LONGEST_VIDEO_SIDE} pixels a side and {MOST_VIDEO_PIXELS / 1e6:.1f} megapixels"
        raise AssetError(f"{path}: has {wide} × {high} pixels; allowed: at most {allowed}")


def _check_length(seconds: float, path: Path) -> None:
    if seconds > LONGEST_VIDEO:
        raise AssetError(f"{path}: has {seconds:.1f} s; allowed: at most {LONGEST_VIDEO:g} s")


def _decoded(container: av.container.InputContainer, stream: av.VideoStream, path: Path, seconds: float) -> float:
    """Decode some key frames, and read the rest; when the last packet ends, in seconds."""
    ends, began, tried, shown = 0.0, None, 0, 0
    unit = stream.time_base or Fraction(1, 1000)
    between = max(seconds, 1.0) / _TRIED
    for packet in container.demux(stream):
        if packet.pts is None:
            continue
        at = float(packet.pts * unit)
        began = at if began is None else min(began, at)
        ends = max(ends, at + float((packet.duration or 0) * unit))
        if ends - began > 2 * LONGEST_VIDEO:
            break
        if packet.is_corrupt:
            raise AssetError(f"{path}: is damaged at {at:.2f} s")
        if packet.is_keyframe and at - began >= tried * between and tried < _TRIED:
            tried += 1
            stream.codec_context.flush_buffers()
            for frame in [*stream.codec_context.decode(packet), *stream.codec_context.decode(None)]:
                _check_size(frame.width, frame.height, path)
                shown += 1
            stream.codec_context.flush_buffers()
    if not shown:
        raise AssetError(f"{path}: holds no picture that can be decoded; allowed: {ALLOWED['video']}")
    return ends - (began or 0.0)
