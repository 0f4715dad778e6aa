"""The process that encodes the frames of an uploaded video, which it reads from its standard input.

python -m services.media.assets.video_encoder PATH WIDTH HEIGHT NUMERATOR DENOMINATOR FRAMES
"""

from __future__ import annotations

import os
import resource
import sys
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av.error
import numpy as np

from ecs_core.video.encoding import Picture, SegmentWriter
from ecs_core.video.format import VideoFormat
from services.media.assets.limits import FULL

_NICE = 5  # requests come first
_SECONDS = 600  # of CPU time
_GOP = 30  # frames: a frame is decoded from the key frame before it
# Finer than what is made of it; a backdrop of noise takes 150 MB a minute.
_X264 = {"preset": "veryfast", "crf": "18", "maxrate": "20M", "bufsize": "20M", "x264-params": "b-adapt=0:me=dia"}


def encode(source: BinaryIO, path: Path, *, width: int, height: int, rate: Fraction, frames: int) -> None:
    """Write an MP4 of so many frames of yuv420p.

    Raises:
        EOFError: there are fewer.
    """
    video = VideoFormat(width, height, rate, "standard", _GOP)
    picture = Picture(video)
    planes = picture.planes
    with SegmentWriter(path, video, x264=_X264) as writer:
        for _ in range(frames):
            for rows, by in ((planes.luma, 1), (planes.cb, 2), (planes.cr, 2)):
                wide, high = width // by, height // by
                data = source.read(wide * high)
                if len(data) < wide * high:
                    raise EOFError
                rows[:high, :wide] = np.frombuffer(data, np.uint8).reshape(high, wide)
            writer.write(picture)


def main() -> int:
    """Encode; the exit code."""
    path, *numbers = sys.argv[1:]
    width, height, numerator, denominator, frames = map(int, numbers)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    try:
        encode(
            sys.stdin.buffer,
            Path(path),
            width=width,
            height=height,
            rate=Fraction(numerator, denominator),
            frames=frames,
        )
    except EOFError:  # whoever sends them has given up
        return 1
    except (av.error.FFmpegError, OSError) as error:
        return error.errno if error.errno in FULL else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
