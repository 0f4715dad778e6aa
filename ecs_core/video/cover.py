"""Pictures that stand for a video: one frame out of a segment, and the cover picture of an MP4."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from av.stream import Disposition

from ecs_core.errors import RenderError
from ecs_core.video.png import rgb_of

_LONGEST = 1280  # pixels of a cover's longer side
_QUALITY = str(118 * 3)  # of MJPEG: 118 (FF_QP2LAMBDA) times a quantiser of 2 to 31


def frame_of(segment: Path, number: int) -> av.VideoFrame:
    """Decode the frame with this number in a segment, in BT.709 and limited range, with alpha if it has that.

    Segments are closed groups of pictures, so this needs no other file, and at most the segment's frames.

    Raises:
        RenderError: the segment has no such frame.
    """
    with av.open(str(segment)) as source:
        track = source.streams.video[0]
        # FFmpeg's own decoder of VP9 leaves alpha out.
        vp9 = av.CodecContext.create("libvpx-vp9", "r") if track.codec_context.name == "vp9" else None
        packets = source.demux(track)
        frames = (
            source.decode(track)
            if vp9 is None
            else (frame for packet in packets for frame in vp9.decode(packet if packet.size else None))
        )
        for count, frame in enumerate(frames):  # in order of presentation
            if count == number:
                assert isinstance(frame, av.VideoFrame)
                return frame
    raise RenderError(f"segment {segment.name} has no frame {number}")


def jpeg_of(frame: av.VideoFrame) -> bytes:
    """A frame in BT.709 limited range as a JPEG file of at most 1280 pixels a side."""
    scale = min(Fraction(1), Fraction(_LONGEST, max(frame.width, frame.height)))
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = "yuvj420p", Fraction(1), 1
    encoder.options = {"flags": "+qscale+bitexact", "global_quality": _QUALITY}
    picture = rgb_of(frame).reformat(
        encoder.width, encoder.height, "yuvj420p", dst_colorspace="ITU601", dst_color_range="JPEG"
    )
    picture.pts, picture.time_base = 0, Fraction(1)
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


class Cover:
    """The cover picture of an MP4: beside its tracks, and shown by players where they do not play it.

    Create it after the tracks; :meth:`write` it at any time before the container is closed.
    """

    def __init__(self, container: av.container.OutputContainer, form: Literal["jpeg", "png"]) -> None:
        # The size is that of the stream, and MP4 has no place for it; FFmpeg wants one.
        self._stream = container.add_mux_stream("png" if form == "png" else "mjpeg", rate=1, width=16, height=16)
        self._stream.disposition = Disposition.attached_pic
        self._container = container

    def write(self, picture: bytes) -> None:
        """Put a JPEG or PNG file, as ``form`` says, into the container."""
        packet = av.Packet(picture)
        packet.stream, packet.time_base = self._stream, Fraction(1)
        packet.pts = packet.dts = 0
        self._container.mux_one(packet)
