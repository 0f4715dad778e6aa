"""PNG files of single frames."""

from __future__ import annotations

import os
from pathlib import Path

import av

from ecs_core.video.encoding import Picture


def write_png(picture: Picture, path: Path) -> None:
    """Write the picture as an 8-bit RGB PNG, atomically; BT.709 limited range becomes full-range sRGB values.

    Raises:
        OSError: the file cannot be written.
    """
    width, height = picture.frame.width, picture.frame.height
    frame = picture.frame.reformat(format="rgb24", src_colorspace="ITU709", dst_color_range="JPEG")
    # Absolute: FFmpeg takes what stands before a colon in a bare name for a protocol.
    part = path.absolute().with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(part), "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("png", rate=1)
            assert isinstance(stream, av.video.stream.VideoStream)
            stream.width, stream.height, stream.pix_fmt = width, height, "rgb24"
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
