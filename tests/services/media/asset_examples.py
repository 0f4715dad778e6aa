"""Files of every kind and format that can be an asset, small and always the same."""

from __future__ import annotations

import io
import struct
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

TYPEFACE = next(Path("plugins/portrait/typeface").glob("*.ttf"))
LRC = "[ar:Motes]\n[00:01.00]First\n[00:02.50]Second\n"
SRT = "1\n00:00:01,000 --> 00:00:02,000\nFirst\n\n2\n00:00:02,500 --> 00:00:03,000\nSecond\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nFirst\n"


def pixels(wide: int = 40, high: int = 30, channels: int = 3, seed: int = 1) -> NDArray[np.uint8]:
    """Smooth colours with some noise, (high, wide, channels)."""
    y, x = np.mgrid[:high, :wide]
    waves = [np.sin(x / 7 + seed), np.cos(y / 5), np.sin((x + y) / 9), np.cos(x / 11)][:channels]
    smooth = 120 + 90 * np.stack(waves, axis=2)
    noise = np.random.default_rng(seed).integers(0, 20, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def picture(form: str = "PNG", *, channels: int = 3, **options: Any) -> bytes:
    """A picture file of a format."""
    made = io.BytesIO()
    if form == "WEBP":
        options = {"lossless": True, "exact": True} | options
    Image.fromarray(pixels(channels=channels)).save(made, form, **options)
    return made.getvalue()


def moving(form: str) -> bytes:
    """A file of two pictures that move."""
    first, second = (Image.fromarray(pixels(seed=seed)) for seed in (1, 2))
    made = io.BytesIO()
    first.save(made, form, save_all=True, append_images=[second])
    return made.getvalue()


@cache
def video(
    form: str = "mp4", codec: str = "libx264", *, frames: int = 30, wide: int = 64, high: int = 48, apart: int = 1
) -> bytes:
    """A video file of 25 frames per second, or with frames so many times as far ``apart``."""
    made = io.BytesIO()
    with av.open(made, "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        stream.codec_context.gop_size = 10
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(pixels(wide, high, seed=number), format="rgb24")
            frame.pts = number * apart
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()


def song_only() -> bytes:
    """An MP4 file with sound and no picture."""
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()


@cache
def otf() -> bytes:
    """A font of one letter with cubic outlines."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.t2CharStringPen import T2CharStringPen

    pen = T2CharStringPen(600, None)
    pen.moveTo((0, 0))
    pen.curveTo((100, 700), (200, 700), (300, 0))
    pen.closePath()
    letters = {".notdef": pen.getCharString(), "A": pen.getCharString()}
    builder = FontBuilder(1000, isTTF=False)
    builder.setupGlyphOrder(list(letters))
    builder.setupCharacterMap({ord("A"): "A"})
    builder.setupCFF("Trial-Regular", {}, letters, {})
    builder.setupHorizontalMetrics(dict.fromkeys(letters, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Trial", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.font["head"].created = builder.font["head"].modified = 0
    builder.font.recalcTimestamp = False
    made = io.BytesIO()
    builder.save(made)
    return made.getvalue()


@cache
def woff2() -> bytes:
    """The font above as WOFF2, in a Brotli stream of bytes that are not compressed (RFC 7932, 9.2)."""
    font, directory, tables = otf(), b"", b""
    count = struct.unpack_from(">H", font, 4)[0]
    for number in range(count):
        tag, _, offset, size = struct.unpack_from(">4sIII", font, 12 + 16 * number)
        directory += b"\x3f" + tag + _base128(size)
        tables += font[offset : offset + size]
    packed = b""
    for start in range(0, len(tables), 1 << 16):
        block = tables[start : start + (1 << 16)]
        bits = (len(block) - 1) << 3 | 1 << 19  # goes on, length in four nibbles, not compressed
        packed += (bits << 1 if not start else bits).to_bytes(3, "little") + block  # the first has the window, too
    packed += b"\x03"
    size = 48 + len(directory) + len(packed)
    sizes = (size + -size % 4, count, 0, len(font), len(packed), 1, 0, 0, 0, 0, 0, 0)
    header = b"wOF2" + font[:4] + struct.pack(">IHHIIHHIIIII", *sizes)
    return header + directory + packed + bytes(-size % 4)


def _base128(number: int) -> bytes:
    digits = [number & 127]
    while number := number >> 7:
        digits.append(number & 127 | 128)
    return bytes(reversed(digits))


@cache
def examples() -> dict[str, bytes]:
    """A file of each format, by a name that tells its kind."""
    return {
        "image.png": picture("PNG", channels=4),
        "image.jpg": picture("JPEG"),
        "image.webp": picture("WEBP", channels=4),
        "image.avif": picture("AVIF"),
        "video.mp4": video(),
        "video.webm": video("webm", "libvpx-vp9"),
        "font.ttf": TYPEFACE.read_bytes(),
        "font.otf": otf(),
        "font.woff2": woff2(),
        "lyrics.lrc": LRC.encode(),
        "lyrics.srt": SRT.encode(),
        "lyrics.vtt": VTT.encode(),
    }
