"""``python docs/typefaces.py``: a picture of all typefaces, each in its own letters, into ``docs/pictures``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ecs_core.arrays import F32
from ecs_core.text.drawing import Mask, draw
from ecs_core.text.fonts import weights
from ecs_core.text.layout import fit
from ecs_core.text.placed import Layout
from ecs_core.text.style import Style
from ecs_core.text.typefaces import families

FILE = Path(__file__).parent / "pictures/typefaces.webp"
ROW, NAMES, WIDTH, EDGE = 84, 300, 1480, 24  # pixels
_ALPHABETS = {"Latin": "Night Drive, 1984", "Greek": "Αγάπη μου", "Cyrillic": "Ночь и день", "Hebrew": "שיר"}
_GROUND, _INK, _QUIET = 0.006, 0.86, 0.2  # linear light


def sheet() -> F32:
    """The picture in linear light, (height, width)."""
    picture = np.full((ROW * len(families()) + 2 * EDGE, WIDTH), _GROUND, np.float32)
    for number, (name, face) in enumerate(families().items()):
        top, allowed = EDGE + ROW * number, weights(face)
        said = f"{name}\n{face.use}, {f'{allowed[0]:g}–{allowed[1]:g}' if allowed else 'one weight'}"
        style = Style(align="left", line_height=1.3)
        _put(picture, fit(said, style, width=NAMES, height=ROW, least=8, most=19), EDGE, top, _QUIET)
        text = "   ".join(_ALPHABETS[each] for each in face.alphabets)
        heavy = Style(family=name, weight=min(700, allowed[1]) if allowed else None, align="left")
        room = WIDTH - NAMES - 3 * EDGE
        _put(picture, fit(text, heavy, width=room, height=ROW, least=8, most=46, lines=1), NAMES + 2 * EDGE, top, _INK)
    return picture


def _put(picture: F32, layout: Layout, left: int, top: int, light: float) -> None:
    for part in draw(layout):
        _over(picture, part.fill, left, top, light)


def _over(picture: F32, mask: Mask, left: int, top: int, light: float) -> None:
    rows = slice(top + mask.top, top + mask.top + mask.values.shape[0])
    columns = slice(left + mask.left, left + mask.left + mask.values.shape[1])
    picture[rows, columns] += mask.values * (light - picture[rows, columns])


if __name__ == "__main__":
    shown = sheet()
    encoded = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)  # sRGB
    Image.fromarray(np.round(255 * encoded).astype(np.uint8)).save(FILE, quality=80, method=6)
