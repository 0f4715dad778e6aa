"""Pictures that stand for a video: one frame out of a segment, and the cover picture of an MP4."""

from __future__ import annotations

from pathlib import Path

import av

from ecs_core.errors import RenderError


def frame_of(segment: Path, number: int) -> av.VideoFrame:
    """Decode the frame with this number in a segment, in yuv420p, BT.709 and limited range.

    Segments are closed groups of pictures, so this needs no other file, and at most the segment's frames.

    Raises:
        RenderError: the segment has no such frame.
    """
    with av.open(str(segment)) as source:
        for count, frame in enumerate(source.decode(video=0)):  # in order of presentation
            if count == number:
                return frame
    raise RenderError(f"segment {segment.name} has no frame {number}")
