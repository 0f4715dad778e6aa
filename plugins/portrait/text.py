"""Text: which characters the typeface has, and a text as a mask.

FreeType draws the letters, so the version of Pillow, which brings it, is part of a scene's version.
"""

from __future__ import annotations

import struct
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np

from ecs_core import F32

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
    if not whole.replace("\n", ""):
        raise ValueError("must have a letter at least")
    missing = sorted({each for each in whole if each != "\n" and ord(each) not in characters()})
    if missing:
        names = ", ".join(f"{each!r} (U+{ord(each):04X})" for each in missing[:8])
        raise ValueError(f"the typeface has no {names}{' and others' if len(missing) > 8 else ''}")
    turned = sorted({each for each in whole if unicodedata.bidirectional(each) in ("R", "AL", "AN")})
    if turned:
        raise ValueError(f"{turned[0]!r} is written from right to left, which is not supported")
    return whole


@cache
def characters() -> frozenset[int]:
    """The code points that the typeface has, read from its table ``cmap``: Pillow cannot tell."""
    data = TYPEFACE.read_bytes()
    tables = struct.unpack_from(">H", data, 4)[0]
    records = (struct.unpack_from(">4sIII", data, 12 + 16 * number) for number in range(tables))
    cmap = next(offset for tag, _, offset, _ in records if tag == b"cmap")
    for number in range(struct.unpack_from(">H", data, cmap + 2)[0]):
        at = cmap + struct.unpack_from(">I", data, cmap + 8 + 8 * number)[0]
        if struct.unpack_from(">H", data, at)[0] == 12:  # groups of (first, last, glyph): all of Unicode
            groups = struct.unpack_from(">I", data, at + 12)[0]
            found = (struct.unpack_from(">II", data, at + 16 + 12 * group) for group in range(groups))
            return frozenset(point for first, last in found for point in range(first, last + 1))
    raise ValueError(f"{TYPEFACE}: has no table of characters of the format 12")


def text_mask(text: str) -> F32:
    """How much of each pixel the letters cover, 0–1, (height, width); cropped to them.

    Raises:
        ValueError: the text is of spaces alone.
    """
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
    box = image.getbbox()
    if box is None:
        raise ValueError("must have a letter that is seen")
    return np.asarray(image.crop(box), np.float32) / np.float32(255)


def _placed(line: str, font: object) -> list[tuple[float, str]]:
    """The letters of a line and where they begin, in pixels: kerned, and spaced a little."""
    length = font.getlength  # type: ignore[attr-defined]
    x, found = 0.0, list[tuple[float, str]]()
    for at, letter in enumerate(line):
        if at:
            pair = line[at - 1 : at + 1]
            x += length(pair) - length(letter)
            x += 0 if unicodedata.combining(letter) else SPACING * EM
        found.append((x, letter))
    return found
