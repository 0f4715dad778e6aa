"""Videos to put under others, made from pictures."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
CODECS = {".mp4": "libx264", ".mov": "prores_ks", ".webm": "libvpx-vp9", ".mkv": "mjpeg", ".avi": "mpeg4"}


def numbered(count: int, width: int = 64, height: int = 48) -> list[Pixels]:
    """Pictures of which each has a brightness of its own, from black on, and a red upper left quarter."""
    found = []
    for number in range(count):
        picture = np.full((height, width, 3), number * 200 // max(1, count - 1) + 16, np.uint8)
        picture[: height // 2, : width // 2] = 220, 20, 20
        found.append(picture)
    return found


def write_video(
    path: Path,
    pictures: Sequence[Pixels],
    *,
    fps: Fraction | int = 24,
    gop: int = 12,
    times: Sequence[int] | None = None,
    bt709: bool = True,
) -> Path:
    """A video of (height, width, 3) pictures; ``times`` are those of its frames in 1/1000 s."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix], rate=fps)
        stream.width, stream.height = width, height
        stream.pix_fmt = {".mov": "yuv422p10le", ".mkv": "yuvj420p"}.get(path.suffix, "yuv420p")
        codec = stream.codec_context
        codec.gop_size = gop
        codec.options = {".mp4": {"crf": "4"}, ".webm": {"crf": "4", "b": "0", "cpu-used": "8"}}.get(path.suffix, {})
        if times is not None:
            codec.time_base = Fraction(1, 1000)
        if bt709:
            codec.colorspace = 1
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(
                format=stream.pix_fmt,
                dst_colorspace=1 if bt709 else 5,
                dst_color_range=2 if stream.pix_fmt.startswith("yuvj") else 1,
            )
            frame.pts = number if times is None else times[number]
            frame.time_base = 1 / Fraction(fps) if times is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """A file with a sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
