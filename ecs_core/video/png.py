"""PNG files of single frames."""

from __future__ import annotations

from pathlib import Path

import av


def rgb_of(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame in BT.709 limited range as 8-bit RGB, full-range sRGB values; as RGBA if it has alpha."""
    if frame.format.name == "rgba":
        return frame
    form = "rgba" if frame.format.name.startswith("yuva") else "rgb24"
    return frame.reformat(format=form, src_colorspace="ITU709", dst_color_range="JPEG")


def write_png(rgb: av.VideoFrame, path: Path) -> None:
    """Write an rgb24 or rgba frame as a PNG; the path has to be absolute.

    Raises:
        OSError: the file cannot be written.
    """
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("png", rate=1)
        assert isinstance(stream, av.video.stream.VideoStream)
        stream.width, stream.height, stream.pix_fmt = rgb.width, rgb.height, rgb.format.name
        container.mux(stream.encode(rgb))
        container.mux(stream.encode(None))
