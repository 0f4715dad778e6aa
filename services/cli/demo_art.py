"""A cover, a logo and lyrics of a song that there is not, for pictures of templates; drawn here, so they are free."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from ecs_core.scene.oklab import srgb_from_lab

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

TITLE, ARTIST, ALBUM = "Low Sun", "The Motes Quartet", "Evening Hours"
LYRICS = """\
[ti:Low Sun]
[ar:The Motes Quartet]
[00:00.40]<00:00.40>Low <00:01.00>sun <00:01.50>over <00:02.20>the <00:02.60>water
[00:04.00]<00:04.00>Slow <00:04.60>light <00:05.10>on <00:05.50>the <00:05.90>shore
[00:08.00]<00:08.00>Hold <00:08.40>on <00:08.80>to <00:09.10>the <00:09.40>glow <00:10.00>longer
[00:12.00]<00:12.00>Gold <00:12.60>dust, <00:13.40>and <00:13.80>then <00:14.20>no <00:14.80>more
[00:16.00]<00:16.00>Low <00:16.60>sun <00:17.10>over <00:17.70>the <00:18.10>water
"""


def cover(side: int = 1000) -> U8:
    """A low sun over hills, (side, side, 3) uint8 sRGB."""
    y, x = np.mgrid[0:side, 0:side] / side
    # Hues and lightness of the sky from above to the horizon, in OKLab.
    sky = [(0.0, (0.30, 0.07, -0.10)), (0.35, (0.48, 0.13, -0.05)), (0.62, (0.72, 0.12, 0.10)), (1, (0.86, 0.03, 0.13))]
    lab = np.stack([np.interp(y, [at for at, _ in sky], [each[axis] for _, each in sky]) for axis in range(3)], axis=-1)
    away = np.hypot(x - 0.5, y - 0.56)
    lab = _mixed(lab, (0.93, 0.02, 0.11), 0.75 * np.exp(-((away / 0.3) ** 2)))
    lab = _mixed(lab, (0.96, 0.01, 0.07), _edge(0.19 - away, side))
    for number in range(14):  # lines of the sun, closer together towards its top
        middle, half = 0.735 - 0.02 * number - 0.0006 * number**2, 0.0062 * (1 - number / 14)
        lab = _mixed(lab, (0.74, 0.13, 0.11), _edge(half - np.abs(y - middle), side) * _edge(0.19 - away, side))
    hills = [
        (0.70, 0.020, 1.3, 0.4, (0.46, 0.12, -0.02)),
        (0.77, 0.028, 1.9, 2.3, (0.34, 0.11, -0.07)),
        (0.84, 0.026, 1.4, 4.4, (0.24, 0.08, -0.09)),
        (0.92, 0.020, 2.2, 0.9, (0.15, 0.05, -0.06)),
    ]
    for top, high, often, shift, colour in hills:
        line = top + high * (
            np.sin(2 * np.pi * often * x + shift) + 0.4 * np.sin(2 * np.pi * 2.7 * often * x + 2 * shift)
        )
        lab = _mixed(lab, colour, _edge(y - line, side))
    grain, _ = np.modf(np.abs(np.sin(x * side * 12.9898 + y * side * 78.233)) * 43758.5453)
    lab[:, :, 0] += 0.04 * (grain - 0.5)
    return np.round(np.clip(srgb_from_lab(lab), 0, 1) * 255).astype(np.uint8)


def logo(side: int = 800) -> U8:
    """Bars in a ring, white on nothing, (side, side, 4) uint8 sRGB."""
    large = 4 * side
    mask = Image.new("L", (large, large))
    draw = ImageDraw.Draw(mask)
    draw.ellipse([0.02 * large, 0.02 * large, 0.98 * large, 0.98 * large], outline=255, width=round(0.05 * large))
    for number, high in enumerate((0.16, 0.36, 0.5, 0.28, 0.12)):  # of bars
        middle = 0.5 + 0.105 * (number - 2)
        box = [large * each for each in (middle - 0.031, 0.5 - high / 2, middle + 0.031, 0.5 + high / 2)]
        draw.rounded_rectangle(box, 0.031 * large, fill=255)
    alpha = np.asarray(mask.resize((side, side), Image.Resampling.LANCZOS).filter(ImageFilter.UnsharpMask(1, 30)))
    return np.dstack([np.full((side, side, 3), 255, np.uint8), alpha])


def write(folder: Path) -> dict[str, str]:
    """Write the files into a folder; returns what a template's slots are filled with."""
    Image.fromarray(cover()).save(folder / "cover.png")
    Image.fromarray(logo()).save(folder / "logo.png")
    (folder / "song.lrc").write_text(LYRICS, encoding="utf-8")
    files = {"cover": "cover.png", "logo": "logo.png", "lyrics": "song.lrc"}
    return {"title": TITLE, "artist": ARTIST, "album": ALBUM} | {
        slot: str(folder / name) for slot, name in files.items()
    }


def _edge(inside: F64, side: int) -> F64:
    """1 inside, 0 outside, and smooth over a pixel and a half."""
    return np.clip(inside * side / 1.5 + 0.5, 0, 1)


def _mixed(lab: F64, colour: tuple[float, float, float], share: F64) -> F64:
    return lab + share[..., None] * (np.array(colour) - lab)
