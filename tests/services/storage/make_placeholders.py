"""How ``services/storage/placeholders`` were made: ``python -m tests.services.storage.make_placeholders``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.storage.asset_references import PLACEHOLDERS

_UPEM = 1000
_LETTERS = ((0x20, 0xD7FF), (0xF900, 0xFFFD), (0x10000, 0x1FFFF))  # all have one glyph


def make_font(target: Path) -> None:
    """A font of all weights that has all letters, so narrow that any text fits."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from fontTools.ttLib import TTFont, newTable
    from fontTools.ttLib.tables._c_m_a_p import CmapSubtable

    pen = TTGlyphPen(None)
    for move, point in zip(("moveTo", *["lineTo"] * 3), ((0, 0), (0, 700), (1, 700), (1, 0)), strict=True):
        getattr(pen, move)(point)
    pen.closePath()
    made = FontBuilder(_UPEM, isTTF=True)
    made.setupGlyphOrder([".notdef", "box"])
    box = pen.glyph()
    made.setupGlyf({".notdef": box, "box": box})
    made.setupHorizontalMetrics({".notdef": (1, 0), "box": (1, 0)})
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Placeholder", "styleName": "Regular"})
    made.setupCharacterMap({ord("a"): "box"})
    made.setupOS2(sTypoAscender=800, sCapHeight=700, sxHeight=500)
    made.setupPost(keepGlyphNames=False)
    made.setupFvar([("wght", 1, 400, 1000, "Weight")], [])
    table: Any = CmapSubtable.newSubtable(13)
    table.platformID, table.platEncID, table.language = 3, 10, 0
    table.format, table.reserved, table.length = 13, 0, 0
    table.cmap = {code: "box" for first, last in _LETTERS for code in range(first, last + 1)}
    made.font["cmap"] = newTable("cmap")
    made.font["cmap"].tableVersion, made.font["cmap"].tables = 0, [table]
    made.font["head"].created = made.font["head"].modified = 0
    made.font.recalcTimestamp = False
    made.save(target)
    # HarfBuzz counts only as many letters of a group as there are glyphs, so it says that there are many.
    data = bytearray(target.read_bytes())
    offset = TTFont(target).reader.tables["maxp"].offset + 4
    data[offset : offset + 2] = b"\xff\xff"
    target.write_bytes(data)


def make_video(target: Path) -> None:
    """A second of grey."""
    import av
    import numpy as np

    with av.open(str(target), "w", options={"movflags": "faststart", "fflags": "bitexact"}) as video:
        stream: Any = video.add_stream("libx264", rate=10, options={"x264-params": "info=0", "flags": "bitexact"})
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for _ in range(10):
            grey = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 128, np.uint8), format="rgb24")
            video.mux(stream.encode(grey))
        video.mux(stream.encode(None))


if __name__ == "__main__":
    make_font(PLACEHOLDERS["font"])
    make_video(PLACEHOLDERS["video"])
    PLACEHOLDERS["lyrics"].write_text("[00:00.00]la\n[00:01.00]la\n")
