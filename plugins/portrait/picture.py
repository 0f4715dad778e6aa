"""Pictures: what is read of a file, and how light and how coloured its places are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecs_core import F32, linear_from_srgb
from ecs_core import read_picture as read_pixels

SIDE = 1400  # pixels of the longer side, after shrinking: more than there are particles to show it
DARKEST = 0.04  # lightness up to here is black: no particles


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """``lightness`` (height, width), 0–1, as it is seen, and 0 where the picture is transparent; ``linear`` colours
    (height, width, 3), 0–1.
    """

    lightness: F32
    linear: F32


def check_picture(path: str) -> str:
    """The path of a picture that can be read.

    Raises:
        ValueError: it cannot be read, is too large, moves, or is black all over.
    """
    read_picture(path)
    return path


def read_picture(path: str) -> Picture:
    """The picture in a file, shrunk to ``SIDE``.

    Raises:
        ValueError: as ``check_picture``.
    """
    from PIL import Image

    image = Image.fromarray(read_pixels(path))
    shrink = max(1, -(-max(image.size) // SIDE))
    if shrink > 1:
        image = image.reduce(shrink)
    shown = np.asarray(image, np.float32) / np.float32(255)
    red, green, blue, alpha = (shown[:, :, channel] for channel in range(4))
    luma = np.float32(0.2126) * red + np.float32(0.7152) * green + np.float32(0.0722) * blue
    lightness = np.maximum(luma * alpha - np.float32(DARKEST), np.float32(0)) / np.float32(1 - DARKEST)
    if not lightness.any():
        raise ValueError("is black or transparent all over; nothing would be seen")
    return Picture(lightness, linear_from_srgb(shown[:, :, :3]))
