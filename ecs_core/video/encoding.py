"""Video encoding: encoders' settings per format and quality, and the writer of a segment.

All segments of a video are encoded with identical settings, so that their packets fit into one stream.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import av
import numpy as np

from ecs_core.heartbeat import beat
from ecs_core.raster.rasteriser import Planes
from ecs_core.video.format import Quality, VideoFormat
from ecs_core.video.straight_picture import StraightPicture

# At CRF 20 glows in dark scenes show no blocks; draft is for previews of motion, high for archives. By bench/x264.py,
# the parameters of standard save 7 % of its CPU at equal size and SSIM. To do without adaptive quantisation would save
# more, but shows blocks round glows.
X264_SETTINGS: Mapping[Quality, Mapping[str, str]] = MappingProxyType(
    {
        "draft": {"preset": "ultrafast", "crf": "23"},
        "standard": {"preset": "veryfast", "crf": "20", "x264-params": "b-adapt=0:me=dia"},
        "high": {"preset": "medium", "crf": "17"},
    }
)
# At constant quality; alternative reference frames, which FFmpeg refuses with alpha, are left out.
VP9_SETTINGS: Mapping[Quality, Mapping[str, str]] = MappingProxyType(
    {
        "draft": {"deadline": "realtime", "cpu-used": "8", "crf": "34"},
        "standard": {"deadline": "good", "cpu-used": "5", "crf": "24"},
        "high": {"deadline": "good", "cpu-used": "3", "crf": "16"},
    }
)
_COARSER = 5  # steps of quality for each time that a segment was too large
_COARSEST = {"mp4": 51, "webm": 63}
STEPS = 11  # from the finest quality to the coarsest
STEPS_TO_HALVE = 1.2  # about: six of x264's units of CRF halve the size
_BT709 = 1  # AVCOL_PRI_BT709, AVCOL_TRC_BT709 and AVCOL_SPC_BT709 all have this number
_LIMITED = 1  # AVCOL_RANGE_MPEG
_M_PERTURB = -6  # of mallopt(3)


def add_video_stream(
    container: av.container.OutputContainer,
    video: VideoFormat,
    *,
    threads: int,
    x264: Mapping[str, str] | None = None,
    coarser: int = 0,
) -> av.video.stream.VideoStream:
    """Add a stream with the settings of ``video``: closed GOPs, BT.709, limited range, exact timestamps.

    ``x264`` are options of libx264 instead of those of the quality. ``coarser`` is how many steps worse than asked for
    it is encoded, so that it is small enough.
    """
    encoder, options = _encoder_of(video, coarser)
    if x264 is not None:
        options = {**x264, "g": str(video.gop)}
    stream = container.add_stream(encoder, rate=video.fps, options=options)
    assert isinstance(stream, av.video.stream.VideoStream)
    if video.form == "webm" and video.alpha:
        stream.metadata["alpha_mode"] = "1"
    codec = stream.codec_context
    codec.width, codec.height = video.width, video.height
    codec.pix_fmt = video.pixels if video.alpha else video.pixels.replace("yuva", "yuv")
    codec.time_base = 1 / video.fps
    codec.thread_count = threads
    codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
    codec.color_range = _LIMITED
    return stream


def _encoder_of(video: VideoFormat, coarser: int) -> tuple[str, dict[str, str]]:
    """The name of the encoder, and its options."""
    if video.form == "mov":
        return "prores_aw", {"profile": "4"}  # 4444
    rates = video.rates
    options = dict((X264_SETTINGS if video.form == "mp4" else VP9_SETTINGS)[video.quality])
    options["g"] = str(video.gop)
    options["crf"] = str(min(int(options["crf"]) + _COARSER * coarser, _COARSEST[video.form]))
    if video.form == "mp4":
        if rates.picture is not None:
            del options["crf"]
            options |= {"b": str(rates.picture), "maxrate": str(rates.picture * 3 // 2), "bufsize": str(rates.picture)}
        if rates.most is not None:
            # A second's worth of a full buffer is what a segment may have above its rate. Stitchable, as segments of
            # different CRF would state different qualities in their headers.
            options |= {"maxrate": str(rates.most * 4 // 5), "bufsize": str(max(1000, rates.most // 4))}
            params = options.get("x264-params")
            options["x264-params"] = "stitchable=1" + (f":{params}" if params else "")
        return "libx264", options
    options |= {"b": "0", "auto-alt-ref": "0", "row-mt": "0"}
    if rates.picture is not None:
        del options["crf"]
        rate = rates.picture // (2 if video.alpha else 1)  # of colour, and again of alpha
        options |= {"b": str(rate), "maxrate": str(rate * 3 // 2), "bufsize": str(rate)}
    return "libvpx-vp9", options


@functools.cache
def _fill_new_memory() -> None:
    """Have the C library fill the memory that this process allocates from now on.

    x264's AVX-512 code for mbtree reads memory before it is written: pictures would depend on what had been there. An
    environment variable would do the same, but not in processes that are forked; doing without AVX-512 takes longer.
    """
    # Other C libraries than glibc have no such function, and Windows has no CDLL(None).
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_PERTURB, 255)  # with the complement: 0


class Picture:
    """The memory of one frame: the rasteriser paints into it, and the encoder reads it."""

    def __init__(self, video: VideoFormat) -> None:
        self.frame = av.VideoFrame(video.width, video.height, "yuv420p")
        self.frame.time_base = 1 / video.fps
        self.frame.color_range, self.frame.colorspace = _LIMITED, _BT709
        rows = [np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in self.frame.planes]  # type: ignore[call-overload]  # a plane is a buffer
        self.planes = Planes(*rows)
        self._sizes = [(plane.height, plane.width) for plane in self.frame.planes]

    def digest(self) -> str:
        """The SHA-256, in hexadecimal, of the Y, Cb and Cr planes without row padding."""
        total = hashlib.sha256()
        for rows, (_, width) in zip((self.planes.luma, self.planes.cb, self.planes.cr), self._sizes, strict=True):
            total.update(np.ascontiguousarray(rows[:, :width]).data)
        return total.hexdigest()


class SegmentWriter:
    """Encodes frames into a file that begins with a key frame at time zero. Use as a context manager.

    ``size`` is the number of bytes that they take in the finished video, once it is closed.
    """

    def __init__(
        self,
        path: Path,
        video: VideoFormat,
        *,
        threads: int = 1,
        x264: Mapping[str, str] | None = None,
        coarser: int = 0,
    ) -> None:
        _fill_new_memory()
        self._path, self._form, self.size = path, video.form, 0
        self._container = av.open(str(path), "w", format=video.form)
        self._stream = add_video_stream(self._container, video, threads=threads, x264=x264, coarser=coarser)
        self._frames = 0

    def write(self, picture: Picture | StraightPicture) -> None:
        """Encode the picture as the next frame; its memory may be reused when this returns."""
        picture.frame.pts = self._frames
        self._frames += 1
        self._mux(self._stream.encode(picture.frame))

    def _mux(self, packets: list[av.Packet[av.VideoStream]]) -> None:
        self.size += sum(packet.size for packet in packets)
        self._container.mux(packets)
        beat()

    def close(self) -> None:
        """Flush the encoder and finish the file."""
        try:
            self._mux(self._stream.encode(None))
        finally:
            self._container.close()
        if self._form == "webm":  # whose packets have their alpha beside them
            self.size = self._path.stat().st_size

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self._container.close()
