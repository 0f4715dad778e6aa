"""StraightPicture: the memory of one frame that has alpha, or more colours than 8-bit 4:2:0 video."""

from __future__ import annotations

import hashlib

import av
import numpy as np

from ecs_core.raster.straight import StraightPlanes
from ecs_core.video.format import VideoFormat

_BT709, _LIMITED, _FULL = 1, 1, 2  # as FFmpeg numbers them


class StraightPicture:
    """The memory of one frame: a StraightRasteriser paints into it, and the encoder reads it.

    Where the video has no alpha, nor has ``frame``, unless it is of RGBA, whose alpha is then full.
    """

    def __init__(self, video: VideoFormat) -> None:
        pixels = video.pixels
        assert pixels != "yuv420p"
        name = pixels if video.alpha or pixels == "rgba" else pixels.replace("yuva", "yuv")
        self.frame = av.VideoFrame(video.width, video.height, name)
        self.frame.time_base = 1 / video.fps
        if pixels == "rgba":
            self.frame.color_range = _FULL
        else:
            self.frame.color_range, self.frame.colorspace = _LIMITED, _BT709
        kind = np.uint16 if pixels == "yuva444p10le" else np.uint8
        rows = [np.frombuffer(plane, kind).reshape(plane.height, -1) for plane in self.frame.planes]  # type: ignore[call-overload]  # a plane is a buffer
        if pixels != "rgba" and not video.alpha:
            rows.append(np.empty((video.height, video.width), kind))  # which is full, and not encoded
        self.planes = StraightPlanes(pixels, tuple(rows))
        values = 4 if pixels == "rgba" else 1
        self._sizes = [values * plane.width for plane in self.frame.planes]

    def digest(self) -> str:
        """The SHA-256, in hexadecimal, of the frame's planes without row padding."""
        total = hashlib.sha256()
        for rows, width in zip(self.planes.arrays, self._sizes, strict=False):  # alpha that is not encoded is left out
            total.update(np.ascontiguousarray(rows[:, :width]).data)
        return total.hexdigest()
