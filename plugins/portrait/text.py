"""Text: which characters the typeface has, and a text as a mask.

FreeType draws the letters, so the version of Pillow, which brings it, is part of a scene's version.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from ecs_core import F32

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

TYPEFACE = Path(__file__).parent / "typeface/DejaVuSans-Bold.ttf"
EM = 400  # pixels of the font's size: so large that hinting is seen nowhere
LEADING = 1.12  # of a line, in ems
SPACING = 0.05  # between letters, in ems: glowing letters need room


def check_text(text: str) -> str:
    """The text with composed characters, without spaces at the ends of its lines.

    Raises:
        ValueError: it is empty, or has characters that cannot be drawn.
    """
    lines = unicodedata.normalize("NFC", text).splitlines()
    whole = "\n".join(line.strip() for line in lines).strip("\n")
    missing = sorted({each for each in whole if each != "\n" and ord(each) not in characters()})
    if missing:
        names = ", ".join(f"{each!r} (U+{ord(each):04X})" for each in missing[:8])
        raise ValueError(f"the typeface has no {names}{' and others' if len(missing) > 8 else ''}")
    turned = sorted({each for each in whole if unicodedata.bidirectional(each) in ("R", "AL", "AN")})
    if turned:
        raise ValueError(f"{turned[0]!r} is written from right to left, which is not supported")
    if not any(characters().get(ord(each)) for each in whole):
        raise ValueError("must have a letter at least")
    return whole


@cache
def characters() -> Mapping[int, bool]:
    """The code points that the typeface has, and whether anything is seen of each.

    They are read from its tables, as Pillow cannot tell, and is not needed for checks.
    """
    data = TYPEFACE.read_bytes()
    count = struct.unpack_from(">H", data, 4)[0]
    records = (struct.unpack_from(">4sIII", data, 12 + 16 * number) for number in range(count))
    tables = {tag: offset for tag, _, offset, _ in records}
    long = struct.unpack_from(">H", data, tables[b"head"] + 50)[0]
    glyphs = struct.unpack_from(">H", data, tables[b"maxp"] + 4)[0]
    places = struct.unpack_from(f">{glyphs + 1}{'I' if long else 'H'}", data, tables[b"loca"])
    found: dict[int, bool] = {}
    for first, last, glyph in _groups(data, tables[b"cmap"]):
        for point in range(first, last + 1):
            number = glyph + point - first
            found[point] = places[number + 1] > places[number]  # an outline of no bytes is empty
    return MappingProxyType(found)


def _groups(data: bytes, cmap: int) -> Iterator[tuple[int, int, int]]:
    """The first and the last code point of each group, and the glyph of the first: format 12, which has all."""
    for number in range(struct.unpack_from(">H", data, cmap + 2)[0]):
        at = cmap + struct.unpack_from(">I", data, cmap + 8 + 8 * number)[0]
        if struct.unpack_from(">H", data, at)[0] == 12:
            for group in range(struct.unpack_from(">I", data, at + 12)[0]):
                first, last, glyph = struct.unpack_from(">III", data, at + 16 + 12 * group)
                yield first, last, glyph
            return


def text_mask(text: str) -> F32:
    """How much of each pixel the letters of a checked text cover, 0–1, (height, width); cropped to them."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(TYPEFACE), EM, layout_engine=ImageFont.Layout.BASIC)
    lines = [_placed(line, font) for line in text.split("\n")]
    width = max((line[-1][0] + font.getlength(line[-1][1]) for line in lines if line), default=0.0)
    image = Image.new("L", (int(width) + 2 * EM, round(len(lines) * LEADING * EM) + 2 * EM))
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        own = line[-1][0] + font.getlength(line[-1][1]) if line else 0.0
        for x, letter in line:
            place = (EM / 2 + (width - own) / 2 + x, EM / 2 + number * LEADING * EM)
            draw.text((round(place[0]), round(place[1])), letter, fill=255, font=font)
    return np.asarray(image.crop(image.getbbox()), np.float32) / np.float32(255)


def _placed(line: str, font: FreeTypeFont) -> list[tuple[float, str]]:
    """The letters of a line and where they begin, in pixels: kerned, and spaced a little."""
    x, found = 0.0, list[tuple[float, str]]()
    for at, letter in enumerate(line):
        if at:
            pair = line[at - 1 : at + 1]
            x += font.getlength(pair) - font.getlength(letter)
            x += 0 if unicodedata.combining(letter) else SPACING * EM
        found.append((x, letter))
    return found
